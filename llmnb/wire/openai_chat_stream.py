"""How the pieces of a streamed chat message add up to the message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.records import Delta
from llmnb.wire import json_bytes
from llmnb.wire.openai_content import is_in_parts, text_of, thinking_of
from llmnb.wire.openai_stream import Growing

_REASONING = ("reasoning_content", "reasoning")
_GROWING = ("refusal", *_REASONING)
_DETAILS = "reasoning_details"
"""OpenRouter's list of thoughts; the pieces of one have the same place."""

_GROWING_DETAILS = ("text", "summary", "data")
_MOST_CALLS = 1024
"""More tool calls in one message are a fault, not an answer."""


class ChatPieces:
    """Adds ``delta`` objects to messages."""

    __slots__ = ()

    def blank(self, index: int) -> dict[str, Any]:
        """Return a choice before its first piece."""
        message = {"role": "assistant", "content": None}
        return {"index": index, "message": message, "logprobs": None, "finish_reason": None}

    def add(self, choice: dict[str, Any], piece: Mapping[str, Any]) -> Delta | None:
        """Add one piece; returns its text, or an empty `Delta` for a part of a tool call."""
        delta = piece.get("delta")
        if not isinstance(delta, dict):
            return None
        message = choice["message"]
        text = reasoning = ""
        is_progress = False
        for name, value in delta.items():
            if name == "content":
                text = _add_content(message, value)
                reasoning = reasoning or thinking_of(value)
            elif name in _GROWING:
                if isinstance(value, str) and value:
                    _grow(message, name, value)
                    # Some send the same words under both names.
                    reasoning = reasoning or (value if name in _REASONING else "")
                    is_progress = True
                elif value and name == "refusal":
                    message.setdefault(name, value)
            elif name == "tool_calls":
                is_progress = _add_calls(message, value) or is_progress
            elif name == "function_call":
                is_progress = _add_function(message.setdefault(name, {}), value) or is_progress
            elif name == _DETAILS and isinstance(value, list):
                _add_details(message.setdefault(name, []), value)
            elif isinstance(value, list):
                _grow_list(message, name, value)
            elif value is not None:
                message[name] = value
        return Delta(text=text, reasoning=reasoning) if text or reasoning or is_progress else None

    def finish(self, choice: dict[str, Any]) -> None:
        """Join the texts; take out the places of tool calls, which only streams have."""
        message = choice["message"]
        _join(message)
        if isinstance(function := message.get("function_call"), dict):
            _join(function)
        for detail in message.get(_DETAILS) or ():
            if isinstance(detail, dict):
                _join(detail)
        for call in message.get("tool_calls") or ():
            call.pop("index", None)
            _join(call.get("custom") or call["function"])


def _grow(fields: dict[str, Any], name: str, text: str) -> None:
    known = fields.get(name)
    if isinstance(known, Growing):
        known.append(text)
    else:
        fields[name] = Growing([known, text] if isinstance(known, str) else [text])


def _grow_list(fields: dict[str, Any], name: str, values: list[Any]) -> None:
    known = fields.get(name)
    if type(known) is list:
        known.extend(values)
    else:
        fields[name] = values


def _join(fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if isinstance(value, Growing):
            fields[name] = value.joined()


def _add_content(message: dict[str, Any], value: Any) -> str:
    """Add text or parts to a message's content; returns the new text."""
    known = message["content"]
    if not isinstance(value, str) and value is not None and not is_in_parts(value):
        value = text_of(value)
    if isinstance(value, str):
        if type(known) is list:
            known.append({"type": "text", "text": value})
        else:
            _grow(message, "content", value)
        return value
    if isinstance(value, list):
        if isinstance(known, Growing):
            text = known.joined()
            message["content"] = [{"type": "text", "text": text}] if text else []
        _grow_list(message, "content", value)
        return text_of(value)
    return ""


def _add_calls(message: dict[str, Any], pieces: Any) -> bool:
    """Add pieces of tool calls; returns whether there were any."""
    if not isinstance(pieces, list):
        return False
    known = message.get("tool_calls")
    if not isinstance(known, list):
        known = message["tool_calls"] = []
    was_added = False
    for piece in pieces:
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
            _add_function(call["function"], piece.get("function"))
        was_added = True
    return was_added


def _add_details(known: Any, pieces: list[Any]) -> None:
    """Add pieces of thoughts to those that are there."""
    if type(known) is not list:
        return
    for piece in pieces:
        last = known[-1] if known and isinstance(known[-1], dict) else None
        if (
            last is None
            or not isinstance(piece, dict)
            or piece.get("index") is None
            or any(piece.get(name) != last.get(name) for name in ("index", "type"))
        ):
            known.append(piece)
            continue
        for name, value in piece.items():
            if name in _GROWING_DETAILS and isinstance(value, str):
                _grow(last, name, value)
            elif value is not None:
                last[name] = value


def _call_of(known: list[dict[str, Any]], piece: Mapping[str, Any]) -> dict[str, Any]:
    """Return the call that a piece belongs to, a new one if it belongs to none.

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
    call = {"index": index, "id": "", "type": "function", "function": function}
    known.append(call)
    return call


def _begins_another(call: Mapping[str, Any], piece: Mapping[str, Any]) -> bool:
    """Whether a piece, not of a call by its id, begins another one."""
    has_other_id = bool(piece.get("id") and call["id"])
    fresh, called = _called(piece), _called(call)
    name, before = fresh.get("name"), called.get("name")
    if not isinstance(name, str) or not name:
        return has_other_id and not fresh.get("arguments")
    if has_other_id or not before:
        return has_other_id
    if not name.startswith(before):
        return True
    # The same name again: of the same call, or of one that came in one piece like that before.
    return str(fresh.get("arguments"))[:1] == "{" and _is_whole(called.get("arguments"))


def _called(call: Mapping[str, Any]) -> Mapping[str, Any]:
    found = call.get("custom") or call.get("function")
    return found if isinstance(found, dict) else {}


def _is_whole(arguments: Any) -> bool:
    if not isinstance(arguments, Growing):
        return isinstance(arguments, dict)
    try:
        json_bytes.read(arguments.joined().encode("utf-8", "surrogatepass"))
    except json_bytes.NotJSON:
        return False
    return True


def _add_function(function: Any, piece: Any) -> bool:
    """Add a piece of a function's name and arguments; returns whether there was one."""
    return _add_to_call(function, piece, "arguments")


def _add_to_call(called: Any, piece: Any, growing: str) -> bool:
    """Add a piece of what is called: only what it is called with grows.

    A name comes whole, and from some servers again with every piece.
    """
    if not isinstance(piece, dict) or not isinstance(called, dict):
        return False
    if isinstance(name := piece.get("name"), str) and name:
        called["name"] = name
    value = piece.get(growing)
    if isinstance(value, str):
        _grow(called, growing, value)
    elif value is not None:
        called[growing] = value
    return True
