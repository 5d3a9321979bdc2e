"""Test without a provider: a simulated one with a ledger, scripted faults, and two switches.

Its server is loaded when one is started::

    from llmnb.testing import SimulatedProvider, faults

    with SimulatedProvider(faults=[faults.status(500), None]) as sim:
        ...
        assert sim.ledger.totals().received == 2
"""

from __future__ import annotations

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
