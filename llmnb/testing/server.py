"""The simulated provider's HTTP server, on aiohttp: it sends what a `ReplyPlan` says.

No other module turns a plan into bytes. To use another server, write a subclass of `Exchange`
that overrides the methods that touch HTTP and the socket: `reply`, `begin`, `write`, `end` and
`transport`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import ClientConnectionResetError, web

from llmnb.testing.faults import Break, Sending
from llmnb.testing.options import HOST
from llmnb.testing.plan import ReplyPlan
from llmnb.testing.request_handler import RequestHandler

SIMULATED_HEADER = ("x-llmnb-simulated", "1")
"""Header of every reply, by which the client knows that it is simulated."""

_MOST_BODY_BYTES = 256 * 2**20
_ACCEPTING_TURNS = 5
"""Turns of the loop that accepting a connection may take; asyncio needs three."""


async def serve(handler: RequestHandler, port: int, on_listening: Callable[[int], object]) -> None:
    """Answer HTTP requests on the loopback interface until the calling task is cancelled.

    On cancellation open connections are dropped at once.

    Args:
        handler: Decides how each request is answered.
        port: Port to listen on; 0 means any free one.
        on_listening: Called once, with the port, when connections are accepted.

    Raises:
        OSError: If the port cannot be listened on, such as because it is taken.
    """
    loop = asyncio.get_running_loop()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        plan = handler.receive(request.method, request.path_qs, request.headers, body)
        exchange = Exchange(plan, handler, request)
        await exchange.play()
        return exchange.response

    def make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> Any:
        return web.BaseRequest(
            message, payload, protocol, writer, task, loop, client_max_size=_MOST_BODY_BYTES
        )

    # handler_cancellation: cancel `handle` when its client disconnects, so that it is recorded.
    server = web.Server(
        handle, request_factory=make_request, handler_cancellation=True, access_log=None
    )
    # Nearly 0, so that open connections are dropped at once: aiohttp takes 0 for "no time limit".
    runner = web.ServerRunner(server, shutdown_timeout=0.001)
    listener = listening_socket(port)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, backlog=4096).start()
        on_listening(listener.getsockname()[1])
        await loop.create_future()  # never done: until cancelled
    finally:
        await stop_accepting(listener)
        await runner.cleanup()


def listening_socket(port: int) -> socket.socket:
    """Return a socket that listens on a port of the loopback interface; 0 means any free one.

    Raises:
        OSError: If the port is taken.
    """
    return socket.create_server((HOST, port), backlog=4096)


async def stop_accepting(listener: socket.socket) -> None:
    """Accept no further connections; wait until each accepted one has its protocol.

    An asyncio server that is closed earlier forgets connections without a protocol, and leaves
    them open.
    """
    asyncio.get_running_loop().remove_reader(listener)
    for _ in range(_ACCEPTING_TURNS):
        await asyncio.sleep(0)


class Exchange:
    """One request and its reply, on aiohttp's server.

    Args:
        plan: What to do about the request.
        handler: Records in the ledger how the exchange ended.
        request: The request.
    """

    def __init__(self, plan: ReplyPlan, handler: RequestHandler, request: Any) -> None:
        self.plan = plan
        self.handler = handler
        self.request = request
        # The server needs a response back in every case; it never writes this one where the
        # connection is closed by then.
        self.response: web.StreamResponse = web.Response(status=500)

    async def play(self) -> None:
        """Carry out the plan.

        Raises:
            CancelledError: If the client left, after the handler was told.
            ConnectionError: If the connection broke, or a function of the test failed.
        """
        plan, handler = self.plan, self.handler
        try:
            await handler.passage(plan)
            if plan.delay > 0:
                await asyncio.sleep(plan.delay)
            await self._perform()
        except (asyncio.CancelledError, ConnectionError):
            handler.leave(plan)
            raise
        except Exception as error:
            # A function of the test (see `passage`) failed; the test finds the error in `errors`.
            handler.errors.append(error)
            handler.leave(plan)
            self._reset()
            raise ConnectionResetError("the simulated provider failed") from error

    async def _perform(self) -> None:
        plan, fault = self.plan, self.plan.fault
        if isinstance(fault, Break):
            await self._break_off(fault)
        elif isinstance(fault, Sending):
            await fault.send(self)
        elif plan.stream is not None:
            await self._stream()
        else:
            self.handler.close(plan)
            await self.reply(plan.body)

    async def _stream(self) -> None:
        """Send a streamed reply, at the configured pace."""
        plan, stream = self.plan, self.plan.stream
        assert stream is not None
        if plan.pace is None:
            self.handler.close(plan)
            await self.begin(None)
            await self.write(stream.whole())
        else:
            await self.begin(None)
            await self._tokens(len(stream.token_events))
            self.handler.close(plan)
            await self.write(stream.closing)
        await self.end()

    async def _tokens(self, count: int) -> None:
        """Send the opening and the first `count` tokens, each when it is due."""
        plan, stream = self.plan, self.plan.stream
        assert stream is not None
        clock = asyncio.get_running_loop().time
        begun = clock()
        await self.write(stream.opening + b"".join(stream.token_events[: min(1, count)]))
        plan.sent_tokens = min(1, count)
        while plan.sent_tokens < count:
            due = count
            if plan.pace is not None:
                # Send several at once if the loop was late, so that the average pace is right.
                due = min(count, 1 + int((clock() - begun) * plan.pace))
                if due <= plan.sent_tokens:
                    await asyncio.sleep(begun + plan.sent_tokens / plan.pace - clock())
                    continue
            await self.write(b"".join(stream.token_events[plan.sent_tokens : due]))
            plan.sent_tokens = due

    async def _break_off(self, fault: Break) -> None:
        plan = self.plan
        if fault.at != "before":
            await self.begin(None if plan.stream else len(plan.body))
        if fault.at == "body" and plan.stream is not None:
            total = len(plan.stream.token_events)
            await self._tokens(total // 2 if fault.after is None else min(fault.after, total))
        elif fault.at == "body":
            await self.write(plan.body[: len(plan.body) // 2])
        then: str = fault.then
        if then in ("end", "error") and (plan.stream is None or fault.at != "body"):
            then = "close"  # a body of announced length cannot end properly before its end
        await self.finish_broken(then)

    async def finish_broken(self, then: str) -> None:
        """End a reply that broke off, in the way that the fault's `then` names."""
        if then == "stall":
            await asyncio.get_running_loop().create_future()  # until the client leaves
        self.handler.close(self.plan)
        if then == "reset":
            self._reset()
        elif then == "close":
            self.transport.close()
        else:
            if then == "error":
                assert self.plan.stream is not None
                await self.write(self.plan.stream.error)
            await self.end()

    def _reset(self) -> None:
        """Drop the connection so that the other side sees a reset, not an end."""
        transport = self.transport
        own = transport.get_extra_info("socket")
        if own is not None and not transport.is_closing():
            # Lingering for 0 seconds makes the kernel send RST on close.
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    # -------------------------------------------------------------- HTTP, and its socket

    def _headers(self) -> dict[str, str]:
        name, value = SIMULATED_HEADER
        return {"content-type": self.plan.content_type, name: value, **self.plan.headers}

    async def reply(self, body: bytes) -> None:
        """Send status, headers and a whole body."""
        # aiohttp's server writes it when the handler returns.
        self.response = web.Response(status=self.plan.status, headers=self._headers(), body=body)

    async def begin(self, length: int | None) -> None:
        """Send status and headers; a length of None announces a chunked body."""
        self.response = web.StreamResponse(status=self.plan.status, headers=self._headers())
        self.response.content_length = length
        await self.response.prepare(self.request)
        self.plan.has_begun = True

    async def write(self, data: bytes) -> None:
        """Send a part of the body."""
        await _sent(self.response.write(data))

    async def end(self) -> None:
        """End the body properly."""
        await _sent(self.response.write_eof())

    @property
    def transport(self) -> asyncio.Transport:
        """The open connection.

        Raises:
            ConnectionResetError: If the client has left.
        """
        transport: asyncio.Transport | None = self.request.transport
        if transport is None:
            raise ConnectionResetError("the client has left")
        return transport


async def _sent(sending: Awaitable[None]) -> None:
    """Turn aiohttp's error for a client that left, which it logs, into the standard library's."""
    try:
        await sending
    except ClientConnectionResetError:
        raise ConnectionResetError("the client has left") from None
