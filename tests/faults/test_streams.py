"""What each thing that can happen to a stream gives, through the whole engine (fault 5)."""

from __future__ import annotations

import gzip

import orjson
import pytest
from asking import ask, questions
from conversations import ANSWER, DONE, Conversation, check, event, hold, names, raw, sse
from script_server import ScriptServer

pytestmark = pytest.mark.usefixtures("both_ways")

END = event("", "stop")
FINE = sse(event("fine"), END, DONE)


def conversation(name: str, *says, gives: str = "fine") -> Conversation:
    """Return a streamed conversation of one request."""
    return Conversation(name, says, gives, streamed=True)


WHOLE = [
    conversation("as it should be", sse(event("fi"), event("ne", "stop"), DONE)),
    conversation("without the last mark", sse(event("fi"), event("ne", "stop"))),
    conversation("marks without blanks", FINE.replace(b"data: ", b"data:")),
    conversation("ends of lines as CRLF", FINE.replace(b"\n\n", b"\r\n\r\n")),
    conversation("ends of lines as CR", FINE.replace(b"\n\n", b"\r\r")),
    conversation("comments and names", sse(b": hello\n\n", b"event: x\nid: 7\nretry: 1\n",
        event("fi"), b":\n\n: ping\n\n", event("ne", "stop"), DONE)),
    conversation("a byte order mark", sse(b"\xef\xbb\xbf", event("fine"), END, DONE)),
    conversation("no blank line at the end", sse(event("fi"), event("ne", "stop").rstrip())),
    conversation("byte by byte", *(bytes([byte]) for byte in sse(event("fine"), END, DONE))),
    conversation("packed", sse(gzip.compress(event("fine") + END + DONE),
        head="\ncontent-encoding: gzip")),
    conversation("events it does not know", sse(b'data: {"type":"news","choices":[]}\n\n',
        event("fine"), b'data: {"choices":[{"index":0,"delta":{"new":1}}]}\n\n', END, DONE)),
    conversation("one event on many lines", sse(event("fine").replace(b',"', b',\ndata: "'), END)),
    conversation("usage after the end", sse(event("fine", "stop"),
        b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n', DONE)),
    conversation("a plain reply instead", ANSWER),
    conversation("more after the last mark", sse(event("fine", "stop"), DONE, event("no"))),
]  # fmt: skip


@pytest.mark.parametrize("case", WHOLE, ids=names(WHOLE))
def test_a_whole_stream_is_an_answer_however_it_is_written(case):
    """
    Every way of writing events that servers have, and the text is right.
    """
    first, _ = hold(case)

    check(case, first)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_cut_inside_a_character_leaves_it_whole(size):
    """
    Of two, three and four bytes, wherever the pieces end.
    """
    text = "Grüße, 世界 🙂"
    stream = sse(b"data: " + orjson.dumps(
        {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]}
    ) + b"\n\n", DONE)  # fmt: skip
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
    with ScriptServer(chunks) as server:
        seen: list[str] = []
        run = ask(server, questions(1), on_delta=lambda row, delta: seen.append(delta.text))
        (outcome,) = run.result(60)

    assert outcome.text == text
    assert "".join(seen) == text


BROKEN = [
    conversation("no event at all", sse(), gives="BadReply"),
    conversation("the last mark alone", sse(DONE), gives="IncompleteReply"),
    conversation("no end", sse(event("fi")), gives="IncompleteReply"),
    conversation("the last mark without an end", sse(event("fi"), DONE), gives="IncompleteReply"),
    conversation("an end cut off", sse(event("fi"), END[:-9]), gives="IncompleteReply"),
    conversation("an event that is no JSON", sse(event("fi"), b"data: {oops\n\n", END, DONE),
        gives="IncompleteReply"),
    conversation("bytes that are no letters", sse(event("fi"), b'data: {"a":"\xff"}\n\n', END),
        gives="IncompleteReply"),
    conversation("an error in the middle", sse(event("fi"),
        b'data: {"error":{"message":"overloaded","code":500}}\n\n', DONE), gives="IncompleteReply"),
    conversation("chunks that break off", raw(
        "HTTP/1.1 200 OK\ncontent-type: text/event-stream\ntransfer-encoding: chunked",
        b"ff\r\n" + event("fi")), gives="IncompleteReply"),
    conversation("reset in the middle", sse(event("fi")), "reset", gives="IncompleteReply"),
    conversation("a page instead", raw(
        "HTTP/1.1 200 OK\ncontent-type: text/html\nconnection: close", b"<h1>Sign in</h1>"),
        gives="BadReply"),
    conversation("packed and cut short", sse(gzip.compress(event("fine") + event("x" * 99))[:-9],
        head="\ncontent-encoding: gzip"), gives="IncompleteReply"),
]  # fmt: skip


@pytest.mark.parametrize("case", BROKEN, ids=names(BROKEN))
def test_a_stream_without_its_end_is_no_answer_and_is_never_cached(case):
    """
    Typed, told to be incomplete, not bought again in this run; the next run asks anew.
    """
    with ScriptServer(case.says, [ANSWER]) as server:
        run = ask(
            server,
            questions(2),
            max_concurrent_requests=1,
            on_delta=lambda row, delta: None,
            max_attempts=1,
        )
        first, second = run.result(60)
        sent = len(server.requests)
        again = ask(server, questions(2)).result(60)

        assert second.text == "fine"
        check(case, first)
        assert first.error.maybe_billed
        assert [outcome.text for outcome in again] == ["fine", "fine"]
        assert len(server.requests) == sent + 1


def test_a_very_long_line_is_read_in_time():
    """
    Half a mebibyte in one event, in small pieces: joined once, not copied with every piece.
    """
    text = "x" * 2**19
    stream = sse(event(text, "stop"), DONE)
    chunks = [stream[start : start + 999] for start in range(0, len(stream), 999)]
    with ScriptServer(chunks) as server:
        (outcome,) = ask(server, questions(1), on_delta=lambda row, delta: None).result(60)

    assert outcome.text == text


def test_a_stream_that_is_refused_means_what_its_status_says():
    """
    A 429 is a pause, a 500 an attempt, though a stream was asked for.
    """
    refused = raw("HTTP/1.1 429 Slow down\nretry-after: 0\nconnection: close")
    failed = raw("HTTP/1.1 500 Oops\nconnection: close")
    with ScriptServer([refused], [failed], [ANSWER]) as server:
        run = ask(server, questions(1), max_attempts=2, on_delta=lambda row, delta: None)
        (outcome,) = run.result(60)

    assert outcome.text == "fine"
    assert outcome.attempts == 3
    assert run.status().counts.num_rate_limit_errors == 1
