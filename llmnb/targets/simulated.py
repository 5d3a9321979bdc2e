"""`sim/…`: the simulated provider of `llmnb.testing` under a model's name, started on first use."""

from __future__ import annotations

from llmnb.records import Usage
from llmnb.targets.target import HTTPTarget
from llmnb.wire.catalog import provider
from llmnb.wire.dialect import dialect


def simulated_target(model: str, gen_type: str) -> SimulatedTarget:
    """Return a target that this process itself answers, with invented texts."""
    from llmnb.testing import shared_provider

    row = provider("openai")
    if gen_type not in row.paths:
        gen_type = "chat"
    address = shared_provider().base_url + row.paths[gen_type]
    return SimulatedTarget(row, model, address, None, dialect(row.dialects[gen_type]))


class SimulatedTarget(HTTPTarget):
    """Answers are kept under the model's name: the port changes with every process."""

    __slots__ = ()

    @property
    def provider(self) -> str:
        """`sim`, on every display."""
        return "sim"

    def price(self, usage: Usage | None, model: str | None) -> float | None:
        """Nobody is paid for invented texts."""
        return 0.0

    @property
    def endpoint(self) -> str:
        """What stands in the key in place of an address."""
        return "llmnb://sim"
