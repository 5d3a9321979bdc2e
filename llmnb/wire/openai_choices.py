"""OpenAI's chat and text replies: their choices and contents, whole or streamed.

A stream is put together again as the body that it would have been unstreamed. It is whole when
every choice has a finish reason: ``[DONE]`` alone is not enough, and not needed, as
`transformers serve` never sends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from llmnb.records import Delta
from llmnb.wire import json_bytes
from llmnb.wire.classify import error_inside
from llmnb.wire.dialect import bad_reply
from llmnb.wire.event_stream import Growing, SamplesAssembler, extend_list, grow, join
from llmnb.wire.untrusted import dict_in, dicts_in, index_of, join_texts, list_in

STREAM_FIELDS = {"stream": True, "stream_options": {"include_usage": True}}
"""Fields with which chat and text completions are asked for as a stream."""


def choices_of(body: Mapping[str, Any], raw: bytes) -> list[dict[str, Any]]:
    """Return a reply's choices, in order; there is at least one.

    Raises:
        BadReply: If there are none that could be read.
        LLMNBError: Of another type, if one of them says what went wrong.
    """
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        if body.get("object") == "error":
            raise error_inside(body, raw)
        raise bad_reply(raw, "has no choices")
    for choice in choices:
        if type(choice) is not dict:
            raise bad_reply(raw, "has a choice that is no object")
        if choice.get("finish_reason") == "error" or choice.get("error"):
            raise error_inside(choice, raw)
    return sorted(choices, key=index_of) if len(choices) > 1 else choices


# ------------------------------------------------------------------------------ contents

REASONING = ("reasoning_content", "reasoning")
"""Names under which a message shows its reasoning."""


def text_of(content: Any) -> str:
    """Return a content as text; parts that are not text are left out, a value is its JSON.

    Example:
        >>> text_of([{"type": "text", "text": "Hi"}, {"type": "thinking", "thinking": []}])
        'Hi'
        >>> text_of({"stars": 4})
        '{"stars":4}'
        >>> text_of([1, 2])
        '[1,2]'
    """
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if is_in_parts(content):
        return join_texts((part for part in content if isinstance(part, dict)), "text")
    # Cloudflare gives what was asked for as JSON already read.
    return json_bytes.write(content, is_strict=False).decode()


def is_in_parts(content: Any) -> bool:
    """Return whether a content is a list of parts; a list of anything else is a value.

    Example:
        >>> is_in_parts([{"type": "text", "text": "Hi"}]), is_in_parts([1, 2])
        (True, False)
    """
    if not isinstance(content, list):
        return False
    return not content or any(
        isinstance(part, dict) and ("type" in part or "text" in part) for part in content
    )


def thinking_of(content: Any) -> str:
    """Return the reasoning that Mistral puts among the parts of a content."""
    thoughts = (part.get("thinking") for part in dicts_in({"content": content}, "content"))
    return "".join(text_of(thought) for thought in thoughts if isinstance(thought, (str, list)))


def reasoning_of(message: Mapping[str, Any]) -> str | None:
    """Return the reasoning that a message shows, under whichever name; None where it shows none.

    Example:
        >>> reasoning_of({"content": "4", "reasoning_content": "2 + 2"})
        '2 + 2'
    """
    first, second = REASONING
    reasoning = message.get(first) or message.get(second)
    if reasoning and isinstance(reasoning, str):
        return reasoning
    return thinking_of(message.get("content")) or None


# ------------------------------------------------------------------------------ streamed

_DETAILS = "reasoning_details"
"""OpenRouter's list of thoughts; the pieces of one have the same index."""

_GROWING_DETAILS = ("text", "summary", "data")
_MOST_CALLS = 1024
"""More tool calls in one message are a fault, not an answer."""

_MOST_CHECKS = 100
"""How often it is looked whether the arguments of a call are whole: each look reads all of them."""


