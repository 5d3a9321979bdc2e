"""Carries a plan out on a wire: waits, streams, breaks off, falls silent.

The one place where a plan becomes bytes, the same for both servers; a server
brings a `Wire`, which is no more than what HTTP and a socket can do.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from typing import Protocol

from llmnb.testing.events import made_awkward
from llmnb.testing.faults import Break, Drip, Garble, Raw
from llmnb.testing.plan import Plan
from llmnb.testing.request_handler import RequestHandler

HOST = "127.0.0.1"
"""The only address that the simulated provider listens at."""

_TURNS = 5
"""A connection is handed to its protocol three turns of the loop after it was accepted."""

SIMULATED_HEADER = ("x-llmnb-simulated", "1")
"""Stands on every reply, so that records can be marked."""


class Wire(Protocol):
    """What a server can do for one request."""

    async def reply(self, plan: Plan, body: bytes) -> None:
        """Send status, headers and a whole body."""

    async def begin(self, plan: Plan, length: int | None) -> None:
        """Send status and headers; None announces a body in chunks."""

    async def write(self, data: bytes) -> None:
        """Send a part of the body."""

    async def end(self) -> None:
        """End the body properly."""

    def raw(self, data: bytes) -> None:
        """Put literal bytes on the socket."""

    def reset(self) -> None:
        """Reset the connection."""

    def hang_up(self) -> None:
        """Close the connection once everything written has left."""


async def play(plan: Plan, wire: Wire, handler: RequestHandler) -> None:
    """Carry out a plan.

    Args:
        plan: What to do.
        wire: Where to do it.
        handler: Who enters in the ledger how it ended.

    Raises:
        CancelledError: If the client left, once that is entered.
    """
    try:
        if handler.holds_back(plan):
            await handler.passage(plan)
        if plan.delay > 0:
            await asyncio.sleep(plan.delay)
        await _perform(plan, wire, handler)
    except (asyncio.CancelledError, ConnectionError):
        handler.leave(plan)
        raise
    except Exception as error:
        # A function that the test gave (in `passage`) failed: the test hears of it.
        handler.errors.append(error)
        handler.leave(plan)
        wire.reset()
        raise ConnectionResetError("the simulated provider failed") from error


async def _perform(plan: Plan, wire: Wire, handler: RequestHandler) -> None:
    fault = plan.fault
    if isinstance(fault, Raw):
        wire.raw(fault.data)
        await _part(wire, handler, plan, fault.then)
    elif isinstance(fault, Break):
        await _break_off(plan, wire, handler, fault)
    elif isinstance(fault, Drip):
        await _drip(plan, wire, handler, fault.seconds_per_byte)
    elif isinstance(fault, Garble):
        await _garbled(plan, wire, handler, fault)
    elif plan.stream is not None:
        await _stream(plan, wire, handler)
    else:
        handler.close(plan)
        await wire.reply(plan, plan.body)


async def _stream(plan: Plan, wire: Wire, handler: RequestHandler) -> None:
    """Send a stream at the pace that the provider is set to."""
    stream = plan.stream
    assert stream is not None
    if plan.pace is None:
        handler.close(plan)
        await wire.begin(plan, None)
        await wire.write(stream.whole())
    else:
        await wire.begin(plan, None)
        plan.has_begun = True
        await _tokens(plan, wire, handler, len(stream.token_events))
        handler.close(plan)
        await wire.write(stream.closing)
    await wire.end()


async def _tokens(plan: Plan, wire: Wire, handler: RequestHandler, count: int) -> None:
    """Send the opening and the first so many tokens, each when it is due."""
    stream = plan.stream
    assert stream is not None
    pace = plan.pace
    clock = asyncio.get_running_loop().time
    begun = clock()
    await wire.write(stream.opening + b"".join(stream.token_events[:1] if count else ()))
    plan.sent_tokens = min(1, count)
    while plan.sent_tokens < count:
        due = count
        if pace is not None:
            # Several at once where the loop was late, so that the pace holds on average.
            due = min(count, 1 + int((clock() - begun) * pace))
            if due <= plan.sent_tokens:
                await asyncio.sleep(begun + plan.sent_tokens / pace - clock())
                continue
        await wire.write(b"".join(stream.token_events[plan.sent_tokens : due]))
        plan.sent_tokens = due


async def _break_off(plan: Plan, wire: Wire, handler: RequestHandler, fault: Break) -> None:
    if fault.at != "before":
        await wire.begin(plan, None if plan.stream else len(plan.body))
        plan.has_begun = True
    if fault.at == "body":
        if plan.stream is not None:
            total = len(plan.stream.token_events)
            after = total // 2 if fault.after is None else min(fault.after, total)
            await _tokens(plan, wire, handler, after)
        else:
            await wire.write(plan.body[: len(plan.body) // 2])
    then: str = fault.then
    if then in ("end", "error") and (plan.stream is None or fault.at != "body"):
        then = "close"  # a body of announced length cannot end properly before its end
    await _part(wire, handler, plan, then)


async def _part(wire: Wire, handler: RequestHandler, plan: Plan, then: str) -> None:
    """Do what follows where a reply breaks off."""
    if then == "stall":
        await asyncio.get_running_loop().create_future()  # until the client leaves
    handler.close(plan)
    if then == "reset":
        wire.reset()
    elif then == "close":
        wire.hang_up()
    else:
        if then == "error":
            assert plan.stream is not None
            await wire.write(plan.stream.error)
        await wire.end()


async def _drip(plan: Plan, wire: Wire, handler: RequestHandler, seconds_per_byte: float) -> None:
    body = plan.body if plan.stream is None else plan.stream.whole()
    await wire.begin(plan, len(body))
    plan.has_begun = True
    for position in range(len(body)):
        if position == len(body) - 1:
            handler.close(plan)
        await wire.write(body[position : position + 1])
        await asyncio.sleep(seconds_per_byte)
    await wire.end()


async def _garbled(plan: Plan, wire: Wire, handler: RequestHandler, fault: Garble) -> None:
    body = plan.body if plan.stream is None else plan.stream.whole()
    handler.close(plan)
    if fault.how == "awkward stream":
        if plan.stream is None:
            await wire.reply(plan, body)
            return
        await wire.begin(plan, None)
        for byte in made_awkward(body):
            await wire.write(bytes((byte,)))
        await wire.end()
    elif fault.how == "half gzip":
        plan.headers["content-encoding"] = "gzip"
        packed = gzip.compress(body, mtime=0)
        await wire.reply(plan, packed[: len(packed) // 2])
    else:
        await wire.reply(plan, body[: len(body) // 2])


# ------------------------------------------------------------------------ sockets, below HTTP


def listening(port: int) -> socket.socket:
    """Return a socket that listens at a port; 0 takes a free one.

    Raises:
        OSError: If the port is taken.
    """
    return socket.create_server((HOST, port), backlog=4096)


async def stop_accepting(listener: socket.socket) -> None:
    """Take no further connection, and wait until every one that was taken has been made.

    asyncio's server forgets those that it is about to make when it is closed, and leaves them
    open.
    """
    asyncio.get_running_loop().remove_reader(listener)
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def reset_connection(transport: asyncio.Transport) -> None:
    """Drop a connection so that the other side sees a reset, not an end."""
    own = transport.get_extra_info("socket")
    if own is not None and not transport.is_closing():
        # Lingering for 0 seconds makes the kernel send RST on close.
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
