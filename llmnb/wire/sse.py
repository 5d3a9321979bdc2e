"""Server-sent events out of bytes, however they are cut.

Source: "Server-sent events", section 9.2 of the HTML Living Standard.
"""

from __future__ import annotations


class EventDecoder:
    r"""Turns chunks of bytes into the data of whole events.

    Chunks may end anywhere, inside a UTF-8 character or between CR and LF.

    Example:
        >>> decoder = EventDecoder()
        >>> decoder.feed(b"data: 1\r"), decoder.feed(b"\n\r\nda"), decoder.feed(b"ta: 2\n\n")
        ([], [b'1'], [b'2'])
    """

    __slots__ = ("_after_cr", "_data", "_rest", "_started")

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._after_cr = False
        self._started = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of every event that this chunk completes."""
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if chunk.endswith(b"\r"):
            self._after_cr = True
        pending = self._rest + chunk
        if not self._started and len(pending) >= 3:
            pending = pending.removeprefix(b"\xef\xbb\xbf")
            self._started = True
        if b"\n" not in chunk and b"\r" not in chunk:
            self._rest = pending  # a very long line: joined once per chunk, not once per byte
            return []
        *lines, self._rest = (
            pending.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        )
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: bytes) -> bytes | None:
        if not line:
            if not self._data:
                return None
            event = b"\n".join(self._data)
            self._data.clear()
            return event
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif line == b"data":
            self._data.append(b"")
        return None
