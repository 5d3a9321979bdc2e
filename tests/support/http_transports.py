"""The transports by which a request reaches a server: written by hand, or by aiohttp's session."""

from __future__ import annotations

import pytest

from llmnb.adapters.http import exchange

TRANSPORTS = {"by hand": exchange.MOST_BYTES, "by the session": -1}
"""The largest body that is written by hand."""


def use(monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
    """Send requests by one transport, whatever the trial of aiohttp would choose."""
    monkeypatch.setattr(exchange, "MOST_BYTES", TRANSPORTS[transport])
