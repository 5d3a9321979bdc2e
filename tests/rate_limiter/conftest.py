"""What the limiter's tests share: the process's own limiter, as new."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis_server import RedisServer

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
