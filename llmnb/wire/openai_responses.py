"""OpenAI's Responses API: items go in, items come out.

The event that ends a stream (``response.completed``, ``response.incomplete``,
``response.failed``) carries the whole response. What came before it is put
together all the same: a stream that breaks off is kept as far as it came, and
some servers leave the output out of their last event.

Source: OpenAI API reference, "The response object", "Streaming events"; the guides "Reasoning
models" (how an answer ends early) and "Structured outputs" (refusals).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmnb.display.texts import mended
from llmnb.records import Delta, Quality, Reply, ToolCall, Usage
from llmnb.wire import ends, openai_responses_requests
from llmnb.wire.classify import error_inside
from llmnb.wire.dialect import Dialect, bad_reply
from llmnb.wire.event_stream import EventAssembler, extend_list, grow, join
from llmnb.wire.untrusted import count_in, dict_in, dicts_in, join_texts, list_in, text_in
from llmnb.wire.usage import dollars, tier, with_counts

COMMENTARY = "commentary"
"""Phase of a message in which a model says what it is doing, before it answers."""

CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
"""Types of items that call a tool, each with the name of its field for the arguments."""


class OpenAIResponses(Dialect):
    """Dialect ``openai.responses``."""

    name = "openai.responses"
    body = staticmethod(openai_responses_requests.body)

    def assembler(self, *, samples: int = 1) -> EventAssembler:
        """Return an assembler for one streamed reply; it has one answer, whatever `samples` is."""
        return _ResponseAssembler()

    def reply(self, body: dict[str, Any], raw: bytes) -> Reply:
        """Read a reply's object."""
        output, status = body.get("output"), body.get("status")
        if not isinstance(output, list) or not all(isinstance(item, dict) for item in output):
            if body.get("object") == "error" or body.get("type") == "error":
                raise error_inside(body, raw)
            raise bad_reply(raw, "has no output that could be read")
        if status not in ("completed", "incomplete", None):
            raise bad_reply(raw, f"has the status {str(status)[:40]!r} and no answer")
        if not output and status != "incomplete":
            raise bad_reply(raw, "has nothing in its output")
        parts, commentary = _parts(output)
        refusal = join_texts(parts, "refusal")
        reason = _reason(body)
        text = join_texts(parts, "text") or refusal
        thoughts = "\n\n".join(_thoughts(output)) or None
        calls = tuple(_tool_calls(output))
        used = usage(body, wrote=bool(text or thoughts) or _has_other_items(output))
        quality: Quality = "good"
        if refusal:
            quality = "refused"
        elif status == "incomplete":
            quality = ends.worth(reason)
            quality = quality if quality in ("truncated", "filtered") else "broken"
        if not text and not _has_other_items(output):
            quality = ends.worth_without_text(quality, used, thoughts, is_null=not parts)
        is_stored = body.get("store") is True
        return Reply(
            text=text,
            finish_reason=reason,
            quality=quality,
            model=text_in(body, "model"),
            response_id=text_in(body, "id"),
            usage=used,
            tool_calls=calls,
            handed_back=_handed_back(output, is_stored=is_stored) if calls else None,
            reasoning=thoughts,
            commentary=join_texts(commentary, "text") or None,
            logprobs=[logprob for part in parts for logprob in list_in(part, "logprobs")] or None,
            raw=raw,
        )


_Parts = list[dict[str, Any]]


def _parts(output: list[dict[str, Any]]) -> tuple[_Parts, _Parts]:
    """Return the parts of the answer, and of what the model says while it still works.

    Where there is nothing else, no call either, the commentary is the answer.
    """
    answers: _Parts = []
    commentary: _Parts = []
    is_only_commentary = True
    for item in output:
        if item.get("type") == "message":
            is_commentary = item.get("phase") == COMMENTARY
            (commentary if is_commentary else answers).extend(dicts_in(item, "content"))
            is_only_commentary &= is_commentary
        elif str(item.get("type")) in CALLS:
            is_only_commentary = False
    return (commentary, []) if is_only_commentary else (answers, commentary)


def _has_other_items(output: list[dict[str, Any]]) -> bool:
    """Return whether the output has items beside messages and reasoning, such as tool calls."""
    return any(item.get("type") not in ("message", "reasoning") for item in output)


def _thoughts(output: list[dict[str, Any]]) -> list[str]:
    """Return the reasoning that is shown: a model's own, else summaries of it."""
    items = [item for item in output if item.get("type") == "reasoning"]
    return [
        text for item in items for text in _texts_in(item, "content") or _texts_in(item, "summary")
    ]


def _texts_in(item: Mapping[str, Any], name: str) -> list[str]:
    return [text for part in dicts_in(item, name) if (text := text_in(part, "text"))]


