"""OpenAI's chat completions, which most providers speak, and its older text completions.

A stream is put together again as the body that it would have been unstreamed. It is whole when
every choice has a finish reason: ``[DONE]`` alone is not enough, and not needed, as
`transformers serve` never sends it.

Source: OpenAI API reference, "Chat completions", "Completions (legacy)"; DeepSeek, vLLM and
OpenRouter for the two names of the reasoning; Mistral for content in parts.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from llmnb.records import Delta, Reply, ToolCall, Usage
from llmnb.wire import conversation, ends, json_bytes
from llmnb.wire.classify import error_inside
from llmnb.wire.conversation import input_error
from llmnb.wire.dialect import Dialect, bad_reply
from llmnb.wire.event_stream import Growing, SamplesAssembler, extend_list, grow, join
from llmnb.wire.untrusted import dict_in, dicts_in, index_of, join_texts, list_in, text_in
from llmnb.wire.usage import openai_usage

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


# ---------------------------------------------------------------------------------- chat

_NEW_LENGTH_NAME = re.compile(r"(?:.*/)?(?:o\d|gpt-(?:[5-9]|[1-9]\d))(?:[-.:@]|$)")
"""Models of OpenAI that refuse ``max_tokens`` and want ``max_completion_tokens``.

Most who speak the protocol know the old name only, so it is changed for these alone.
"""

_THOUGHTS = frozenset(REASONING)
_FURTHER = ("tool_calls", "function_call", "audio", "images")
"""What an answer may hold in place of a text."""


class OpenAIChat(Dialect):
    """Dialect ``openai.chat``."""

    name = "openai.chat"
    stream_fields = STREAM_FIELDS

    def body(
        self, request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a new request body; ``prompt`` and ``input`` become one user message.

        Raises:
            InputError: If the request asks nothing, or asks it in a form chat does not have.

        Example:
            >>> OpenAIChat().body({"prompt": "Hi"}, model="m", params={"temperature": 0})
            {'temperature': 0, 'model': 'm', 'messages': [{'role': 'user', 'content': 'Hi'}]}
        """
        body = conversation.merge_fields(request, params, model)
        body["messages"] = conversation.asked_in(body, roles=object)
        if "max_tokens" in body and _wants_new_name(model):
            body.setdefault("max_completion_tokens", body.pop("max_tokens"))
        return body

    def assembler(self, *, samples: int = 1) -> ChatAssembler:
        """Return what reads one streamed reply."""
        return ChatAssembler(samples=samples)

    def reply(self, body: dict[str, Any], raw: bytes) -> Reply:
        """Read a reply's object."""
        choices = choices_of(body, raw)
        for choice in choices:
            if type(choice.get("message")) is not dict:
                raise bad_reply(raw, "has a choice without a message")
        message = choices[0]["message"]
        text, calls = _text(message), message.get("tool_calls")
        is_plain = type(message.get("content")) is str and _THOUGHTS.isdisjoint(message)
        thoughts = None if is_plain else reasoning_of(message)
        usage = openai_usage(body, wrote=bool(text or calls or thoughts))
        # Checked in place, not by `text_in`: every cached row is read here.
        model, response_id = body.get("model"), body.get("id")
        several: list[ends.End] = []
        reason, quality = _end(choices[0], text, usage)
        if len(choices) > 1:
            several = [_end(choice, _text(choice["message"]), usage) for choice in choices]
            reason, quality = ends.worst(several)
        return Reply(
            text=text,
            finish_reason=reason,
            quality=quality,
            model=model if type(model) is str else None,
            response_id=response_id if type(response_id) is str else None,
            usage=usage,
            texts=tuple(_text(choice["message"]) for choice in choices) if several else (),
            ends=tuple(several),
            tool_calls=_tool_calls(calls) if calls else (),
            handed_back=_handed_back(message) if calls else None,
            reasoning=thoughts,
            logprobs=choices[0].get("logprobs"),
            raw=raw,
        )


@functools.lru_cache(maxsize=256)
def _wants_new_name(model: str) -> bool:
    return _NEW_LENGTH_NAME.match(model) is not None


def _text(message: Mapping[str, Any]) -> str:
    """Return the text; a model that only refuses speaks in a field of its own."""
    content = message.get("content")
    if type(content) is str and content:
        return content
    return text_of(content) or text_in(message, "refusal") or ""


def _end(choice: Mapping[str, Any], text: str, usage: Usage | None) -> ends.End:
    """Return why a choice with such a text ended, and what it is worth."""
    message, reason = choice["message"], choice.get("finish_reason")
    quality = ends.worth(reason, message.get("refusal"))
    if not text and not any(map(message.get, _FURTHER)):
        is_null = message.get("content") is None
        quality = ends.worth_without_text(quality, usage, reasoning_of(message), is_null=is_null)
    return reason if reason == "stop" else ends.reason_text(reason), quality


_HANDED_BACK = ("reasoning_content", "reasoning_details", "thinking_blocks")
"""What thinking models want back with a turn that calls tools.

The first at DeepSeek, Z.ai, xAI and Kimi, the second at OpenRouter, the third through LiteLLM.
"""


