"""The pool of kept-alive connections, which tells a used connection from a fresh one."""

from __future__ import annotations

import contextvars
import ssl
from typing import Any

import aiohttp

_KEEP_ALIVE_SECONDS = 20.0
"""Idle connections are closed before most servers do it."""

HEAD_LIMITS = {"max_line_size": 2**16, "max_field_size": 2**16, "max_headers": 500}
"""How long a line of a reply's head may be, and how many there may be: the library's own limits
lose replies that were paid for."""

is_reused: contextvars.ContextVar[bool] = contextvars.ContextVar("is_reused", default=False)
"""Whether the connection of the present request has carried one before."""


class Pool(aiohttp.TCPConnector):
    """Notes whether a request got a connection that was used before.

    Args:
        tls: How certificates are checked.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(
            limit=0,  # the engine's own gate decides how many; a second one would hide from it
            ttl_dns_cache=300,
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
            ssl=tls,
        )

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        """Return a connection, from the pool where there is one.

        Never one on which something came that nobody has asked for: it would be taken for the
        reply to the next request.
        """
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol: Any = connection.protocol
            if protocol is None or not protocol.should_close:
                break
            connection.close()
        is_reused.set(getattr(protocol, "llmnb_is_used", False))
        if protocol is not None:
            protocol.llmnb_is_used = True
        return connection
