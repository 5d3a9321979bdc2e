"""Every usage example of the limiter's document, imports renamed, nothing else changed."""

from __future__ import annotations

import inspect
import os
import time

import pytest

from llmnb.rate_limiter import GLOBAL_LIMITER, GlobalRateLimiter


@pytest.fixture(autouse=True)
def as_it_was():
    """Take away what an example has set."""
    before = dict(os.environ)
    yield
    GLOBAL_LIMITER.rate_config.clear()
    for name in ("REDIS_URL", "RATE_LIMITER_TIMEOUT"):
        os.environ.pop(name, None)
    os.environ.update(before)


def test_the_global_configuration():
    """
    A rate as the document writes it.
    """
    GLOBAL_LIMITER.rate_config[("client", "gpt-4")] = "100/minute"

    assert GLOBAL_LIMITER.rate_config[("client", "gpt-4")] == "100/minute"


@pytest.mark.parametrize(
    ("rate", "per_minute"), [("100/minute", 100), ("5 per second", 300), ("1000/day", 1000 / 1440)]
)
def test_rates_as_strings(rate, per_minute):
    """
    All three examples.
    """
    (rule,) = GlobalRateLimiter({("client", "gpt-4"): rate}).rate_config.rules()

    assert rule.per_minute == pytest.approx(per_minute)


def test_rates_as_items():
    """
    Both examples, in the package that they come from.
    """
    from limits import RateLimitItemPerMinute, RateLimitItemPerSecond

    config = GlobalRateLimiter(
        {
            ("client", "a"): RateLimitItemPerSecond(30, 1),
            ("client", "b"): RateLimitItemPerMinute(1000, 1),
        }
    ).rate_config

    assert [rule.per_minute for rule in config.rules()] == [1800, 1000]


def test_in_memory_storage():
    """
    The document's line.
    """
    limiter = GlobalRateLimiter(use_in_memory=True)

    assert limiter.url is None


@pytest.mark.redis
async def test_redis_storage(redis):
    """
    The address as the document writes it, read when it is used.
    """
    os.environ["REDIS_URL"] = f"localhost:{redis.port}"

    limiter = GlobalRateLimiter()  # Will automatically use Redis if REDIS_URL is set

    limiter.rate_config["client", "gpt-4"] = "6000/minute"
    await limiter.try_acquire(("client", "gpt-4"), weight=50)
    assert redis.call("EXISTS", "{llmnb}:limit:client:gpt-4") == 1


async def test_monitoring():
    """
    The status has the document's form, names and types.
    """
    GLOBAL_LIMITER.rate_config[("client", "gpt-4")] = "100/minute"
    await GLOBAL_LIMITER.try_acquire(("client", "gpt-4"), weight=50)

    status = await GLOBAL_LIMITER.rate_limit_status()

    period_start = status[("client", "gpt-4")]["period_start"]
    assert status == {
        ("client", "gpt-4"): {
            "period_start": period_start,
            "n_items_in_period": 50,
            "period_seconds": 60,
            "period_name": "minute",
            "period_cap": 100,
        }
    }
    assert isinstance(period_start, int)
    assert 0 <= time.time() - period_start < 120


async def test_the_timeout():
    """
    Set as the document sets it; a call that takes longer is a TimeoutError.
    """
    os.environ["RATE_LIMITER_TIMEOUT"] = "0.01"
    limiter = GlobalRateLimiter({("client", "gpt-4"): "1/hour"}, use_in_memory=True)
    await limiter.try_acquire(("client", "gpt-4"))

    with pytest.raises(TimeoutError):
        await limiter.try_acquire(("client", "gpt-4"))


async def test_weights():
    """
    The document's call.
    """
    token_count = 40
    GLOBAL_LIMITER.rate_config[("client", "gpt-4")] = "100000/minute"

    await GLOBAL_LIMITER.try_acquire(
        ("client", "gpt-4"),
        weight=token_count,  # Number of tokens in the request
        acquire_timeout=30.0,  # Optional timeout override
    )


def test_the_signatures_are_the_documents():
    """
    Names, order and defaults.
    """
    made = inspect.signature(GlobalRateLimiter).parameters
    acquired = inspect.signature(GLOBAL_LIMITER.try_acquire).parameters

    assert {name: parameter.default for name, parameter in made.items()} == {
        "rate_config": None,
        "use_in_memory": False,
        "redis_url": None,
    }
    assert {name: parameter.default for name, parameter in acquired.items()} == {
        "key": inspect.Parameter.empty,
        "rate_limit": None,
        "machine_id": 0,
        "acquire_timeout": None,
        "weight": 1,
    }
