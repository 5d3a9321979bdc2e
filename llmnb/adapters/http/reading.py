"""Reading one reply whole, within the cap: in one go, in pieces, or as a stream handed on.

Bodies are unpacked as they come: a small one can unpack to gigabytes, and one that is cut off
unpacks in the HTTP library without a word. Both are noticed here.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable, Mapping

import aiohttp

from llmnb.adapters.http.exchange import Received
from llmnb.adapters.http.faults import redirect
from llmnb.errors import BadReply, IncompleteReply, LLMNBError, ReplyTooLarge
from llmnb.records import RawReply

Feed = Callable[[bytes], bool | None]
"""Takes a piece of a streamed body; returns True when it holds the first token."""

HasEnded = Callable[[], bool]
"""Whether what was fed holds the whole answer."""

_SMALL_BODY_BYTES = 2**20
"""Bytes up to which a reply of known length is read in one go."""

_END_SECONDS = 1.0
"""Seconds for which a stream is read on after its answer, so that its connection can be kept."""


class Reading:
    """How one request's reply is to be read.

    Args:
        address: Where the request goes.
        most: Most bytes a decoded reply may have.
        feed: Gets the pieces of a streamed body; the reply's own body is then empty.
        has_ended: Asked after each piece whether the answer is over.
    """

    __slots__ = ("_address", "_feed", "_has_ended", "_most", "started")

    def __init__(
        self, address: str, most: int, feed: Feed | None, has_ended: HasEnded | None
    ) -> None:
        self.started = time.monotonic()
        self._address = address
        self._most = most
        self._feed = feed
        self._has_ended = has_ended

    async def read(self, received: Received) -> RawReply:
        """Return the reply, whatever its status.

        Raises:
            RedirectRefused: If it sends the request elsewhere.
            BadReply: If it passes the cap, or is packed in an unknown way.
        """
        status, headers, content = received.status, received.headers, received.content
        if 300 <= status < 400:
            raise redirect(self._address, status, headers.get("location", ""))
        encoding = headers.get("content-encoding")
        first_token: float | None = None
        if self._feed is not None and 200 <= status < 300 and is_stream(headers):
            first_token = await self._stream(content, _known_encoding(encoding), self._feed)
            body = b""
        elif encoding is None and self._is_small(received):
            # Most small bodies have come whole by now.
            body = content.read_nowait() if content.is_eof() else await content.read()
        else:
            body = await self._bounded(content, _known_encoding(encoding))
        return RawReply(
            status=status,
            headers=headers,
            body=body,
            first_token_seconds=first_token,
            seconds=time.monotonic() - self.started,
        )

    def _is_small(self, received: Received) -> bool:
        """Whether the body cannot pass the cap, so that it may be read in one go."""
        length = received.headers.get("content-length")
        if length is None or not length.isdecimal() or "transfer-encoding" in received.headers:
            return False
        return int(length) <= min(self._most, _SMALL_BODY_BYTES)

    async def _bounded(self, content: aiohttp.StreamReader, encoding: str) -> bytes:
        """Read a body of unknown or large size, never past the cap."""
        unpacker = Unpacker(encoding, self._most)
        chunks = [unpacker.feed(chunk) async for chunk in content.iter_any()]
        unpacker.finish()
        return b"".join(chunks)

    async def _stream(
        self, content: aiohttp.StreamReader, encoding: str, feed: Feed
    ) -> float | None:
        """Hand a streamed body on as it comes; returns when its first token came."""
        unpacker, has_ended = Unpacker(encoding, self._most), self._has_ended
        first_token: float | None = None
        try:
            async with asyncio.timeout(None) as patience:
                async for piece in content.iter_any():
                    if feed(unpacker.feed(piece)) and first_token is None:
                        first_token = time.monotonic() - self.started
                    if has_ended is not None and patience.when() is None and has_ended():
                        patience.reschedule(asyncio.get_running_loop().time() + _END_SECONDS)
                unpacker.finish()
        except (TimeoutError, OSError, aiohttp.ClientError, LLMNBError):
            # Some servers leave the line open, or break it, once they have said all.
            if has_ended is None or not has_ended():
                raise
        return first_token


def is_stream(headers: Mapping[str, str]) -> bool:
    """Whether a reply's headers say that it is a stream of events."""
    kind = headers.get("content-type", "")
    return kind.lower().startswith("text/event-stream")


def _known_encoding(encoding: str | None) -> str:
    name = (encoding or "").lower()
    if name in ("", "identity"):
        return ""
    if name in ("gzip", "x-gzip", "deflate"):
        return name
    raise BadReply(f"The reply is packed in a way llmnb did not ask for ({name[:40]!r}).")


# ----------------------------------------------------------------------------- unpacking

CAP_BYTES = 32 * 2**20
"""Most bytes a decoded reply may have."""

ENCODINGS = "gzip"
"""Value of the request header ``accept-encoding``."""


class Unpacker:
    """Unpacks one body piece by piece.

    Args:
        encoding: Value of ``content-encoding``.
        cap: Most bytes it may become.

    Example:
        >>> body = Unpacker("gzip")
        >>> body.feed(zlib.compress(b"hello", wbits=31)), body.finish()
        (b'hello', None)
    """

    __slots__ = ("_cap", "_is_begun", "_room", "_zlib")

    def __init__(self, encoding: str, cap: int = CAP_BYTES) -> None:
        self._cap = self._room = cap
        self._is_begun = False
        # 47: gzip or zlib, whichever the first bytes say.
        self._zlib = zlib.decompressobj(wbits=47) if encoding else None

    def feed(self, data: bytes) -> bytes:
        """Return what a piece unpacks to.

        Raises:
            ReplyTooLarge: If the body passes the cap.
            IncompleteReply: If it is damaged.
        """
        if self._zlib is not None:
            self._is_begun = self._is_begun or bool(data)
            try:
                data = self._zlib.decompress(data, self._room + 1)
            except zlib.error:
                raise IncompleteReply(
                    "The compressed reply is damaged and cannot be unpacked. It may have been "
                    "billed."
                ) from None
        self._room -= len(data)
        if self._room < 0:
            raise ReplyTooLarge(
                f"The reply is larger than {self._cap // 2**20} MiB and was not read further. "
                "It may have been billed."
            )
        return data

    def finish(self) -> None:
        """Check that the packed body was whole.

        Raises:
            IncompleteReply: If its end is missing.
        """
        if self._zlib is not None and self._is_begun and not self._zlib.eof:
            raise IncompleteReply(
                "The compressed reply ends before its end. It may have been billed."
            )
