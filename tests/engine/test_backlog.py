"""What a killed process would lose stays in proportion to what is in flight."""

from __future__ import annotations

import pytest

from llmnb.engine.attempt import Backlog


@pytest.fixture
def given_back():
    return []


def test_a_slot_is_returned_at_once_while_the_disk_keeps_up():
    """
    A quick disk slows nothing down.
    """
    backlog = Backlog(most=2)
    backlog.enter()

    assert not backlog.is_full


def test_slots_are_kept_while_the_disk_is_behind_and_returned_in_order(given_back):
    """
    As many places are kept as answers are on their way beyond the most.
    """
    backlog = Backlog(most=2)
    for number in range(5):
        if backlog.is_full:
            backlog.release_later(lambda number=number: given_back.append(number))
        backlog.enter()
    assert given_back == []

    for saved in range(1, 6):
        backlog.leave()
        assert given_back == [2, 3, 4][:saved]
    assert not backlog.is_full


def test_a_kept_slot_whose_answer_was_never_handed_over_is_returned(given_back):
    """
    An answer that lost a race is not saved; its place does not stay taken for that.
    """
    backlog = Backlog(most=1)
    backlog.enter()
    backlog.release_later(lambda: given_back.append("loser"))
    backlog.leave()

    assert given_back == ["loser"]
