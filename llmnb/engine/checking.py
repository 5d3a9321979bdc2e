"""Reading an answer into its form: in place, or on another thread where foreign code takes part."""

from __future__ import annotations

from typing import Any

from llmnb import bridge
from llmnb.engine.target import Call
from llmnb.records import Reply


async def value_of(call: Call, reply: Reply) -> Any:
    """Return the value that a reply holds; the call has a `check`.

    Raises:
        SchemaMismatch: If it does not fit.
    """
    check = call.check
    assert check is not None
    return await bridge.apart(check, reply) if call.checks_apart else check(reply)
