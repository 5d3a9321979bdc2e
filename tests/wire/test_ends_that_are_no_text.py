"""Promises about replies whose reason to end is there and is no text."""

from __future__ import annotations

import json

import pytest

from llmnb.wire.anthropic_messages import AnthropicMessages
from llmnb.wire.gemini import GeminiGenerate
from llmnb.wire.openai_chat import OpenAIChat, OpenAIText

MESSAGE = {"role": "assistant", "content": "Hi"}


def chat(end):
    return OpenAIChat(), {"choices": [{"index": 0, "message": MESSAGE, "finish_reason": end}]}


def second_choice(end):
    case = {"index": 0, "message": MESSAGE, "finish_reason": "stop"}
    return OpenAIChat(), {"choices": [case, {**case, "index": 1, "finish_reason": end}]}


def text(end):
    return OpenAIText(), {"choices": [{"index": 0, "text": "Hi", "finish_reason": end}]}


def anthropic(end):
    content = [{"type": "text", "text": "Hi"}]
    return AnthropicMessages(), {"type": "message", "content": content, "stop_reason": end}


def gemini(end):
    content = {"parts": [{"text": "Hi"}]}
    return GeminiGenerate(), {"candidates": [{"content": content, "finishReason": end}]}


@pytest.mark.parametrize("reply", [chat, second_choice, text, anthropic, gemini])
@pytest.mark.parametrize("end", [7, 0, False, {"type": "stop"}, ["stop"]])
def test_an_end_that_is_no_text_counts_as_unknown(reply, end):
    """
    In every dialect and every choice; it is told as the JSON that it is.
    """
    dialect, body = reply(end)

    result = dialect.parse(json.dumps(body).encode())

    assert result.quality == "unknown"
    assert result.finish_reason == json.dumps(end, separators=(",", ":"))


@pytest.mark.parametrize("reply", [chat, text, anthropic, gemini])
@pytest.mark.parametrize("end", [None, ""])
def test_an_end_that_is_absent_is_none(reply, end):
    """
    A whole reply that does not say why it ended is an answer.
    """
    dialect, body = reply(end)

    assert dialect.parse(json.dumps(body).encode()).quality == "good"


def stream(*events):
    return b"".join(b"data: " + json.dumps(case).encode() + b"\n\n" for case in events)


@pytest.mark.parametrize("end", [7, {"type": "stop"}])
def test_so_it_is_in_a_stream(end):
    """
    Where an end of another kind would leave the answer without one.
    """
    piece = {"index": 0, "delta": {"role": "assistant", "content": "Hi"}}
    raw = stream(
        {"choices": [piece]}, {"choices": [{"index": 0, "delta": {}, "finish_reason": end}]}
    )
    raw += b"data: [DONE]\n\n"

    result = OpenAIChat().parse(raw)

    assert (result.text, result.quality) == ("Hi", "unknown")
    body = {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": end}]}
    assert GeminiGenerate().parse(stream(body)).quality == "unknown"
