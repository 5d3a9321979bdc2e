"""OpenAI's streams put together again: the body the same request would have had unstreamed.

A stream is whole when every choice has a finish reason. ``[DONE]`` alone is
not enough, and not needed: `transformers serve` never sends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from llmnb.display.texts import mended
from llmnb.records import Delta
from llmnb.wire import ends
from llmnb.wire.event_stream import EventAssembler
from llmnb.wire.openai_replies import index_of

_NOT_OF_THE_WHOLE = frozenset(("choices", "error", "object", "usage"))
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


class StreamAssembler(EventAssembler):
    """Reads one streamed reply.

    Args:
        kind: The unstreamed body's ``object`` field.
        pieces: How its choices add up.
        samples: Choices without which the stream is not whole.
    """

    __slots__ = ("_body", "_choices", "_pieces", "_samples")

    def __init__(self, kind: str, pieces: Pieces, *, samples: int = 1) -> None:
        super().__init__()
        self._pieces = pieces
        self._samples = samples
        self._body: dict[str, Any] = {"object": kind}
        self._choices: dict[int, dict[str, Any]] = {}

    def take(self, chunk: dict[str, Any]) -> list[Delta]:
        """Add what one event says; returns what it brings of the answer."""
        for name, value in chunk.items():
            if value is not None and name not in _NOT_OF_THE_WHOLE:
                self._body[name] = value
        if isinstance(usage := chunk.get("usage"), dict):
            # Totals so far, where it comes more than once; some say nothing more at the end.
            known = self._body.get("usage", {})
            self._body["usage"] = known | {
                key: one for key, one in usage.items() if one is not None
            }
        if isinstance(groq := chunk.get("x_groq"), dict) and isinstance(groq.get("usage"), dict):
            self._body.setdefault("usage", groq["usage"])
        pieces = chunk.get("choices")
        if not isinstance(pieces, list):
            return []
        found = (self._add(piece) for piece in pieces if isinstance(piece, dict))
        return [delta for delta in found if delta is not None]

    def assembled(self) -> dict[str, Any]:
        """Return the unstreamed body of what came."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        for choice in choices:
            self._pieces.finish(choice)
        self._body["choices"] = choices
        return self._body

    def has_begun(self) -> bool:
        """Whether any choice came."""
        return bool(self._choices)

    def is_whole(self) -> bool:
        """Whether every choice came to its end."""
        choices = self._choices.values()
        return len(choices) >= self._samples and all(one["finish_reason"] for one in choices)

    def _add(self, piece: Mapping[str, Any]) -> Delta | None:
        index = index_of(piece)
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = self._pieces.blank(index)
        if piece.get("error"):
            self.note_error(piece)
        if (reason := piece.get("finish_reason")) is not None and (reason := ends.word(reason)):
            choice["finish_reason"] = reason
        for name, value in piece.items():
            if name not in _NOT_OF_A_CHOICE and value not in (None, ""):
                choice[name] = value
        if isinstance(logprobs := piece.get("logprobs"), dict):
            _extend(choice, logprobs)
        delta = self._pieces.add(choice, piece)
        if delta is None or (delta.text.isascii() and delta.reasoning.isascii()):
            return delta
        return Delta(text=mended(delta.text), reasoning=mended(delta.reasoning))


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
