"""What each thing that is no good answer gives, through the whole engine (faults 4 and 6 to 8)."""

from __future__ import annotations

import gzip
import resource
import zlib

import pytest
from asking import ask, questions
from conversations import CAP_BYTES, Conversation, check, hold, names, raw
from script_server import GOOD, ScriptServer, reply

CLOSE = "connection: close"
CHUNKED = "HTTP/1.1 200 OK\ncontent-type: application/json\ntransfer-encoding: chunked"
PACKED = "content-encoding: gzip"


def chunks(*parts: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """Return a chunked reply."""
    return raw(CHUNKED, b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in parts) + end)


def message(content: str, **more: str) -> bytes:
    """Return a reply whose message is written as it stands, good JSON or not."""
    usage = more.get("usage", '{"prompt_tokens":1,"completion_tokens":1}')
    choice = f'{{"index":0,"message":{{"content":{content}}},"finish_reason":"stop"}}'
    return reply(f'{{"choices":[{choice}],"usage":{usage}}}'.encode(), CLOSE)


DAMAGED = bytearray(gzip.compress(GOOD))
DAMAGED[20] ^= 0xFF

SHORT = [
    Conversation("no body at all", [reply(b"", length=len(GOOD))], "IncompleteReply"),
    Conversation("a body one byte short", [reply(GOOD[:-1], length=len(GOOD))], "IncompleteReply"),
    Conversation("a length one too small", [reply(GOOD, CLOSE, length=len(GOOD) - 1)], "BadReply"),
    Conversation("a length below nothing", [reply(GOOD, length=-1)], "BadReply"),
    Conversation(
        "a length that is none",
        [raw("HTTP/1.1 200 OK\ncontent-length: many", GOOD)],
        "BadReply",
    ),
    Conversation("two lengths", [reply(GOOD, "content-length: 3")], "BadReply"),
    Conversation("bytes after the body", [reply(GOOD) + b"and more"], "BadReply"),
    Conversation("a chunk without its end", [chunks(GOOD, end=b"")], "IncompleteReply"),
    Conversation("a chunk cut short", [raw(CHUNKED, b"ff\r\n{")], "IncompleteReply"),
    Conversation("a chunk of no size", [raw(CHUNKED, b"size\r\n{")], "BadReply"),
    Conversation("a chunk of absurd size", [raw(CHUNKED, b"f" * 40 + b"\r\n{")], "BadReply"),
    Conversation("a chunk longer than it says", [raw(CHUNKED, b"2\r\n{}{}\r\n")], "BadReply"),
    Conversation("gzip cut short", [reply(gzip.compress(GOOD)[:-9], PACKED)], "IncompleteReply"),
    Conversation("damaged gzip", [reply(bytes(DAMAGED), PACKED)], "IncompleteReply"),
    Conversation("gzip that is none", [reply(GOOD, PACKED)], "IncompleteReply"),
    Conversation(
        "deflate cut short",
        [reply(zlib.compress(GOOD)[:-5], "content-encoding: deflate")],
        "IncompleteReply",
    ),
    Conversation("an unasked packing", [reply(GOOD, "content-encoding: br")], "BadReply"),
    Conversation("packed twice", [reply(GOOD, "content-encoding: gzip, gzip")], "BadReply"),
    Conversation("half of the JSON", [reply(GOOD[:60], CLOSE)], "BadReply"),
]


@pytest.mark.parametrize("case", SHORT, ids=names(SHORT))
def test_a_reply_that_is_not_whole_is_never_an_answer(case):
    """
    Said to be broken, not taken for the model's bad JSON; bought once; the run goes on.
    """
    first, _ = hold(case)

    check(case, first)
    assert first.error.maybe_billed


