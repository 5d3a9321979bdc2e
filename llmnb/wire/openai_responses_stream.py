"""Streams of the Responses API put together again: the response it would have been unstreamed.

The event that ends a stream (``response.completed``, ``response.incomplete``,
``response.failed``) carries the whole response. What came before it is put
together all the same: a stream that breaks off is kept as far as it came, and
some servers leave the output out of their last event.

Source: OpenAI API reference, "Streaming events" of the Responses API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.display.texts import mended
from llmnb.records import Delta
from llmnb.wire.event_stream import EventAssembler
from llmnb.wire.openai_stream import Growing

_ENDS = ("response.completed", "response.incomplete", "response.failed")
COMMENTARY = "commentary"
"""Phase of a message in which a model says what it does, and not what it answers."""

CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
"""Kinds of items that call a tool, and where each has what it is called with."""

_MOST_ITEMS = 4096
"""More items, or parts of one, are a fault, not an answer."""

_FIELDS = {
    "response.output_text.delta": ("content", "output_text", "text"),
    "response.refusal.delta": ("content", "refusal", "refusal"),
    "response.reasoning_text.delta": ("content", "reasoning_text", "text"),
    "response.reasoning_summary_text.delta": ("summary", "summary_text", "text"),
}
"""Which list of its item a piece belongs to, what kind of part it is, which field grows."""

_ARGUMENTS = {
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}


class ResponseAssembler(EventAssembler):
    """Reads one streamed response."""

    __slots__ = ("_commentary", "_has_ended", "_items", "_response", "_thought")

    def __init__(self) -> None:
        super().__init__()
        self._response: dict[str, Any] = {}
        self._items: dict[int, dict[str, Any]] = {}
        self._has_ended = False
        self._thought: tuple[Any, ...] = ()
        self._commentary: list[str] = []

    def take(self, chunk: dict[str, Any]) -> list[Delta]:
        """Add what one event says; returns what it brings of the answer."""
        kind = str(chunk.get("type"))
        delta = None
        if kind in _FIELDS:
            delta = self._grow_part(chunk, *_FIELDS[kind])
        elif kind in _ARGUMENTS:
            delta = self._grow_item(chunk, _ARGUMENTS[kind])
        elif kind in ("response.output_item.added", "response.output_item.done"):
            delta = self._set_item(chunk)
        elif kind in ("response.created", "response.in_progress", "response.queued", *_ENDS):
            self._set_response(chunk, has_ended=kind in _ENDS)
            if self._has_ended and self._commentary and not self._has_more():
                # Nothing else was said: it is the answer after all.
                delta = Delta(text="".join(self._commentary))
        elif kind == "error":
            self.note_error(chunk)
            # What is kept says why it broke off, and how long to wait.
            self._response["error"] = chunk.get("error") or chunk
        # The ends of parts, annotations and whatever comes tomorrow say nothing new.
        return [] if delta is None else [delta]

    def assembled(self) -> dict[str, Any]:
        """Return the unstreamed body of what came."""
        items = [self._items[index] for index in sorted(self._items)]
        for item in items:
            _join(item)
        if not self._response.get("output"):
            self._response["output"] = items
        return self._response

    def has_begun(self) -> bool:
        """Whether anything of an answer came; that a response was created is nothing yet."""
        return bool(self._items) or (self._has_ended and self._response.get("status") != "failed")

    def is_whole(self) -> bool:
        """Whether the response came to its end."""
        return self._has_ended

    def has_ended(self) -> bool:
        """Whether the event came that carries the whole response."""
        return self._has_ended

    # ------------------------------------------------------------------------- events

    def _set_response(self, chunk: Mapping[str, Any], *, has_ended: bool) -> None:
        response = chunk.get("response")
        if not isinstance(response, dict):
            self.note_garbled()
            return
        self._response = response
        self._has_ended = has_ended
        if has_ended and (response.get("error") or response.get("status") == "failed"):
            said = {"message": "The response failed, and does not say why."}
            self.note_error({"error": response.get("error") or said})

    def _set_item(self, chunk: Mapping[str, Any]) -> Delta | None:
        item, index = chunk.get("item"), _index(chunk, "output_index")
        if not isinstance(item, dict) or index is None:
            self.note_garbled()
            return None
        is_new = index not in self._items
        self._items[index] = item
        # A tool that is called has no text to wait for; a message or a thought has.
        return Delta() if is_new and item.get("type") not in ("message", "reasoning") else None

    def _grow_part(
        self, chunk: Mapping[str, Any], name: str, kind: str, field: str
    ) -> Delta | None:
        item, piece = self._item(chunk), chunk.get("delta")
        place = _index(chunk, "summary_index" if name == "summary" else "content_index")
        if item is None or place is None or not isinstance(piece, str):
            self.note_garbled()
            return None
        parts = item.get(name)
        if not isinstance(parts, list):
            parts = item[name] = []
        while len(parts) <= place:
            parts.append({"type": kind})
        part = parts[place]
        if not isinstance(part, dict):
            self.note_garbled()
            return None
        _grow(part, field, piece)
        if isinstance(logprobs := chunk.get("logprobs"), list) and logprobs:
            known = part.get("logprobs")
            part["logprobs"] = [*(known if isinstance(known, list) else []), *logprobs]
        if not piece:
            return None
        if kind == "output_text" and item.get("phase") == COMMENTARY:
            self._commentary.append(mended(piece))
            return Delta(commentary=self._commentary[-1])
        if kind == "output_text":
            return Delta(text=mended(piece))
        if kind == "refusal":
            return Delta()
        return Delta(reasoning=self._gap(chunk, name, place) + mended(piece))

    def _grow_item(self, chunk: Mapping[str, Any], field: str) -> Delta | None:
        item, piece = self._item(chunk), chunk.get("delta")
        if item is None or not isinstance(piece, str):
            self.note_garbled()
            return None
        _grow(item, field, piece)
        return Delta()

    def _item(self, chunk: Mapping[str, Any]) -> dict[str, Any] | None:
        index = _index(chunk, "output_index")
        return None if index is None else self._items.get(index)

    def _has_more(self) -> bool:
        """Whether there is an answer, or a call of a tool of the caller's, beside commentary."""
        return any(
            str(item.get("type")) in CALLS
            or (item.get("type") == "message" and item.get("phase") != COMMENTARY)
            for item in self._items.values()
        )

    def _gap(self, chunk: Mapping[str, Any], name: str, place: int) -> str:
        """Return what stands between two thoughts; within one there is nothing."""
        thought = (chunk.get("output_index"), name, place)
        before, self._thought = self._thought, thought
        return "\n\n" if before and before != thought else ""


def _index(chunk: Mapping[str, Any], name: str) -> int | None:
    """Return a place, 0 where it is left out, None where it is none."""
    index = chunk.get(name, 0)
    return index if type(index) is int and 0 <= index < _MOST_ITEMS else None


def _grow(fields: dict[str, Any], name: str, text: str) -> None:
    known = fields.get(name)
    if isinstance(known, Growing):
        known.append(text)
    else:
        fields[name] = Growing([known, text] if isinstance(known, str) else [text])


def _join(item: dict[str, Any]) -> None:
    """Join the texts of an item and of its parts."""
    parts = [part for name in ("content", "summary") for part in _dicts(item.get(name))]
    for fields in (item, *parts):
        for name, value in fields.items():
            if isinstance(value, Growing):
                fields[name] = value.joined()


def _dicts(parts: Any) -> list[dict[str, Any]]:
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
