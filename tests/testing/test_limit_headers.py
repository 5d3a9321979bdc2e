"""Promises about simulated headers: each family tells its limits so that its reader understands."""

from __future__ import annotations

from typing import get_args

import pytest
from laboratory.limits import Family, LaboratoryLimits, LaboratoryLimitSettings, family_headers

from llmnb.errors import ConfigurationError
from llmnb.testing import SimulatedRequest
from llmnb.testing.provider_profiles import OPENAI
from llmnb.wire.limits import limit_reports


def enforced(**settings) -> LaboratoryLimits:
    settings = {"requests_per_minute": 600, "burst_seconds": 10, **settings}
    limits = LaboratoryLimits(LaboratoryLimitSettings(**settings))
    assert limits.admit(tokens=1, now=0.0, in_flight=1) is None
    return limits


@pytest.mark.parametrize("family", get_args(Family))
def test_each_family_is_understood_by_its_reader(family):
    """
    The limit of requests, by the minute or whatever else it counts by.
    """
    headers = family_headers(family, enforced(limit_headers=family).standings(0.0))

    first = limit_reports(headers, {"ietf": "gateway", "limit": "openai"}.get(family, family))[0]
    assert first.kind == "requests"
    assert first.limit * 60 / first.period == pytest.approx(600)
    if family == "limit":
        assert first.left is None
    else:
        assert family == "groq" or first.left == 99.0


def test_a_family_that_nobody_knows_is_refused():
    """
    With the names of those that are known.
    """
    with pytest.raises(ConfigurationError, match="gateway"):
        LaboratoryLimitSettings(limit_headers="nobody's")


def test_another_client_takes_its_part_whether_or_not_we_ask():
    """
    A request every half second is gone from the bucket when the next of ours comes.
    """
    limits = enforced(others_per_minute=1200)
    limits.admit(tokens=1, now=3.0, in_flight=1)

    assert OPENAI.limit_headers(limits.standings(3.0))["x-ratelimit-remaining-requests"] == "68"


def test_prompt_and_answer_may_be_counted_together():
    """
    As Azure counts them.
    """
    fields = {"endpoint": "chat", "body": {}, "model": "m", "prompt": "Hi", "identity": "Hi"}
    request = SimulatedRequest(**fields, prompt_tokens=20, max_tokens=20, samples=2)
    limits = LaboratoryLimits(
        LaboratoryLimitSettings(tokens_per_minute=600, burst_seconds=10, charge="sum")
    )
    tokens = limits.charged(request)
    limits.admit(tokens=tokens, now=0.0, in_flight=1)

    assert OPENAI.limit_headers(limits.standings(0.0))["x-ratelimit-remaining-tokens"] == "40"
