"""Twelve thousand spoilt bodies, the same ones at every run: a value or one of our errors."""

from __future__ import annotations

import pickle
import random
import tracemalloc

import orjson
import pytest
from recorded_errors import NOW, RECORDED
from rich_bodies import RICH, spoilt

from llmnb import errors
from llmnb.records import Reply
from llmnb.wire.classify import classify
from llmnb.wire.dialect import dialect

BODIES = 800
STREAMS = 600
REFUSALS = 3600
SMALL_BYTES = 16 * 2**20
STATUSES = [200, 400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529]


def checked(result: errors.LLMNBError) -> None:
    """An error that a person may see, a log may hold, and another process may get."""
    assert len(result.message.splitlines()) <= errors.MAX_MESSAGE_LINES
    assert len(result.message) < 4000
    assert result.body is None or len(result.body) <= 2000
    pickle.loads(pickle.dumps(result))


def read(case, raw):
    """Return a reply, or None where our error came; anything else is a failed test."""
    try:
        result = case.parse(raw)
    except errors.LLMNBError as error:
        checked(error)
        return None
    assert isinstance(result, Reply)
    (result.text + (result.reasoning or "")).encode()
    for usage in filter(None, [result.usage]):
        assert 0 <= usage.prompt < 2**63
        assert 0 <= usage.completion < 2**63
    return result


@pytest.mark.parametrize("name", RICH)
def test_a_whole_body_is_an_answer(name):
    """
    What is spoilt below is good before, else it would prove nothing.
    """
    case, (body, stream) = dialect(name), RICH[name]

    reply = read(case, body)
    assert reply is not None
    assert reply.usage is not None
    if name != "openai.embeddings":
        assembler = case.assembler()
        assembler.feed(stream)
        assert read(case, assembler.finish()).text == reply.text
        assert assembler.has_ended() or name == "openai.text"


@pytest.mark.parametrize("name", RICH)
def test_spoilt_bodies_are_a_reply_or_our_error(name):
    """
    Bytes flipped, cut, doubled; values of other kinds; and the process stays small.
    """
    case, dice = dialect(name), random.Random(name)
    good = 0
    tracemalloc.start()
    try:
        for _ in range(BODIES):
            good += read(case, spoilt(RICH[name][0], dice)) is not None
        assert tracemalloc.get_traced_memory()[1] < SMALL_BYTES
    finally:
        tracemalloc.stop()

    assert 0 < good < BODIES


@pytest.mark.parametrize("name", RICH)
def test_spoilt_streams_are_a_body_or_our_error(name):
    """
    However they are cut on the way, and both cuts give the same.
    """
    case, dice = dialect(name), random.Random(name)
    for _ in range(STREAMS):
        stream = spoilt(RICH[name][1], dice)
        ends = []
        for step in (dice.randint(1, 99), len(stream) or 1):
            assembler = case.assembler()
            for index in range(0, len(stream), step):
                for delta in assembler.feed(stream[index : index + step]):
                    (delta.text + delta.reasoning).encode()
            assert assembler.has_ended() in (True, False)
            try:
                body = assembler.finish()
            except errors.LLMNBError as error:
                checked(error)
                ends.append(type(error))
            else:
                ends.append(body)
                read(case, body)
        assert ends[0] == ends[1]


def test_spoilt_refusals_are_our_errors():
    """
    Every recorded refusal of every provider, spoilt, under every status: typed, never raised.
    """
    dice = random.Random(8)
    for _ in range(REFUSALS):
        known = dice.choice(RECORDED)
        body = spoilt(known.body, dice) if known.body else b"\xff"
        status = dice.choice((known.status, dice.choice(STATUSES)))
        error = classify(
            status, known.headers, body, provider=known.provider, model="m", now=NOW, secret=None
        )
        assert isinstance(error, errors.LLMNBError)
        checked(error)
        wait = error.details.retry_after
        assert wait is None or 0 <= wait <= 366 * 86400


