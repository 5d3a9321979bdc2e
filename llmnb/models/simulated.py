"""`sim/…`: the simulated provider of `llmnb.testing` under a model's name, started on first use."""

from __future__ import annotations

import atexit
import functools
from typing import TYPE_CHECKING

from llmnb.models.target import HTTPTarget
from llmnb.wire.catalog import provider
from llmnb.wire.dialect import dialect

if TYPE_CHECKING:
    from llmnb.testing import SimulatedProvider


def simulated_target(model: str, gen_type: str) -> SimulatedTarget:
    """Return a target that this process itself answers, with invented texts and real waits."""
    row = provider("openai")
    if gen_type not in row.paths:
        gen_type = "chat"
    address = _server().base_url + row.paths[gen_type]
    return SimulatedTarget(row, model, address, None, dialect(row.dialects[gen_type]))


class SimulatedTarget(HTTPTarget):
    """Answers are kept under the model's name: the port changes with every process."""

    __slots__ = ()

    @property
    def provider(self) -> str:
        """`sim`, on every display."""
        return "sim"

    @property
    def endpoint(self) -> str:
        """What stands in the key in place of an address."""
        return "llmnb://sim"


@functools.cache
def _server() -> SimulatedProvider:
    from llmnb.testing import SimulatedProvider

    server = SimulatedProvider(latency=0.05).start()
    atexit.register(server.stop)
    return server
