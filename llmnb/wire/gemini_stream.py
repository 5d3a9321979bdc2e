"""Gemini's streams put together again: the body the same request would have had unstreamed.

Each event is a small reply of its own. A stream is whole when every candidate
has a finish reason, or when it says that the prompt was blocked; no event
marks its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.display.texts import mended
from llmnb.records import Delta
from llmnb.wire import ends
from llmnb.wire.event_stream import EventAssembler
from llmnb.wire.openai_replies import index_of
from llmnb.wire.openai_stream import Growing

_UNSAID = "FINISH_REASON_UNSPECIFIED"
_NOT_OF_THE_WHOLE = frozenset(("candidates", "error", "usageMetadata"))
_ADDED_UP = frozenset(("logprobsResult", "citationMetadata"))
_PLAIN = frozenset(("text", "thought"))
"""A part with nothing else grows into the one before it."""


class CandidateAssembler(EventAssembler):
    """Reads one streamed reply.

    Args:
        samples: Candidates without which the stream is not whole.
    """

    __slots__ = ("_body", "_candidates", "_samples")

    def __init__(self, *, samples: int = 1) -> None:
        super().__init__()
        self._body: dict[str, Any] = {}
        self._candidates: dict[int, dict[str, Any]] = {}
        self._samples = samples

    def take_whole(self, chunk: dict[str, Any]) -> None:
        """Add an event that did not come as one."""
        if chunk.get("error"):
            self.note_error(chunk)
        self.take(chunk)

    def take(self, chunk: dict[str, Any]) -> list[Delta]:
        """Add what one event says; returns what it brings of the answer."""
        for name, value in chunk.items():
            if value is not None and name not in _NOT_OF_THE_WHOLE:
                self._body[name] = value
        if isinstance(usage := chunk.get("usageMetadata"), dict):
            # Totals so far; the last event leaves some out now and then.
            self._body["usageMetadata"] = {**self._body.get("usageMetadata", {}), **usage}
        pieces = chunk.get("candidates")
        if not isinstance(pieces, list):
            return []
        found = (self._add(piece) for piece in pieces if isinstance(piece, dict))
        return [delta for delta in found if delta is not None]

    def assembled(self) -> dict[str, Any]:
        """Return the unstreamed body of what came."""
        candidates = [self._candidates[index] for index in sorted(self._candidates)]
        for candidate in candidates:
            for part in _parts(candidate):
                if isinstance(text := part.get("text"), Growing):
                    part["text"] = text.joined()
        if candidates:
            self._body["candidates"] = candidates
        return self._body

    def has_begun(self) -> bool:
        """Whether any candidate came, or the word that there will be none."""
        return bool(self._candidates) or self._is_blocked()

    def is_whole(self) -> bool:
        """Whether every candidate came to its end."""
        if not self._candidates:
            return self._is_blocked()
        candidates = self._candidates.values()
        return len(candidates) >= self._samples and all(
            candidate.get("finishReason") for candidate in candidates
        )

    def has_ended(self) -> bool:
        """Whether the answer came to its end; no event marks that of the stream."""
        return self.is_whole()

    def _is_blocked(self) -> bool:
        feedback = self._body.get("promptFeedback")
        return isinstance(feedback, dict) and bool(feedback.get("blockReason"))

    def _add(self, piece: Mapping[str, Any]) -> Delta | None:
        index = index_of(piece)
        candidate = self._candidates.setdefault(index, {"index": index})
        for name, value in piece.items():
            if name in _ADDED_UP:
                if isinstance(value, dict):
                    _extend(candidate.setdefault(name, {}), value)
            elif name == "finishReason":
                if (reason := ends.word(value)) not in (None, _UNSAID):
                    candidate[name] = reason
            elif name not in ("content", "index") and value is not None:
                candidate[name] = value
        content = piece.get("content")
        return _add_content(candidate, content) if isinstance(content, dict) else None


def _parts(candidate: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = candidate.get("content")
    return content["parts"] if isinstance(content, dict) else []


def _add_content(candidate: dict[str, Any], content: Mapping[str, Any]) -> Delta | None:
    """Add a piece's parts to its candidate's; returns what they bring of the answer."""
    whole = candidate.setdefault("content", {"parts": []})
    if isinstance(role := content.get("role"), str):
        whole["role"] = role
    parts = content.get("parts")
    text = reasoning = ""
    is_progress = False
    for part in parts if isinstance(parts, list) else ():
        if not isinstance(part, dict):
            continue
        _add_part(whole["parts"], part)
        said = part.get("text")
        if not isinstance(said, str):
            is_progress = True
        elif part.get("thought"):
            reasoning += said
        else:
            text += said
    if not (text or reasoning or is_progress):
        return None
    return Delta(text=mended(text), reasoning=mended(reasoning))


def _add_part(parts: list[dict[str, Any]], part: dict[str, Any]) -> None:
    text = part.get("text")
    if not isinstance(text, str):
        parts.append(part)
        return
    last = parts[-1] if parts else {}
    if (
        isinstance(known := last.get("text"), Growing)
        and _PLAIN.issuperset(last)
        and _PLAIN.issuperset(part)
        and bool(last.get("thought")) is bool(part.get("thought"))
    ):
        known.append(text)
    else:
        parts.append({**part, "text": Growing([text])})


def _extend(known: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add lists to lists; of anything else the last word counts."""
    for name, value in more.items():
        before = known.get(name)
        if isinstance(before, list) and isinstance(value, list):
            before.extend(value)
        elif value is not None:
            known[name] = list(value) if isinstance(value, list) else value
