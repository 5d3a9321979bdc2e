"""Promises of one limit for four processes through all troubles, as the ledger sees it."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest
from laboratory import Laboratory
from laboratory.windows import worst_window
from limited_process import LimitedProcess
from redis_server import RedisServer

pytestmark = [pytest.mark.redis, pytest.mark.alone]

PER_SECOND = 40
RATE = f"{PER_SECOND * 60}/minute"

SHARE_WITHOUT_REDIS = 0.8
"""More of the limit than three processes of four would use if the fourth kept its share."""


class Story:
    """Four processes that ask as fast as their limit lets them, and when what befell them."""

    def __init__(self, sim, own, tmp_path, stack):
        self.sim, self.own = sim, own
        self.moments = {}
        self.processes = [
            LimitedProcess(
                own.url,
                url=sim.base_url,
                model="m",
                rows=100_000,
                rates=[["client|request", RATE], ["client", "100000000/minute"]],
                cache_dir=str(tmp_path / str(number)),
            )
            for number in range(4)
        ]
        for process in self.processes:
            stack.callback(process.kill)
        for process in self.processes:
            process.ready()
        for process in self.processes:
            process.go()
        while len(self.times()) < 5:
            threading.Event().wait(0.1)

    def passes(self, seconds, what):
        """Let so much time pass, then note the moment."""
        threading.Event().wait(seconds)
        self.moments[what] = time.monotonic()

    def times(self):
        """Return when each request of the limited model came."""
        return sorted(row.received for row in self.sim.ledger.rows if row.model == "m")

    def end(self):
        """End those that are still there and return what they say."""
        for process in self.processes:
            process.go()
        return [process.result() for process in self.processes]


def test_a_limit_through_flush_frost_death_and_rebirth(limiters, tmp_path):
    """
    Every window of 0.1 to 60 seconds keeps the limit, no row is lost, nobody's share lies idle in
    quiet times, and a killed process leaves its own to the others; the status counts what the
    ledger saw. (How much is used to the percent is measured by `benchmarks.limiter`.)
    """
    with ExitStack() as stack:
        own = stack.enter_context(RedisServer())
        own.settle()
        sim = stack.enter_context(Laboratory.spawn(latency=0.05, limit_headers=False))
        story = Story(sim, own, tmp_path, stack)
        story.passes(4.0, "flushed")  # by then they know of each other
        own.call("FLUSHALL")
        story.passes(1.0, "frozen")
        own.freeze()
        story.passes(2.5, "thawed")
        own.thaw()
        story.passes(2.5, "killed")
        own.kill()
        story.passes(1.0, "reborn")
        own.start()
        story.passes(2.5, "bereaved")
        story.processes.pop().kill()
        story.passes(2.0, "ended")
        results = story.end()
        times = story.times()
        counted_from = time.monotonic() - (time.time() - status(limiters, own)["period_start"])
        count = status(limiters, own)["n_items_in_period"]

    def share(begin, end):
        """Return which part of the limit was used between two moments."""
        return sum(begin <= moment < end for moment in times) / (PER_SECOND * (end - begin))

    worst = worst_window(times, rate=PER_SECOND, burst=1.0, slack=1.01)
    assert worst.is_within
    assert [result["failed"] for result in results] == [0, 0, 0]
    assert min(result["succeeded"] for result in results) > 0
    assert share(times[0], story.moments["flushed"]) > SHARE_WITHOUT_REDIS
    assert share(story.moments["frozen"] + 2.0, story.moments["thawed"]) > 0.5
    assert share(story.moments["bereaved"], story.moments["ended"]) > SHARE_WITHOUT_REDIS
    # The count began with the reborn Redis; of the killed process the last second may be untold.
    since = sum(moment >= counted_from for moment in times)
    assert abs(count - since) <= 2 * PER_SECOND


def status(limiters, own):
    """Return what the limiter says of the limit."""
    limiter = limiters({("client|request", "m"): RATE}, redis_url=own.url)
    return limiter.rate_limit_status_sync()["client|request", "m"]


def test_two_processes_are_counted_to_the_request(limiters, redis, tmp_path):
    """
    What all have used together is exactly what the ledger saw.
    """
    with Laboratory.spawn(latency=0, limit_headers=False) as sim, ExitStack() as stack:
        processes = [
            LimitedProcess(
                redis.url,
                url=sim.base_url,
                model="m",
                rows=37,
                seconds=60,
                rates=[["client|request", RATE], ["client", "100000000/minute"]],
                cache_dir=str(tmp_path / str(number)),
            )
            for number in range(2)
        ]
        for process in processes:
            stack.callback(process.kill)
            process.ready()
            process.go()
        results = [process.result() for process in processes]
        rows = [row for row in sim.ledger.rows if row.model == "m"]

    assert [result["succeeded"] for result in results] == [37, 37]
    assert len(rows) == 74
    assert status(limiters, redis)["n_items_in_period"] == 74
