"""Reply bodies unpacked as they come, and no further than a cap.

A small compressed body can unpack to gigabytes, and a truncated one unpacks
without a word in the HTTP library; both are noticed here.
"""

from __future__ import annotations

import zlib

from llmnb.errors import IncompleteReply, ReplyTooLarge

CAP_BYTES = 32 * 2**20
"""Most bytes a decoded reply may have."""

ENCODINGS = "gzip, deflate"
"""What we say we can unpack."""


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

    __slots__ = ("_cap", "_encoding", "_packed", "_unpacked", "_zlib")

    def __init__(self, encoding: str, cap: int = CAP_BYTES) -> None:
        self._encoding = encoding
        self._cap = cap
        self._unpacked = 0
        self._packed = b""
        # 47: gzip or zlib, whichever the first bytes say.
        self._zlib = zlib.decompressobj(wbits=47) if encoding else None

    def feed(self, data: bytes) -> bytes:
        """Return what a piece unpacks to.

        Raises:
            ReplyTooLarge: If the body passes the cap.
            IncompleteReply: If it is damaged.
        """
        if self._zlib is None:
            return self._counted(data)
        room = self._cap - self._unpacked + 1
        try:
            if self._encoding == "deflate" and not self._packed and data[:1] != b"\x78":
                self._zlib = zlib.decompressobj(wbits=-15)  # some servers send it bare
            self._packed = data[-1:] or self._packed
            return self._counted(self._zlib.decompress(data, room))
        except zlib.error:
            raise IncompleteReply(
                "The compressed reply is damaged and cannot be unpacked. It may have been billed."
            ) from None

    def _counted(self, data: bytes) -> bytes:
        self._unpacked += len(data)
        if self._unpacked > self._cap:
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
        if self._zlib is not None and self._packed and not self._zlib.eof:
            raise IncompleteReply(
                "The compressed reply ends before its end. It may have been billed."
            )
