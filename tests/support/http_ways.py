"""The ways in which a request can reach a server: written by hand, or by aiohttp's session."""

from __future__ import annotations

import pytest

from llmnb.adapters.http import trial
from llmnb.adapters.http.trial import Likeness

WAYS = {
    "by hand": Likeness(pool=True, exchange=True),
    "by the session": Likeness(pool=True, exchange=False),
}


def take(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Have requests go one way, whatever a trial would find."""
    monkeypatch.setattr(trial, "known", WAYS[way])
