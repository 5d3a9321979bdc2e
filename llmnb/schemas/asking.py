"""How an answer with a form is asked for, and asked for once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from llmnb.schemas.faults import faults_in
from llmnb.schemas.output import Output

MAX_BAD_ANSWER = 4000
"""Characters of a bad answer that are shown to the model again."""


def response_format(output: Output) -> dict[str, Any]:
    """Return the field ``response_format`` of OpenAI's protocol.

    Where the schema cannot be enforced strictly it is sent as it is, not strict.

    Example:
        >>> from llmnb.schemas.output import output_of
        >>> wanted = response_format(output_of(int))
        >>> wanted["json_schema"]["name"], wanted["json_schema"]["strict"]
        ('answer', True)
    """
    is_strict = output.strict_schema is not None
    inner = {
        "name": output.name,
        "schema": output.strict_schema if is_strict else output.json_schema,
        "strict": is_strict,
    }
    return {"type": "json_schema", "json_schema": inner}


def instruction(output: Output) -> str:
    """Return the words that ask for an answer where a server has no schema mode.

    Example:
        >>> from llmnb.schemas.output import output_of
        >>> print(instruction(output_of(("good", "bad"))))
        Answer with JSON only: one JSON object, no words around it, no code fence.
        The object must fit this JSON Schema:
        {"type":"object","properties":{"value":{"enum":["good","bad"],"type":"string"}},...
    """
    schema = orjson.dumps(output.json_schema).decode()
    return (
        "Answer with JSON only: one JSON object, no words around it, no code fence.\n"
        f"The object must fit this JSON Schema:\n{schema}"
    )


def repair_messages(
    messages: Sequence[Mapping[str, Any]], bad_text: str, error: Exception | str
) -> list[dict[str, Any]]:
    """Return the conversation that asks a model to mend its answer.

    Args:
        messages: What was asked; not changed.
        bad_text: What the model answered; a long one is shown in part.
        error: What was wrong with it.

    Example:
        >>> [one["role"] for one in repair_messages([{"role": "user"}], "5 stars", "no JSON")]
        ['user', 'assistant', 'user']
    """
    faults = "\n".join(f"- {fault}" for fault in faults_in(error))
    request = (
        "That answer cannot be used:\n"
        f"{faults}\n"
        "Give the whole answer again with this put right: one JSON document that fits the "
        "schema, no words around it, no code fence."
    )
    return [
        *(dict(message) for message in messages),
        {"role": "assistant", "content": _shown(bad_text)},
        {"role": "user", "content": request},
    ]


def _shown(text: str) -> str:
    if not text.strip():
        return "(nothing)"  # some providers refuse a turn without text
    if len(text) <= MAX_BAD_ANSWER:
        return text
    half = MAX_BAD_ANSWER // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n[… {left_out:,} characters left out …]\n{text[-half:]}"
