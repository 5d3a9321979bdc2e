"""One fault on a socket, met by the whole engine: what is said, and what must come of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from asking import ask, questions
from script_server import GOOD, ScriptServer, Step, reply

from llmnb.records import Outcome

CAP_BYTES = 2**20
"""Largest reply that a conversation is read to."""

ANSWER = reply(GOOD, "connection: close")
"""A good reply after which the connection ends, so that every request is a conversation."""


@dataclass(frozen=True)
class Conversation:
    """What a server says to the first request, and what must come of its row."""

    name: str
    says: Sequence[Step]
    gives: str
    """``"fine"`` for an answer, or the name of the row's error."""

    requests: int = 1
    """Requests that the row may cost."""

    streamed: bool = False
    expected: Sequence[str] = field(default=())
    """Words that the error's message must hold."""


def names(conversations: Sequence[Conversation]) -> list[str]:
    """Return their names, for pytest."""
    return [conversation.name for conversation in conversations]


def raw(head: str, body: bytes = b"") -> bytes:
    """Return the bytes of a message; its head is written with plain line ends."""
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


def sse(*events: bytes, head: str = "") -> bytes:
    """Return a stream that ends with its connection."""
    lines = f"HTTP/1.1 200 OK\ncontent-type: text/event-stream\nconnection: close{head}"
    return raw(lines, b"".join(events))


def event(text: str, finish: str | None = None) -> bytes:
    """Return one event of OpenAI's stream."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return b"data: " + orjson.dumps({"id": "1", "model": "m", "choices": [choice]}) + b"\n\n"


DONE = b"data: [DONE]\n\n"


def hold(conversation: Conversation, **options: Any) -> tuple[Outcome, Outcome]:
    """Have a conversation, then an ordinary one; returns what came of both rows.

    Every request after the first is answered well. That the second row is
    answered whatever befell the first is checked here, and that no further
    request was sent for the first than it may cost.
    """
    if conversation.streamed:
        options.setdefault("on_delta", lambda row, delta: None)
    with ScriptServer(conversation.says, [ANSWER]) as server:
        run = ask(server, questions(2), max_concurrent_requests=1, **options)
        first, second = run.result(60)
        requests = len(server.requests)
    assert second.text == "fine", second.error
    assert requests == conversation.requests + 1
    return first, second


def check(conversation: Conversation, outcome: Outcome) -> None:
    """Check what came of the first row."""
    if outcome.error is None:
        assert (outcome.text, conversation.gives) == ("fine", "fine")
        return
    error = outcome.error
    assert type(error).__name__ == conversation.gives, error.message
    assert error.details.row == 0
    for text in conversation.expected:
        assert text in error.message
