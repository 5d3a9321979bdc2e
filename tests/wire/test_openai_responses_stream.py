"""Promises about streams of the Responses API: they become the response, or they are an error."""

from __future__ import annotations

import dataclasses

import orjson
import pytest

from llmnb import errors
from llmnb.records import Delta
from llmnb.wire.dialect import dialect

RESPONSES = dialect("openai.responses")
TEXT = "Grüße 🙂"
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}],
}
WHOLE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "m",
    "output": [MESSAGE],
    "usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11},
}
STARTED = {**WHOLE, "status": "in_progress", "output": [], "usage": None}


def event(kind, **fields) -> bytes:
    data = orjson.dumps({"type": kind, **fields})
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def added(item, index=0) -> bytes:
    return event("response.output_item.added", output_index=index, item=item)


def text(delta, index=0, part=0, **fields) -> bytes:
    where = {"item_id": "msg_1", "output_index": index, "content_index": part}
    return event("response.output_text.delta", **where, delta=delta, **fields)


BEGIN = event("response.created", response=STARTED) + event(
    "response.in_progress", response=STARTED
)
BLANK = {**MESSAGE, "status": "in_progress", "content": []}
PART = event(
    "response.content_part.added",
    output_index=0,
    content_index=0,
    part={"type": "output_text", "text": "", "annotations": []},
)
TOKENS = text("Grüße") + text(" 🙂")
DONE = (
    event("response.output_text.done", output_index=0, content_index=0, text=TEXT)
    + event("response.content_part.done", output_index=0, content_index=0, part={})
    + event("response.output_item.done", output_index=0, item=MESSAGE)
)
END = event("response.completed", response=WHOLE)
STREAM = BEGIN + added(BLANK) + PART + TOKENS + DONE + END


def whole(stream: bytes) -> bytes:
    return RESPONSES.assembler().whole(stream)


def deltas(stream: bytes) -> list[Delta]:
    return RESPONSES.assembler().feed(stream)


def same(streamed, unstreamed) -> bool:
    return dataclasses.replace(streamed, raw=b"") == dataclasses.replace(unstreamed, raw=b"")


# ----------------------------------------------------------------- the same as unstreamed


def test_a_stream_becomes_the_response_it_would_have_been():
    """
    Field by field, and read as the same reply.
    """
    assert orjson.loads(whole(STREAM)) == WHOLE
    assert same(RESPONSES.parse(whole(STREAM)), RESPONSES.parse(orjson.dumps(WHOLE)))


def test_a_stream_that_was_not_asked_for_is_read_all_the_same():
    """
    With names of events or without.
    """
    bare = b"".join(line + b"\n\n" for line in STREAM.split(b"\n") if line.startswith(b"data:"))

    assert RESPONSES.parse(STREAM).text == RESPONSES.parse(bare).text == TEXT


def test_an_end_without_its_output_leaves_what_came():
    """
    As some servers send it: then the items are those that came one by one.
    """
    end = event("response.completed", response={**WHOLE, "output": []})
    undone = BEGIN + added(BLANK) + PART + TOKENS + end

    assert RESPONSES.parse(whole(BEGIN + added(BLANK) + DONE + end)).text == TEXT
    assert RESPONSES.parse(whole(undone)).text == TEXT


def test_an_incomplete_response_is_whole_as_a_stream():
    """
    It is the answer that was cut off, not the line.
    """
    cut = {**WHOLE, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    stream = BEGIN + added(BLANK) + TOKENS + event("response.incomplete", response=cut)

    assert RESPONSES.parse(whole(stream)).quality == "truncated"


# ----------------------------------------------------------------------------- the pieces


def test_deltas_come_with_the_bytes_that_complete_them():
    """
    A message that begins has no text yet; its tokens have.
    """
    assembler = RESPONSES.assembler()

    assert assembler.feed(BEGIN + added(BLANK) + PART) == []
    assert assembler.feed(text("Hi")) == [Delta(text="Hi")]


def test_thoughts_come_apart_from_the_text():
    """
    Between two of them there is the same gap as in the finished reply.
    """
    first = [
        {"type": "summary_text", "text": "One."},
        {"type": "summary_text", "text": "Two."},
    ]
    second = [{"type": "reasoning_text", "text": "Three."}]
    items = [
        {"type": "reasoning", "id": "rs_1", "summary": first},
        {"type": "reasoning", "id": "rs_2", "summary": [], "content": second},
        MESSAGE,
    ]

    def thought(kind, delta, index, **position):
        return event(f"response.{kind}.delta", output_index=index, delta=delta, **position)

    stream = (
        added({**items[0], "summary": []})
        + thought("reasoning_summary_text", "On", 0, summary_index=0)
        + thought("reasoning_summary_text", "e.", 0, summary_index=0)
        + thought("reasoning_summary_text", "Two.", 0, summary_index=1)
        + added({"type": "reasoning", "id": "rs_2", "summary": []}, 1)
        + thought("reasoning_text", "Three.", 1, content_index=0)
        + added(BLANK, 2)
        + text(TEXT, 2)
    )
    shown = "".join(delta.reasoning for delta in deltas(stream))
    end = event("response.completed", response={**WHOLE, "output": items})

    assert shown == "One.\n\nTwo.\n\nThree." == RESPONSES.parse(whole(stream + end)).reasoning
    bare = event("response.completed", response={**WHOLE, "output": []})
    assert RESPONSES.parse(whole(stream + bare)).reasoning == shown


def test_calls_and_refusals_tell_that_the_answer_has_begun():
    """
    By deltas without text; their pieces add up.
    """
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "now"}

    def arguments(delta):
        return event("response.function_call_arguments.delta", output_index=0, delta=delta)

    stream = BEGIN + added({**call, "arguments": ""}) + arguments('{"a"') + arguments(":1}")
    bare = event("response.completed", response={**WHOLE, "output": []})

    assert deltas(stream) == [Delta()] * 3
    assert RESPONSES.parse(whole(stream + bare)).tool_calls[0].arguments == '{"a":1}'
    no = event("response.refusal.delta", output_index=0, content_index=0, delta="No.")
    assert deltas(added(BLANK) + no) == [Delta()]
    assert RESPONSES.parse(whole(added(BLANK) + no + bare)).quality == "refused"


