"""What all dialects have in common: replies are read without trust, faults are said in one form."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from llmnb.errors import BadReply
from llmnb.records import Quality, Reply
from llmnb.wire import json_bytes
from llmnb.wire.classify import error_inside, problem_of, shown
from llmnb.wire.event_stream import EventAssembler, is_stream, without_done


class Dialect:
    """One way of asking and answering."""

    name: ClassVar[str]
    """Name in the catalog, such as ``"openai.chat"``."""

    def body(
        self, request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a new request body.

        Args:
            request: ``messages``, ``prompt`` or ``input``, and any further
                fields of the body; they win over `params`, and one that is
                None takes a parameter back. Never changed; its lists are
                shared, not copied.
            model: Model, as the provider spells it.
            params: Fields of the body where the request does not say otherwise.

        Raises:
            InputError: If the request asks nothing, or nothing this dialect can ask.
        """
        raise NotImplementedError

    def stream_body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the same body, asking for a stream that ends with the usage."""
        return {**body, "stream": True}

    def assembler(self, *, samples: int = 1) -> EventAssembler:
        """Return what reads one streamed reply; where a dialect has none, one that reads errors.

        Args:
            samples: Answers asked for in the one request (``n``); with fewer
                the stream is not whole.
        """
        return EventAssembler()

    def parse(self, raw: bytes) -> Reply:
        """Read a reply; one that was streamed against our wish is put together first.

        Raises:
            BadReply: If it cannot be read; its bytes are kept.
            LLMNBError: Of another type, if it says what went wrong.
        """
        if raw[:1] != b"{":
            raw = self.unstreamed(raw)
        try:
            body, readable = json_bytes.read_with_bytes(raw)
        except json_bytes.NotJSON:
            body, readable = _read_before_done(raw)
        if type(body) is not dict:
            raise _unreadable(raw, f"is a JSON {_KINDS.get(type(body), 'value')}, not an object")
        if body.get("error"):
            raise error_inside(body, raw)
        reply = self.reply(body, raw)
        return reply if readable is raw else dataclasses.replace(reply, raw=readable)

    def unstreamed(self, raw: bytes) -> bytes:
        """Return the one body of what does not begin as one."""
        return self.assembler().whole(raw) if is_stream(raw) else raw

    def reply(self, body: dict[str, Any], raw: bytes) -> Reply:
        """Read a reply's object, which speaks of no error; see `parse`."""
        raise NotImplementedError


def _read_before_done(raw: bytes) -> tuple[Any, bytes]:
    """Read what can be read once the mark of a stream's end behind it is gone."""
    try:
        return json_bytes.read_with_bytes(without_done(raw))
    except json_bytes.NotJSON:
        raise _unreadable(raw, "is not JSON") from None


_KINDS: dict[type, str] = {
    **{type(None): "null", list: "list", str: "text", bool: "truth value"},
    **dict.fromkeys((int, float), "number"),
}


def _unreadable(raw: bytes, fault: str) -> BadReply:
    if not raw.strip():
        fault = "is empty"
    elif raw.lstrip()[:1] == b"<":
        page = shown(problem_of(raw).message.encode())[:200]
        fault = f"is {page}: is the address right, or does a login stand before it"
    return unusable(raw, fault)


def unusable(raw: bytes, fault: str) -> BadReply:
    """Return the error for a reply that lacks what an answer needs."""
    return BadReply(
        f"A reply came ({len(raw):,} bytes) that {fault}. It may have been billed. Its "
        "bytes are kept with the error, and it is not asked again in this run.",
        status=200,
        raw=raw,
        body=shown(raw),
    )


End = tuple[str | None, Quality]
"""Why an answer ended, and what it is worth."""

_WORST_FIRST: tuple[Quality, ...] = (
    *("refused", "filtered", "broken", "truncated", "empty", "unknown", "good"),
)


def worst(ends: Sequence[End]) -> End:
    """Return the end of the worst of several answers; a reply is no better than that.

    Example:
        >>> worst([("stop", "good"), ("length", "truncated"), ("stop", "good")])
        ('length', 'truncated')
    """
    return min(ends, key=lambda end: _WORST_FIRST.index(end[1]))
