"""What the limiter's tests share: the process's own limiter, as new, and others that end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis_server import RedisServer

from llmnb import bridge
from llmnb.rate_limiter import GLOBAL_LIMITER, GlobalRateLimiter


@pytest.fixture
def global_limiter() -> Iterator[GlobalRateLimiter]:
    """The limiter that binds the engine; its limits are taken away again."""
    yield GLOBAL_LIMITER
    GLOBAL_LIMITER.rate_config.clear()


@pytest.fixture
def redis_of_its_own() -> Iterator[RedisServer]:
    """A Redis that a test may kill."""
    with RedisServer() as server:
        server.settle()
        yield server


class Limiters:
    """Makes limiters that act as processes of their own, and ends them."""

    def __init__(self) -> None:
        self._made: list[GlobalRateLimiter] = []

    def __call__(self, *arguments: Any, **options: Any) -> GlobalRateLimiter:
        """Make one; it takes what `GlobalRateLimiter` takes."""
        self._made.append(GlobalRateLimiter(*arguments, **options))
        return self._made[-1]

    def end(self, limiter: GlobalRateLimiter) -> None:
        """End one as the end of its process would."""
        self._made.remove(limiter)

        async def close() -> None:
            await limiter._state().close()

        bridge.call(close())

    def end_all(self) -> None:
        """End those that are left."""
        for limiter in list(self._made):
            self.end(limiter)


@pytest.fixture
def limiters() -> Iterator[Limiters]:
    """
    Make limiters that end with the test: one that went on would state its limits at the Redis of
    later tests, however often that is emptied.
    """
    made = Limiters()
    yield made
    made.end_all()
