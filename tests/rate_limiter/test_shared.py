"""Promises of limits shared through a real Redis, seen from one process."""

from __future__ import annotations

import asyncio
import time

import pytest
from laboratory.windows import worst_window
from redis_server import RedisServer

from llmnb import bridge
from llmnb.adapters.redis import PATIENCE_SECONDS
from llmnb.errors import LimiterTimeout
from llmnb.rate_limiter.link import HEARTBEAT_INTERVAL

pytestmark = [pytest.mark.redis, pytest.mark.alone]

KEY = ("client|request", "m")


@pytest.fixture
def limiter(redis, limiters):
    """A limiter of its own on an empty Redis; what it begins is ended."""

    def make(rate, url=redis.url):
        return limiters({KEY: rate}, redis_url=url)

    return make


async def acquire(limiter, count, weight=1):
    """Acquire so many times at once and return when each passed."""
    times = []

    async def mine():
        await limiter.try_acquire(KEY, weight=weight)
        times.append(time.monotonic())

    await asyncio.gather(*(mine() for _ in range(count)))
    return sorted(times)


def link_of(limiter):
    """Return the limiter's conversation with its Redis."""
    return limiter._state().links[limiter.url]


async def calls_of(limiter):
    """Return how many round trips there were."""

    async def look():
        return link_of(limiter).calls

    return await bridge.acall(look())


async def test_the_rate_is_kept_in_every_window(limiter):
    """
    From an empty Redis on: no burst at the beginning, none later.
    """
    times = await acquire(limiter("6000/minute"), 120)

    worst = worst_window(times, rate=100.0, burst=1.0)
    assert worst is not None
    assert worst.is_within


async def test_at_60000_a_minute_there_are_hardly_any_round_trips(limiter):
    """
    Permission is drawn in blocks: at most one round trip for ten requests.
    """
    mine = limiter("60000/minute")

    times = await acquire(mine, 2000)

    assert await calls_of(mine) <= 0.1 * len(times)
    assert worst_window(times, rate=1000.0, burst=1.0).is_within


async def test_what_is_granted_of_a_fast_limit_does_not_lapse_in_transit(limiter):
    """
    A few tokens of millions a second take less of the limit's time than the answer travels.
    """
    mine = limiter("100000000/minute")
    await mine.try_acquire(KEY)
    await asyncio.sleep(1.0)  # the limit has been idle for longer than it reaches back

    assert len(await acquire(mine, 20, weight=5)) == 20


async def test_two_limiters_share_a_limit(limiter):
    """
    As two processes would: together they keep it, and the status counts both.
    """
    mine, other = limiter("3000/minute"), limiter("3000/minute")

    first, second = await asyncio.gather(acquire(mine, 50), acquire(other, 50))

    worst = worst_window(sorted(first + second), rate=50.0, burst=1.0)
    await mine.rate_limit_status()
    status = await other.rate_limit_status()
    assert worst.is_within
    assert status[KEY]["n_items_in_period"] == 100
    assert status[KEY]["period_cap"] == 3000
    assert abs(status[KEY]["period_start"] - time.time()) < 60


async def test_more_than_is_granted_at_once_passes_and_is_paid_for(limiter):
    """
    Five of one a second: they go together, the next has to wait, and nothing of it is used.
    """
    mine = limiter("3600/hour")
    await mine.try_acquire(KEY, weight=5)

    with pytest.raises(LimiterTimeout):
        await mine.try_acquire(KEY, weight=5, acquire_timeout=0.05)

    assert (await mine.rate_limit_status())[KEY]["n_items_in_period"] == 5


async def test_the_address_is_read_when_it_is_used(limiters, monkeypatch, redis):
    """
    As the environment says at that moment.
    """
    mine = limiters({KEY: 6000})
    await mine.try_acquire(KEY)
    monkeypatch.setenv("REDIS_URL", redis.url)
    await mine.try_acquire(KEY)
    monkeypatch.delenv("REDIS_URL")

    assert redis.call("EXISTS", "{llmnb}:limit:client|request:m") == 1
    assert (await mine.rate_limit_status())[KEY]["n_items_in_period"] == 1


async def test_after_flushall_the_rate_is_kept(limiter, redis):
    """
    Everything is forgotten in the midst of it, and no window holds more for it.
    """
    mine = limiter("6000/minute")
    before = await acquire(mine, 60)
    redis.call("FLUSHALL")
    after = await acquire(mine, 60)

    assert worst_window(before + after, rate=100.0, burst=1.0).is_within


async def lost(limiter):
    """Wait until the loss is noticed, and return what is said of it."""
    while limiter.trouble is None:  # noqa: ASYNC110 - nobody is told, for nobody needs to be
        await asyncio.sleep(0.01)
    return limiter.trouble


async def back(limiter):
    """Wait until it is noticed that Redis is back."""
    while limiter.trouble is not None:  # noqa: ASYNC110 - likewise
        await asyncio.sleep(0.01)


async def test_a_frozen_redis_is_noticed_and_the_share_is_kept(limiter):
    """
    Nobody stops, nobody runs free; when it wakes, limits are shared again.
    """
    with RedisServer() as own:
        own.settle()
        mine = limiter("6000/minute", own.url)
        times = await acquire(mine, 20)
        own.freeze()
        try:
            error = await lost(mine)
            times += await acquire(mine, 40)
        finally:
            own.thaw()
        await back(mine)
        times += await acquire(mine, 40)

    assert HEARTBEAT_INTERVAL + PATIENCE_SECONDS < 2, "it is noticed by the next word's patience"
    assert "no answer in time" in str(error)
    assert worst_window(sorted(times), rate=100.0, burst=1.0).is_within


async def test_a_killed_and_a_read_only_redis_are_survived(limiter, caplog):
    """
    One warning at the loss, one when it is back; what is asked meanwhile passes all the same.
    """
    with RedisServer() as own:
        own.settle()
        mine = limiter("6000/minute", own.url)
        times = await acquire(mine, 20)
        own.kill()
        await lost(mine)
        times += await acquire(mine, 20)
        own.start()
        await back(mine)
        times += await acquire(mine, 20)
        own.call("REPLICAOF", "127.0.0.1", "1")
        assert "ReadOnly" in str(await lost(mine))
        times += await acquire(mine, 20)
        own.call("REPLICAOF", "NO", "ONE")
        await back(mine)

    said = [record.getMessage() for record in caplog.records if record.name == "llmnb"]
    assert ["is back:" in text for text in said] == [False, True, False, True]
    assert worst_window(sorted(times), rate=100.0, burst=1.0).is_within


async def test_a_process_that_never_reached_its_redis_keeps_to_a_twentieth(limiter):
    """
    Not stopped, not unlimited.
    """
    mine = limiter("60000/minute", "localhost:1")

    times = await acquire(mine, 30)

    assert mine.trouble is not None
    assert worst_window(times, rate=50.0, burst=0.2, slack=1.1).is_within
    assert (await mine.rate_limit_status())[KEY]["n_items_in_period"] == 30
