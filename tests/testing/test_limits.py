from __future__ import annotations

import pytest
from laboratory.limits import LaboratoryLimits, LaboratoryLimitSettings

from llmnb.errors import ConfigurationError
from llmnb.testing.limits import EnforcedLimits, LimitSettings
from llmnb.testing.provider_profiles import OPENAI, duration_text


def enforced(**settings) -> EnforcedLimits:
    return EnforcedLimits(LimitSettings(**settings))


def admitted(limits: EnforcedLimits, until: float, step: float = 0.01, tokens: float = 1) -> int:
    """Knock every step; count who is let in."""
    knocks = [number * step for number in range(round(until / step))]
    return sum(limits.admit(tokens=tokens, now=now, in_flight=1) is None for now in knocks)


@pytest.mark.parametrize("burst", [1.0, 10.0])
def test_a_limit_lets_through_its_rate_and_its_burst(burst: float):
    """
    In a minute pass the minute's worth and the burst, and no more.
    """
    limits = enforced(requests_per_minute=600, burst_seconds=burst)

    assert admitted(limits, until=60.0) == pytest.approx(600 + 10 * burst, abs=1)


def test_tokens_and_requests_are_limited_apart():
    """
    Whichever runs out first refuses, and a refusal takes nothing from the other.
    """
    limits = enforced(requests_per_minute=600, tokens_per_minute=600, burst_seconds=1)

    assert limits.admit(tokens=10, now=0.0, in_flight=1) is None
    refusal = limits.admit(tokens=5, now=0.0, in_flight=1)
    assert refusal is not None
    assert (refusal.kind, refusal.wait) == ("tokens", pytest.approx(0.5))
    assert OPENAI.limit_headers(limits.standings(0.0))["x-ratelimit-remaining-requests"] == "9"


def test_what_is_larger_than_the_bucket_passes_when_it_is_full_and_leaves_a_debt():
    """
    Nothing is too large to pass for ever, and the average holds.
    """
    limits = enforced(tokens_per_minute=600, burst_seconds=1)

    assert limits.admit(tokens=50, now=0.0, in_flight=1) is None
    refusal = limits.admit(tokens=1, now=0.0, in_flight=1)
    assert refusal is not None
    assert refusal.wait == pytest.approx(4.1)
    assert limits.admit(tokens=1, now=4.1, in_flight=1) is None


def test_where_actual_tokens_are_charged_they_are_taken_when_known():
    """
    A provider that counts actual output admits while anything is left and charges later.
    """
    limits = enforced(tokens_per_minute=600, burst_seconds=1, charge="actual")

    assert limits.admit(tokens=9999, now=0.0, in_flight=1) is None
    limits.settle(20, now=0.0)
    refusal = limits.admit(tokens=1, now=0.0, in_flight=1)
    assert refusal is not None
    assert refusal.wait == pytest.approx(1.1)


def test_more_than_the_concurrency_is_refused():
    """
    The cap counts the request itself, and tells no time to come back at.
    """
    limits = enforced(concurrency=2)

    assert limits.admit(tokens=1, now=0.0, in_flight=2) is None
    refusal = limits.admit(tokens=1, now=0.0, in_flight=3)
    assert refusal is not None
    assert (refusal.kind, refusal.wait) == ("concurrency", 0.0)


def test_refused_requests_count_where_the_provider_counts_them():
    """
    Who keeps knocking at such a provider is never let in.
    """
    patient = enforced(requests_per_minute=60, burst_seconds=1)
    settings = {"requests_per_minute": 60, "burst_seconds": 1, "count_refused": True}
    strict = LaboratoryLimits(LaboratoryLimitSettings(**settings))

    assert admitted(patient, until=10.0) == pytest.approx(10, abs=1)
    assert admitted(strict, until=10.0) == 1


def test_headers_tell_limits_rests_and_resets_as_openai_spells_them():
    """
    Six headers, with counts as whole numbers and times as durations.
    """
    limits = enforced(requests_per_minute=600, tokens_per_minute=60_000, burst_seconds=10)
    limits.admit(tokens=500, now=0.0, in_flight=1)

    assert OPENAI.limit_headers(limits.standings(0.0)) == {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "99",
        "x-ratelimit-reset-requests": "100ms",
        "x-ratelimit-limit-tokens": "60000",
        "x-ratelimit-remaining-tokens": "9500",
        "x-ratelimit-reset-tokens": "500ms",
    }
    assert enforced(requests_per_minute=600, limit_headers=False).standings(0.0) == []


@pytest.mark.parametrize(
    ("hint", "headers"),
    [
        ("seconds", {"retry-after": "2"}),
        ("milliseconds", {"retry-after-ms": "1500"}),
        ("both", {"retry-after": "2", "retry-after-ms": "1500"}),
    ],
)
def test_a_refusal_says_when_to_come_back_as_it_is_set_to(hint, headers):
    """
    In seconds, in milliseconds or in both, and never too early.
    """
    assert OPENAI.retry_headers(1.5, hint) == headers


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.0005, "1ms"), (1, "1s"), (59.9995, "1m0s"), (61.5, "1m1.5s"), (3600, "60m0s")],
)
def test_durations_are_written_with_their_units(seconds: float, text: str):
    """
    Rounded up to the millisecond, so that a client that waits so long is not too early.
    """
    assert duration_text(seconds) == text


@pytest.mark.parametrize("name", ["requests_per_minute", "tokens_per_minute", "burst_seconds"])
@pytest.mark.parametrize("wrong", [0, -1, float("inf")])
def test_a_limit_that_is_none_is_refused(name: str, wrong: float):
    """
    None means no limit; 0 and infinity are mistakes.
    """
    with pytest.raises(ConfigurationError, match=name):
        LimitSettings(**{name: wrong})


def test_a_clock_that_goes_backwards_gives_nothing():
    """
    Only time that passes refills a bucket.
    """
    limits = enforced(requests_per_minute=60, burst_seconds=1)
    limits.admit(tokens=1, now=100.0, in_flight=1)

    assert limits.admit(tokens=1, now=10.0, in_flight=1) is not None
