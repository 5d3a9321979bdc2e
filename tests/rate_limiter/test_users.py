"""Promises of processes that draw on one announced limit: each knows how many there are."""

from __future__ import annotations

import asyncio

import pytest

from llmnb import bridge

pytestmark = [pytest.mark.redis]


async def test_processes_of_an_account_are_counted(redis, limiters):
    """
    Those at another account, or in a process that has ended, are not among them.
    """
    counts: dict[str, int] = {}
    news, here = asyncio.Event(), asyncio.get_running_loop()
    made = {name: limiters(redis_url=redis.url) for name in ("one", "two", "elsewhere")}
    for limiter in made.values():
        await limiter.receive_limits()

    async def count(name: str, pool: str) -> None:
        def received(processes: int) -> None:
            counts[name] = processes
            here.call_soon_threadsafe(news.set)

        made[name].count_users(pool, received)

    async def until(**wanted: int) -> None:
        async with asyncio.timeout(30):
            while {name: counts.get(name) for name in wanted} != wanted:
                await news.wait()
                news.clear()

    for name, pool in (("one", "a"), ("two", "a"), ("elsewhere", "b")):
        await bridge.acall(count(name, pool))
    await until(one=2, two=2, elsewhere=1)

    await asyncio.to_thread(limiters.end, made["two"])
    await until(one=1)


async def test_without_a_redis_nothing_is_counted(limiters):
    """
    And nothing is said.
    """
    limiter = limiters(use_in_memory=True)

    async def count() -> None:
        limiter.count_users("a", lambda processes: pytest.fail("nobody counts"))

    await bridge.acall(count())
