"""Limits that bind everything in this process, and with Redis every process that shares it.

::

    from llmnb.rate_limiter import GLOBAL_LIMITER

    GLOBAL_LIMITER.rate_config[("client", "gpt-4")] = "100/minute"            # tokens
    GLOBAL_LIMITER.rate_config[("client|request", "gpt-4")] = "5 per second"  # requests

In memory unless ``REDIS_URL`` says otherwise.
"""

from __future__ import annotations

from llmnb.rate_limiter.limiter import DEFAULT_TIMEOUT, GLOBAL_LIMITER, GlobalRateLimiter
from llmnb.rate_limiter.rules import Key, RateConfig

__all__ = ["DEFAULT_TIMEOUT", "GLOBAL_LIMITER", "GlobalRateLimiter", "Key", "RateConfig"]