class _ChoiceAssembler(SamplesAssembler):
    READ = ("delta", "message", "text")

    def take(self, event: dict[str, Any]) -> list[Delta]:
        deltas = super().take(event)
        for piece in dicts_in(event, "choices"):
            if piece.get("error"):
                self._error = piece
        if usage := dict_in(dict_in(event, "x_groq"), "usage"):
            self._body.setdefault("usage", usage)
        return deltas


class TextAssembler(_ChoiceAssembler):
    """Reads a streamed text completion: texts add up to texts."""

    FIXED: ClassVar[Mapping[str, Any]] = {"object": "text_completion"}

    def blank(self, index: int) -> dict[str, Any]:
        """Return a choice before its first piece."""
        return {"index": index, "text": Growing(), "logprobs": None, "finish_reason": None}

    def grow_answer(self, answer: dict[str, Any], piece: Mapping[str, Any]) -> Delta | None:
        """Add one piece; return its text."""
        text = text_of(piece.get("text"))
        grow(answer, "text", text)
        return Delta(text=text) if text else None

    def finish_answer(self, answer: dict[str, Any]) -> None:
        """Join the text."""
        join(answer)


class ChatAssembler(_ChoiceAssembler):
    """Reads a streamed chat message: ``delta`` objects add up to a message."""

    FIXED: ClassVar[Mapping[str, Any]] = {"object": "chat.completion"}

    def blank(self, index: int) -> dict[str, Any]:
        """Return a choice before its first piece."""
        message = {"role": "assistant", "content": None}
        return {"index": index, "message": message, "logprobs": None, "finish_reason": None}

    def grow_answer(self, answer: dict[str, Any], piece: Mapping[str, Any]) -> Delta | None:
        """Add one piece; return its text, or an empty `Delta` for a part of a tool call."""
        message = answer["message"]
        text = reasoning = ""
        is_progress = False
        for name, value in dict_in(piece, "delta").items():
            if name == "content":
                text = _add_content(message, value)
                reasoning = reasoning or thinking_of(value)
            elif name == "refusal" or name in REASONING:
                if isinstance(value, str) and value:
                    grow(message, name, value)
                    # Some send the same words under both names.
                    reasoning = reasoning or (value if name in REASONING else "")
                    is_progress = True
                elif value and name == "refusal":
                    message.setdefault(name, value)
            elif name == "tool_calls":
                is_progress = _add_calls(message, value) or is_progress
            elif name == "function_call":
                called = message.setdefault(name, {})
                is_progress = _add_to_call(called, value, "arguments") or is_progress
            elif name == _DETAILS and isinstance(value, list):
                _add_details(message.setdefault(name, []), value)
            elif isinstance(value, list):
                extend_list(message, name, value)
            elif value is not None:
                message[name] = value
        return Delta(text=text, reasoning=reasoning) if text or reasoning or is_progress else None

    def finish_answer(self, answer: dict[str, Any]) -> None:
        """Join the texts; take out of tool calls what only streams have."""
        message = answer["message"]
        for fields in (message, dict_in(message, "function_call"), *dicts_in(message, _DETAILS)):
            join(fields)
        for call in list_in(message, "tool_calls"):
            for name in ("index", "checks"):
                call.pop(name, None)
            join(call.get("custom") or call["function"])


def _add_content(message: dict[str, Any], value: Any) -> str:
    """Add text or parts to a message's content; return the new text."""
    known = message["content"]
    if not isinstance(value, str) and value is not None and not is_in_parts(value):
        value = text_of(value)
    if isinstance(value, str):
        if type(known) is list:
            known.append({"type": "text", "text": value})
        else:
            grow(message, "content", value)
    elif isinstance(value, list):
        if isinstance(known, Growing):
            text = "".join(known)
            message["content"] = [{"type": "text", "text": text}] if text else []
        extend_list(message, "content", value)
    return text_of(value)


