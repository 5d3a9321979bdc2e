"""A probe that hangs: who may ask another target does not wait for it."""

from __future__ import annotations

import asyncio

from hand_clock import HandClock

import llmnb.engine.gate
from llmnb.decide.breaker import DIFFERENT_ROWS
from llmnb.engine.gate import Blocked, Gate
from llmnb.errors import ProviderError
from llmnb.records import Limits


async def test_a_hanging_probe_holds_nobody_who_may_ask_another_target(monkeypatch):
    """
    When it has not answered in reasonable time, rows with a further target move on.

    Those that have no other wait on, for the probe.
    """
    loop, later = asyncio.get_running_loop(), []
    call_later = loop.call_later

    def noted(seconds, function, *arguments):
        if seconds == llmnb.engine.gate.PATIENCE_SECONDS:
            later.append(function)
        return call_later(seconds, function, *arguments)

    monkeypatch.setattr(loop, "call_later", noted)
    clock = HandClock()
    gate = Gate(Limits(concurrency=20), clock=clock, rand=lambda: 0.0)
    sent = [await gate.admit(0, row=row) for row in range(DIFFERENT_ROWS)]
    for ticket in sent:
        gate.on_failure(ticket, ProviderError("down"))
        gate.release(ticket, used=0, was_sent=True)
    clock.now = gate.health.breaker.probe_at
    probe = await gate.admit(0, row="probe")
    assert probe.is_probe
    movable = asyncio.create_task(gate.admit(0, row="movable", is_movable=True))
    other = asyncio.create_task(gate.admit(0, row="other"))
    await asyncio.sleep(0)
    assert not movable.done()

    (look_again,) = later
    look_again()
    await asyncio.wait([movable])

    assert isinstance(movable.exception(), Blocked)
    assert not other.done()
    gate.on_success(probe, 1.0)
    gate.release(probe, used=0, was_sent=True)
    assert (await other).row == "other"
