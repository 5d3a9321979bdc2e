"""One small answer in each dialect, as a stream and as the body it would have been."""

from __future__ import annotations

from typing import Any

import orjson

TEXT = "Grüße, 🙂!"
_DELTAS = ("Grü", "ße, ", "🙂", "!")


def event(value: Any) -> bytes:
    """Return one event."""
    return b"data: " + orjson.dumps(value) + b"\n\n"


DONE = b"data: [DONE]\n\n"


def _chat() -> tuple[bytes, dict[str, Any]]:
    head = {"id": "1", "model": "m"}
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    deltas = [{"role": "assistant", "content": ""}, *({"content": text} for text in _DELTAS)]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    events = [event({**head, "choices": [choice]}) for choice in choices]
    events.append(event({**head, "choices": [], "usage": usage}))
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = {"object": "chat.completion", **head, "choices": [choice], "usage": usage}
    return b"".join([*events, DONE]), body


def _text() -> tuple[bytes, dict[str, Any]]:
    head = {"id": "1", "model": "m"}
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    choices = [{"index": 0, "text": text, "finish_reason": None} for text in _DELTAS]
    choices[-1]["finish_reason"] = "stop"
    events = [event({**head, "choices": [choice]}) for choice in choices]
    events.append(event({**head, "choices": [], "usage": usage}))
    choice = {"index": 0, "text": TEXT, "logprobs": None, "finish_reason": "stop"}
    body = {"object": "text_completion", **head, "choices": [choice], "usage": usage}
    return b"".join([*events, DONE]), body


def _responses() -> tuple[bytes, dict[str, Any]]:
    part = {"type": "output_text", "text": TEXT}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "content": [part]}
    body = {
        "id": "resp_1",
        "object": "response",
        "model": "m",
        "status": "completed",
        "output": [item],
        "usage": {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13},
    }
    created = {**body, "status": "in_progress", "output": [], "usage": None}
    where = {"output_index": 0, "content_index": 0}
    events = [
        event({"type": "response.created", "response": created}),
        event({"type": "response.output_item.added", **where, "item": {**item, "content": []}}),
        *(
            event({"type": "response.output_text.delta", **where, "delta": text})
            for text in _DELTAS
        ),
        event({"type": "response.output_item.done", **where, "item": item}),
        event({"type": "response.completed", "response": body}),
    ]
    return b"".join(events), body


def _anthropic() -> tuple[bytes, dict[str, Any]]:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
    usage = {"input_tokens": 9, "output_tokens": 1}
    start = {**head, "content": [], "stop_reason": None, "usage": usage}
    events = [
        event({"type": "message_start", "message": start}),
        event(
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": ""},
            }
        ),
        *(
            event(
                {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": {"type": "text_delta", "text": text},
                }
            )
            for text in _DELTAS
        ),
        event({"type": "content_block_stop", "index": 0}),
        event(
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"output_tokens": 4},
            }
        ),
        event({"type": "message_stop"}),
    ]
    body = {
        **head,
        "content": [{"type": "text", "text": TEXT}],
        "stop_reason": "end_turn",
        "usage": {**usage, "output_tokens": 4},
    }
    return b"".join(events), body


def _gemini() -> tuple[bytes, dict[str, Any]]:
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13}
    head = {"modelVersion": "m", "responseId": "1"}

    def candidate(text: str) -> dict[str, Any]:
        return {"index": 0, "content": {"parts": [{"text": text}], "role": "model"}}

    candidates = [candidate(text) for text in _DELTAS]
    candidates[-1]["finishReason"] = "STOP"
    events = [event({"candidates": [item], **head}) for item in candidates]
    events.append(event({**head, "usageMetadata": usage}))
    body = {"candidates": [{**candidate(TEXT), "finishReason": "STOP"}], **head}
    return b"".join(events), {**body, "usageMetadata": usage}


STREAMS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "openai.chat": _chat(),
    "openai.text": _text(),
    "openai.responses": _responses(),
    "anthropic.messages": _anthropic(),
    "gemini.generate": _gemini(),
}
"""By dialect."""
