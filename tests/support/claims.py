"""What runs say of the account that they share, as it is heard while they go on."""

from __future__ import annotations

from typing import Any

import pytest

from llmnb.engine.account_limits import AccountLimits


def claimed_bursts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets how an account spends what is announced, at each claim on it."""
    bursts: list[str] = []
    claim = AccountLimits.claim

    def note(account: AccountLimits, run: Any, limits: Any, now: float) -> None:
        claim(account, run, limits, now)
        bursts.append(account.announced.burst)

    monkeypatch.setattr(AccountLimits, "claim", note)
    return bursts
