"""Promises about Anthropic's streams: together they are the unstreamed reply, or an error."""

from __future__ import annotations

import orjson
import pytest

from llmnb import errors
from llmnb.wire.anthropic_messages import ANSWER_TOOL
from llmnb.wire.dialect import dialect

CLAUDE = dialect("anthropic.messages")
HEAD = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 1},
}


def event(kind, **fields) -> bytes:
    data = orjson.dumps({"type": kind, **fields})
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def start(**fields) -> bytes:
    return event("message_start", message={**HEAD, **fields})


def block(index, content_block, *deltas) -> bytes:
    return (
        event("content_block_start", index=index, content_block=content_block)
        + b"".join(event("content_block_delta", index=index, delta=delta) for delta in deltas)
        + event("content_block_stop", index=index)
    )


def said(index, *texts) -> bytes:
    deltas = [{"type": "text_delta", "text": case} for case in texts]
    return block(index, {"type": "text", "text": ""}, *deltas)


def called(index, *chunks, name="now") -> bytes:
    tool = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}}
    deltas = [{"type": "input_json_delta", "partial_json": case} for case in chunks]
    return block(index, tool, *deltas)


def end(reason="end_turn", **usage) -> bytes:
    return (
        event(
            "message_delta",
            delta={"stop_reason": reason, "stop_sequence": None},
            usage={"output_tokens": 7, **usage},
        )
        + STOP
    )


