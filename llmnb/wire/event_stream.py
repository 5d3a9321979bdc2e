"""Streams of events put together into one body, or said to be broken: what all dialects share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.errors import IncompleteReply, LLMNBError
from llmnb.records import Delta
from llmnb.wire import json_bytes
from llmnb.wire.classify import error_inside, shown
from llmnb.wire.sse import EventDecoder, is_document, without_done

_HEAD_BYTES = 2000


class EventAssembler:
    """Reads one streamed reply; a dialect says what its events mean."""

    __slots__ = ("_begun", "_decoder", "_document", "_error", "_garbled", "_head", "_is_done")

    def __init__(self) -> None:
        self._decoder = EventDecoder()
        self._error: Mapping[str, Any] | None = None
        self._garbled = 0
        self._head = b""
        self._is_done = False
        self._begun: bytes | None = b""
        """What came before it is clear what comes; None afterwards."""

        self._document: list[bytes] | None = None
        """The pieces of a document that came in a stream's place."""

    # ------------------------------------------------------------ what a dialect says

    def take(self, chunk: dict[str, Any]) -> list[Delta]:
        """Add what one event says; returns what it brings of the answer."""
        raise NotImplementedError

    def assembled(self) -> dict[str, Any]:
        """Return the unstreamed body of what came; called once, at the end."""
        raise NotImplementedError

    def has_begun(self) -> bool:
        """Whether anything of an answer came."""
        raise NotImplementedError

    def is_whole(self) -> bool:
        """Whether the answer came to its end."""
        raise NotImplementedError

    def has_ended(self) -> bool:
        """Whether the mark has come after which nothing of the answer follows."""
        return self._is_done

    # ------------------------------------------------------------------------- reading

    def feed(self, data: bytes) -> list[Delta]:
        """Take bytes as they come; returns what they bring of the answer."""
        if len(self._head) < _HEAD_BYTES:
            self._head += data[:_HEAD_BYTES]
        if self._begun is not None:
            data = self._opened(data)
        if self._document is not None:
            self._document.append(data)
            return []
        deltas: list[Delta] = []
        for event in self._decoder.feed(data):
            deltas += self._take_event(event)
        return deltas

    def whole(self, data: bytes) -> bytes:
        """Return the unstreamed body of a stream that is there in one piece."""
        self.feed(data)
        return self.finish()

    def finish(self) -> bytes:
        """Return the unstreamed body; where a document came in place of a stream, that.

        Raises:
            IncompleteReply: If the answer, or everything, lacks its end, or if a piece of it
                could not be read.
            LLMNBError: Of another type, if the stream brought an error before any answer.
        """
        if self._document is not None:
            return without_done(b"".join(self._document))
        was_garbled = self._garbled
        for event in self._decoder.finish():
            self._take_event(event)
        # What the end cut off is judged by what is missing then, not by being cut off.
        self._garbled = was_garbled
        raw = self._written(self.assembled())
        if (error := self._fault(raw)) is not None:
            raise error
        return raw

    def _opened(self, data: bytes) -> bytes:
        """Return what has come so far once it tells whether it is a stream or a document."""
        assert self._begun is not None
        self._begun += data
        found = is_document(self._begun)
        if found is None:
            return b""
        data, self._begun = self._begun, None
        if found:
            self._document = []
        return data

    def note_error(self, value: Mapping[str, Any]) -> None:
        """Remember an object that says what went wrong."""
        self._error = value

    def note_garbled(self) -> None:
        """Remember that a piece could not be read."""
        self._garbled += 1

    def _take_event(self, event: bytes) -> list[Delta]:
        if self._is_done or not event:
            return []
        if event.strip() == b"[DONE]":
            self._is_done = True
            return []
        try:
            chunk = json_bytes.read(event, mend=False)
        except json_bytes.NotJSON:
            chunk = None
        if not isinstance(chunk, dict):
            self._garbled += 1
            return []
        if chunk.get("error"):
            self._error = chunk
        return self.take(chunk)

    def _written(self, body: dict[str, Any]) -> bytes:
        try:
            return json_bytes.write(body, is_strict=False)
        except json_bytes.NotJSON:
            self._garbled += 1
            return self._head

    def _fault(self, raw: bytes) -> LLMNBError | None:
        kept: dict[str, Any] = {"status": 200, "raw": raw, "body": shown(raw)}
        if self._error is not None:
            error = error_inside(self._error, raw, where="in mid-stream")
            if not self.has_begun():
                return error
            # Something was answered and may have been billed, so this is no ordinary failure.
            return IncompleteReply(
                f"The stream broke off. {error.message}\nWhat came before is kept with the error "
                "and is not used as an answer.",
                **kept,
            )
        if not self.has_begun():
            kept.update(raw=self._head, body=shown(self._head))
            return IncompleteReply(
                "The stream brought no answer at all. What came is kept with the error.", **kept
            )
        if self._garbled:
            return IncompleteReply(
                f"{self._garbled} of the stream's events could not be read, so its answer has "
                "holes. What came is kept with the error and is not used as an answer.",
                **kept,
            )
        if self.is_whole():
            return None
        return IncompleteReply(
            "The stream ended before the answer did: its finish marker never came. "
            "What came is kept with the error and is not used as an answer.",
            **kept,
        )