def _add_details(known: Any, details: list[Any]) -> None:
    """Add pieces of thoughts to those that are there."""
    if type(known) is not list:
        return
    for detail in details:
        last = known[-1] if known and isinstance(known[-1], dict) else None
        if (
            last is None
            or not isinstance(detail, dict)
            or detail.get("index") is None
            or any(detail.get(name) != last.get(name) for name in ("index", "type"))
        ):
            known.append(detail)
            continue
        for name, value in detail.items():
            if name in _GROWING_DETAILS and isinstance(value, str):
                grow(last, name, value)
            elif value is not None:
                last[name] = value


# ------------------------------------------------------------------------- calls of tools


def _add_calls(message: dict[str, Any], value: Any) -> bool:
    """Add pieces of tool calls; return whether there were any."""
    if not isinstance(value, list):
        return False
    known = message.get("tool_calls")
    if not isinstance(known, list):
        known = message["tool_calls"] = []
    was_added = False
    for piece in value:
        if not isinstance(piece, dict) or len(known) >= _MOST_CALLS:
            continue
        call = _call_of(known, piece)
        if isinstance(name := piece.get("id"), str) and name and not call["id"]:
            call["id"] = name
        if isinstance(kind := piece.get("type"), str) and kind:
            call["type"] = kind
        if isinstance(custom := piece.get("custom"), dict):
            call.pop("function", None)
            _add_to_call(call.setdefault("custom", {"name": "", "input": ""}), custom, "input")
        elif "custom" not in call:
            _add_to_call(call["function"], piece.get("function"), "arguments")
        was_added = True
    return was_added


def _call_of(known: list[dict[str, Any]], piece: Mapping[str, Any]) -> dict[str, Any]:
    """Return the call that a piece belongs to; a new call where it belongs to none so far.

    Pieces of one call share an ``index`` and, where it is repeated, an ``id``. Some servers give
    every call the index 0 or none, and some every piece another id or none: then a call begins
    where a name says so.
    """
    index, name = piece.get("index"), piece.get("id")
    near = [call for call in known if index is None or call["index"] == index]
    if name and (same := [call for call in near if call["id"] == name]):
        return same[-1]
    if near and not _begins_another(near[-1], piece):
        return near[-1]
    function = {"name": "", "arguments": ""}
    call = {"index": index, "id": "", "type": "function", "function": function, "checks": 0}
    known.append(call)
    return call


def _begins_another(call: dict[str, Any], piece: Mapping[str, Any]) -> bool:
    """Return whether a piece begins another call, where no id tells."""
    has_other_id = bool(piece.get("id") and call["id"])
    fresh, called = _function_of(piece), _function_of(call)
    name, before = fresh.get("name"), called.get("name")
    if not isinstance(name, str) or not name:
        return has_other_id and not fresh.get("arguments")
    if has_other_id or not before:
        return has_other_id
    if not name.startswith(before):
        return True
    # The same name again: of the same call, or of one that came in one piece like that before.
    if str(fresh.get("arguments"))[:1] != "{" or call["checks"] == _MOST_CHECKS:
        return False
    call["checks"] += 1
    return _is_whole_json(called.get("arguments"))


def _function_of(call: Mapping[str, Any]) -> dict[str, Any]:
    return dict_in(call, "custom") or dict_in(call, "function")


def _is_whole_json(arguments: Any) -> bool:
    if not isinstance(arguments, Growing):
        return isinstance(arguments, dict)
    try:
        json_bytes.read("".join(arguments).encode("utf-8", "surrogatepass"))
    except json_bytes.NotJSON:
        return False
    return True


def _add_to_call(called: Any, piece: Any, growing: str) -> bool:
    """Add a piece of a called function; return whether it was one.

    A name comes whole, and from some servers again with every piece.
    """
    if not isinstance(piece, dict) or not isinstance(called, dict):
        return False
    if isinstance(name := piece.get("name"), str) and name:
        called["name"] = name
    value = piece.get(growing)
    if isinstance(value, str):
        grow(called, growing, value)
    elif value is not None:
        called[growing] = value
    return True
