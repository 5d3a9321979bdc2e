"""Entries for the store's tests."""

from __future__ import annotations

import hashlib

import orjson

from llmnb.store.entry import Entry


def key_of(number: int) -> str:
    """Return a key as answers have it."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:40]


def entry(number: int, **changes: object) -> Entry:
    """Return an entry that can be told from all others."""
    values = {
        "key": key_of(number),
        "request": f'{{"prompt":"question {number}"}}'.encode(),
        "raw": f'{{"answer":{number}}}'.encode(),
        "dialect": "openai.chat",
        "provider": "openai",
        "model": "m",
        "quality": "good",
        "usd": 0.25,
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "created": 1_700_000_000.0 + number,
    }
    return Entry(**{**values, **changes})


def chat(number: int, asked: str, answered: str, **changes: object) -> Entry:
    """Return an entry with a question and an answer of the chat dialect."""
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": asked}]
    message = {"role": "assistant", "content": answered}
    reply = {"choices": [{"message": message, "finish_reason": "stop"}]}
    whole = {"request": orjson.dumps({"messages": messages}), "raw": orjson.dumps(reply)}
    return entry(number, **{**whole, **changes})
