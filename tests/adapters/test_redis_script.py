"""Promises of the limiter's script, on a real Redis: all or nothing, and never a burst."""

from __future__ import annotations

import itertools

import pytest

from llmnb.adapters.redis import LIMITS, SharedStore, address
from llmnb.errors import LimiterError

pytestmark = pytest.mark.redis

SECOND = 1_000_000
HOUR = 3600 * SECOND
HORIZON, LIFETIME, GAP, PAUSE = 200_000, 6 * SECOND, 2 * SECOND, 1_500_000
REACH = 700_000


@pytest.fixture
async def store(redis):
    shared = SharedStore(address(redis.url))
    yield shared
    await shared.close()


class Answer:
    """What the script said."""

    def __init__(self, numbers):
        self.now, self.wait, *rest = numbers
        self.limits = [rest[at : at + 4] for at in range(0, len(rest), 4)]
        self.begin, self.alive, self.period_began, self.count = self.limits[0]


async def report(store, *costs, member="a", mode=1, returning=0, told=(0, 0), lead=0, names="xyz"):
    """Say one word about as many limits as there are costs."""
    keys, arguments = [], [mode, member, HORIZON, LIFETIME, GAP, PAUSE, returning]
    for name, cost in zip(names, costs, strict=False):
        keys += [name, name + ":members", name + ":told"]
        arguments += [cost, lead, REACH, 60 * SECOND, *told]
    return Answer(await store.run(LIMITS, keys, [str(number) for number in arguments], int))


async def begun(store, cost=10_000):
    """Ask until the limit gives something, as a new one does after a moment."""
    while (answer := await report(store, cost)).wait > 0:
        pass
    return answer


def stamp(redis, name="x"):
    """Return when the limit is free again, and when it was last spoken to."""
    return [int(value) for value in redis.call("HMGET", name, "free", "seen")]


def move(redis, microseconds, name="x"):
    """Move everything that was noted, as if the server's clock had moved the other way."""
    free, seen = stamp(redis, name)
    redis.call("HSET", name, "free", str(free + microseconds), "seen", str(seen + microseconds))


async def test_a_new_limit_starts_empty(store):
    """
    There is no burst at the beginning, nor after everything was emptied.
    """
    first = await report(store, 10_000)

    assert first.wait == HORIZON
    assert first.begin == first.now + 2 * HORIZON


async def test_an_emptied_limit_starts_empty(store, redis):
    """
    What was given out before may still be in use.
    """
    granted = (await begun(store, 50_000)).begin + 50_000
    redis.call("FLUSHALL")

    after = await report(store, 10_000)

    assert after.begin >= granted


async def test_stretches_never_overlap(store):
    """
    Whoever asks, what is given begins where the last one ended.
    """
    await begun(store)
    answers = [await report(store, 30_000, member=name) for name in "abcab"]

    begins = [answer.begin for answer in answers if answer.wait == 0]
    assert all(late - early >= 30_000 for early, late in itertools.pairwise(begins))


async def test_of_several_limits_all_is_granted_or_nothing(store, redis):
    """
    A request short of tokens takes no place among the requests.
    """
    await begun(store)
    now = (await report(store, 0, 0)).now
    redis.call("HSET", "y", "free", str(now + 5 * SECOND))
    before = await report(store, 0)

    refused = await report(store, 50_000, 50_000)
    after = await report(store, 0)

    assert refused.wait > 4 * SECOND
    assert after.begin - before.begin < 50_000


async def test_what_takes_long_to_come_by_is_granted_shortly_before_its_time(store):
    """
    A process that is killed takes little with it.
    """
    refused = await report(store, 60 * SECOND, lead=59 * SECOND)

    assert 58 * SECOND < refused.wait <= 60 * SECOND


async def test_what_is_handed_back_is_granted_again(store):
    """
    Unused permission is not lost.
    """
    before = await begun(store, 90_000)

    await report(store, -90_000)
    after = await report(store, 0)

    assert after.begin == before.begin


