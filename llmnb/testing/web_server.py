"""The simulated provider behind aiohttp's server: strict HTTP, every fault."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from aiohttp import ClientConnectionResetError, web

from llmnb.testing.conversation import (
    SIMULATED_HEADER,
    listening,
    play,
    reset_connection,
    stop_accepting,
)
from llmnb.testing.plan import Plan
from llmnb.testing.request_handler import RequestHandler

_MOST_BODY_BYTES = 256 * 2**20


async def serve(handler: RequestHandler, port: int, started: Callable[[int], object]) -> None:
    """Serve on the loopback interface until cancelled.

    Args:
        handler: Who decides about each request.
        port: Port to listen at; 0 takes a free one.
        started: Called with the port once it is listened at.
    """
    loop = asyncio.get_running_loop()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        plan = handler.receive(request.method, request.path_qs, request.headers, body)
        if plan.is_plain and plan.delay <= 0 and not handler.holds_back(plan):
            handler.close(plan)
            return _response(plan, plan.body)
        wire = _WebWire(request)
        await play(plan, wire, handler)
        return wire.response

    def make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> Any:
        return web.BaseRequest(
            message, payload, protocol, writer, task, loop, client_max_size=_MOST_BODY_BYTES
        )

    # Without handler_cancellation nobody would notice that a client has left.
    server = web.Server(
        handle, request_factory=make_request, handler_cancellation=True, access_log=None
    )
    # What is open is dropped at once; aiohttp takes 0 for "wait for ever".
    runner = web.ServerRunner(server, shutdown_timeout=0.001)
    listener = listening(port)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, backlog=4096).start()
        started(listener.getsockname()[1])
        await loop.create_future()
    finally:
        await stop_accepting(listener)
        await runner.cleanup()


def _headers(plan: Plan) -> dict[str, str]:
    name, value = SIMULATED_HEADER
    return {"content-type": plan.content_type, name: value, **plan.headers}


def _response(plan: Plan, body: bytes) -> web.Response:
    return web.Response(status=plan.status, headers=_headers(plan), body=body)


@contextlib.contextmanager
def _leaving() -> Iterator[None]:
    """Say in the standard library's word that the client has left; aiohttp logs its own aloud."""
    try:
        yield
    except ClientConnectionResetError:
        raise ConnectionResetError("the client has left") from None


class _WebWire:
    """One request of aiohttp's server as a `Wire`."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        # Whatever happens the server wants a response back; on a connection
        # that is closed by then it is never written.
        self.response: web.StreamResponse = web.Response(status=500)

    @property
    def _transport(self) -> asyncio.Transport:
        transport = self._request.transport
        if transport is None:
            raise ConnectionResetError("the client has left")
        return transport

    async def reply(self, plan: Plan, body: bytes) -> None:
        self.response = _response(plan, body)  # written by the server on return

    async def begin(self, plan: Plan, length: int | None) -> None:
        self.response = web.StreamResponse(status=plan.status, headers=_headers(plan))
        self.response.content_length = length
        await self.response.prepare(self._request)

    async def write(self, data: bytes) -> None:
        with _leaving():
            await self.response.write(data)

    async def end(self) -> None:
        with _leaving():
            await self.response.write_eof()

    def raw(self, data: bytes) -> None:
        self._transport.write(data)

    def reset(self) -> None:
        reset_connection(self._transport)

    def hang_up(self) -> None:
        self._transport.close()
