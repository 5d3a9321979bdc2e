"""Promises of limits that one process states and all who share its Redis keep."""

from __future__ import annotations

import asyncio
import gc
import json
import threading

import pytest
from laboratory import Laboratory
from limited_process import LimitedProcess

from llmnb.errors import LimiterTimeout
from llmnb.rate_limiter import GlobalRateLimiter

pytestmark = pytest.mark.redis

KEY = ("client|request", "m")

PATIENCE = 60.0
"""Seconds after which a test gives up; none takes as long unless it fails."""


@pytest.fixture
def limiter(redis, limiters):
    """Make limiters that act as processes of their own; each is ended."""

    def make(rates=None, url=redis.url):
        return limiters(rates, redis_url=url)

    return make


async def lost(limiter):
    """Wait until a limiter has noticed that its Redis is gone."""
    while limiter.trouble is None:
        await limiter.receive_limits()
        await asyncio.sleep(0.02)


async def received(limiter, rate):
    """Wait until a limiter keeps to a rate; None: to none."""
    while True:
        binding = limiter.binding("any", "m")
        if (None if binding is None else binding.rules[0].per_minute) == rate:
            return
        await limiter.receive_limits()
        await asyncio.sleep(0.02)


@pytest.mark.alone
def test_a_limit_of_a_process_binds_the_engine_of_another(limiter, redis, tmp_path):
    """
    A process that was told of no limit keeps to the one that this process sets while it runs.
    """
    with Laboratory.spawn(latency=0, limit_headers=False) as sim:
        other = LimitedProcess(
            redis.url,
            url=sim.base_url,
            model="m",
            rows=1_000_000,
            rates=[],
            cache_dir=str(tmp_path),
            concurrency=4,
        )
        try:
            other.ready()
            other.go()
            assert _comes_to(sim, lambda passed: passed > 20)
            mine = limiter()
            mine.rate_config[KEY] = "60/minute"
            assert _comes_to(sim, lambda passed: passed <= 2)
            del mine.rate_config[KEY]
            assert _comes_to(sim, lambda passed: passed > 20)
            other.go()
            assert other.result()["failed"] == 0
        finally:
            other.kill()


def _comes_to(sim, is_there):
    """Wait until the requests of one second are as expected; False if they never are."""
    for _ in range(30):
        before = sim.ledger.totals().received
        threading.Event().wait(1.0)
        if is_there(sim.ledger.totals().received - before):
            return True
    return False


async def test_the_smallest_that_anybody_states_holds_for_all(limiter):
    """
    Whoever states more, or nothing, keeps to the least; what a process says of itself stays.
    """
    small, large, silent = limiter({KEY: 60}), limiter({KEY: 600}), limiter()
    for mine in (small, large, silent):
        await mine.receive_limits()

    for mine in (small, large, silent):
        await asyncio.wait_for(received(mine, 60.0), PATIENCE)
    assert large.rate_config[KEY] == 600
    assert not silent.rate_config
    status = await silent.rate_limit_status()
    assert status[KEY]["period_cap"] == 60


async def test_a_limit_that_is_taken_back_binds_nobody_any_more(limiter, limiters):
    """
    Deleted, or stated by a process that has ended.
    """
    mine, other = limiter({KEY: 60}), limiter()
    await mine.receive_limits()
    await asyncio.wait_for(received(other, 60.0), PATIENCE)

    del mine.rate_config[KEY]
    await asyncio.wait_for(received(other, None), PATIENCE)

    mine.rate_config[KEY] = 30
    await asyncio.wait_for(received(other, 30.0), PATIENCE)
    await asyncio.to_thread(limiters.end, mine)
    await asyncio.wait_for(received(other, None), PATIENCE)


async def test_by_hand_a_limit_of_others_holds_too(limiter):
    """
    `try_acquire` on a key that only another process limits waits its turn.
    """
    mine, other = limiter({KEY: "1/hour"}), limiter()
    await mine.receive_limits()

    with pytest.raises(LimiterTimeout):
        await other.try_acquire(KEY, acquire_timeout=0.3)


async def test_what_was_heard_holds_while_redis_is_lost(limiter, redis_of_its_own):
    """
    A limit of others does not end because nobody can be heard; one's own change holds at once.
    """
    redis = redis_of_its_own
    mine, other = limiter({KEY: 60}, redis.url), limiter({KEY: 600}, redis.url)
    await mine.receive_limits()
    await asyncio.wait_for(received(other, 60.0), PATIENCE)
    redis.kill()
    await asyncio.wait_for(lost(other), PATIENCE)

    await received(other, 60.0)
    other.rate_config[KEY] = 6
    await received(other, 6.0)


async def test_a_limiter_that_nobody_has_states_nothing(limiter):
    """
    What is gone from memory binds nobody for longer than a second or two.
    """
    mine, other = GlobalRateLimiter({KEY: 60}, redis_url=limiter().url), limiter()
    await mine.receive_limits()
    await asyncio.wait_for(received(other, 60.0), PATIENCE)

    del mine
    gc.collect()
    await asyncio.wait_for(received(other, None), PATIENCE)


async def test_a_killed_process_is_forgotten(limiter, redis):
    """
    A statement older than a minute stands no more; a clock that went back makes none older.
    """
    other = limiter()
    old, young = (redis.call("TIME")[0] + "000000" for _ in range(2))
    line = json.dumps(["client|request", "m", 60.0, 60.0, "minute"])
    redis.call("HSET", "{llmnb}:rules", "dead", f"{int(old) - 61_000_000}\n{line}")
    await other.receive_limits()
    assert other.binding("any", "m") is None

    redis.call("HSET", "{llmnb}:rules", "alive", f"{int(young) - 50_000_000}\n{line}")
    await asyncio.wait_for(received(other, 60.0), PATIENCE)


async def test_what_is_no_statement_is_passed_over(limiter, redis):
    """
    Whatever stands in the place of statements, nothing breaks and nothing is limited by it.
    """
    now = redis.call("TIME")[0] + "000000"
    lines = [
        "",
        "no json",
        "[]",
        '["a","b",-1,60,"x"]',
        '["a","b",1e999,60,"x"]',
        "{}",
        "[1,2,3,4,5]",
    ]
    redis.call("HSET", "{llmnb}:rules", "odd", "\n".join([now, *lines]), "odder", "x")
    other = limiter()

    await other.receive_limits()

    assert other.binding("any", "m") is None
    assert other.trouble is None


async def test_without_the_extra_nothing_changes_for_who_sets_no_limit(limiter, monkeypatch):
    """
    A `REDIS_URL` that is meant for others stops nobody.
    """
    monkeypatch.setattr("llmnb.rate_limiter.limiter.check", _missing)
    other = limiter()

    await other.receive_limits()
    await other.try_acquire(KEY)


def _missing(url):
    from llmnb.errors import MissingExtra

    raise MissingExtra("not installed")
