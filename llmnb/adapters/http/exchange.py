"""One request and its reply on a pooled connection: written in one piece, read by aiohttp's parser.

A session does more for each request than llmnb wants: it merges headers and
cookies, may follow redirects, calls middleware, and writes the body in a task
of its own. That is more than half of what a request costs here. Where a
request is small and no proxy stands between, this file asks the session's own
pool for a connection and does the rest itself; connections, TLS, parsing and
timeouts of the connection stay aiohttp's. None of that is promised by aiohttp's
documents: `trial` tries it before it is used.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from llmnb.adapters.http.pool import HEAD_LIMITS, Pool
from llmnb.records import SecretBytes

T = TypeVar("T")

MOST_BYTES = 2**16
"""Bytes; larger bodies go by the session, which waits where a connection takes them slowly."""

_READ_BYTES = 2**16
_UNSAFE = re.compile(r"[\r\n\0]")


class UnknownInternals(Exception):
    """aiohttp's private parts differ from what was tried; nothing was sent."""


@dataclass(slots=True, eq=False)
class Received:
    """A reply whose head has come."""

    status: int
    headers: Mapping[str, str]
    """By name in any case."""

    content: aiohttp.StreamReader


_Request: Any = getattr(aiohttp, "ClientRequest", object)


class _Address(_Request):  # type: ignore[misc]
    """The part of a request that the pool needs to find a connection: its address."""

    @functools.cached_property
    def connection_key(self) -> Any:
        """Under which the pool keeps its connections."""
        return super().connection_key


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What requests to one address with the same headers share, made once."""

    address: _Address
    head: bytes
    """The request's head, up to the length of its body."""


def request_head(
    url: URL, headers: Mapping[str, str], session: aiohttp.ClientSession
) -> RequestHead | None:
    """Return the shared head of requests; None where only a session may send such headers.

    Args:
        url: Full address.
        headers: All headers but the length.
        session: Whose pool is asked for connections.

    Raises:
        UnknownInternals: If aiohttp's private parts are unknown.
    """
    lines = [f"POST {url.raw_path_qs} HTTP/1.1", f"Host: {url.host_port_subcomponent}"]
    for name, value in headers.items():
        if _UNSAFE.search(name) or _UNSAFE.search(value) or name.lower() == "host":
            return None
        lines.append(f"{name}: {value}")
    lines.append("Content-Length: ")
    loop = asyncio.get_running_loop()
    try:
        address = _Address("POST", url, loop=loop, session=session)
    except (AttributeError, TypeError) as error:
        raise UnknownInternals from error
    return RequestHead(address, SecretBytes("\r\n".join(lines).encode()))


async def exchange(
    pool: Pool,
    head: RequestHead,
    body: bytes,
    *,
    timeout: aiohttp.ClientTimeout,
    read: Callable[[Received], Awaitable[T]],
) -> T:
    """Send a request and return what `read` makes of its reply.

    The connection goes back to the pool if it can carry another request, and
    is closed whatever else happens, cancellation included.

    Args:
        pool: Where connections come from.
        head: Address and headers.
        body: What to send.
        timeout: Seconds to connect, between two pieces of the reply, and for the whole.
        read: Reads the body.

    Raises:
        UnknownInternals: If aiohttp's private parts are unknown, before a byte was sent.
        aiohttp.ClientError: Of the kinds that a session raises.
        TimeoutError: If the reply, or its next piece, does not come in time.
    """
    loop = asyncio.get_running_loop()
    until = None if timeout.total is None else loop.time() + timeout.total
    try:
        connection = await pool.connect(head.address, [], timeout)
    except TimeoutError as error:
        raise aiohttp.ConnectionTimeoutError("no connection in time") from error
    except (AttributeError, TypeError) as error:
        raise UnknownInternals from error
    protocol, timer = connection.protocol, None
    content: aiohttp.StreamReader | None = None

    def end_wait() -> None:
        error = aiohttp.ServerTimeoutError("no reply in time")
        protocol.set_exception(error)
        if content is not None:
            content.set_exception(error)

    try:
        try:
            transport = protocol.transport
            if transport is None or transport.is_closing():
                raise aiohttp.ClientConnectionResetError("the connection was closed")
            protocol.set_response_params(
                read_until_eof=True,
                auto_decompress=False,
                read_timeout=timeout.sock_read,
                read_bufsize=_READ_BYTES,
                **HEAD_LIMITS,
            )
        except (AttributeError, TypeError) as error:
            raise UnknownInternals from error
        transport.write(b"%b%d\r\n\r\n%b" % (head.head, len(body), body))
        if timeout.sock_read is not None:
            protocol.start_timeout()
        if until is not None:
            timer = loop.call_at(until, end_wait)
        message, content = await protocol.read()
        while message.code < 200 and message.code != 101:  # "go on", which nobody asked for
            message, content = await protocol.read()
        result = await read(Received(message.code, message.headers, content))
        if transport.get_write_buffer_size():
            connection.close()  # it was answered before it was asked: no more on this line
        else:
            pool.keep(head.address, connection)
        return result
    except BaseException:
        connection.close()
        raise
    finally:
        if timer is not None:
            timer.cancel()