WHOLE = [
    Conversation("in many chunks", [chunks(*(bytes([byte]) for byte in GOOD))], "fine"),
    Conversation("packed in chunks", [raw(f"{CHUNKED}\n{PACKED}", chunks(gzip.compress(GOOD))
        .partition(b"\r\n\r\n")[2])], "fine"),
    Conversation("packed with bytes behind", [reply(gzip.compress(GOOD) + b"\0" * 9, PACKED)],
        "fine"),
    Conversation("said to be a page", [raw(
        f"HTTP/1.1 200 OK\ncontent-type: text/html\ncontent-length: {len(GOOD)}", GOOD)], "fine"),
    Conversation("a byte order mark", [reply(b"\xef\xbb\xbf" + GOOD, CLOSE)], "fine"),
    Conversation("blanks around it", [reply(b" \r\n" * 99 + GOOD + b"\n" * 99, CLOSE)], "fine"),
    Conversation("no usage", [message('"fine"', usage="null")], "fine"),
    Conversation("odd usage", [message('"fine"', usage='{"prompt_tokens":"x"}')], "fine"),
    Conversation("a field twice", [message('"no","content":"fine"')], "fine"),
]  # fmt: skip


@pytest.mark.parametrize("case", WHOLE, ids=names(WHOLE))
def test_an_odd_reply_that_is_whole_is_an_answer(case):
    """
    Whatever it is wrapped in; what was paid for is used.
    """
    first, _ = hold(case)

    check(case, first)


NO_ANSWER = [
    Conversation("a page", [reply(b"<!doctype html><h1>Sign in</h1>", CLOSE)], "BadReply"),
    Conversation("nothing", [reply(b"", CLOSE)], "BadReply"),
    Conversation("no content", [raw("HTTP/1.1 204 No Content\nconnection: close")], "BadReply"),
    Conversation("null", [reply(b"null", CLOSE)], "BadReply"),
    Conversation("a list", [reply(b"[1]", CLOSE)], "BadReply"),
    Conversation("a text", [reply(b'"fine"', CLOSE)], "BadReply"),
    Conversation("a number", [reply(b"7", CLOSE)], "BadReply"),
    Conversation("an empty object", [reply(b"{}", CLOSE)], "BadReply"),
    Conversation("no choices", [reply(b'{"choices":[]}', CLOSE)], "BadReply"),
    Conversation("choices that are null", [reply(b'{"choices":null}', CLOSE)], "BadReply"),
    Conversation("a choice that is null", [reply(b'{"choices":[null]}', CLOSE)], "BadReply"),
    Conversation("no message", [reply(b'{"choices":[{"index":0}]}', CLOSE)], "BadReply"),
    Conversation("UTF-16", [reply(GOOD.decode().encode("utf-16"), CLOSE)], "BadReply"),
    Conversation("a key for a stranger", [b"SSH-2.0-OpenSSH_9.2\r\n"], "BadReply"),
    Conversation("the start of TLS", [b"\x15\x03\x01\0\x02\x02\x46"], "BadReply"),
]


@pytest.mark.parametrize("case", NO_ANSWER, ids=names(NO_ANSWER))
def test_a_200_without_an_answer_is_a_bad_reply(case):
    """
    Typed, bought once, and what came is kept where anything came.
    """
    first, _ = hold(case)

    check(case, first)


def test_an_error_inside_a_200_means_what_it_says():
    """
    A key refused there is a refused key: the target is not asked again.
    """
    body = b'{"error":{"message":"Bad key","type":"authentication_error","code":401}}'
    with ScriptServer([reply(body, CLOSE)]) as server:
        run = ask(server, questions(5), max_concurrent_requests=1)

        kinds = {type(outcome.error).__name__ for outcome in run.result(60)}
        assert kinds == {"AuthenticationError"}
        assert len(server.requests) == 1


SPACES = b" " * (16 * CAP_BYTES)
HUGE = [
    Conversation("a bomb", [reply(gzip.compress(SPACES), PACKED)], "ReplyTooLarge"),
    Conversation("a huge body", [reply(SPACES)], "ReplyTooLarge"),
    Conversation("a huge body of no said length", [raw("HTTP/1.1 200 OK", SPACES)],
        "ReplyTooLarge"),
    Conversation("huge chunks that say to be small", [raw(
        f"{CHUNKED}\ncontent-length: 5", chunks(*[SPACES[:CAP_BYTES]] * 8).partition(b"\r\n\r\n")[2]
    )], "BadReply"),
    Conversation("huge chunks", [chunks(*[SPACES[:CAP_BYTES]] * 8)], "ReplyTooLarge"),
    Conversation("a bomb in a stream", [raw(
        f"HTTP/1.1 200 OK\ncontent-type: text/event-stream\n{PACKED}", gzip.compress(SPACES))],
        "ReplyTooLarge", streamed=True),
    Conversation("a stream without a line end", [raw(
        "HTTP/1.1 200 OK\ncontent-type: text/event-stream", b"data: " + SPACES)],
        "ReplyTooLarge", streamed=True),
    Conversation("a huge header", [raw("HTTP/1.1 200 OK\nx: " + "x" * 2**20)], "BadReply"),
    Conversation("endless headers", [raw(
        "HTTP/1.1 200 OK\n" + "\n".join(f"x{n}: y" for n in range(200_000)))], "BadReply"),
    Conversation("a huge status line", [raw("HTTP/1.1 200 " + "OK" * 2**19)], "BadReply"),
]  # fmt: skip


