"""Whatever bytes come and however they are cut: whole and streamed readers say the same.

And nothing comes out of them but a reply or one of our errors. A few hundred cases here, ten
thousand in the slow lane; the cases are the same ones in every run.
"""

from __future__ import annotations

import dataclasses
import random

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich_bodies import RICH, spoilt
from streams import DONE, STREAMS, TEXT

from llmnb import errors
from llmnb.records import Reply
from llmnb.wire.dialect import dialect
from llmnb.wire.event_stream import is_document, is_stream

fuzzed = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

GOOD = {
    name: [body, stream, *(STREAMS[name][:1] if name in STREAMS else ())]
    for name, (body, stream) in RICH.items()
}
BEGINNINGS = [b"", b"", b"", b": hi\n\n", b"id: 1\n", b"\xef\xbb\xbf", b"\n\r\n", b"\xef\xbb\xbf\n"]
ENDS = [b"", b"", b"", DONE, b"\n\ndata: [DONE]", b"\r\n"]


@st.composite
def replies(draw: st.DrawFn) -> tuple[str, bytes, list[int]]:
    """Return a dialect, bytes that came, and the places where they were cut on the way."""
    name = draw(st.sampled_from(sorted(GOOD)))
    raw = draw(st.sampled_from(GOOD[name]))
    dice = random.Random(draw(st.integers(0, 2**32)))
    raw = dice.choice(BEGINNINGS) + raw + dice.choice(ENDS)
    kind = draw(st.sampled_from(["good", "spoilt", "spoilt", "spoilt", "line ends", "any"]))
    if kind == "spoilt":
        raw = spoilt(raw, dice)
    elif kind == "line ends":
        raw = raw.replace(b"\n", dice.choice((b"\r", b"\r\n")))
    elif kind == "any":
        raw = draw(st.binary(max_size=200))
    cuts = sorted(dice.randrange(len(raw) + 1) for _ in range(dice.randint(0, 40)))
    return name, raw, cuts


def read(call) -> Reply | errors.LLMNBError:
    """Return a reply without its bytes, or one of our errors; anything else fails the test."""
    try:
        return dataclasses.replace(call(), raw=b"")
    except errors.LLMNBError as error:
        return error


def agreed(name: str, raw: bytes, cuts: list[int]) -> None:
    """Check that bytes are read alike as a whole reply and as a stream in pieces."""
    speaks = dialect(name)
    assembler = speaks.assembler()
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        for delta in assembler.feed(raw[start:end]):
            (delta.text + delta.reasoning + delta.commentary).encode()
    streamed = read(lambda: speaks.parse(assembler.finish()))
    whole = read(lambda: speaks.parse(raw))

    if name == "openai.embeddings" and not is_document(raw):
        # Vectors come whole or not at all.
        assert isinstance(streamed, errors.LLMNBError)
    elif isinstance(whole, Reply):
        assert streamed == whole
    elif is_stream(raw) or is_document(raw):
        assert type(streamed) is type(whole)
    else:
        # Neither a stream nor a document: there is nothing to be read.
        assert isinstance(streamed, errors.BadReply)
        assert isinstance(whole, errors.BadReply)


@settings(fuzzed, max_examples=400)
@given(case=replies())
def test_whole_and_streamed_readers_agree(case):
    """
    On the reply or on the kind of error, wherever the bytes are cut.
    """
    agreed(*case)


@pytest.mark.slow
@settings(fuzzed, max_examples=10_000)
@given(case=replies())
def test_whole_and_streamed_readers_agree_ten_thousand_times(case):
    """
    The same promise over many more bytes.
    """
    agreed(*case)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_becomes_the_body_it_would_have_been(name, line_end):
    """
    Field by field, for every kind of line end, however it is cut: also inside each character.
    """
    stream, body = STREAMS[name]
    stream = stream.replace(b"\n", line_end)
    for size in (1, 2, 3, 7, 64, 1000):
        assembler = dialect(name).assembler()
        texts = [
            delta.text
            for start in range(0, len(stream), size)
            for delta in assembler.feed(stream[start : start + size])
        ]
        assert "".join(texts) == TEXT
        assert len(texts) > 1
        assert orjson.loads(assembler.finish()) == body


chunks = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=6)


