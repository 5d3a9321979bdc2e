"""Requests for structured answers: by the provider's own schemas if it has them, repaired once."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from llmnb.engine.target import Call
from llmnb.records import Reply
from llmnb.schemas import Output, instruction, repair_messages, response_format
from llmnb.targets.target import HTTPTarget

QUESTIONS = ("messages", "prompt", "input")

_TEXT = "openai.text"
"""The dialect that takes one text, and no conversation."""


def structured_call(
    target: HTTPTarget,
    question: Mapping[str, Any],
    params: Mapping[str, Any],
    output: Output,
    *,
    sample: int = 0,
    extra: bytes = b"",
) -> Call:
    """Return what to send for a request whose answer must have a form.

    Args:
        target: Who is asked.
        question: ``messages``, ``prompt`` or ``input``, and further fields of the body.
        params: Fields of the body where the request does not say otherwise.
        output: The form.
        sample: Which of several samples of one prompt this is.
        extra: Further bytes that tell answers apart.

    Raises:
        InputError: If the request asks nothing or cannot be written.
    """
    fields = {name: value for name, value in question.items() if name not in QUESTIONS}
    text = question.get("prompt") or question.get("input") or ""
    messages = list(question.get("messages") or [{"role": "user", "content": text}])
    if target.row.has_schemas and target.dialect_name != _TEXT:
        fields.setdefault("response_format", response_format(output))
    else:
        messages = _with_instructions(messages, instruction(output))

    def call_of(messages: Sequence[Mapping[str, Any]]) -> Call:
        request: Mapping[str, Any] = {"messages": messages, **fields}
        if target.dialect_name == _TEXT:
            prompt = "\n\n".join(str(message.get("content", "")) for message in messages)
            request = {"prompt": prompt, **fields}
        call = target.call(request, params, sample=sample, extra=extra)
        call.check = functools.partial(value_in, output)
        call.checks_in_thread = output.has_code
        return call

    call = call_of(messages)
    call.repair = lambda reply, error: call_of(repair_messages(messages, reply.text, error))
    return call


def value_in(output: Output, reply: Reply) -> Any:
    """Return the value that a reply holds; None where it asks for a tool first.

    Raises:
        SchemaMismatch: If there is none that fits.
    """
    if reply.tool_calls and not reply.text.strip():
        return None  # the answer comes in a later turn
    return output.validate(reply.text)


def _with_instructions(messages: list[Mapping[str, Any]], form: str) -> list[Mapping[str, Any]]:
    """Return messages with the form of the answer in the system message."""
    if messages and messages[0].get("role") == "system":
        first = {**messages[0], "content": f"{messages[0].get('content', '')}\n\n{form}"}
        return [first, *messages[1:]]
    return [{"role": "system", "content": form}, *messages]
