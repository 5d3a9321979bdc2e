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
    from llmnb.testing.faults import always, by_number, outage, share
    from llmnb.testing.latency import Fixed, LatencyModel, Lognormal, Stragglers
    from llmnb.testing.ledger import Ledger, LedgerRow, LedgerTotals, prompt_hash
    from llmnb.testing.options import Price
    from llmnb.testing.request import SimulatedRequest
    from llmnb.testing.simulated import SimulatedProvider, shared_provider
    from llmnb.testing.switches import forbid_real_requests, redirect

__all__ = [
    "Fixed",
    "LatencyModel",
    "Ledger",
    "LedgerRow",
    "LedgerTotals",
    "Lognormal",
    "Price",
    "SimulatedProvider",
    "SimulatedRequest",
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
    "faults": ("always", "by_number", "outage", "share"),
    "latency": ("Fixed", "LatencyModel", "Lognormal", "Stragglers"),
    "ledger": ("Ledger", "LedgerRow", "LedgerTotals", "prompt_hash"),
    "options": ("Price",),
    "request": ("SimulatedRequest",),
    "simulated": ("SimulatedProvider", "shared_provider"),
    "switches": ("forbid_real_requests", "redirect"),
}


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