async def test_a_clock_moved_back_changes_nothing(store, redis):
    """
    Nobody waits an hour for it.
    """
    before = await report(store, 10_000)
    move(redis, HOUR)

    answer = await report(store, 10_000)

    assert answer.wait <= before.wait


async def test_a_clock_moved_forward_gives_no_burst(store, redis):
    """
    An hour that did not pass is not made up for.
    """
    await report(store, 10_000, member="a")
    await report(store, 10_000, member="b")
    move(redis, -HOUR)

    answer = await report(store, 10_000, member="a")

    assert answer.begin >= answer.now


async def test_after_silence_of_everybody_nothing_is_granted_until_all_have_noticed(store, redis):
    """
    Others may still keep to their shares, and the shares may be all there is.
    """
    await report(store, 10_000, member="a")
    await report(store, 10_000, member="b")
    move(redis, -3 * SECOND)

    answer = await report(store, 10_000, member="a")
    again = await report(store, 10_000, member="b", returning=1)

    assert answer.wait > 0
    assert 0 < again.wait <= answer.wait, "every newcomer must not prolong the pause"


async def test_a_process_that_comes_back_alone_need_not_wait(store):
    """
    There is nobody else who could keep to a share.
    """
    before = await report(store, 10_000)

    assert (await report(store, 10_000, returning=1)).wait <= before.wait


async def test_processes_that_have_ended_are_not_counted(store, redis):
    """
    A killed process is forgotten after six seconds, well before fifteen.
    """
    await report(store, 0, member="dead", told=(0, 3))
    assert (await report(store, 0, member="a")).alive == 2
    score = int(redis.call("ZSCORE", "x:members", "dead"))
    redis.call("ZADD", "x:members", str(score - LIFETIME), "dead")

    assert (await report(store, 0, member="a")).alive == 1
    assert redis.call("HGET", "x:told", "dead") is None


async def test_who_leaves_is_not_counted_and_who_looks_neither(store):
    """
    Only those who use the limit share it.
    """
    await report(store, 0, member="a")
    await report(store, 0, member="b", mode=0)
    await report(store, 0, member="c")
    await report(store, 0, member="c", mode=-1)

    assert (await report(store, 0, member="a")).alive == 1


async def test_a_word_said_twice_is_counted_once(store):
    """
    A frozen server reads what its callers had given up; their sums stay right.
    """
    await report(store, 0, member="a", told=(0, 5))
    await report(store, 0, member="b", told=(0, 7))
    await report(store, 0, member="a", told=(0, 5))

    assert (await report(store, 0, member="a", told=(0, 6))).count == 13


async def test_a_correction_is_counted(store):
    """
    Tokens that were reserved and not used are taken out again.
    """
    await report(store, 0, told=(0, 500))

    assert (await report(store, 0, told=(500, 320))).count == 320


async def test_a_period_begins_with_its_first_use(store, redis):
    """
    When it is over the next use begins another.
    """
    first = await report(store, 0, told=(0, 5))
    redis.call("HSET", "x", "began", str(first.period_began - 61 * SECOND))

    quiet = await report(store, 0, told=(5, 5))
    second = await report(store, 0, told=(5, 7))

    assert (quiet.period_began, quiet.count) == (0, 0)
    assert second.count == 2
    assert second.period_began >= first.period_began


async def test_everything_expires(store, redis):
    """
    A Redis that nobody uses any more is left as it was.
    """
    await report(store, 10_000, told=(0, 5))

    assert all(0 < redis.call("PTTL", key) <= 130_000 for key in redis.call("KEYS", "*"))


async def test_a_script_that_was_forgotten_is_sent_again(store, redis):
    """
    SCRIPT FLUSH and a restart are no errors.
    """
    await report(store, 0)
    redis.call("SCRIPT", "FLUSH")

    assert (await report(store, 0)).alive == 1


async def test_a_read_only_redis_counts_as_lost(store, redis):
    """
    A replica cannot share limits; the error says what it is.
    """
    redis.call("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(LimiterError, match="ReadOnly"):
            await report(store, 10_000)
    finally:
        redis.call("REPLICAOF", "NO", "ONE")
