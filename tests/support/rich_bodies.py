"""Replies and streams of every dialect with all that they can hold, and ways to spoil them."""

from __future__ import annotations

import base64
import json
import random
import struct
from collections.abc import Callable
from typing import Any

TEXT = "Grüße, 世界 🙂"
_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
_TOKEN = {"token": "G", "logprob": -0.5, "bytes": [71], "top_logprobs": []}


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _events(*values: Any, named: bool = False, done: bool = True) -> bytes:
    stream = b""
    for value in values:
        name = f"event: {value['type']}\n".encode() if named else b""
        stream += name + b"data: " + _dump(value) + b"\n\n"
    return stream + (b"data: [DONE]\n\n" if done else b"")


_USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
_CHAT = {
    "id": "x",
    "object": "chat.completion",
    "model": "m",
    "choices": [
        {
            "index": index,
            "message": {
                "role": "assistant",
                "content": TEXT,
                "reasoning_content": "hm",
                "refusal": None,
                "tool_calls": [_CALL],
            },
            "logprobs": {"content": [_TOKEN]},
            "finish_reason": "stop",
        }
        for index in range(2)
    ],
    "usage": _USAGE,
    "system_fingerprint": "fp",
}
_CHAT_STREAM = _events(
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
    {"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]},
    {"choices": [{"index": 0, "delta": {"content": TEXT}, "logprobs": {"content": [_TOKEN]}}]},
    {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, **_CALL}]}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": _USAGE},
)
_PLAIN = {
    "object": "text_completion",
    "model": "m",
    "choices": [
        {
            "index": 0,
            "text": TEXT,
            "logprobs": {"tokens": ["G"], "token_logprobs": [-0.5], "top_logprobs": None},
            "finish_reason": "length",
        }
    ],
    "usage": _USAGE,
}
_MESSAGE = {
    "type": "message",
    "id": "msg",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": TEXT, "annotations": [], "logprobs": [_TOKEN]}],
}
_RESPONSE = {
    "id": "resp",
    "object": "response",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "m",
    "output": [
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]},
        _MESSAGE,
        {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}"},
    ],
    "usage": {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 3},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 13,
    },
}
_POSITION = {"item_id": "msg", "output_index": 0, "content_index": 0}
_RESPONSE_STREAM = _events(
    {"type": "response.created", "response": {**_RESPONSE, "status": "in_progress", "output": []}},
    {"type": "response.output_item.added", "output_index": 0, "item": {**_MESSAGE, "content": []}},
    {"type": "response.output_text.delta", **_POSITION, "delta": TEXT},
    {"type": "response.output_item.done", "output_index": 0, "item": _MESSAGE},
    {"type": "response.completed", "response": _RESPONSE},
    named=True,
    done=False,
)
_ANTHROPIC = {
    "id": "msg",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": TEXT},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 7},
}
_ANTHROPIC_STREAM = _events(
    {"type": "message_start", "message": {**_ANTHROPIC, "content": [], "stop_reason": None}},
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": TEXT},
    },
    {"type": "content_block_stop", "index": 0},
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    },
    {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": "input_json_delta", "partial_json": '{"a": 1}'},
    },
    {"type": "content_block_stop", "index": 1},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
    {"type": "message_stop"},
    named=True,
    done=False,
)
_CANDIDATE = {
    "content": {
        "role": "model",
        "parts": [
            {"text": "hm", "thought": True},
            {"text": TEXT},
            {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s"},
        ],
    },
    "finishReason": "STOP",
    "index": 0,
    "avgLogprobs": -0.5,
    "safetyRatings": [{"category": "HARM", "probability": "LOW", "blocked": False}],
    "logprobsResult": {
        "topCandidates": [{"candidates": [{"token": "G", "logProbability": -0.5}]}],
        "chosenCandidates": [{"token": "G", "logProbability": -0.5}],
    },
}
_GEMINI = {
    "candidates": [_CANDIDATE],
    "usageMetadata": {
        "promptTokenCount": 9,
        "candidatesTokenCount": 2,
        "thoughtsTokenCount": 1,
        "totalTokenCount": 12,
    },
    "modelVersion": "m",
    "promptFeedback": {"safetyRatings": []},
}
_GEMINI_STREAM = _events(
    {"candidates": [{"content": {"role": "model", "parts": [{"text": TEXT[:3]}]}, "index": 0}]},
    {**_GEMINI, "candidates": [{**_CANDIDATE, "content": {"parts": [{"text": TEXT[3:]}]}}]},
    done=False,
)
_VECTOR = struct.pack("<3f", 0.5, -1.0, 2.0)
_EMBEDDINGS = {
    "object": "list",
    "model": "m",
    "data": [
        {"object": "embedding", "index": 0, "embedding": [0.5, -1.0, 2.0]},
        {"object": "embedding", "index": 1, "embedding": base64.b64encode(_VECTOR).decode()},
    ],
    "usage": {"prompt_tokens": 5, "total_tokens": 5},
}

RICH: dict[str, tuple[bytes, bytes]] = {
    "openai.chat": (_dump(_CHAT), _CHAT_STREAM),
    "openai.text": (_dump(_PLAIN), _events(_PLAIN)),
    "openai.responses": (_dump(_RESPONSE), _RESPONSE_STREAM),
    "openai.embeddings": (_dump(_EMBEDDINGS), _events(_EMBEDDINGS)),
    "anthropic.messages": (_dump(_ANTHROPIC), _ANTHROPIC_STREAM),
    "gemini.generate": (_dump(_GEMINI), _GEMINI_STREAM),
}
"""One reply and one stream of each dialect."""

# ------------------------------------------------------------------------------- spoiling

ODD: list[bytes] = [
    *(b"null", b"true", b"0", b"-1", b'""', b"[]", b"{}", b"[[]]", b'{"error":{}}', b'"\\ud800"'),
    *(b"1e999", b"-1e999", b"NaN", b"Infinity", b"9" * 400, b"18446744073709551616", b"1.5"),
    *(b'"\xff"', b'"' + b"x" * 3000 + b'"', b"[" * 300 + b"]" * 300, b'{"a":' * 300 + b"1"),
    *(b'{"error":"x"}', b'[null,1,"a"]', b'"2024-01-01"', b"\x00", b"'a'", b"undefined"),
]
_VALUES = [None, True, False, 0, -1, 2**63, -0.5, "", "x", TEXT, "\ud83d", [], {}, [None], {"a": 1}]


def _flipped(raw: bytes, dice: random.Random) -> bytes:
    spoilt = bytearray(raw)
    for _ in range(dice.randint(1, 8)):
        spoilt[dice.randrange(len(spoilt))] = dice.randrange(256)
    return bytes(spoilt)


def _cut(raw: bytes, dice: random.Random) -> bytes:
    first, second = sorted(dice.randrange(len(raw) + 1) for _ in range(2))
    return dice.choice((raw[:first], raw[second:], raw[:first] + raw[second:]))


def _doubled(raw: bytes, dice: random.Random) -> bytes:
    first, second = sorted(dice.randrange(len(raw) + 1) for _ in range(2))
    return raw[:second] + raw[first:second] * dice.randint(1, 3) + raw[second:]


def _odd_value(raw: bytes, dice: random.Random) -> bytes:
    """Put something odd after a colon or a comma."""
    positions = [position for position, byte in enumerate(raw) if byte in b":,[{"]
    position = dice.choice(positions or [0]) + 1
    end = position + dice.randint(0, 12)
    return raw[:position] + dice.choice(ODD) + raw[end:]


def _odd_tree(raw: bytes, dice: random.Random) -> bytes:
    """Put something odd in the place of one value of what is good JSON, or leave one out."""
    try:
        tree = json.loads(raw)
    except ValueError:
        return _odd_stream(raw, dice)
    _spoil(tree, dice)
    return json.dumps(tree, ensure_ascii=True).encode()


def _odd_stream(raw: bytes, dice: random.Random) -> bytes:
    """Spoil, drop, repeat or move one event of a stream."""
    events = raw.split(b"\n\n")
    position = dice.randrange(len(events))
    head, mark, data = events[position].partition(b"data: ")
    how = dice.randrange(4)
    if how == 0 and data.startswith(b"{"):
        events[position] = head + mark + _odd_tree(data, dice)
    elif how == 1:
        del events[position]
    elif how == 2:
        events.insert(dice.randrange(len(events) + 1), events[position])
    else:
        dice.shuffle(events)
    return b"\n\n".join(events)


def _spoil(tree: Any, dice: random.Random) -> None:
    """Walk down to a random place and change what stands there."""
    while True:
        positions: list[Any] = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        if not positions:
            return
        position = dice.choice(positions)
        if isinstance(tree[position], (dict, list)) and tree[position] and dice.random() < 0.75:
            tree = tree[position]
            continue
        if dice.random() < 0.2:
            del tree[position]
        else:
            tree[position] = dice.choice(_VALUES)
        return


_WAYS: list[Callable[[bytes, random.Random], bytes]] = [
    *(_flipped, _cut, _doubled, _odd_value, _odd_tree, _odd_tree, _odd_tree),
]


def spoilt(raw: bytes, dice: random.Random) -> bytes:
    """Return a body in which one to three things are wrong."""
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        if raw:
            raw = dice.choice(_WAYS)(raw, dice)
    return raw
