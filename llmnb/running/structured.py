"""Questions whose answers must have a form: asked natively where the server can, mended once."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from llmnb.engine.target import Call
from llmnb.errors import LLMNBError
from llmnb.records import Reply
from llmnb.schemas import Output, instruction, repair_messages, response_format
from llmnb.targets.target import HTTPTarget


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
    messages = _messages(question)
    rest = {name: value for name, value in question.items() if name not in _QUESTIONS}
    if target.row.has_schemas and target.dialect_name != _TEXT:
        rest.setdefault("response_format", response_format(output))
    else:
        messages = _instructed(messages, instruction(output))
    return _call(target, messages, rest, params, output, sample=sample, extra=extra)


_QUESTIONS = ("messages", "prompt", "input")
_TEXT = "openai.text"
"""The dialect that takes one text, and no conversation."""


def _call(
    target: HTTPTarget,
    messages: Sequence[Mapping[str, Any]],
    rest: Mapping[str, Any],
    params: Mapping[str, Any],
    output: Output,
    *,
    sample: int,
    extra: bytes,
    may_repair: bool = True,
) -> Call:
    asked: Mapping[str, Any] = {"messages": messages, **rest}
    if target.dialect_name == _TEXT:
        asked = {"prompt": "\n\n".join(str(one.get("content", "")) for one in messages), **rest}
    call = target.call(asked, params, sample=sample, extra=extra)
    call.check = functools.partial(_value, output)
    call.checks_apart = output.has_code

    def repaired(reply: Reply, error: LLMNBError) -> Call:
        again = repair_messages(messages, reply.text, error)
        return _call(
            target, again, rest, params, output, sample=sample, extra=extra, may_repair=False
        )

    if may_repair:
        call.repair = repaired
    return call


def _value(output: Output, reply: Reply) -> Any:
    if reply.tool_calls and not reply.text.strip():
        return None  # it asks for a tool first; the answer comes in a later turn
    return output.validate(reply.text)


def _messages(question: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if question.get("messages"):
        return list(question["messages"])
    text = question.get("prompt") or question.get("input") or ""
    return [{"role": "user", "content": text}]


def _instructed(messages: list[Mapping[str, Any]], words: str) -> list[Mapping[str, Any]]:
    """Add what the answer must look like, where a model looks first."""
    if messages and messages[0].get("role") == "system":
        first = {**messages[0], "content": f"{messages[0].get('content', '')}\n\n{words}"}
        return [first, *messages[1:]]
    return [{"role": "system", "content": words}, *messages]
