"""Promises of limits on one worker: the smallest holds, and what was there comes back."""

from __future__ import annotations

import pytest

from llmnb.frames.dask_worker import RateOverrides
from llmnb.rate_limiter import GLOBAL_LIMITER

KEY = ("client|request", "openai/m")
OTHER = ("client", "openai/m")


@pytest.fixture(autouse=True)
def clean():
    yield
    GLOBAL_LIMITER.rate_config = {}


def rate(key):
    rule = GLOBAL_LIMITER.rate_config.rule(key)
    return None if rule is None else rule.per_minute


def test_the_smallest_of_several_tasks_holds():
    """
    Until it is done; then the other's, then none.
    """
    overrides = RateOverrides()
    overrides.put("a", [(KEY, 60.0), (OTHER, 9.0)])
    overrides.put("b", [(KEY, 30.0)])
    assert (rate(KEY), rate(OTHER)) == (30.0, 9.0)

    overrides.drop("b")
    assert rate(KEY) == 60.0
    overrides.drop("a")
    assert (rate(KEY), rate(OTHER)) == (None, None)


def test_the_workers_own_rates_hold_too():
    """
    It comes back as it was written.
    """
    GLOBAL_LIMITER.rate_config[KEY] = "1 per second"
    overrides = RateOverrides()

    overrides.put("a", [(KEY, 600.0)])
    assert rate(KEY) == 60.0
    overrides.put("a", [(KEY, 6.0)])
    assert rate(KEY) == 6.0
    overrides.drop("a")
    assert GLOBAL_LIMITER.rate_config[KEY] == "1 per second"


def test_of_two_rates_for_the_same_key_the_smaller_holds():
    """
    The call's own, and what `GLOBAL_LIMITER` allowed.
    """
    overrides = RateOverrides()
    overrides.put("a", [(KEY, 60.0), (KEY, 20.0)])
    assert rate(KEY) == 20.0