def _tool_calls(output: list[dict[str, Any]]) -> Iterator[ToolCall]:
    for position, item in enumerate(output):
        kind = str(item.get("type"))
        if kind not in CALLS or not isinstance(item.get("name"), str):
            continue
        yield ToolCall(
            id=str(item.get("call_id") or item.get("id") or f"call_{position}"),
            name=item["name"],
            arguments=text_in(item, CALLS[kind]) or "",
            kind="custom" if kind == "custom_tool_call" else "function",
        )


def _handed_back(output: list[dict[str, Any]], *, is_stored: bool) -> Mapping[str, Any] | None:
    """Return the items to send back with the next turn; None if text and tool calls say it all.

    All items go back, in order. Reasoning without content is left out if the turn was not stored:
    the server could not find it by its id, and would refuse the next request.

    Source: OpenAI's guide "Reasoning models" (without storage, reasoning comes encrypted without
    being asked for), xAI's "Troubleshooting Reasoning"; gpt-oss servers return it as plain text.
    """
    kept = [item for item in output if is_stored or not _lacks_content(item)]
    has_more = any(item.get("type") == "reasoning" or item.get("phase") for item in kept)
    return {openai_responses_requests.ITEMS: kept} if has_more else None


def _lacks_content(item: Mapping[str, Any]) -> bool:
    """Return whether an item is reasoning without its content, encrypted or as text."""
    return item.get("type") == "reasoning" and not (
        item.get("encrypted_content") or _texts_in(item, "content")
    )


def _reason(body: Mapping[str, Any]) -> str | None:
    """Return why the answer ended: the reason where it ended early, else its status."""
    reason = text_in(dict_in(body, "incomplete_details"), "reason")
    return reason or text_in(body, "status")


def usage(body: Mapping[str, Any], *, wrote: bool = True) -> Usage | None:
    """Return the tokens a reply says it used; None when it does not say.

    Example:
        >>> usage({"usage": {"input_tokens": 3, "output_tokens": 1}}).total
        4
    """
    used = dict_in(body, "usage")
    details = dict_in(used, "input_tokens_details")
    usage = Usage(
        cache_read=count_in(details, "cached_tokens") or 0,
        cache_write=count_in(details, "cache_write_tokens") or 0,
        reasoning=count_in(dict_in(used, "output_tokens_details"), "reasoning_tokens") or 0,
        tier=tier(body.get("service_tier")),
        usd=dollars(used),
    )
    prompt, completion = count_in(used, "input_tokens"), count_in(used, "output_tokens")
    return with_counts(usage, prompt, completion, count_in(used, "total_tokens"), wrote=wrote)


# -------------------------------------------------------------------------------- streamed

_ENDS = ("response.completed", "response.incomplete", "response.failed")
"""Events that end a stream."""

_MOST_ITEMS = 4096
"""Positions of items from here on count as unreadable, and so do more parts of all items."""

_PART_FIELDS = {
    "response.output_text.delta": ("content", "output_text", "text"),
    "response.refusal.delta": ("content", "refusal", "refusal"),
    "response.reasoning_text.delta": ("content", "reasoning_text", "text"),
    "response.reasoning_summary_text.delta": ("summary", "summary_text", "text"),
}
"""For each event with a piece of text: the item's list it belongs to, the type of the part in that
list, and the part's field to which it is appended."""

_ARGUMENT_FIELDS = {
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}
"""For each event with a piece of a tool call: the item's field to which it is appended."""


