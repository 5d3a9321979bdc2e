"""Promises of `try_acquire` and `rate_limit_status` without Redis."""

from __future__ import annotations

import asyncio
import time

import pytest

from llmnb.errors import ConfigurationError, LimiterError, LimiterTimeout
from llmnb.rate_limiter import GlobalRateLimiter

KEY = ("client", "m")


def limiter(rate, **options):
    """A limiter with one limit."""
    return GlobalRateLimiter({KEY: rate}, use_in_memory=True, **options)


async def test_nobody_passes_before_the_rate_lets_it():
    """
    Of many callers at once a second's worth goes at once, and each other when its time has come.
    """
    mine, times = limiter("100 per second"), []
    began = time.monotonic()

    async def acquire():
        await mine.try_acquire(KEY)
        times.append(time.monotonic() - began)

    await asyncio.gather(*(acquire() for _ in range(150)))

    # On a busy machine a caller may hear of its turn late, never early.
    early = [number for number, at in enumerate(times, 1) if number > 100 + 100 * (at + 0.001)]
    assert early == []


async def test_callers_pass_in_the_order_they_came():
    """
    A large weight is not overtaken by small ones.
    """
    mine, order = limiter("50 per second"), []
    await mine.try_acquire(KEY, weight=45)

    async def acquire(name, weight):
        await mine.try_acquire(KEY, weight=weight)
        order.append(name)

    tasks = []
    for name, weight in (("large", 20), ("a", 1), ("b", 1)):
        tasks.append(asyncio.create_task(acquire(name, weight)))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)

    assert order == ["large", "a", "b"]


async def test_more_than_the_limit_gives_at_once_passes_and_is_paid_for():
    """
    Nothing is too large to pass.
    """
    mine = limiter("1000 per second")

    await mine.try_acquire(KEY, weight=1500)

    with pytest.raises(LimiterTimeout):
        await mine.try_acquire(KEY, weight=1, acquire_timeout=0)


async def test_a_timeout_is_a_timeout_error_and_uses_nothing():
    """
    Whoever catches the builtin catches it; the status does not count it.
    """
    mine = limiter("60/minute")
    await mine.try_acquire(KEY)

    with pytest.raises(TimeoutError) as caught:
        await mine.try_acquire(KEY, acquire_timeout=0.01)

    assert isinstance(caught.value, LimiterError)
    assert (await mine.rate_limit_status())[KEY]["n_items_in_period"] == 1


@pytest.mark.parametrize("text", ["0", "0.01"])
async def test_the_timeout_is_read_when_it_is_used(monkeypatch, text):
    """
    `RATE_LIMITER_TIMEOUT` may be set at any time.
    """
    mine = limiter("1/hour")
    await mine.try_acquire(KEY)
    monkeypatch.setenv("RATE_LIMITER_TIMEOUT", text)

    with pytest.raises(LimiterTimeout, match=f"within {text} s"):
        await mine.try_acquire(KEY)


@pytest.mark.parametrize("text", ["soon", "-1", "nan"])
async def test_a_timeout_that_is_none_is_an_error(monkeypatch, text):
    """
    It is not taken for the default.
    """
    monkeypatch.setenv("RATE_LIMITER_TIMEOUT", text)

    with pytest.raises(ConfigurationError, match="RATE_LIMITER_TIMEOUT"):
        await limiter("1/hour").try_acquire(KEY)


async def test_what_nothing_limits_passes_at_once():
    """
    No rate is invented.
    """
    mine = GlobalRateLimiter(use_in_memory=True)

    for _ in range(1000):
        await mine.try_acquire(("get", "anything"), acquire_timeout=0)

    assert await mine.rate_limit_status() == {}


async def test_a_rate_can_come_with_the_call_and_machines_are_apart():
    """
    Another `machine_id` is another limit, shown under its own name.
    """
    mine = GlobalRateLimiter(use_in_memory=True)
    for machine in (0, 1):
        await mine.try_acquire(KEY, "1/hour", machine, acquire_timeout=0)
    with pytest.raises(LimiterTimeout):
        await mine.try_acquire(KEY, "1/hour", 1, acquire_timeout=0)

    status = await mine.rate_limit_status()

    assert set(status) == {KEY, (*KEY, 1)}
    assert status[KEY]["period_name"] == "hour"
    assert status[KEY]["period_seconds"] == 3600


@pytest.mark.parametrize("weight", [0, -1, float("inf"), float("nan"), True])
async def test_a_weight_is_a_number_above_0(weight):
    """
    Anything else is a mistake.
    """
    with pytest.raises(ConfigurationError, match="weight"):
        await limiter(5).try_acquire(KEY, weight=weight)


async def test_limits_of_two_limiters_are_apart():
    """
    A limiter is an object, not a process-wide state.
    """
    mine, other = limiter("1/hour"), limiter("1/hour")

    await mine.try_acquire(KEY, acquire_timeout=0)
    await other.try_acquire(KEY, acquire_timeout=0)


async def test_a_caller_that_leaves_takes_nothing():
    """
    Cancelling one who waits lets the next go on.
    """
    mine = limiter("20 per second")
    await mine.try_acquire(KEY, weight=18)
    waiting = asyncio.create_task(mine.try_acquire(KEY, weight=10_000))
    await asyncio.sleep(0)

    waiting.cancel()
    await mine.try_acquire(KEY, weight=2)

    assert (await mine.rate_limit_status())[KEY]["n_items_in_period"] == 20


def test_several_threads_and_no_loop():
    """
    The blocking twins work where nothing is awaited.
    """
    mine = limiter("100/minute")

    mine.try_acquire_sync(KEY, weight=7)

    status = mine.rate_limit_status_sync()[KEY]
    assert {name: status[name] for name in status if name != "period_start"} == {
        "n_items_in_period": 7,
        "period_seconds": 60,
        "period_name": "minute",
        "period_cap": 100,
    }
    assert abs(status["period_start"] - time.time()) < 60


def test_the_repr_says_where_limits_are_kept(monkeypatch):
    """
    And never the address, which may hold a password.
    """
    monkeypatch.setenv("REDIS_URL", "redis://:hush@host:1")

    assert repr(GlobalRateLimiter()) == "<GlobalRateLimiter of 0 limits, shared through Redis>"
    assert "in memory" in repr(GlobalRateLimiter(use_in_memory=True))
