"""Promises about requests with values of another kind in them: a body, or an error of the row."""

from __future__ import annotations

import copy

import pytest

from llmnb.chat.messages import messages_of
from llmnb.errors import LLMNBError
from llmnb.wire import canonical
from llmnb.wire.dialect import dialect

ODD = [
    *(None, True, 7, 1.5, float("nan"), "x", "", b"x", object(), {1}),
    *([], {}, (), [7], ["x"], [None], [[]], [{}], ("x",), {"a": 1}, {1: 2}),
]
CALLS = [
    {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "s"}},
    },
    {"id": "d", "type": "custom", "custom": {"name": "g", "input": "x"}},
]
PARTS = [
    {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}},
    {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk=", "filename": "f"}},
    {"type": "input_audio", "input_audio": {"format": "mp3", "data": "aGk="}},
]
TURNS = [
    {"role": "system", "content": "Be brief."},
    *({"role": "user", "name": "u", "content": [part]} for part in PARTS),
    *({"role": "assistant", "content": "c", "tool_calls": [call]} for call in CALLS),
    {"role": "assistant", "content": "c", "thinking_blocks": [{}], "output_items": [{"type": "a"}]},
    {"role": "tool", "tool_call_id": "c", "name": "f", "content": [{"type": "text", "text": "r"}]},
    {"role": "model", "parts": [{"text": "x"}]},
]
SCHEMA = {
    "type": "object",
    "properties": {"a": {"anyOf": [{"type": "string", "maxLength": 2}], "items": {}}},
    "allOf": [{}],
    "minItems": 2,
    "$defs": {"A": {}},
}
TOOLS = [
    {
        "type": "function",
        "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
    },
    {"type": "web_search"},
]
FIELDS = {
    "max_tokens": 5,
    "stop": ["."],
    "n": 1,
    "temperature": 0.5,
    "tools": TOOLS,
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "parallel_tool_calls": True,
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
    "reasoning_effort": "low",
    "logprobs": True,
    "top_logprobs": 2,
    "user": "u",
    "system": "s",
    "thinking": {"type": "enabled", "budget_tokens": 100},
    "output_config": {"effort": "low"},
    "verbosity": "low",
    "text": {"verbosity": "low"},
    "reasoning": {"effort": "low"},
    "include": ["x"],
    "systemInstruction": {"parts": [{"text": "x"}]},
    "generationConfig": {"topP": 1},
    "metadata": {"a": "b"},
    "stop_tokens": ["."],
    "service_tier": "flex",
}
USER = {"role": "user", "content": "x"}


def requests():
    """Yield requests that each say one thing."""
    yield {"prompt": "x"}
    yield {"input": "x"}
    for turn in TURNS:
        yield {"messages": [USER, turn]}
    for name, value in FIELDS.items():
        tools = {"tools": TOOLS} if name in ("tool_choice", "parallel_tool_calls") else {}
        yield {"messages": [USER], **tools, name: value}


def spoilt(value):
    """Yield copies of a value in which one place holds something odd."""
    yield from ODD
    positions = value.items() if isinstance(value, dict) else ()
    for position, inner in enumerate(value) if isinstance(value, list) else positions:
        for changed in spoilt(inner):
            copied = copy.copy(value)
            copied[position] = changed
            yield copied


@pytest.mark.parametrize(
    ("name", "model"),
    [
        *(("openai.chat", "m"), ("openai.text", "m"), ("openai.responses", "m")),
        *(("openai.embeddings", "m"), ("anthropic.messages", "claude-haiku-4-5")),
        *(("anthropic.messages", "claude-2"), ("gemini.generate", "gemini-2.5-flash")),
        ("gemini.generate", "gemini-3-flash"),
    ],
)
def test_an_odd_value_is_sent_or_is_an_error_of_its_row(name, model):
    """
    Wherever it stands; what cannot be written says so, and nothing else is raised.
    """
    spoken = dialect(name)
    written = 0
    for request in requests():
        for odd in spoilt(request):
            if isinstance(odd, dict):
                try:
                    canonical.canonical(spoken.body(odd, model=model, params={}))
                    written += 1
                except LLMNBError:
                    continue

    assert written


def test_odd_values_make_turns_or_an_error():
    """
    A conversation that is made of them can be read, or is refused before it is sent.
    """
    for turn in TURNS:
        for odd in spoilt([turn]):
            try:
                turns = messages_of(odd)
            except LLMNBError:
                continue
            assert all(isinstance(turn.text, str) for turn in turns)
            assert all(turn.body()["role"] for turn in turns)
