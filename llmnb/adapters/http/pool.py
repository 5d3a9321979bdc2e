"""The pool of kept-alive connections, which knows what has happened on each of them."""

from __future__ import annotations

import asyncio
import collections
import contextvars
import functools
import ssl
from typing import Any

import aiohttp

_Handler: Any
try:
    from aiohttp.client_proto import ResponseHandler as _Handler
except ImportError:  # a release that has it elsewhere: no connection is one of ours
    _Handler = asyncio.Protocol

KEPT: dict[str, Any] = {
    "limit": 0,  # the engine's own gate decides how many; a second one would hide from it
    "ttl_dns_cache": 300,
    "keepalive_timeout": 20.0,  # idle connections are closed before most servers do it
}
"""Settings of the connector."""

HEAD_LIMITS: dict[str, Any] = {"max_line_size": 2**16, "max_field_size": 2**16, "max_headers": 500}
"""How long a line of a reply's head may be, and how many there may be: the library's own limits
lose replies that were paid for."""

_KEPT_SECONDS = 1.0

_line: contextvars.ContextVar[Any] = contextvars.ContextVar("line", default=None)
"""The connection of the present request, `_CONNECTING` before it has one, None before that."""

_CONNECTING = object()

wants_fresh: contextvars.ContextVar[bool] = contextvars.ContextVar("wants_fresh", default=False)
"""Whether the present request may not have a connection that has carried one before."""


class Line(_Handler):  # type: ignore[misc]
    """A connection that notes whether anything of a reply has come, and how it ended."""

    is_used = False
    """Whether it has carried a request before the present one."""

    chunks = chunks_before = 0
    """Chunks of data that have come, and that had come when the present request got it."""

    is_reset = False
    """Whether the other side, or the network, has broken it."""

    def data_received(self, data: bytes) -> None:
        """Count a chunk of data and pass it on."""
        self.chunks += 1
        _Handler.data_received(self, data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Note whether it was broken or closed."""
        self.is_reset = exc is not None
        super().connection_lost(exc)


def is_stale() -> bool:
    """Whether the present request's connection was kept alive and not one byte came on it."""
    line = _line.get()
    return isinstance(line, Line) and line.is_used and line.chunks == line.chunks_before


def is_connecting() -> bool:
    """Whether the present request has no connection yet, so that nothing of it can be sent.

    A connection through a proxy is there once the proxy's tunnel stands and is encrypted.
    """
    return _line.get() is _CONNECTING


def is_reset() -> bool:
    """Whether the present request's connection was broken, not closed."""
    line = _line.get()
    return isinstance(line, Line) and line.is_reset


class Pool(aiohttp.TCPConnector):
    """Gives requests connections that can tell what has happened on them.

    Where a release of aiohttp makes them otherwise, nothing is known of them: no connection
    counts as stale then, and none as reset.

    Args:
        tls: How certificates are checked.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(ssl=tls, **KEPT)
        self._kept: dict[Any, list[Any]] = collections.defaultdict(list)
        """Connections that have just carried a request, by where they go."""

        self._handing_over: asyncio.TimerHandle | None = None
        make: Any = getattr(self, "_factory", None)
        if isinstance(make, functools.partial) and make.func is _Handler:
            ours: Any = functools.partial(Line, *make.args, **make.keywords)
            self._factory = ours

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        """Return a connection, from the pool where there is one.

        Never one on which something came that nobody has asked for: it would be taken for the
        reply to the next request.
        """
        if (kept := self._kept.get(req.connection_key)) and not wants_fresh.get():
            while kept:
                connection, chunks = kept.pop()
                line = connection.protocol
                if line.is_connected() and line.chunks == chunks:  # nothing came unasked
                    line.is_used, line.chunks_before = True, chunks
                    _line.set(line)
                    return connection
                connection.close()
        _line.set(_CONNECTING)
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol: Any = connection.protocol
            is_used = getattr(protocol, "llmnb_is_used", False)
            is_unfit = protocol is not None and protocol.should_close
            if not is_unfit and not (is_used and wants_fresh.get()):
                break
            connection.close()
        _line.set(protocol)
        if protocol is not None:
            protocol.llmnb_is_used = True
            if isinstance(protocol, Line):
                protocol.is_used, protocol.chunks_before = is_used, protocol.chunks
        return connection

    def keep(self, req: Any, connection: Any) -> None:
        """Take back a connection whose reply was read whole; the next request gets it at once.

        The way through the library's own pool is a tenth of what a request costs. What no request
        has wanted within a second goes there, and is closed there once it has been idle for long.
        """
        line = connection.protocol
        if not isinstance(line, Line) or line.should_close or self.closed:
            connection.release()
            return
        self._kept[req.connection_key].append((connection, line.chunks))
        if self._handing_over is None:
            loop = asyncio.get_running_loop()
            self._handing_over = loop.call_later(_KEPT_SECONDS, self._hand_over)

    def _hand_over(self) -> None:
        self._handing_over = None
        kept, self._kept = self._kept, collections.defaultdict(list)
        for connections in kept.values():
            for connection, _ in connections:
                connection.release()

    def close(self, **options: Any) -> Any:
        """Close every connection."""
        if self._handing_over is not None:
            self._handing_over.cancel()
        self._hand_over()
        return super().close(**options)
