"""A reply that was paid for is read, however much its head says."""

from __future__ import annotations

import http_transports
import pytest
from asking import ask, questions
from script_server import GOOD, ScriptServer, reply


@pytest.mark.parametrize("way", http_transports.TRANSPORTS)
@pytest.mark.parametrize(
    "headers",
    [["x-long: " + "a" * 60_000], [f"x-header-{number}: {number}" for number in range(450)]],
    ids=["long", "many"],
)
def test_a_reply_with_a_long_head_is_read(headers, way, monkeypatch):
    """
    A header line of 60 kB, or 450 headers, lose no answer.
    """
    http_transports.use(monkeypatch, way)

    with ScriptServer([reply(GOOD, *headers, "connection: close")]) as server:
        [outcome] = ask(server, questions(1)).result(60)

    assert outcome.text == "fine", outcome.error
    assert len(server.requests) == 1
