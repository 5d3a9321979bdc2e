"""OpenAI's streams put together again: the body the same request would have had unstreamed.

A stream is whole when every choice has a finish reason. ``[DONE]`` alone is
not enough, and not needed: `transformers serve` never sends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from llmnb.errors import IncompleteReply, LLMNBError
from llmnb.records import Delta
from llmnb.wire import json_bytes
from llmnb.wire.classify import error_inside, shown
from llmnb.wire.openai_replies import index_of
from llmnb.wire.sse import EventDecoder

_HEAD_BYTES = 2000
_NOT_OF_THE_WHOLE = frozenset(("choices", "error", "object"))
_NOT_OF_A_CHOICE = frozenset(("index", "delta", "message", "text", "logprobs", "finish_reason"))


class Growing(list[str]):
    """A text that is still coming: joined once at the end, not copied with every piece."""

    __slots__ = ()

    def joined(self) -> str:
        """Return the text so far."""
        return "".join(self)


class Pieces(Protocol):
    """How the pieces of one kind of choice add up."""

    def blank(self, index: int) -> dict[str, Any]:
        """Return a choice before its first piece."""

    def add(self, choice: dict[str, Any], piece: Mapping[str, Any]) -> Delta | None:
        """Add one piece; returns what it brings of the answer, None when it brings nothing."""

    def finish(self, choice: dict[str, Any]) -> None:
        """Make the choice look as it would unstreamed."""


class StreamAssembler:
    """Reads one streamed reply.

    Args:
        kind: The unstreamed body's ``object`` field.
        pieces: How its choices add up.
        samples: Choices without which the stream is not whole.
    """

    __slots__ = (
        "_body",
        "_choices",
        "_decoder",
        "_error",
        "_garbled",
        "_head",
        "_pieces",
        "_samples",
    )

    def __init__(self, kind: str, pieces: Pieces, *, samples: int = 1) -> None:
        self._decoder = EventDecoder()
        self._pieces = pieces
        self._samples = samples
        self._body: dict[str, Any] = {"object": kind}
        self._choices: dict[int, dict[str, Any]] = {}
        self._error: Mapping[str, Any] | None = None
        self._garbled = 0
        self._head = b""

    def feed(self, data: bytes) -> list[Delta]:
        """Take bytes as they come; returns what they bring of the answer."""
        if len(self._head) < _HEAD_BYTES:
            self._head += data[:_HEAD_BYTES]
        deltas: list[Delta] = []
        for event in self._decoder.feed(data):
            deltas += self._take(event)
        return deltas

    def whole(self, data: bytes) -> bytes:
        """Return the unstreamed body of a stream that is there in one piece."""
        self.feed(data)
        return self.finish()

    def finish(self) -> bytes:
        """Return the unstreamed body.

        Raises:
            IncompleteReply: If a choice, or everything, lacks its finish reason, or if a piece
                of it could not be read.
            LLMNBError: Of another type, if the stream brought an error before any answer.
        """
        was_garbled = self._garbled
        for event in self._decoder.finish():
            self._take(event)
        # What the end cut off is judged by what is missing then, not by being cut off.
        self._garbled = was_garbled
        choices = [self._choices[index] for index in sorted(self._choices)]
        for choice in choices:
            self._pieces.finish(choice)
        self._body["choices"] = choices
        raw = self._written()
        if (error := self._fault(choices, raw)) is not None:
            raise error
        return raw

    def _written(self) -> bytes:
        try:
            return json_bytes.write(self._body, is_strict=False)
        except json_bytes.NotJSON:
            self._garbled += 1
            return self._head

    def _fault(self, choices: list[dict[str, Any]], raw: bytes) -> LLMNBError | None:
        kept: dict[str, Any] = {"status": 200, "raw": raw, "body": shown(raw)}
        if self._error is not None:
            error = error_inside(self._error, raw, where="in mid-stream")
            if not choices:
                return error
            # Something was answered and may have been billed, so this is no ordinary failure.
            return IncompleteReply(
                f"The stream broke off. {error.message}\nWhat came before is kept with the error "
                "and is not used as an answer.",
                **kept,
            )
        if not choices:
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
        is_whole = len(choices) >= self._samples and all(one["finish_reason"] for one in choices)
        if is_whole:
            return None
        return IncompleteReply(
            "The stream ended before the answer did: its finish marker never came. "
            "What came is kept with the error and is not used as an answer.",
            **kept,
        )

    def _take(self, event: bytes) -> list[Delta]:
        """Add one event."""
        if event.strip() == b"[DONE]" or not event:
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
        for name, value in chunk.items():
            if value is not None and name not in _NOT_OF_THE_WHOLE:
                self._body[name] = value
        if isinstance(groq := chunk.get("x_groq"), dict) and isinstance(groq.get("usage"), dict):
            self._body.setdefault("usage", groq["usage"])
        pieces = chunk.get("choices")
        if not isinstance(pieces, list):
            return []
        found = (self._add(piece) for piece in pieces if isinstance(piece, dict))
        return [delta for delta in found if delta is not None]

    def _add(self, piece: Mapping[str, Any]) -> Delta | None:
        index = index_of(piece)
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = self._pieces.blank(index)
        if piece.get("error"):
            self._error = piece
        if isinstance(reason := piece.get("finish_reason"), str) and reason:
            choice["finish_reason"] = reason
        for name, value in piece.items():
            if name not in _NOT_OF_A_CHOICE and value not in (None, ""):
                choice[name] = value
        if isinstance(logprobs := piece.get("logprobs"), dict):
            _extend(choice, logprobs)
        delta = self._pieces.add(choice, piece)
        if delta is None or (delta.text.isascii() and delta.reasoning.isascii()):
            return delta
        return Delta(text=_showable(delta.text), reasoning=_showable(delta.reasoning))


def _extend(choice: dict[str, Any], logprobs: Mapping[str, Any]) -> None:
    """Add a piece's log-probabilities, a list for each kind, to its choice's."""
    known = choice.get("logprobs")
    if not isinstance(known, dict):
        known = choice["logprobs"] = {}
    for name, values in logprobs.items():
        if isinstance(values, list):
            before = known.get(name)
            if isinstance(before, list):
                before.extend(values)
            else:
                known[name] = values
        elif values is not None or name not in known:
            known[name] = values


def _showable(text: str) -> str:
    """Return a text that any display can encode; half a surrogate pair is shown as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