def test_log_probabilities_come_with_the_fragments():
    """
    A list with each, one list in the end.
    """
    case, two = {"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -0.2}
    bare = event("response.completed", response={**WHOLE, "output": []})
    stream = added(BLANK) + text("a", logprobs=[case]) + text("b", logprobs=[two]) + bare

    assert RESPONSES.parse(whole(stream)).logprobs == [case, two]


def test_events_of_tomorrow_do_not_matter():
    """
    Nor do annotations, searches and counters.
    """
    other = event("response.web_search_call.searching", output_index=3, item_id="ws_1")
    later = event("response.dreaming.delta", delta="zzz")

    assert orjson.loads(whole(STREAM.replace(PART, PART + other + later))) == WHOLE


# ------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    "stream",
    [
        BEGIN + added(BLANK) + PART + TOKENS,
        BEGIN + added(BLANK) + PART + TOKENS + DONE,
        STREAM[: -len(END) // 2],
        BEGIN,
        b"",
        b"data: [DONE]\n\n",
    ],
)
def test_without_its_end_it_is_incomplete(stream):
    """
    However much came; the end marker is the event that holds the whole response.
    """
    with pytest.raises(errors.IncompleteReply):
        whole(stream)


def test_what_came_of_a_cut_stream_is_kept():
    """
    So the person can look at what was paid for.
    """
    with pytest.raises(errors.IncompleteReply) as caught:
        whole(BEGIN + added(BLANK) + PART + TOKENS)

    assert TEXT.encode() in caught.value.raw


@pytest.mark.parametrize(
    "hole",
    [
        b"data: {oops\n\n",
        b"data: 7\n\n",
        text(7),
        text("x", index=9),
        text("x", index=-1),
        text("x", part="0"),
        text("x", part=10**9),
        added(None),
        event("response.function_call_arguments.delta", output_index=0, delta=None),
        event("response.in_progress"),
    ],
)
def test_a_piece_that_cannot_be_read_spoils_the_stream(hole):
    """
    An answer with holes is no answer, even where the end looks right.
    """
    with pytest.raises(errors.IncompleteReply, match="could not be read"):
        whole(BEGIN + added(BLANK) + PART + TOKENS + hole + DONE + END)


FAILURES = [
    event("error", code="server_error", message="It broke.", param=None),
    event("error", error={"code": "server_error", "message": "It broke."}),
    event(
        "response.failed",
        response={
            **STARTED,
            "status": "failed",
            "error": {"code": "server_error", "message": "It broke."},
        },
    ),
]


@pytest.mark.parametrize("failure", FAILURES)
def test_an_error_before_any_answer_is_that_error(failure):
    """
    In whichever of its three shapes.
    """
    with pytest.raises(errors.ProviderError, match="It broke"):
        whole(BEGIN + failure)


@pytest.mark.parametrize("failure", FAILURES)
def test_an_error_in_mid_answer_is_an_incomplete_reply(failure):
    """
    Something was answered and may have been billed.
    """
    with pytest.raises(errors.IncompleteReply, match="It broke"):
        whole(BEGIN + added(BLANK) + TOKENS + failure)


def test_a_failure_without_a_message_is_a_failure_nevertheless():
    """
    With words of our own.
    """
    failed = event("response.failed", response={**STARTED, "status": "failed"})

    with pytest.raises(errors.BadReply, match="does not say why"):
        whole(BEGIN + failed)


def test_a_rate_limit_in_a_stream_is_recognised():
    """
    So it is waited out, not counted as a failure.
    """
    code = {"code": "rate_limit_exceeded", "message": "Please try again in 2s."}

    with pytest.raises(errors.RateLimited) as caught:
        whole(BEGIN + event("error", **code))

    assert caught.value.retry_after == 2.0
