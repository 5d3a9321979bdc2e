"""In which order a Redis hears what one process states."""

from __future__ import annotations

import asyncio

from llmnb.adapters.rates import Allowance
from llmnb.rate_limiter.agreement import Agreement, words_of
from llmnb.rate_limiter.rules import Rule

KEY = ("client", "gpt-4")


def rule(amount):
    return Rule(KEY, Allowance(amount, 60.0, "minute"))


class SlowFirst:
    """A Redis that hears the first words only when all others have been heard that may be."""

    def __init__(self):
        self.heard = []
        self.lets_go = asyncio.Event()
        self._is_first = True

    async def agree(self, keys, arguments):
        is_first, self._is_first = self._is_first, False
        if is_first:
            await self.lets_go.wait()
        self.heard.append(list(arguments[2:]))
        return []


async def settled():
    """Let everything go on that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_is_stated_last_is_heard_last():
    """
    A heartbeat that is under way when a limit changes does not put the old limit back.
    """
    stated = [rule(100.0)]
    redis = SlowFirst()
    agreement = Agreement(redis, "one", lambda: stated, lambda rules: None)
    beat = asyncio.create_task(agreement.speak())
    await settled()
    stated[:] = [rule(5.0)]
    change = asyncio.create_task(agreement.speak())
    await settled()
    redis.lets_go.set()
    await asyncio.gather(beat, change)

    assert redis.heard == [[words_of(rule(100.0))], [words_of(rule(5.0))]]


async def test_a_process_that_leaves_states_nothing_afterwards():
    """
    A heartbeat that is under way at the goodbye is heard before it.
    """
    redis = SlowFirst()
    agreement = Agreement(redis, "one", lambda: [rule(100.0)], lambda rules: None)
    beat = asyncio.create_task(agreement.speak())
    await settled()
    leaving = asyncio.create_task(agreement.leave())
    await settled()
    redis.lets_go.set()
    await asyncio.gather(beat, leaving)

    assert redis.heard[-1] == []


async def test_words_that_could_not_be_sent_keep_no_later_ones_back():
    """
    A heartbeat that is cancelled or fails lets the next one speak.
    """
    redis = SlowFirst()
    agreement = Agreement(redis, "one", lambda: [rule(100.0)], lambda rules: None)
    beat = asyncio.create_task(agreement.speak())
    await settled()
    beat.cancel()
    await agreement.speak()

    assert redis.heard == [[words_of(rule(100.0))]]
