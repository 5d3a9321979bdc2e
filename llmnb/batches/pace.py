"""How often a provider is asked whether a batch is over: gently."""

from __future__ import annotations

import asyncio

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 60.0
_GROWTH = 1.5


def wait_before(poll: int, retry_after: float | None = None) -> float:
    """Return the seconds before the n-th question, from 0.

    Args:
        poll: Questions so far.
        retry_after: What the provider asked for; never asked earlier than that.

    Example:
        >>> [wait_before(poll) for poll in (0, 1, 2, 30)]
        [5.0, 7.5, 11.25, 60.0]
        >>> wait_before(0, 120.0)
        120.0
    """
    own = min(LONGEST_SECONDS, FIRST_SECONDS * _GROWTH ** min(poll, 20))
    return own if retry_after is None else max(own, retry_after)


async def rest(seconds: float, until: asyncio.Event) -> None:
    """Wait so long, or until the event comes; tests put their own in its place."""
    try:
        async with asyncio.timeout(seconds):
            await until.wait()
    except TimeoutError:
        pass
