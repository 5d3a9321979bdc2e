"""The simulated provider on bare asyncio: a third less cost per request, for benchmarks.

It reads requests as HTTP clients send them (a content length, kept-alive
connections, one after the other) and nothing rarer; `llmnb.testing.server` is the
strict one. Decisions, ledger and faults are the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from llmnb.testing.faults import Break, Sending
from llmnb.testing.plan import ReplyPlan
from llmnb.testing.request_handler import RequestHandler
from llmnb.testing.server import SIMULATED_HEADER, Exchange, listening_socket, stop_accepting

_MOST_HEADS = 4096
"""How many different request heads are remembered parsed."""

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in HTTPStatus}
_MARK = "{}: {}".format(*SIMULATED_HEADER)


class _Head:
    """The head of a request, parsed."""

    __slots__ = ("headers", "keeps_alive", "length", "method", "path")

    def __init__(self, raw: bytes) -> None:
        first, *lines = raw.decode("latin-1").split("\r\n")
        self.method, self.path, version = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines)
        self.headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        self.length = int(self.headers.get("content-length", "0"))
        if "transfer-encoding" in self.headers:
            raise ValueError("only bodies with a content length are read")
        connection = self.headers.get("connection", "").lower()
        self.keeps_alive = version == "HTTP/1.1" and connection != "close"


async def serve(handler: RequestHandler, port: int, on_listening: Callable[[int], object]) -> None:
    """Serve on the loopback interface until cancelled; see `llmnb.testing.server.serve`."""
    loop = asyncio.get_running_loop()
    heads: dict[bytes, _Head] = {}
    connections: set[_Connection] = set()
    listener = listening_socket(port)
    server = await loop.create_server(
        lambda: _Connection(handler, heads, connections), sock=listener, backlog=4096
    )
    try:
        on_listening(listener.getsockname()[1])
        await loop.create_future()
    finally:
        await stop_accepting(listener)
        server.close()
        await asyncio.gather(*[connection.stop() for connection in list(connections)])
        await server.wait_closed()


class _Connection(asyncio.Protocol):
    """One client's connection; answers its requests one after the other."""

    def __init__(
        self,
        handler: RequestHandler,
        heads: dict[bytes, _Head],
        connections: set[_Connection],
    ) -> None:
        self._handler = handler
        self._heads = heads
        self._connections = connections
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._plan: ReplyPlan | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._keeps_alive = True

    # ------------------------------------------------------------------- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if self._plan is None:
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._transport = None
        self._abandon()

    async def stop(self) -> None:
        """Drop the connection and what is being served on it."""
        task = self._task
        self._abandon()
        if self._transport is not None:
            self._transport.abort()
        if task is not None:
            await asyncio.wait([task])

    def _abandon(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            if self._plan is not None:
                self._handler.leave(self._plan)
        if self._task is not None:
            self._task.cancel()

    # ------------------------------------------------------------------ requests

    def _next(self) -> None:
        """Serve the requests that have come in whole."""
        while self._plan is None and self._transport is not None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._head(self._buffer[:end])
            if head is None:
                return
            whole = end + 4 + head.length
            if len(self._buffer) < whole:
                return
            body = self._buffer[end + 4 : whole]
            self._buffer = self._buffer[whole:]
            self._keeps_alive = head.keeps_alive
            self._serve(self._handler.receive(head.method, head.path, head.headers, body))

    def _head(self, raw: bytes) -> _Head | None:
        # A client's heads differ in little but the length, so most are known already.
        head = self._heads.get(raw)
        if head is None:
            try:
                head = _Head(raw)
            except ValueError:
                assert self._transport is not None
                self._transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
                self._transport.close()
                self._transport = None
                return None
            if len(self._heads) >= _MOST_HEADS:
                self._heads.clear()
            self._heads[raw] = head
        return head

    def _serve(self, plan: ReplyPlan) -> None:
        self._plan = plan
        is_plain = plan.stream is None and not isinstance(plan.fault, Break | Sending)
        if not is_plain or self._handler.holds_back(plan):
            self._task = asyncio.get_running_loop().create_task(self._play(plan))
        elif plan.delay > 0:
            self._timer = asyncio.get_running_loop().call_later(plan.delay, self._answer, plan)
        else:
            self._answer(plan)

    def _answer(self, plan: ReplyPlan) -> None:
        late = self._timer is not None
        self._timer = None
        self._handler.close(plan)
        self._send(plan, plan.body)
        self._done()
        if late:
            self._next()

    async def _play(self, plan: ReplyPlan) -> None:
        try:
            await _FastExchange(plan, self._handler, self).play()
        except ConnectionError:
            return
        finally:
            self._task = None
        self._done()
        self._next()

    def _done(self) -> None:
        self._plan = None
        if not self._keeps_alive and self._transport is not None:
            self._transport.close()

    # -------------------------------------------------------------------- bytes

    @property
    def transport(self) -> asyncio.Transport:
        """The open connection. Raises `ConnectionResetError` where it is not."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the client has left")
        return self._transport

    def _send(self, plan: ReplyPlan, body: bytes) -> None:
        if self._transport is not None:
            self._transport.write(_whole(plan, body))


def _head_bytes(plan: ReplyPlan, framing: str) -> bytes:
    line = _STATUS_LINES.get(plan.status) or f"HTTP/1.1 {plan.status} Unnamed"
    more = "".join([f"{name}: {value}\r\n" for name, value in plan.headers.items()])
    head = f"{line}\r\ncontent-type: {plan.content_type}\r\n{_MARK}\r\n{framing}\r\n{more}\r\n"
    return head.encode("latin-1")


def _whole(plan: ReplyPlan, body: bytes) -> bytes:
    return _head_bytes(plan, f"content-length: {len(body)}") + body


class _FastExchange(Exchange):
    """One request of a connection; `request` is the connection."""

    _is_chunked = False

    async def reply(self, body: bytes) -> None:
        self.transport.write(_whole(self.plan, body))

    async def begin(self, length: int | None) -> None:
        self._is_chunked = length is None
        framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        self.transport.write(_head_bytes(self.plan, framing))
        self.plan.has_begun = True

    async def write(self, data: bytes) -> None:
        if data and self._is_chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self.transport.write(data)

    async def end(self) -> None:
        if self._is_chunked:
            self.transport.write(b"0\r\n\r\n")

    @property
    def transport(self) -> asyncio.Transport:
        return self.request.transport
