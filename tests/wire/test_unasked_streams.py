"""Promises of streams that nobody asked for, and of documents in a stream's place."""

from __future__ import annotations

import dataclasses

import orjson
import pytest
from conversations import Conversation, hold, names, raw
from script_server import GOOD, reply
from streams import DONE, STREAMS, TEXT

from llmnb import errors
from llmnb.wire.dialect import dialect
from llmnb.wire.event_stream import is_document, is_stream

BEGINNINGS = {
    "data": b"",
    "a comment": b": OPENROUTER PROCESSING\n\n",
    "an event": b"event: start\n",
    "an id": b"id: 1\n",
    "a time to come back": b"retry: 100\n",
    "blank lines": b"\r\n\n\n",
    "a byte order mark": b"\xef\xbb\xbf",
    "all of them": b"\xef\xbb\xbf\n\n: hello\nid: 1\nevent: start\n",
}
CUTS = range(1, 30)


def read(name, raw):
    """Return what a whole body holds, without the bytes themselves."""
    return dataclasses.replace(dialect(name).parse(raw), raw=b"")


def fed(name, raw, size):
    """Return what a stream holds that comes in pieces, and the text told on the way."""
    assembler = dialect(name).assembler()
    deltas = [
        delta
        for start in range(0, len(raw), size)
        for delta in assembler.feed(raw[start : start + size])
    ]
    return read(name, assembler.finish()), "".join(delta.text for delta in deltas)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_stream_is_read_whatever_its_first_line(name, beginning):
    """
    Unasked or asked, cut at any byte: the reply it would have been unstreamed.
    """
    stream, body = STREAMS[name]
    raw = BEGINNINGS[beginning] + stream
    expected = read(name, orjson.dumps(body))

    assert expected.text == TEXT
    assert is_stream(raw)
    assert read(name, raw) == expected
    for size in (*CUTS, len(raw)):
        assert fed(name, raw, size) == (expected, TEXT)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize(
    "end", [b"", b"\n\n" + DONE, b"data: [DONE]", b"\r\n\r\n" + DONE, DONE + DONE]
)
@pytest.mark.parametrize("start", [b"", b"\n", b"\xef\xbb\xbf"])
def test_a_document_is_read_where_a_stream_was_asked_for(name, start, end):
    """
    Also where the mark of a stream's end stands behind it, cut at any byte.
    """
    raw = start + orjson.dumps(STREAMS[name][1]) + end
    expected = read(name, orjson.dumps(STREAMS[name][1]))

    assert read(name, raw) == expected
    for size in (*CUTS, len(raw)):
        assert fed(name, raw, size)[0] == expected


@pytest.mark.parametrize("raw", [b"", b"\xef", b"\xef\xbb\xbf", b"\n", b" \r\n"])
def test_what_has_only_begun_is_neither(raw):
    """
    Nothing is decided before there is something.
    """
    assert not is_stream(raw)
    assert is_document(raw) is None
    with pytest.raises(errors.BadReply):
        fed("openai.chat", raw, 1)


@pytest.mark.parametrize("raw", [b"<html></html>", b"data", b"database is down", b"Error: no"])
def test_what_is_neither_is_a_bad_reply(raw):
    """
    Pages and plain words are no answers in either reading.
    """
    with pytest.raises(errors.BadReply):
        read("openai.chat", raw)
    with pytest.raises(errors.BadReply):
        fed("openai.chat", raw, 3)


# ------------------------------------------------------------------ through the whole engine


def stream(body: bytes, status="200 OK", kind="text/event-stream") -> bytes:
    return raw(f"HTTP/1.1 {status}\ncontent-type: {kind}\nconnection: close", body)


CHAT = STREAMS["openai.chat"][0]
ANSWERS = [
    *(Conversation(f"status {code}", [reply(GOOD, "connection: close", status=code)], "fine")
      for code in ("201 Created", "203 Non-Authoritative", "202 Accepted", "206 Partial")),
    Conversation("no content", [reply(b"", "connection: close", status="204 No Content")],
                 "BadReply"),
    Conversation("half of it with 201",
                 [reply(GOOD[:-9], "connection: close", status="201 Created")], "BadReply"),
    Conversation("a field of tomorrow first", [stream(b"vendor: x\n" + CHAT)], TEXT),
    Conversation("a comment first", [stream(b": hi\n\n" + CHAT, kind="text/plain")], TEXT),
    Conversation("a stream of 201, asked for", [stream(CHAT, "201 Created")], TEXT, streamed=True),
    Conversation("a document with [DONE]", [stream(GOOD + b"\n\n" + DONE)], "fine"),
    Conversation("the same, asked for", [stream(GOOD + b"\n\n" + DONE)], "fine", streamed=True),
    Conversation("a stream cut short", [stream(b"vendor: x\n" + CHAT[:120])], "IncompleteReply"),
    Conversation("an error that streams", [stream(b"data: {}\n\n", "400 Bad Request")],
                 "RequestRejected"),
]  # fmt: skip


@pytest.mark.parametrize("case", ANSWERS, ids=names(ANSWERS))
def test_a_whole_answer_is_an_answer(case):
    """
    Of any good status and in any form that its content type or its beginning tells.
    """
    first, _ = hold(case)

    result = first.text if first.error is None else type(first.error).__name__
    assert result == case.gives