def as_stream(name: str, texts: list[str], thoughts: list[str]) -> tuple[bytes, dict]:
    """Return an answer in pieces, and the body that it would have been."""
    text, thought = "".join(texts), "".join(thoughts)
    if name == "openai.chat":
        deltas = [{"reasoning_content": entry} for entry in thoughts]
        deltas += [{"content": entry} for entry in texts]
        events = [{"choices": [{"index": 0, "delta": entry}]} for entry in deltas]
        events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        message = {"content": text, **({"reasoning_content": thought} if thought else {})}
        body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    elif name == "openai.text":
        events = [{"choices": [{"index": 0, "text": entry}]} for entry in texts]
        events[-1]["choices"][0]["finish_reason"] = "stop"
        body = {"choices": [{"index": 0, "text": text, "finish_reason": "stop"}]}
    elif name == "openai.responses":
        working = {"type": "message", "phase": "commentary", "content": []}
        answer = {"type": "message", "content": []}
        events = [{"type": "response.output_item.added", "output_index": 0, "item": working}]
        event = {"type": "response.output_text.delta", "content_index": 0}
        events += [{**event, "output_index": 0, "delta": entry} for entry in thoughts]
        events.append({"type": "response.output_item.added", "output_index": 1, "item": answer})
        events += [{**event, "output_index": 1, "delta": entry} for entry in texts]
        parts = [[{"type": "output_text", "text": entry}] for entry in (thought, text)]
        output = [{**working, "content": parts[0]}, {**answer, "content": parts[1]}]
        body = {"status": "completed", "output": output}
        events.append({"type": "response.completed", "response": body})
    elif name == "anthropic.messages":
        blocks = [("thinking", thoughts)] * bool(thoughts) + [("text", texts)]
        events = [{"type": "message_start", "message": {"content": []}}]
        for index, (kind, texts) in enumerate(blocks):
            block = {"type": kind, kind: ""}
            events.append({"type": "content_block_start", "index": index, "content_block": block})
            events += [
                {
                    "type": "content_block_delta",
                    "index": index,
                    "delta": {"type": f"{kind}_delta", kind: entry},
                }
                for entry in texts
            ]
        events.append({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})
        events.append({"type": "message_stop"})
        content = [{"type": kind, kind: "".join(texts)} for kind, texts in blocks]
        body = {"content": content, "stop_reason": "end_turn"}
    else:
        parts = [{"text": entry, "thought": True} for entry in thoughts]
        parts += [{"text": entry} for entry in texts]
        events = [{"candidates": [{"index": 0, "content": {"parts": [entry]}}]} for entry in parts]
        events[-1]["candidates"][0]["finishReason"] = "STOP"
        whole = [{"text": thought, "thought": True}] * bool(thought) + [{"text": text}]
        body = {"candidates": [{"content": {"parts": whole}, "finishReason": "STOP"}]}
    return b"".join(b"data: " + orjson.dumps(entry) + b"\n\n" for entry in events), body


@settings(fuzzed, max_examples=300)
@given(
    name=st.sampled_from(sorted(STREAMS)),
    texts=chunks,
    thoughts=st.one_of(st.just([]), chunks),
    size=st.integers(1, 99),
)
def test_the_fragments_joined_are_the_text(name, texts, thoughts, size):
    """
    In every dialect, apart from thoughts and commentary, and the body is the same as unstreamed.
    """
    raw, body = as_stream(name, texts, thoughts)
    speaks = dialect(name)
    assembler = speaks.assembler()
    deltas = [
        delta
        for start in range(0, len(raw), size)
        for delta in assembler.feed(raw[start : start + size])
    ]
    result = read(lambda: speaks.parse(assembler.finish()))

    assert "".join(delta.text for delta in deltas) == "".join(texts)
    assert result.text == "".join(texts)
    assert result == read(lambda: speaks.parse(orjson.dumps(body)))


@pytest.mark.parametrize("name", STREAMS)
def test_a_very_long_answer_is_read(name):
    """
    A megabyte in one event, and four megabytes in many.
    """
    for texts in (["x" * 1_000_000, "y"], ["z" * 1000] * 4000):
        stream, _ = as_stream(name, texts, [])

        assert dialect(name).parse(stream).text == "".join(texts)


@pytest.mark.parametrize("name", STREAMS)
def test_halves_of_a_character_are_joined(name):
    """
    Servers that count in UTF-16 cut a pair apart: whole in the answer, and each half can be shown.
    """
    stream, _ = as_stream(name, ["@", "#"], [])
    stream = stream.replace(b"@", b"\\ud83d").replace(b"#", b"\\ude00")
    assembler = dialect(name).assembler()

    for event in stream.splitlines(keepends=True):
        for delta in assembler.feed(event):
            delta.text.encode()
    assert dialect(name).parse(assembler.finish()).text == "\U0001f600"
