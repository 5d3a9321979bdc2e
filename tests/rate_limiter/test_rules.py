"""Promises of the rates: a wrong one is an error where it is written; names find their models."""

from __future__ import annotations

import limits
import pytest

from llmnb.errors import ConfigurationError
from llmnb.rate_limiter import GlobalRateLimiter, RateConfig


@pytest.mark.parametrize("key", ["gpt-4", ("client",), ("client", ""), ("client", 4), None])
def test_what_is_no_key_is_refused(key):
    """
    The message shows what a key looks like.
    """
    with pytest.raises(ConfigurationError, match=r'\("client", "gpt-4"\)'):
        RateConfig()[key] = 5


@pytest.mark.parametrize("rate", ["fast", 0, -1, None, "0/minute", float("nan")])
def test_what_is_no_rate_is_refused_and_the_old_rate_stays(rate):
    """
    A mistyped limit lifts none.
    """
    config = RateConfig({("client", "m"): "100/minute"})

    with pytest.raises(ConfigurationError):
        config["client", "m"] = rate

    assert config["client", "m"] == "100/minute"


def test_rates_are_read_back_as_they_were_written():
    """
    A `limits.RateLimitItem` stays one.
    """
    item = limits.RateLimitItemPerSecond(30, 1)
    config = RateConfig({("client", "m"): item, ("get", "api"): "1000 per 2 hours"})

    assert config["client", "m"] is item
    assert dict(config) == {("client", "m"): item, ("get", "api"): "1000 per 2 hours"}
    assert [rule.per_minute for rule in config.rules()] == [1800, 1000 / 120]


def test_a_bare_name_binds_the_model_at_any_provider():
    """
    A name with its provider binds it there only, and both hold together.
    """
    limiter = GlobalRateLimiter(
        {
            ("client", "gpt-4"): 100,
            ("client|request", "openai/gpt-4"): 5,
            ("client", "openai/gpt-4"): 50,
            ("client", "gpt-4o"): 7,
        },
        use_in_memory=True,
    )

    def bound(provider, model):
        binding = limiter.binding(provider, model)
        return set() if binding is None else {rule.per_minute for rule in binding.rules}

    assert bound("azure", "gpt-4") == {100}
    assert bound("openai", "gpt-4") == {100, 50, 5}
    assert bound("openai", "gpt-3.5") == set()


def test_every_change_is_reported():
    """
    Set, delete, update, clear and replacing all of it.
    """
    config, changes = RateConfig(), []
    config.on_change = lambda: changes.append(dict(config))

    config["client", "m"] = 1
    config.update({("client", "n"): 2})
    del config["client", "m"]
    config.replace({("client", "o"): 3})
    config.clear()

    assert changes == [
        {("client", "m"): 1},
        {("client", "m"): 1, ("client", "n"): 2},
        {("client", "n"): 2},
        {("client", "o"): 3},
        {},
    ]


def test_the_rates_of_a_limiter_can_be_replaced():
    """
    Assigning a mapping replaces them; a wrong one changes nothing.
    """
    limiter = GlobalRateLimiter({("client", "m"): 5})
    config = limiter.rate_config

    limiter.rate_config = {("client", "n"): "5 per second"}
    with pytest.raises(ConfigurationError):
        limiter.rate_config = {("client", "n"): "no rate"}

    assert limiter.rate_config is config
    assert dict(config) == {("client", "n"): "5 per second"}
