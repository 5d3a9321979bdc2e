"""What the limiter's tests share: the process's own limiter, as new."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llmnb.rate_limiter import GLOBAL_LIMITER, GlobalRateLimiter


@pytest.fixture
def global_limiter() -> Iterator[GlobalRateLimiter]:
    """The limiter that binds the engine; its limits are taken away again."""
    yield GLOBAL_LIMITER
    GLOBAL_LIMITER.rate_config.clear()