MONSTERS = {
    "deep lists": b"[" * 200_000 + b"]" * 200_000,
    "deep objects": b'{"choices":' * 100_000 + b"1" + b"}" * 100_000,
    "an endless depth": b'{"a":[' * 100_000,
    "a number of a mebibyte": b'{"usage":{"prompt_tokens":' + b"9" * 2**20 + b"}}",
    "a mebibyte of exponent": b'{"usage":{"prompt_tokens":1e' + b"9" * 2**20 + b"}}",
    "a hundred thousand choices": b'{"choices":[' + b"{}," * 100_000 + b"{}]}",
    "a hundred thousand fields": b"{" + b'"a":1,' * 100_000 + b'"b":2}',
    "zeroes": b"\0" * 2**20,
    "escapes": b'{"choices":[{"message":{"content":"' + rb"\ud800" * 100_000 + b'"}}]}',
}


@pytest.mark.parametrize("monster", MONSTERS.values(), ids=MONSTERS)
@pytest.mark.parametrize("name", RICH)
def test_monsters_are_read_in_memory_of_their_own_size(name, monster):
    """
    Depth, digits and sheer number neither kill the process nor swell it.
    """
    case = dialect(name)
    tracemalloc.start()
    try:
        read(case, monster)
        assembler = case.assembler()
        assembler.feed(b"data: " + monster + b"\n\n")
        try:
            assembler.finish()
        except errors.LLMNBError as error:
            checked(error)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < max(100 * len(monster), SMALL_BYTES)


def events(*values):
    return b"".join(b"data: " + orjson.dumps(value) + b"\n\n" for value in values)


BLOCK = events(
    {"type": "message_start", "message": {"content": []}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
)
CITED = {"type": "content_block_delta", "index": 0, "delta": {"citation": {}}}
CALL = {"function": {"name": "f", "arguments": '{"a":'}}
LONG = {
    "citations": ("anthropic.messages", BLOCK + events(CITED) * 340_000),
    "a usage that grows": (
        "anthropic.messages",
        BLOCK + b"".join(b'data: {"type":"message_delta","usage":{"%d":1}}\n\n' % n
                         for n in range(300_000)),
    ),
    "a name with each piece": (
        "openai.chat",
        events({"choices": [{"index": 0, "delta": {"tool_calls": [CALL]}}]}) * 120_000,
    ),
    "ends behind a document": ("openai.chat", b"{" + b"data:[DONE]" * 700_000),
}  # fmt: skip


@pytest.mark.parametrize("case", LONG)
def test_long_streams_are_read_in_time_of_their_own_length(case):
    """
    In seconds. Where each piece is copied with all before it, the suite's timeout ends the test.
    """
    name, stream = LONG[case]
    assembler = dialect(name).assembler()
    assembler.feed(stream)
    with pytest.raises(errors.BadReply):
        dialect(name).parse(assembler.finish())


def test_parts_far_behind_the_last_fill_no_memory():
    """
    A position in the thousands, in each of many items, is unreadable and makes no parts before it.
    """
    item = {"type": "message", "content": []}
    delta = {"type": "response.output_text.delta", "content_index": 4095, "delta": "x"}
    stream = b"".join(
        events(
            {"type": "response.output_item.added", "output_index": index, "item": item},
            {**delta, "output_index": index},
        )
        for index in range(100)
    )
    tracemalloc.start()
    try:
        assembler = dialect("openai.responses").assembler()
        assembler.feed(stream)
        with pytest.raises(errors.IncompleteReply):
            assembler.finish()
        assert tracemalloc.get_traced_memory()[1] < SMALL_BYTES
    finally:
        tracemalloc.stop()


def test_words_of_megabytes_are_cut():
    """
    Why an answer ended and in which tier stands in messages and is remembered, so it is short.
    """
    word = "x" * 2**20
    choice = {"message": {"content": "Hi"}, "finish_reason": word}
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    body = {"choices": [choice], "service_tier": word, "usage": usage}
    reply = read(dialect("openai.chat"), orjson.dumps(body))

    assert (len(reply.finish_reason), len(reply.usage.tier)) == (200, 60)
    assert reply.quality == "unknown"