class _ResponseAssembler(EventAssembler):
    """Puts the events of one streamed reply together to the body of the unstreamed one."""

    def __init__(self) -> None:
        super().__init__()
        self._response: dict[str, Any] = {}
        """The latest response object; the one that ends a stream is complete."""

        self._items: dict[int, dict[str, Any]] = {}
        """Output items so far, by their position in the output."""

        self._parts_made = 0
        """Parts of items that were made for their pieces, empty ones before them included."""

        self._has_ended = False
        """Whether the latest response object came with an event that ends the stream."""

        self._thought: tuple[Any, ...] = ()
        """Item, list and position of the part of reasoning that came last."""

        self._commentary: list[str] = []
        """Pieces of commentary so far."""

    def take(self, event: dict[str, Any]) -> list[Delta]:
        kind = str(event.get("type"))
        delta = None
        if kind in _PART_FIELDS:
            delta = self._grow_part(event, *_PART_FIELDS[kind])
        elif kind in _ARGUMENT_FIELDS:
            delta = self._grow_item(event, _ARGUMENT_FIELDS[kind])
        elif kind in ("response.output_item.added", "response.output_item.done"):
            delta = self._set_item(event)
        elif kind in ("response.created", "response.in_progress", "response.queued", *_ENDS):
            self._set_response(event, has_ended=kind in _ENDS)
            if self._has_ended and self._commentary and not self._has_answer():
                # Nothing came but commentary, so it is the answer (as in `_parts`).
                delta = Delta(text="".join(self._commentary))
        elif kind == "error":
            self._error = event
            # The stored body must say why the stream broke off, and how long to wait.
            self._response["error"] = event.get("error") or event
        # Other events (ends of parts, annotations, kinds not known yet) add nothing.
        return [] if delta is None else [delta]

    def assembled(self) -> dict[str, Any]:
        items = [self._items[index] for index in sorted(self._items)]
        for item in items:
            for fields in (item, *dicts_in(item, "content"), *dicts_in(item, "summary")):
                join(fields)
        if not self._response.get("output"):
            self._response["output"] = items
        return self._response

    def has_begun(self) -> bool:
        """Return whether any of the answer came; a response that was only created has none."""
        return bool(self._items) or (self._has_ended and self._response.get("status") != "failed")

    def is_whole(self) -> bool:
        return self._has_ended

    def has_ended(self) -> bool:
        """Return whether the last event came, which carries the whole response."""
        return self._has_ended

    # ------------------------------------------------------------------------- events

    def _set_response(self, event: Mapping[str, Any], *, has_ended: bool) -> None:
        """Replace the response by the event's; if that ends the stream, take its error too.

        An event without a response object counts as unreadable and changes nothing else.

        Args:
            event: The event.
            has_ended: Whether it is the last one of the stream.
        """
        response = event.get("response")
        if not isinstance(response, dict):
            self._unreadable += 1
            return
        self._response = response
        self._has_ended = has_ended
        if has_ended and (response.get("error") or response.get("status") == "failed"):
            without_reason = {"message": "The response failed, and does not say why."}
            self._error = {"error": response.get("error") or without_reason}

    def _set_item(self, event: Mapping[str, Any]) -> Delta | None:
        item, index = event.get("item"), _index(event, "output_index")
        if not isinstance(item, dict) or index is None:
            self._unreadable += 1
            return None
        is_new = index not in self._items
        self._items[index] = item
        # A call of a tool has begun with its item; a message or reasoning begins with its text.
        return Delta() if is_new and item.get("type") not in ("message", "reasoning") else None

    def _grow_part(
        self, event: Mapping[str, Any], name: str, kind: str, field: str
    ) -> Delta | None:
        item, piece = self._item(event), event.get("delta")
        position = _index(event, "summary_index" if name == "summary" else "content_index")
        if item is None or position is None or not isinstance(piece, str):
            self._unreadable += 1
            return None
        parts = item.get(name)
        if not isinstance(parts, list):
            parts = item[name] = []
        missing = range(len(parts), position + 1)
        self._parts_made += len(missing)
        if self._parts_made > _MOST_ITEMS:
            self._unreadable += 1
            return None
        parts.extend({"type": kind} for _ in missing)
        part = parts[position]
        if not isinstance(part, dict):
            self._unreadable += 1
            return None
        grow(part, field, piece)
        if logprobs := list_in(event, "logprobs"):
            extend_list(part, "logprobs", logprobs)
        if not piece:
            return None
        if kind == "output_text" and item.get("phase") == COMMENTARY:
            self._commentary.append(mended(piece))
            return Delta(commentary=self._commentary[-1])
        if kind == "output_text":
            return Delta(text=mended(piece))
        if kind == "refusal":
            return Delta()
        return Delta(reasoning=self._gap(event, name, position) + mended(piece))

    def _grow_item(self, event: Mapping[str, Any], field: str) -> Delta | None:
        item, piece = self._item(event), event.get("delta")
        if item is None or not isinstance(piece, str):
            self._unreadable += 1
            return None
        grow(item, field, piece)
        return Delta()

    def _item(self, event: Mapping[str, Any]) -> dict[str, Any] | None:
        index = _index(event, "output_index")
        return None if index is None else self._items.get(index)

    def _has_answer(self) -> bool:
        """Return whether anything but commentary came: an answer, or a call of a tool."""
        return any(
            str(item.get("type")) in CALLS
            or (item.get("type") == "message" and item.get("phase") != COMMENTARY)
            for item in self._items.values()
        )

    def _gap(self, event: Mapping[str, Any], name: str, position: int) -> str:
        """Return a blank line if this piece begins a new part of the reasoning, else nothing."""
        thought = (event.get("output_index"), name, position)
        before, self._thought = self._thought, thought
        return "\n\n" if before and before != thought else ""


def _index(event: Mapping[str, Any], name: str) -> int | None:
    """Return the position in a field: 0 if the field is missing, None if its value is not valid."""
    index = event.get(name, 0)
    return index if type(index) is int and 0 <= index < _MOST_ITEMS else None
