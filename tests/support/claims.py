"""What runs say of the account that they share, and claims that are in use without a run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from llmnb.engine.account_limits import AccountLimits
from llmnb.store.claims import Claims


@contextlib.contextmanager
def in_use(claims: Claims) -> Iterator[Claims]:
    """Keep the files of a project's claims open for a while, as a run does."""
    claims.enter()
    try:
        yield claims
    finally:
        claims.leave()


def claimed_bursts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets how an account spends what is announced, at each claim on it."""
    bursts: list[str] = []
    claim = AccountLimits.claim

    def note(account: AccountLimits, run: Any, limits: Any, now: float) -> None:
        claim(account, run, limits, now)
        bursts.append(account.announced.burst)

    monkeypatch.setattr(AccountLimits, "claim", note)
    return bursts
