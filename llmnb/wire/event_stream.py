"""Server-sent events out of bytes, and the one body that a stream of them adds up to.

Source: "Server-sent events", section 9.2 of the HTML Living Standard. One
departure: what stands after the last blank line is not thrown away but handed
out by `finish`, because some servers close without the blank line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from llmnb.display.texts import mended
from llmnb.errors import IncompleteReply, LLMNBError
from llmnb.records import Delta
from llmnb.wire import ends, json_bytes
from llmnb.wire.classify import error_inside, safe_text
from llmnb.wire.untrusted import dicts_in, index_of

_HEAD_BYTES = 2000

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINE_OF_A_STREAM = re.compile(rb"(?:\A|(?<=[\r\n]))(?:data|event|id|retry)?:")


def is_stream(raw: bytes) -> bool:
    r"""Whether bytes are a stream of events and no document: a line of them is a field's.

    Whatever the first line is: a comment, another field, nothing, a byte order mark.

    Example:
        >>> is_stream(b": ping\n\ndata: {}\n\n"), is_stream(b"\n\nid: 1\n"), is_stream(b"{}")
        (True, True, False)
    """
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
    end = len(raw)
    while (start := raw.rfind(b"data:", 0, end)) >= 0:
        if raw[start + len(b"data:") : end].strip() != b"[DONE]":
            break
        end = start
    return raw if end == len(raw) else raw[:end].rstrip()


class EventDecoder:
    r"""Turns chunks of bytes into the data of whole events.

    Chunks may end anywhere, inside a UTF-8 character or between CR and LF. A
    line of many chunks is joined once, when it ends.

    Example:
        >>> decoder = EventDecoder()
        >>> decoder.feed(b"data: 1\r"), decoder.feed(b"\n\r\nda"), decoder.feed(b"ta: 2\n\n")
        ([], [b'1'], [b'2'])
    """

    __slots__ = ("_data", "_ended_in_cr", "_unfinished")

    def __init__(self) -> None:
        self._unfinished: list[bytes] = []
        self._data: list[bytes] = []
        self._ended_in_cr = False

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
                self._unfinished.append(unfinished)
                return []
        else:
            unfinished = b""
            self._ended_in_cr = chunk[-1] == 0x0D
        if self._unfinished:
            lines[0] = b"".join((*self._unfinished, lines[0]))
        self._unfinished = [unfinished] if unfinished else []
        return [event for line in lines if (event := self._event_after(line)) is not None]

    def finish(self) -> list[bytes]:
        """Return the data of an event that the end of the stream cut off, if there is any."""
        line = b"".join(self._unfinished)
        self._unfinished.clear()
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


# ------------------------------------------------------------------ put together


class Growing(list[str]):
    """A text that is still coming: joined once at the end, not copied with every piece."""

    __slots__ = ()


def grow(fields: dict[str, Any], name: str, text: str) -> None:
    """Add to a text that is still coming."""
    known = fields.get(name)
    if isinstance(known, Growing):
        known.append(text)
    else:
        fields[name] = Growing([known, text] if isinstance(known, str) else [text])


def join(fields: dict[str, Any]) -> None:
    """Make texts of those that came piece by piece."""
    for name, value in fields.items():
        if isinstance(value, Growing):
            fields[name] = "".join(value)


def update_known(fields: dict[str, Any], name: str, newer: Any) -> None:
    """Let the figures of a newer object replace those of an older one, where it tells them.

    The usage in a stream is a total so far; a later one leaves out what has not changed.
    """
    if isinstance(newer, dict):
        if not isinstance(fields.get(name), dict):
            fields[name] = {}
        fields[name].update((key, value) for key, value in newer.items() if value is not None)


def extend_list(fields: dict[str, Any], name: str, values: list[Any]) -> None:
    """Add to a list in a field; whatever else stands there is replaced."""
    known = fields.get(name)
    if type(known) is list:
        known.extend(values)
    else:
        fields[name] = values


def _extend(fields: dict[str, Any], name: str, more: Any) -> None:
    """Add the lists of an object to those of an older one; of anything else the last counts."""
    if not isinstance(more, dict):
        return
    if not isinstance(fields.get(name), dict):
        fields[name] = {}
    known = fields[name]
    for key, values in more.items():
        if isinstance(values, list) and isinstance(known.get(key), list):
            known[key].extend(values)
        elif values is not None or key not in known:
            known[key] = values


class BadEvent(ValueError):
    """An event that cannot be read."""


class EventAssembler:
    """Reads one streamed reply; a dialect says what its events mean. This one knows no answer."""

    def __init__(self) -> None:
        self._decoder = EventDecoder()
        self._error: Mapping[str, Any] | None = None
        """The object that says what went wrong."""

        self._unreadable = 0
        """Events that could not be read."""

        self._items: dict[int, dict[str, Any]] = {}
        """The parts of the answer by their numbers: choices, items or blocks."""

        self._head = b""
        self._is_done = False
        self._is_document: bool | None = None
        """Whether a document came instead of a stream; None: too little came to tell."""

        self._document: list[bytes] = []
        """What came, unless it is a stream."""

    # ------------------------------------------------------------ what a dialect says

    def take(self, event: dict[str, Any]) -> list[Delta]:
        """Add what one event says; return what it brings of the answer.

        What is neither text nor reasoning, such as a part of a tool call, is an empty `Delta`:
        the list tells that the answer has begun.

        Raises:
            BadEvent: If it does not say what such an event must.
        """
        return []

    def assembled(self) -> dict[str, Any]:
        """Return the unstreamed body of what came; called once, at the end."""
        return {}

    def has_begun(self) -> bool:
        """Return whether anything of an answer came."""
        return bool(self._items)

    def is_whole(self) -> bool:
        """Return whether the answer came to its end."""
        return False

    def has_ended(self) -> bool:
        """Return whether the mark has come after which nothing of the answer follows."""
        return self._is_done

    # ------------------------------------------------------------------------- reading

    def _in_order(self) -> list[dict[str, Any]]:
        return [self._items[index] for index in sorted(self._items)]

    def feed(self, data: bytes) -> list[Delta]:
        """Take bytes as they come; return what they bring of the answer."""
        if len(self._head) < _HEAD_BYTES:
            self._head += data[:_HEAD_BYTES]
        if self._is_document is not False:
            self._document.append(data)
            if self._is_document is None:
                data = b"".join(self._document)
                self._is_document = is_document(data)
            if self._is_document is not False:
                return []
            data = data.removeprefix(BYTE_ORDER_MARK)
        deltas: list[Delta] = []
        for event in self._decoder.feed(data):
            deltas += self._take(event)
        return deltas

    def whole(self, data: bytes) -> bytes:
        """Return the unstreamed body of a stream that is there in one piece."""
        self.feed(data)
        return self.finish()

    def finish(self) -> bytes:
        """Return the body the same request would have had unstreamed; where a document came, that.

        Raises:
            IncompleteReply: If the answer, or everything, lacks its end, or if a piece of it
                could not be read.
            LLMNBError: Of another type, if the stream brought an error before any answer.
        """
        if self._is_document:
            return without_done(b"".join(self._document))
        unreadable = self._unreadable
        for event in self._decoder.finish():
            self._take(event)
        # What the end cut off is judged by what is missing then, not by being cut off.
        self._unreadable = unreadable
        try:
            raw = json_bytes.write(self.assembled(), is_strict=False)
        except json_bytes.NotJSON:
            self._unreadable += 1
            raw = self._head
        if (error := self._fault(raw)) is not None:
            raise error
        return raw

    def _take(self, data: bytes) -> list[Delta]:
        if self._is_done or not data:
            return []
        if data.strip() == b"[DONE]":
            self._is_done = True
            return []
        try:
            event = json_bytes.read(data, mend=False)
            if not isinstance(event, dict):
                raise BadEvent
            if event.get("error"):
                self._error = event
            return self.take(event)
        except (json_bytes.NotJSON, BadEvent):
            self._unreadable += 1
            return []

    def _fault(self, raw: bytes) -> LLMNBError | None:
        if self._error is not None:
            error = error_inside(self._error, raw, where="in mid-stream")
            if not self.has_begun():
                return error
            # Something was answered and may have been billed, so this is no ordinary failure.
            fault = (
                f"The stream broke off. {error.message}\nWhat came before is kept with the error "
                "and is not used as an answer."
            )
        elif not self.has_begun():
            raw = self._head
            fault = "The stream brought no answer at all. What came is kept with the error."
        elif self._unreadable:
            fault = (
                f"{self._unreadable} of the stream's events could not be read, so its answer has "
                "holes. What came is kept with the error and is not used as an answer."
            )
        elif not self.is_whole():
            fault = (
                "The stream ended before the answer did: its finish marker never came. "
                "What came is kept with the error and is not used as an answer."
            )
        else:
            return None
        return IncompleteReply(fault, status=200, raw=raw, body=safe_text(raw))


class SamplesAssembler(EventAssembler):
    """Reads a stream whose events hold pieces of one or several answers, each with its index.

    Args:
        samples: Answers without which the stream is not whole.
    """

    ANSWERS: ClassVar[str] = "choices"
    """Field in which the answers stand."""

    USAGE: ClassVar[str] = "usage"
    END: ClassVar[str] = "finish_reason"
    """Field of an answer that says why it ended."""

    NO_END: ClassVar[str | None] = None
    """What stands there where it has not ended."""

    EXTENDED: ClassVar[frozenset[str]] = frozenset(("logprobs",))
    """Fields of an answer that are objects with lists, to which every piece adds."""

    READ: ClassVar[tuple[str, ...]] = ()
    """Fields of a piece that `grow_answer` reads."""

    FIXED: ClassVar[Mapping[str, Any]] = {}
    """Fields of every unstreamed body."""

    def __init__(self, *, samples: int = 1) -> None:
        super().__init__()
        self._body = dict(self.FIXED)
        self._samples = samples
        self._read_otherwise = frozenset((*self.READ, "index", self.END))

    def blank(self, index: int) -> dict[str, Any]:
        """Return an answer before its first piece."""
        return {"index": index}

    def grow_answer(self, answer: dict[str, Any], piece: Mapping[str, Any]) -> Delta | None:
        """Add a piece to its answer; return what it brings, None where it brings nothing."""
        raise NotImplementedError

    def finish_answer(self, answer: dict[str, Any]) -> None:
        """Make an answer look as it would unstreamed."""
        join(answer)

    def take(self, event: dict[str, Any]) -> list[Delta]:
        """Add what one event says; return what it brings of the answers."""
        for name, value in event.items():
            if value is not None and name not in (self.ANSWERS, self.USAGE, "error", "object"):
                self._body[name] = value
        update_known(self._body, self.USAGE, event.get(self.USAGE))
        deltas = [self._add(piece) for piece in dicts_in(event, self.ANSWERS)]
        return [delta for delta in deltas if delta is not None]

    def _add(self, piece: Mapping[str, Any]) -> Delta | None:
        index = index_of(piece)
        answer = self._items.get(index)
        if answer is None:
            answer = self._items[index] = self.blank(index)
        if (reason := ends.reason_text(piece.get(self.END))) not in (None, self.NO_END):
            answer[self.END] = reason
        for name, value in piece.items():
            if name in self.EXTENDED:
                _extend(answer, name, value)
            elif name not in self._read_otherwise and value not in (None, ""):
                answer[name] = value
        delta = self.grow_answer(answer, piece)
        if delta is None or (delta.text.isascii() and delta.reasoning.isascii()):
            return delta
        return Delta(text=mended(delta.text), reasoning=mended(delta.reasoning))

    def assembled(self) -> dict[str, Any]:
        """Return the unstreamed body of what came."""
        if self._items:
            self._body[self.ANSWERS] = self._in_order()
        for answer in self._items.values():
            self.finish_answer(answer)
        return self._body

    def is_whole(self) -> bool:
        """Return whether every answer came to its end."""
        answers = self._items.values()
        return len(answers) >= self._samples and all(answer.get(self.END) for answer in answers)