PING = event("ping")
STOP = event("message_stop")
HELLO = start() + PING + said(0, "Grüße", " 🙂") + end()
WHOLE_HELLO = {
    **HEAD,
    "content": [{"type": "text", "text": "Grüße 🙂"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 7},
}


def whole(stream: bytes) -> bytes:
    return CLAUDE.assembler().whole(stream)


def parsed(stream: bytes):
    return CLAUDE.parse(whole(stream))


# --------------------------------------------------------------- the same as unstreamed


def test_deltas_come_with_the_bytes_that_complete_them():
    """
    A display shows a token when it has come; the head of a message is none.
    """
    assembler = CLAUDE.assembler()

    assert assembler.feed(start() + PING) == []
    opening = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    assert assembler.feed(opening) == []
    piece = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi"})
    (delta,) = assembler.feed(piece)
    assert (delta.text, delta.reasoning) == ("Hi", "")


def test_thinking_is_streamed_and_kept_with_its_signature():
    """
    The signature is no word of it.
    """
    thoughts = [
        {"type": "thinking_delta", "thinking": "2 "},
        {"type": "thinking_delta", "thinking": "+ 2"},
        {"type": "signature_delta", "signature": "c2ln"},
    ]
    stream = (
        start()
        + block(0, {"type": "thinking", "thinking": "", "signature": ""}, *thoughts)
        + block(1, {"type": "redacted_thinking", "data": "b3BhcXVl"})
        + said(2, "4")
        + end()
    )
    assembler = CLAUDE.assembler()
    deltas = assembler.feed(stream)
    body = orjson.loads(assembler.finish())

    assert "".join(delta.reasoning for delta in deltas) == "2 + 2"
    assert "".join(delta.text for delta in deltas) == "4"
    assert body["content"][:2] == [
        {"type": "thinking", "thinking": "2 + 2", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
    ]
    assert CLAUDE.parse(orjson.dumps(body)).reasoning == "2 + 2"


def test_tool_calls_grow_in_fragments():
    """
    Their input is text while it comes and an object at the end; each piece is progress.
    """
    stream = start() + said(0, "So:") + called(1, "", '{"zo', 'ne":"ü"}') + called(2)
    assembler = CLAUDE.assembler()
    deltas = assembler.feed(stream + end("tool_use"))
    body = orjson.loads(assembler.finish())

    assert [delta.text for delta in deltas if delta.text] == ["So:"]
    assert len(deltas) > 4
    assert body["content"][1:] == [
        {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {"zone": "ü"}},
        {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
    ]


def test_an_answer_by_our_own_tool_is_streamed_as_text():
    """
    The caller waits for JSON, not for a tool.
    """
    stream = start() + called(0, '{"label"', ':"good"}', name=ANSWER_TOOL) + end("tool_use")
    deltas = CLAUDE.assembler().feed(stream)

    assert "".join(delta.text for delta in deltas) == '{"label":"good"}'
    assert parsed(stream).text == '{"label":"good"}'


def test_a_call_that_the_length_cut_off_is_kept_as_far_as_it_came():
    """
    It is no good answer, and its bytes were paid for.
    """
    result = parsed(start() + called(0, '{"zone": "Eur') + end("max_tokens"))

    assert result.quality == "truncated"
    assert result.tool_calls[0].arguments == '{"zone": "Eur'


def test_citations_are_collected():
    """
    One after the other, in a list of their own.
    """
    cited = [{"type": "char_location", "start_char_index": position} for position in (0, 5)]
    deltas = [{"type": "citations_delta", "citation": case} for case in cited]
    stream = start() + block(0, {"type": "text", "text": ""}, *deltas) + end()

    assert orjson.loads(whole(stream))["content"][0]["citations"] == cited


def test_the_last_figures_of_the_usage_count():
    """
    Those of the start are kept where the end is silent.
    """
    result = parsed(
        start()
        + said(0, "x")
        + end(input_tokens=11, output_tokens_details={"thinking_tokens": 3}, odd=None)
    )

    assert (result.usage.prompt, result.usage.completion) == (11 + 4, 7)
    assert (result.usage.cache_read, result.usage.reasoning) == (4, 3)


def test_what_the_end_says_is_part_of_the_message():
    """
    A refusal's explanation, the sequence that stopped it.
    """
    details = {"type": "refusal", "explanation": "Not this."}
    stop = event(
        "message_delta",
        delta={"stop_reason": "refusal", "stop_details": details},
        usage={"output_tokens": 1},
    )
    result = parsed(start() + stop + STOP)

    assert (result.quality, result.text) == ("refused", "Not this.")


def test_events_of_tomorrow_do_not_matter():
    """
    The protocol says that new kinds will come.
    """
    new = event("something_new", index=0, delta={"type": "x"})

    assert orjson.loads(whole(new + HELLO.replace(PING, PING + new))) == WHOLE_HELLO


def test_an_answer_that_was_streamed_against_our_wish_is_read():
    """
    Some gateways stream whatever they were asked.
    """
    assert CLAUDE.parse(HELLO).text == "Grüße 🙂"
    with pytest.raises(errors.IncompleteReply):
        CLAUDE.parse(HELLO.removesuffix(STOP))


# ---------------------------------------------------------------------------- not whole


@pytest.mark.parametrize(
    "stream",
    [
        HELLO.removesuffix(STOP),
        start() + said(0, "Hi"),
        start() + said(0, "Hi") + STOP,
        start() + event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        HELLO[: HELLO.index(b"message_delta")],
        HELLO[:-40],
    ],
)
def test_a_stream_without_its_end_is_no_answer(stream):
    """
    What came is kept with the error, for whoever paid for it.
    """
    with pytest.raises(errors.IncompleteReply, match="finish marker") as caught:
        whole(stream)

    assert orjson.loads(caught.value.raw)["id"] == "msg_1"
    assert caught.value.maybe_billed


@pytest.mark.parametrize("stream", [b"", b"\n\n", PING, start(), b": comment\n\n", start() + STOP])
def test_a_stream_that_brings_nothing_says_so(stream):
    """
    The head of a message is nothing yet.
    """
    with pytest.raises(errors.IncompleteReply, match="no answer at all"):
        whole(stream)


@pytest.mark.parametrize(
    "broken",
    [
        b"data: {\n\n",
        b"data: []\n\n",
        event("content_block_delta", index=5, delta={"type": "text_delta", "text": "x"}),
        event("content_block_delta", index=0, delta=None),
        event("content_block_start", index=None, content_block={"type": "text"}),
        event("content_block_start", index=1, content_block=None),
        event("content_block_start", index=10**9, content_block={"type": "text", "text": ""}),
    ],
)
def test_a_piece_that_cannot_be_read_makes_a_hole(broken):
    """
    An answer with holes is no answer.
    """
    with pytest.raises(errors.IncompleteReply, match="holes"):
        whole(start() + said(0, "a") + broken + end())


def test_a_call_that_is_no_json_is_a_hole():
    """
    The message says that the call is whole, and it is not.
    """
    with pytest.raises(errors.IncompleteReply, match="holes"):
        whole(start() + called(0, '{"zone": ') + end("tool_use"))


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("overloaded_error", errors.ProviderError),
        ("rate_limit_error", errors.RateLimited),
        ("api_error", errors.ProviderError),
        ("authentication_error", errors.AuthenticationError),
        ("something_new", errors.BadReply),
    ],
)
def test_an_error_before_any_answer_is_what_it_says(kind, error):
    """
    Nothing was bought, so it may be asked again where its kind may.
    """
    fault = event("error", error={"type": kind, "message": "Overloaded"})

    for stream in (fault, start() + fault, start() + PING + fault):
        with pytest.raises(errors.LLMNBError) as caught:
            whole(stream)
        assert type(caught.value) is error


def test_an_error_in_mid_stream_is_no_answer():
    """
    Something was answered and may have been billed, so it is never asked again by itself.
    """
    fault = event("error", error={"type": "overloaded_error", "message": "Overloaded"})

    with pytest.raises(errors.IncompleteReply, match="Overloaded") as caught:
        whole(start() + said(0, "Once upon") + fault)

    assert orjson.loads(caught.value.raw)["content"][0]["text"] == "Once upon"
