"""A trial of aiohttp's private parts, against a socket of our own, before they are relied on.

`pool` and `exchange` use parts of aiohttp that its documents do not promise. A release in which
they are otherwise must cost speed, never an answer: so they are tried once per process, over
127.0.0.1, with requests whose bytes are known. What is unlike is not used; `HttpClient` asks the
public `ClientSession.request` instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import ssl
from typing import Any

import aiohttp
from yarl import URL

from llmnb.adapters.http import exchange
from llmnb.adapters.http.pool import HEAD_LIMITS, Pool, is_stale

_SECONDS = 10.0
"""Seconds that the whole trial may take; it takes some milliseconds."""

_BODY = b'{"tried":"once"}'
_HEADERS = {"Accept": "*/*", "X-Tried": "once"}
_HEAD = (
    "POST /tried HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\nX-Tried: once\r\n"
    "Content-Length: {length}\r\n\r\n"
)
_WHOLE = b"HTTP/1.1 200 OK\r\nX-Answer: whole\r\nContent-Length: 5\r\n\r\nwhole"
_CHUNKS = (
    b"HTTP/1.1 203 Well\r\nX-Answer: chunks\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nchu\r\n",
    b"3\r\nnks\r\n0\r\n\r\n",
)

_logger = logging.getLogger(__name__)


is_passed: bool | None = None
"""The result of this process's trial; None before it."""


async def passes() -> bool:
    """Return whether aiohttp's private parts work as expected; tried once in a process."""
    global is_passed
    if is_passed is None:
        is_passed = await _is_right()
        if not is_passed:
            _logger.info(
                "aiohttp %s is not as llmnb knows it: requests take its slower, public way.",
                aiohttp.__version__,
            )
    return is_passed


def distrust() -> None:
    """Stop using `exchange`: it failed although the trial had passed."""
    global is_passed
    is_passed = False


async def _is_right() -> bool:
    """Ask three times on one connection, of which the third request is not answered.

    Return whether the right bytes arrived and every answer was the right one.
    """
    loop, peers = asyncio.get_running_loop(), list[_Peer]()
    # A context that trusts nobody and takes no time to make: nothing is encrypted here.
    pool = Pool(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    patient = aiohttp.ClientTimeout(total=_SECONDS, sock_read=_SECONDS)
    hurried = aiohttp.ClientTimeout(total=0.001, connect=_SECONDS)
    ask = functools.partial(exchange.exchange, pool, body=_BODY, read=_read)
    try:
        async with (
            asyncio.timeout(_SECONDS),
            aiohttp.ClientSession(connector=pool, auto_decompress=False, **HEAD_LIMITS) as session,
            await loop.create_server(functools.partial(_Peer, peers), "127.0.0.1", 0) as server,
        ):
            try:
                port = server.sockets[0].getsockname()[1]
                url = URL(f"http://127.0.0.1:{port}/tried")
                head = exchange.request_head(url, _HEADERS, session)
                assert head is not None
                answers = [await ask(head=head, timeout=patient) for _ in _ANSWERS]
                was_stale = is_stale()  # its connection has just answered
                with contextlib.suppress(TimeoutError):
                    await ask(head=head, timeout=hurried)
                    return False
                expected = _HEAD.format(port=port, length=len(_BODY)).encode() + _BODY
                arrived = [peer.received for peer in peers]
                return answers == _ANSWERS and not was_stale and arrived == [expected * 3]
            finally:
                for peer in peers:
                    peer.transport.abort()
    except Exception as error:  # whatever it is, the library is not as it is known here
        _logger.debug("aiohttp's inside is unlike: %s", type(error).__name__)
    return False


async def _read(received: exchange.Received) -> tuple[int, str, bytes]:
    answer = str(received.headers.get("x-answer"))
    return received.status, answer, await received.content.read()


_ANSWERS = [(200, "whole", b"whole"), (203, "chunks", b"chunks")]


class _Peer(asyncio.Protocol):
    """The server of the trial: answers two requests, and never the third."""

    transport: Any

    def __init__(self, peers: list[_Peer]) -> None:
        self.received = bytearray()
        self._peers = peers
        self._answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._peers.append(self)

    def data_received(self, data: bytes) -> None:
        self.received += data
        while self.received.count(_BODY) > self._answered:
            self._answered += 1
            if self._answered == 1:
                self.transport.write(_WHOLE)
            elif self._answered == 2:
                self.transport.write(_CHUNKS[0])
                asyncio.get_running_loop().call_soon(self.transport.write, _CHUNKS[1])
