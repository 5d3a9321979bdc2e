"""The transports by which a request reaches a server: written by hand, or by aiohttp's session."""

from __future__ import annotations

import pytest

from llmnb.adapters.http import trial
from llmnb.adapters.http.trial import UsableParts

TRANSPORTS = {
    "by hand": UsableParts(pool=True, exchange=True),
    "by the session": UsableParts(pool=True, exchange=False),
}


def use(monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
    """Send requests by one transport, whatever the trial of aiohttp would choose."""
    monkeypatch.setattr(trial, "usable", TRANSPORTS[transport])