def _handed_back(message: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return {name: message[name] for name in _HANDED_BACK if message.get(name)} or None


def _tool_calls(calls: Any) -> tuple[ToolCall, ...]:
    read: list[ToolCall] = []
    for call in calls if isinstance(calls, list) else ():
        # Some servers give their calls no ids: results are matched by them.
        if (made := tool_call(call, otherwise=f"call_{len(read)}")) is not None:
            read.append(made)
    return tuple(read)


def tool_call(call: Any, *, otherwise: str = "") -> ToolCall | None:
    """Return a call of a tool as OpenAI writes it; None where it names none.

    Args:
        call: As it stands in a message.
        otherwise: Its id, where it has none.

    Example:
        >>> tool_call({"id": "a", "function": {"name": "now", "arguments": "{}"}})
        ToolCall(id='a', name='now', arguments='{}')
    """
    if not isinstance(call, Mapping):
        return None
    name = str(call.get("id") or otherwise)
    function, custom = dict_in(call, "function"), dict_in(call, "custom")
    if isinstance(function.get("name"), str):
        return ToolCall(
            id=name,
            name=function["name"],
            arguments=json_bytes.arguments_text(function.get("arguments")),
            signature=conversation.signature_of(call),
        )
    if isinstance(custom.get("name"), str):
        text = text_in(custom, "input") or ""
        return ToolCall(id=name, name=custom["name"], arguments=text, kind="custom")
    return None


# ---------------------------------------------------------------------------------- text


class OpenAIText(Dialect):
    """Dialect ``openai.text``."""

    name = "openai.text"
    stream_fields = STREAM_FIELDS

    def body(
        self, request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a new request body with a ``prompt``: text, or what else the endpoint takes.

        One message of the user that is text alone is such a prompt.

        Raises:
            InputError: If the request asks nothing, or holds a conversation.

        Example:
            >>> OpenAIText().body({"input": "Once"}, model="m", params={"max_tokens": 5})
            {'max_tokens': 5, 'model': 'm', 'prompt': 'Once'}
        """
        body = conversation.merge_fields(request, params, model)
        name = conversation.question_in(body)
        prompt = body.pop(name)
        if name == "messages":
            prompt = _only_text(prompt)
            if prompt is None:
                raise input_error(
                    "A text completion takes a prompt, not a conversation: give prompt=…, or ask "
                    "with gen_type='chat'."
                )
        if not isinstance(prompt, str) and not (isinstance(prompt, (list, tuple)) and prompt):
            raise input_error(
                f"{name} is {type(prompt).__name__}; a text completion takes text, or a list of "
                "texts or tokens."
            )
        body["prompt"] = prompt
        return body

    def assembler(self, *, samples: int = 1) -> TextAssembler:
        """Return what reads one streamed reply."""
        return TextAssembler(samples=samples)

    def reply(self, body: dict[str, Any], raw: bytes) -> Reply:
        """Read a reply's object."""
        choices = choices_of(body, raw)
        if any(choice.get("text") is None for choice in choices):
            raise bad_reply(raw, "has a choice without a text")
        texts = [text_of(choice["text"]) for choice in choices]
        reasons = [ends.reason_text(choice.get("finish_reason")) for choice in choices]
        answers = ends.of_answers(texts, [(reason, ends.worth(reason)) for reason in reasons])
        usage = openai_usage(body, wrote=any(texts))
        if not any(texts):
            answers["quality"] = ends.worth_without_text(answers["quality"], usage, None)
        return Reply(
            **answers,
            model=text_in(body, "model"),
            response_id=text_in(body, "id"),
            usage=usage,
            logprobs=choices[0].get("logprobs"),
            raw=raw,
        )


def _only_text(messages: Any) -> str | None:
    """Return what a person says where that is the whole conversation, and nothing but text."""
    if not isinstance(messages, (list, tuple)) or len(messages) != 1:
        return None
    (message,) = messages
    if not isinstance(message, Mapping) or message.keys() != {"role", "content"}:
        return None
    return text_in(message, "content") if message["role"] == "user" else None


# ------------------------------------------------------------------------------ streamed

_DETAILS = "reasoning_details"
"""OpenRouter's list of thoughts; the pieces of one have the same index."""

_GROWING_DETAILS = ("text", "summary", "data")
_MOST_CALLS = 1024
"""More tool calls in one message are a fault, not an answer."""

_MOST_CHECKS = 100
"""How often it is looked whether the arguments of a call are whole: each look reads all of them."""


class ChatAssembler(SamplesAssembler):
    """Reads a streamed chat message: ``delta`` objects add up to a message."""

    FIXED: ClassVar[Mapping[str, Any]] = {"object": "chat.completion"}
    READ = ("delta", "message", "text")

    def take(self, event: dict[str, Any]) -> list[Delta]:
        """Add what one event says; return what it brings of the answers."""
        deltas = super().take(event)
        for piece in dicts_in(event, "choices"):
            if piece.get("error"):
                self._error = piece
        if usage := dict_in(dict_in(event, "x_groq"), "usage"):
            self._body.setdefault("usage", usage)
        return deltas

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


class TextAssembler(ChatAssembler):
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

    finish_answer = SamplesAssembler.finish_answer


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
        if extra := dict_in(piece, "extra_content"):
            call["extra_content"] = extra
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
