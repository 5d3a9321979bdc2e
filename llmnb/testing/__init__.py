"""Test without a provider: a simulated one with a ledger, scripted faults, and two switches.

Names are loaded when they are first used::

    from llmnb.testing import SimulatedProvider, faults

    with SimulatedProvider(faults=[faults.status(500), None]) as sim:
        ...
        assert sim.ledger.totals().received == 2
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from llmnb.testing import faults
    from llmnb.testing.fault_rules import (
        always,
        by_number,
        outage,
        share,
    )
    from llmnb.testing.latency import (
        FirstThenRest,
        Fixed,
        LatencyModel,
        Lognormal,
        Saturating,
        Stragglers,
    )
    from llmnb.testing.ledger import Ledger, LedgerRow, LedgerTotals, prompt_hash
    from llmnb.testing.options import Price
    from llmnb.testing.request import SimulatedRequest
    from llmnb.testing.simulated import SimulatedProvider, shared_provider
    from llmnb.testing.spawned import SpawnedProvider
    from llmnb.testing.switches import forbid_real_requests, redirect

__all__ = [
    "FirstThenRest",
    "Fixed",
    "LatencyModel",
    "Ledger",
    "LedgerRow",
    "LedgerTotals",
    "Lognormal",
    "Price",
    "Saturating",
    "SimulatedProvider",
    "SimulatedRequest",
    "SpawnedProvider",
    "Stragglers",
    "always",
    "by_number",
    "faults",
    "forbid_real_requests",
    "outage",
    "prompt_hash",
    "redirect",
    "share",
    "shared_provider",
]

_HOMES = {
    "fault_rules": (
        "always", "by_number", "outage", "share",
    ),
    "latency": (
        "FirstThenRest", "Fixed", "LatencyModel", "Lognormal", "Saturating", "Stragglers",
    ),
    "ledger": ("Ledger", "LedgerRow", "LedgerTotals", "prompt_hash"),
    "options": ("Price",),
    "request": ("SimulatedRequest",),
    "simulated": ("SimulatedProvider", "shared_provider"),
    "spawned": ("SpawnedProvider",),
    "switches": ("forbid_real_requests", "redirect"),
}  # fmt: skip


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "faults":
        return import_module("llmnb.testing.faults")
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"llmnb.testing.{home}"), name)
            globals()[name] = value  # so that the next look-up does not come here
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
