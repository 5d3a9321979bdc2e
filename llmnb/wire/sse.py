"""Server-sent events out of bytes, however they are cut.

Source: "Server-sent events", section 9.2 of the HTML Living Standard. One
departure: what stands after the last blank line is not thrown away but handed
out by `finish`, because some servers close without the blank line.
"""

from __future__ import annotations

import re

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINE_OF_A_STREAM = re.compile(rb"(?:\A|(?<=[\r\n]))(?:data|event|id|retry)?:")


def is_stream(raw: bytes) -> bool:
    r"""Whether bytes are a stream of events and no document: a line of them is a field's.

    Whatever the first line is: a comment, another field, nothing, a byte order mark.

    Example:
        >>> is_stream(b": ping\n\ndata: {}\n\n"), is_stream(b"\n\nid: 1\n"), is_stream(b"{}")
        (True, True, False)
    """
    if raw[:1] == b"{":  # nearly always
        return False
    if is_document(raw) is not False:
        return False
    return _LINE_OF_A_STREAM.search(raw.removeprefix(BYTE_ORDER_MARK)) is not None


def is_document(start: bytes) -> bool | None:
    """Whether the beginning of a body is that of JSON and not of a stream; None: too little yet.

    Example:
        >>> is_document(b' {"id'), is_document(b"data: {"), is_document(b"  ") is None
        (True, False, True)
    """
    if BYTE_ORDER_MARK.startswith(start):
        return None
    start = start.removeprefix(BYTE_ORDER_MARK).lstrip()
    return start[:1] in (b"{", b"[") if start else None


def without_done(raw: bytes) -> bytes:
    r"""Return a document without the marks of a stream's end that some servers put behind it.

    Example:
        >>> without_done(b'{"a": 1}\n\ndata: [DONE]\n\n')
        b'{"a": 1}'
    """
    while True:
        body, mark, rest = raw.rpartition(b"data:")
        if not mark or rest.strip() != b"[DONE]":
            return raw
        raw = body.rstrip()


class EventDecoder:
    r"""Turns chunks of bytes into the data of whole events.

    Chunks may end anywhere, inside a UTF-8 character or between CR and LF. A
    line of many chunks is joined once, when it ends.

    Example:
        >>> decoder = EventDecoder()
        >>> decoder.feed(b"data: 1\r"), decoder.feed(b"\n\r\nda"), decoder.feed(b"ta: 2\n\n")
        ([], [b'1'], [b'2'])
    """

    __slots__ = ("_data", "_ended_in_cr", "_is_first_line", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._data: list[bytes] = []
        self._ended_in_cr = False
        self._is_first_line = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of every event that this chunk completes."""
        if self._ended_in_cr and chunk:
            self._ended_in_cr = False
            chunk = chunk.removeprefix(b"\n")
        if not chunk:
            return []
        # Of bytes, splitlines() knows CR, LF and CRLF only, as the standard does.
        lines = chunk.splitlines()
        if chunk[-1] not in b"\r\n":
            unfinished = lines.pop()
            if not lines:
                self._pieces.append(unfinished)
                return []
        else:
            unfinished = b""
            self._ended_in_cr = chunk[-1] == 0x0D
        if self._pieces:
            lines[0] = b"".join((*self._pieces, lines[0]))
        self._pieces = [unfinished] if unfinished else []
        if self._is_first_line:
            self._is_first_line = False
            lines[0] = lines[0].removeprefix(BYTE_ORDER_MARK)
        return [event for line in lines if (event := self._event_after(line)) is not None]

    def finish(self) -> list[bytes]:
        """Return the data of an event that the end of the stream cut off, if there is any."""
        line = b"".join(self._pieces)
        self._pieces.clear()
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(BYTE_ORDER_MARK)
        if line:
            self._event_after(line)
        event = self._event_after(b"")
        return [] if event is None else [event]

    def _event_after(self, line: bytes) -> bytes | None:
        """Take one line; return the event that it ends, if it ends one."""
        if not line:
            if not self._data:
                return None
            event = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            self._data.clear()
            return event
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif line == b"data":
            self._data.append(b"")
        # Comments and the fields event, id and retry say nothing that is needed here.
        return None