@pytest.mark.parametrize("case", HUGE, ids=names(HUGE))
def test_what_is_huge_is_stopped_at_the_cap(case):
    """
    However it is wrapped, no further than the cap; the process stays small.
    """
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    first, _ = hold(case)

    check(case, first)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 3 * len(SPACES) / 1024


def test_a_huge_error_is_an_error_all_the_same():
    """
    A server error with two mebibytes of stack trace is no success, and is not kept whole.
    """
    trace = reply(b"at line 7\n" * 2**18, CLOSE, status="500 Oops")
    with ScriptServer([trace]) as server:
        (outcome,) = ask(server, questions(1), max_attempts=2).result(60)

    assert type(outcome.error).__name__ in ("ProviderError", "ReplyTooLarge")
    assert len(outcome.error.body or "") <= 2000


STRANGE = [
    Conversation("deep lists", [reply(b"[" * 100_000 + b"]" * 100_000, CLOSE)], "BadReply"),
    Conversation("deep objects", [reply(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, CLOSE)],
        "BadReply"),
    Conversation("depth in a field", [message('"fine"', usage="[" * 5000 + "]" * 5000)],
        "BadReply"),
    Conversation("an endless depth", [reply(b"[" * 500_000, CLOSE)], "BadReply"),
    Conversation("a byte that is no letter", [reply(GOOD.replace(b"fine", b"f\xffne"), CLOSE)],
        "BadReply"),
    Conversation("a control character", [reply(GOOD.replace(b"fine", b"f\0ne"), CLOSE)],
        "BadReply"),
]  # fmt: skip


@pytest.mark.parametrize("case", STRANGE, ids=names(STRANGE))
def test_what_no_parser_should_meet_is_a_bad_reply(case):
    """
    The process lives, the bytes are kept, the next row is answered.
    """
    first, _ = hold(case)

    check(case, first)
    assert first.error.raw


@pytest.mark.parametrize(
    "usage",
    ['{"prompt_tokens":' + "9" * 5000 + "}", '{"prompt_tokens":1e999}', '{"prompt_tokens":NaN}',
     '{"prompt_tokens":-5}', '{"prompt_tokens":Infinity,"completion_tokens":1}'],
    ids=["five thousand digits", "beyond all floats", "NaN", "below nothing", "infinity"],
)  # fmt: skip
def test_absurd_figures_never_become_tokens(usage):
    """
    An answer or a bad reply; the run's counts stay sane numbers.
    """
    with ScriptServer([message('"fine"', usage=usage)]) as server:
        run = ask(server, questions(1))
        (outcome,) = run.result(60)

    assert outcome.text == "fine" or type(outcome.error).__name__ == "BadReply"
    counts = run.status().counts
    assert 0 <= counts.prompt_tokens < 2**63
    assert 0 <= counts.simulated_usd < 1e9


@pytest.mark.parametrize("text", [r"\ud800", r"a\udc00b", r"\ud83d and \ude00", r"\u0000\u202e"])
def test_half_a_character_is_shown_and_stored(text):
    """
    What was escaped in JSON can be printed, saved and found again; it is bought once.
    """
    with ScriptServer([message(f'"{text}"')]) as server:
        (outcome,) = ask(server, questions(1)).result(60)
        assert outcome.error is None
        outcome.text.encode()
        (again,) = ask(server, questions(1)).result(60)

        assert again.text == outcome.text
        assert len(server.requests) == 1
