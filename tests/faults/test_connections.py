"""What each end of a connection gives, through the whole engine (faults 1 to 3)."""

from __future__ import annotations

import time

import pytest
from asking import ask, questions
from conversations import ANSWER, DONE, Conversation, check, event, hold, names, raw, sse
from script_server import GOOD, ScriptServer, reply

pytestmark = pytest.mark.usefixtures("both_ways")

HEAD = raw("HTTP/1.1 200 OK\ncontent-type: application/json\ncontent-length: 200")

LOST = [
    Conversation("reset before the reply", ["reset"], "fine", 2),
    Conversation("closed before the reply", ["close"], "fine", 2),
    Conversation("reset in the status line", [b"HTTP/1.", "reset"], "fine", 2),
    Conversation("reset in the headers", [b"HTTP/1.1 200 OK\r\nconte", "reset"], "fine", 2),
    Conversation("closed in the headers", [b"HTTP/1.1 200 OK\r\nconte", "close"], "fine", 2),
    Conversation("go on, then closed", [raw("HTTP/1.1 100 Continue"), "close"], "fine", 2),
    Conversation("reset after the headers", [HEAD, "reset"], "fine", 2),
    Conversation("reset in the body", [HEAD + GOOD[:50], "reset"], "fine", 2),
]


@pytest.mark.parametrize("case", LOST, ids=names(LOST))
def test_a_lost_reply_is_asked_for_once_more(case):
    """
    It may have been billed, so it is sent again once, and answered.
    """
    first, _ = hold(case)

    check(case, first)
    assert first.attempts == 2


@pytest.mark.parametrize("case", LOST, ids=names(LOST))
def test_a_reply_lost_twice_is_the_rows_error(case):
    """
    The second loss ends it, and says that money may be gone.
    """
    with ScriptServer(case.says) as server:
        (outcome,) = ask(server, questions(1)).result(60)
        assert len(server.requests) == 2

    assert type(outcome.error).__name__ == "MaybeBilled"
    assert outcome.error.maybe_billed


BROKEN = [
    Conversation("closed after the headers", [HEAD, "close"], "IncompleteReply"),
    Conversation("closed in the body", [HEAD + GOOD[:50], "close"], "IncompleteReply"),
]


@pytest.mark.parametrize("case", BROKEN, ids=names(BROKEN))
def test_a_reply_that_ends_too_soon_is_not_bought_again(case):
    """
    The server has said all it wanted to: one request, a typed error, the run goes on.
    """
    first, _ = hold(case)

    check(case, first)
    assert first.error.maybe_billed


WHOLE = [
    Conversation("reset after the body", [reply(GOOD), "reset"], "fine"),
    Conversation("byte by byte", [bytes([byte]) for byte in ANSWER], "fine"),
    Conversation("go on, then the reply", [raw("HTTP/1.1 100 Continue"), ANSWER], "fine"),
    Conversation("HTTP/1.0 without a length", [raw("HTTP/1.0 200 OK", GOOD)], "fine"),
]


@pytest.mark.parametrize("case", WHOLE, ids=names(WHOLE))
def test_a_whole_reply_is_read_whatever_follows_it(case):
    """
    What comes after its last byte does not spoil it.
    """
    first, _ = hold(case)

    check(case, first)


def test_every_kept_alive_connection_may_be_stale():
    """
    Ten times in a row the server hangs up after its reply: no row is lost, none asked twice.
    """
    with ScriptServer([reply(GOOD)]) as server:
        run = ask(server, questions(10), max_concurrent_requests=1)

        assert [outcome.text for outcome in run.result(60)] == ["fine"] * 10
        assert len(server.requests) == 10
        assert [outcome.attempts for outcome in run.result(60)] == [1] * 10


def dripping(head: bytes, byte: bytes):
    """Return a step that sends a byte now and then for longer than anybody waits."""

    def drip(connection):
        connection.sendall(head)
        for _ in range(200):
            connection.sendall(byte)
            time.sleep(0.05)

    return drip


SILENT = [
    Conversation("no byte at all", ["stall"], "fine", 2),
    Conversation("half a status line", [b"HTTP/1.1 2", "stall"], "fine", 2),
    Conversation("headers and no body", [HEAD, "stall"], "fine", 2),
    Conversation("half a body", [HEAD + GOOD[:50], "stall"], "fine", 2),
    Conversation("dripping headers", [dripping(b"HTTP/1.1 200 OK\r\nx: ", b"x")], "fine", 2),
    Conversation("a dripping body", [dripping(HEAD, b" ")], "fine", 2),
    Conversation("a stream that never begins", [sse(), "stall"], "fine", 2, True),
    Conversation("a stream that stalls", [sse(event("f")), "stall"], "fine", 2, True),
    Conversation("a stream of pings", [dripping(sse(), b": ping\n\n")], "fine", 2, True),
    Conversation("a stream of dripping", [dripping(sse(event("f")), b"d")], "fine", 2, True),
]


@pytest.mark.parametrize("case", SILENT, ids=names(SILENT))
def test_silence_and_dripping_end_and_the_row_is_asked_once_more(case, impatient):
    """
    The idle time or the total time ends it, whatever keeps the line busy.
    """
    first, _ = hold(case)

    check(case, first)
    assert first.attempts == 2


ENDED = sse(event("fi"), event("ne", "stop"), DONE)
OVER = [
    Conversation("silent after the end", [ENDED, "stall"], "fine", 1, True),
    Conversation("dripping after the end", [dripping(ENDED, b": ping\n\n")], "fine", 1, True),
    Conversation("reset after the end", [ENDED, "reset"], "fine", 1, True),
]


@pytest.mark.parametrize("case", OVER, ids=names(OVER))
def test_a_stream_is_over_when_its_end_mark_has_come(case):
    """
    The answer is whole and paid for: nobody waits for more, and nothing is bought again.
    """
    first, _ = hold(case)

    check(case, first)
    assert first.attempts == 1
