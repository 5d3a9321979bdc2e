"""A reply that was paid for is read, however much its head says."""

from __future__ import annotations

import pytest
from asking import ask, questions
from script_server import GOOD, ScriptServer, reply

from llmnb.adapters.http import exchange


@pytest.mark.parametrize("is_fast", [True, False], ids=["fast", "session"])
@pytest.mark.parametrize(
    "headers",
    [["x-long: " + "a" * 60_000], [f"x-header-{number}: {number}" for number in range(450)]],
    ids=["long", "many"],
)
def test_a_reply_with_a_long_head_is_read(headers, is_fast, monkeypatch):
    """
    A header line of 60 kB, or 450 headers, lose no answer.
    """
    monkeypatch.setattr(exchange, "IS_POSSIBLE", is_fast and exchange.IS_POSSIBLE)

    with ScriptServer([reply(GOOD, *headers, "connection: close")]) as server:
        [outcome] = ask(server, questions(1)).result(60)

    assert outcome.text == "fine", outcome.error
    assert len(server.requests) == 1


def test_this_release_of_the_library_takes_the_fast_path():
    """
    The tests of the fast path test it.
    """
    assert exchange.IS_POSSIBLE
