"""Promises of the retry policy: a matter of type, counted as documented."""

from __future__ import annotations

import pytest

from llmnb import errors
from llmnb.decide.retry import ResendBudget, RetryPolicy, Tries, backoff, next_wait


def wait(error, tries=None, policy=None, **changes):
    settings = {"since_success": 0.0, "can_resend": True, "rand": lambda: 0.5, **changes}
    return next_wait(error, tries or Tries(), policy or RetryPolicy(), **settings)


@pytest.mark.parametrize("kind", [errors.Unsent, errors.ProviderError])
def test_unbilled_failures_are_tried_max_attempts_times(kind):
    """
    Three attempts in all: two waits, then the end.
    """
    tries = Tries()

    waits = [wait(kind("x"), tries) for _ in range(3)]

    assert waits[0] is not None
    assert waits[1] is not None
    assert waits[2] is None


def test_two_failures_at_most_are_excused():
    """
    Where its target was to blame a row is sent twice more, and then no more.
    """
    tries = Tries()

    waits = [wait(errors.ProviderError("x"), tries, is_excused=True) for _ in range(5)]

    assert [seconds is None for seconds in waits] == [False] * 4 + [True]


def test_a_refusal_for_pace_costs_no_attempt():
    """
    A hundred 429s spend nothing of `max_attempts`.
    """
    tries = Tries()
    for _ in range(100):
        assert wait(errors.RateLimited("x", retry_after=1.0), tries) == 1.0
    assert tries.failures == 0


def test_refusals_end_after_max_wait_without_a_success():
    """
    Ten minutes without one answer are enough.
    """
    assert wait(errors.RateLimited("x", retry_after=1.0), since_success=598.0) == 1.0
    assert wait(errors.RateLimited("x", retry_after=1.0), since_success=600.0) is None


def test_a_server_that_asks_for_more_than_two_minutes_is_not_waited_for():
    """
    Better fail now and say when to come back.
    """
    assert wait(errors.RateLimited("x", retry_after=121.0)) is None
    assert wait(errors.RateLimited("x", retry_after=119.0)) == 119.0


def test_a_perhaps_billed_request_is_sent_again_once():
    """
    Nobody pays three times for one answer.
    """
    tries = Tries()
    assert wait(errors.TimedOut("x"), tries) is not None
    assert wait(errors.TimedOut("x"), tries) is None


def test_no_resend_once_the_run_has_spent_its_allowance():
    """
    The allowance is the run's, not the row's.
    """
    assert wait(errors.MaybeBilled("x"), can_resend=False) is None


@pytest.mark.parametrize(
    "kind",
    [
        errors.ConfigurationError,
        errors.InputError,
        errors.AuthenticationError,
        errors.QuotaExhausted,
        errors.RequestRejected,
        errors.BadReply,
        errors.Truncated,
        errors.Refused,
        errors.StoreError,
        errors.Stopped,
    ],
)
def test_everything_else_is_never_sent_again(kind):
    """
    A wrong request, a refused account and a paid answer are not asked twice.
    """
    assert wait(kind("x")) is None


def test_the_servers_word_is_never_shortened():
    """
    A 503 that asks for nine seconds gets nine, though the schedule says less.
    """
    assert wait(errors.ProviderError("x", retry_after=9.0)) == 9.0


def test_waits_are_spread_below_a_doubling_ceiling():
    """
    Full jitter: anywhere from nothing up to the ceiling, which stops at the cap.
    """
    assert [backoff(n, rand=lambda: 1.0) for n in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert backoff(5000, rand=lambda: 1.0) == 30.0
    assert backoff(5, rand=lambda: 0.0) == 0.0


def resends(budget):
    """Return how many rows may be sent again at once."""
    count = 0
    while budget.has_token:
        budget.take()
        count += 1
    return count


def test_ten_rows_may_be_sent_again_and_each_success_returns_a_tenth():
    """
    It starts with ten tokens, never holds more, and ten successes are worth one.
    """
    budget = ResendBudget()
    for _ in range(100):
        budget.on_success()
    assert resends(budget) == 10

    for _ in range(29):
        budget.on_success()
    assert resends(budget) == 2
    budget.on_success()
    assert resends(budget) == 1
