"""What a test must not see of the machine that it runs on."""

from __future__ import annotations

import os

_PRIVATE_ENDINGS = ("_API_KEY", "_API_BASE", "_BASE_URL", "_ENDPOINT", "_API_VERSION", "_TOKEN")
_PRIVATE = {"REDIS_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE"}
# So that the suite can be run under either loop, and with weights kept elsewhere.
_KEPT = {"LLMNB_LOOP", "LLMNB_DATA_DIR", "LLMNB_LOCAL_THREADS"}


def is_private(name: str) -> bool:
    """Whether a variable of the environment holds a key, an address or a setting of its owner."""
    name = name.upper()
    if name in _KEPT:
        return False
    return name.startswith("LLMNB_") or name.endswith(_PRIVATE_ENDINGS) or name in _PRIVATE


def public_environment() -> dict[str, str]:
    """Return the environment without what is private, for a program that outlives a test."""
    return {name: value for name, value in os.environ.items() if not is_private(name)}
