"""What a killed process would lose stays in proportion to what is in flight."""

from __future__ import annotations

import pytest

from llmnb.engine.attempt import Backlog


@pytest.fixture
def released():
    return []


def test_a_slot_is_returned_at_once_while_the_disk_keeps_up():
    """
    A quick disk slows nothing down.
    """
    backlog = Backlog(most=2)
    backlog.enter()

    assert not backlog.is_full


def test_slots_are_kept_while_the_disk_is_behind_and_returned_in_order(released):
    """
    As many places are kept as answers are on their way beyond the most.
    """
    backlog = Backlog(most=2)
    for number in range(5):
        if backlog.is_full:
            backlog.release_later(lambda number=number: released.append(number))
        backlog.enter()
    assert released == []

    for saved in range(1, 6):
        backlog.leave()
        assert released == [2, 3, 4][:saved]
    assert not backlog.is_full


def test_a_kept_slot_whose_answer_was_never_handed_over_is_returned(released):
    """
    An answer that lost a race is not saved; its place does not stay taken for that.
    """
    backlog = Backlog(most=1)
    backlog.enter()
    backlog.release_later(lambda: released.append("loser"))
    backlog.leave()

    assert released == ["loser"]
