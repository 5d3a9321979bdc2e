"""A trial of aiohttp's private parts, against a socket of our own, before they are relied on.

`pool` and `exchange` use parts of aiohttp that its documents do not promise. A release in which
they are otherwise must cost speed, never an answer: so they are tried once per process, over
127.0.0.1, with requests whose bytes are known. What is unlike is not used; `HttpClient` asks the
public `ClientSession.request` instead.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class UsableParts:
    """Which private parts of aiohttp work as expected."""

    pool: bool
    """Whether `Pool` gives connections that a session can use."""

    exchange: bool
    """Whether `exchange.exchange` sends the right bytes on them and reads the reply."""


usable: UsableParts | None = None
"""The result of this process's trial; None before it."""


async def usable_parts() -> UsableParts:
    """Return which parts work; the first call in a process tries them."""
    global usable
    if usable is None:
        usable = UsableParts(await _is_right(_by_session), await _is_right(_by_exchange))
        if not usable.pool:
            usable = UsableParts(pool=False, exchange=False)
        if not usable.exchange:
            _logger.info(
                "aiohttp %s is not as llmnb knows it: requests take its slower, public way.",
                aiohttp.__version__,
            )
    return usable


def distrust() -> None:
    """Stop using `exchange`: it failed although the trial had passed."""
    global usable
    if usable is not None:
        usable = UsableParts(usable.pool, exchange=False)


async def _is_right(ask: Any) -> bool:
    """Return whether requests arrive and are answered as they should be."""
    loop, peers = asyncio.get_running_loop(), list[_Peer]()
    try:
        async with asyncio.timeout(_SECONDS):
            server = await loop.create_server(functools.partial(_Peer, peers), "127.0.0.1", 0)
            try:
                port = server.sockets[0].getsockname()[1]
                # A context that trusts nobody and takes no time to make: nothing is encrypted here.
                pool = Pool(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
                async with aiohttp.ClientSession(
                    connector=pool, auto_decompress=False, **HEAD_LIMITS
                ) as session:
                    url = URL(f"http://127.0.0.1:{port}/tried")
                    is_right: bool = await ask(pool, session, url)
                if ask is _by_exchange:
                    expected = _HEAD.format(port=port, length=len(_BODY)).encode() + _BODY
                    is_right = is_right and len(peers) == 1 and peers[0].received == expected * 3
                return is_right
            finally:
                server.close()
                for peer in peers:
                    peer.transport.abort()
    except Exception as error:  # whatever it is, the library is not as it is known here
        _logger.debug("aiohttp's inside is unlike: %s", type(error).__name__)
        return False


async def _read(received: exchange.Received) -> tuple[int, str, bytes]:
    answer = str(received.headers.get("x-answer"))
    return received.status, answer, await received.content.read()


_ANSWERS = [(200, "whole", b"whole"), (203, "chunks", b"chunks")]


async def _by_session(_pool: Pool, session: aiohttp.ClientSession, url: URL) -> bool:
    """Ask twice in the public way: the pool must serve it."""
    answers = []
    for _ in _ANSWERS:
        async with session.request("POST", url, data=_BODY, headers=_HEADERS) as response:
            answers.append(
                await _read(exchange.Received(response.status, response.headers, response.content))
            )
    return answers == _ANSWERS


async def _by_exchange(pool: Pool, session: aiohttp.ClientSession, url: URL) -> bool:
    """Ask three times on one connection; the third request is not answered."""
    head = exchange.request_head(url, _HEADERS, session)
    if head is None:
        return False
    patient = aiohttp.ClientTimeout(total=_SECONDS, sock_read=_SECONDS)
    answers = [
        await exchange.exchange(pool, head, _BODY, timeout=patient, read=_read) for _ in _ANSWERS
    ]
    if is_stale():
        return False  # its connection has just answered
    try:
        hurried = aiohttp.ClientTimeout(total=0.001, connect=_SECONDS)
        await exchange.exchange(pool, head, _BODY, timeout=hurried, read=_read)
    except TimeoutError:
        return answers == _ANSWERS
    return False


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
