"""Promises of the slow start: a target that has just come back is not felled by what waited."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmnb.decide.breaker import SlowStart


def rounds(start: SlowStart, *, until: int) -> list[int]:
    """Return the slots of each round of replies until there are so many."""
    slots, now = [start.slots], 1.0
    while slots[-1] < until:
        now += 1.0
        for _ in range(slots[-1]):
            start.on_success(sent_at=now)
        slots.append(start.slots)
    return slots


def test_the_load_doubles_to_half_of_what_was_in_flight_and_then_grows_singly():
    """
    Near the level at which the target failed the next request may be the one too many.
    """
    assert rounds(SlowStart(16, since=0.0), until=12) == [1, 2, 4, 8, 9, 10, 11, 12]


def test_what_was_served_before_the_recovery_was_known_counts():
    """
    Seven answers to what was sent after the last failure: seven more at once are no news.
    """
    start = SlowStart(40, since=1.0)

    for _ in range(7):
        start.on_success(sent_at=1.5)

    assert start.slots == 8


def test_older_news_makes_no_room():
    """
    What was sent no later than what has failed says nothing about the target now.
    """
    start = SlowStart(40, since=1.0)

    for sent_at in (0.0, 0.5, 1.0):
        start.on_success(sent_at=sent_at)

    assert start.slots == 1


def test_a_failure_beside_older_requests_tells_how_many_were_in_flight_with_them():
    """
    Four of 21 were sent since: half of the four go, and from eleven on it is one more a round.
    """
    start = SlowStart(40, since=0.0)
    for _ in range(3):
        start.on_success(sent_at=1.0)
    start.on_failure(began=1.0, now=1.0, in_flight=21)

    assert rounds(start, until=14) == [2, 4, 8, 11, 12, 13, 14]


def test_a_failure_among_fewer_than_the_slots_halves_what_was_in_flight():
    """
    Slots that nobody has taken were not tried.
    """
    start = SlowStart(40, since=0.0)
    for _ in range(15):
        start.on_success(sent_at=1.0)
    start.on_failure(began=1.0, now=1.0, in_flight=6)

    assert start.slots == 3


@given(
    level=st.integers(1, 100),
    steps=st.lists(st.tuples(st.booleans(), st.floats(0, 10), st.integers(1, 100)), max_size=200),
)
def test_there_is_always_a_slot_and_never_more_than_answers_have_made(level, steps):
    """
    An answer makes room for one more at most; a failure makes room for nobody.
    """
    start, answers = SlowStart(level, since=2.0), 0
    for is_answer, moment, in_flight in steps:
        before = start.slots
        if is_answer:
            start.on_success(sent_at=moment)
            answers += moment > 2.0
            assert before <= start.slots <= before + 1
        else:
            start.on_failure(began=moment, now=moment + 1, in_flight=in_flight)
            assert start.slots <= before
        assert 1 <= start.slots <= 1 + answers


def test_a_target_is_to_blame_once_rows_that_had_failed_are_answered():
    """
    More of them than fail again; those that fail together count as a single one.
    """
    start = SlowStart(40, since=0.0)
    start.on_failure(began=1.0, now=2.0, in_flight=4, has_failed=True)
    start.on_failure(began=1.0, now=2.0, in_flight=4, has_failed=True)
    start.on_success(sent_at=1.0)
    start.on_success(sent_at=1.0, has_failed=True)
    assert not start.blames_target

    start.on_success(sent_at=1.0, has_failed=True)

    assert start.blames_target


def test_a_row_that_has_failed_goes_alone_until_the_first_answer():
    """
    Alone of its kind; afterwards one more may be in flight for each that was answered.
    """
    start = SlowStart(40, since=0.0)
    assert [start.may_repeat(in_flight) for in_flight in (0, 1)] == [True, False]

    start.on_success(sent_at=1.0, has_failed=True)

    assert [start.may_repeat(in_flight) for in_flight in (1, 2)] == [True, False]
