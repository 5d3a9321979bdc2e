"""Promises about streams: put together they are the unstreamed reply, or they are an error."""

from __future__ import annotations

import dataclasses

import orjson
import pytest

from llmnb import Message, errors
from llmnb.wire.dialect import dialect

CHAT = dialect("openai.chat")
DONE = b"data: [DONE]\n\n"


def event(value) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def piece(delta=None, reason=None, index=0, **fields):
    return {"index": index, "delta": delta or {}, "finish_reason": reason, **fields}


def chunk(*chunks, **fields):
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return event({**head, "choices": list(chunks), **fields})


USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
HELLO = (
    chunk(piece({"role": "assistant", "content": ""}))
    + chunk(piece({"content": "Grüße"}))
    + chunk(piece({"content": " 🙂"}))
    + chunk(piece({}, "stop"))
    + chunk(usage=USAGE)
    + DONE
)
WHOLE_HELLO = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Grüße 🙂"},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": USAGE,
}


def whole(stream: bytes, **options) -> bytes:
    return CHAT.assembler(**options).whole(stream)


def parsed(stream: bytes, **options):
    return CHAT.parse(whole(stream, **options))


def same(streamed, unstreamed) -> bool:
    return dataclasses.replace(streamed, raw=b"") == dataclasses.replace(unstreamed, raw=b"")


# ----------------------------------------------------------------- the same as unstreamed


def test_comments_and_unknown_fields_do_not_matter():
    """
    OpenRouter sends comments to keep the connection open.
    """
    noisy = b": OPENROUTER PROCESSING\n\n" + HELLO.replace(b"data: {", b"event: x\nid: 1\ndata: {")

    assert orjson.loads(whole(noisy + b": bye\n")) == WHOLE_HELLO


def test_deltas_come_with_the_bytes_that_complete_them():
    """
    A display shows a token when it has come, not when the next one does.
    """
    assembler = CHAT.assembler()

    assert assembler.feed(chunk(piece({"role": "assistant", "content": ""}))) == []
    (delta,) = assembler.feed(chunk(piece({"content": "Hi"})))
    assert (delta.text, delta.reasoning) == ("Hi", "")


def test_several_answers_grow_side_by_side():
    """
    Pieces of `n` answers come in any order.
    """
    stream = (
        chunk(piece({"content": "b1"}, index=1), piece({"content": "a1"}))
        + chunk(piece({"content": "a2"}, "stop"))
        + chunk(piece({"content": "b2"}, "length", index=1))
    )
    result = parsed(stream, samples=2)

    assert result.texts == ("a1a2", "b1b2")
    assert (result.quality, result.finish_reason) == ("truncated", "length")


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_streamed_and_kept(name):
    """
    Told apart from the text, live and afterwards.
    """
    stream = (
        chunk(piece({"role": "assistant", name: "2 +"}))
        + chunk(piece({name: " 2"}))
        + chunk(piece({"content": "4"}, "stop"))
    )
    assembler = CHAT.assembler()
    deltas = assembler.feed(stream)
    result = CHAT.parse(assembler.finish())

    assert [(case.text, case.reasoning) for case in deltas] == [("", "2 +"), ("", " 2"), ("4", "")]
    assert (result.text, result.reasoning) == ("4", "2 + 2")


def test_reasoning_under_both_names_is_shown_once():
    """
    Some servers send the same words twice.
    """
    stream = chunk(piece({"reasoning": "hm", "reasoning_content": "hm", "content": "4"}, "stop"))
    (delta,) = CHAT.assembler().feed(stream)

    assert (delta.text, delta.reasoning) == ("4", "hm")
    assert parsed(stream).reasoning == "hm"


def test_content_in_parts_grows():
    """
    As Mistral streams it: thinking in parts, then text.
    """
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "2 + 2"}]}]
    stream = (
        chunk(piece({"role": "assistant", "content": ""}))
        + chunk(piece({"content": thinking}))
        + chunk(piece({"content": [{"type": "text", "text": "It is"}]}))
        + chunk(piece({"content": " 4."}, "stop"))
    )
    assembler = CHAT.assembler()
    deltas = assembler.feed(stream)
    result = CHAT.parse(assembler.finish())

    assert [(case.text, case.reasoning) for case in deltas] == [
        ("", "2 + 2"),
        ("It is", ""),
        (" 4.", ""),
    ]
    assert (result.text, result.reasoning) == ("It is 4.", "2 + 2")


def call(index, name=None, arguments=None, id=None):
    function = {"name": name, "arguments": arguments}
    value = {"index": index, "id": id, "function": function}
    return {"tool_calls": [{key: case for key, case in value.items() if case is not None}]}


@pytest.mark.parametrize(
    "deltas",
    [
        # OpenAI: the first piece names the call, the others only its place.
        [
            call(0, "f", "", "c1"),
            call(0, arguments='{"a"'),
            call(0, arguments=": 1}"),
            call(1, "g", "", "c2"),
            call(1, arguments="{}"),
        ],
        # The id repeated in every piece, and pieces of two calls in turns.
        [
            call(0, "f", '{"a"', "c1"),
            call(1, "g", "{", "c2"),
            call(0, arguments=": 1}", id="c1"),
            call(1, arguments="}", id="c2"),
        ],
        # Every call at place 0, whole in one piece.
        [call(0, "f", '{"a": 1}', "c1"), call(0, "g", "{}", "c2")],
        # No place at all.
        [call(None, "f", '{"a": 1}', "c1"), call(None, "g", "{}", "c2")],
    ],
    ids=["openai", "interleaved", "all at 0", "no place"],
)
def test_tool_calls_are_put_together(deltas):
    """
    However servers number the pieces.
    """
    stream = b"".join(chunk(piece(delta)) for delta in deltas) + chunk(piece({}, "tool_calls"))
    assembler = CHAT.assembler()
    report = assembler.feed(stream)
    raw = assembler.finish()

    calls = [(case.id, case.name, case.arguments) for case in CHAT.parse(raw).tool_calls]
    assert calls == [("c1", "f", '{"a": 1}'), ("c2", "g", "{}")]
    assert len(report) == len(deltas)
    assert not any(delta.text or delta.reasoning for delta in report)
    assert b'"index":1' not in raw


def test_the_older_function_call_is_put_together():
    """
    Kept in the body, where old servers' users look for it.
    """
    stream = (
        chunk(piece({"function_call": {"name": "f", "arguments": ""}}))
        + chunk(piece({"function_call": {"arguments": "{}"}}))
        + chunk(piece({}, "function_call"))
    )
    message = orjson.loads(whole(stream))["choices"][0]["message"]

    assert message["function_call"] == {"name": "f", "arguments": "{}"}


def test_a_refusal_is_put_together():
    """
    And judged as such.
    """
    stream = chunk(piece({"refusal": "I can"})) + chunk(piece({"refusal": "not."}, "stop"))
    result = parsed(stream)

    assert (result.text, result.quality) == ("I cannot.", "refused")


def test_log_probabilities_are_put_together():
    """
    One list, in order.
    """
    stream = b"".join(
        chunk(piece({"content": token}, logprobs={"content": [{"token": token}], "refusal": None}))
        for token in "abc"
    ) + chunk(piece({}, "stop", logprobs=None))

    assert parsed(stream).logprobs == {
        "content": [{"token": "a"}, {"token": "b"}, {"token": "c"}],
        "refusal": None,
    }


@pytest.mark.parametrize(
    "ending",
    [
        chunk(piece({}, "stop")) + chunk(usage=USAGE),
        chunk(piece({}, "stop"), usage=USAGE),
        chunk(piece({}, "stop"), x_groq={"id": "req_1", "usage": USAGE}),
        chunk(usage={"prompt_tokens": 9, "completion_tokens": 1})
        + chunk(piece({}, "stop"), usage=USAGE)
        + chunk(usage=None),
    ],
    ids=["own chunk", "last chunk", "groq", "running count"],
)
def test_the_tokens_are_read_wherever_they_stand(ending):
    """
    In a chunk of their own, beside the last piece, under Groq's name, or counted up in each.
    """
    result = parsed(chunk(piece({"content": "Hi"})) + ending)

    assert (result.usage.prompt, result.usage.completion) == (9, 2)


def test_a_stream_without_tokens_has_an_unknown_usage():
    """
    Unknown, not zero.
    """
    assert parsed(chunk(piece({"content": "Hi"}, "stop"))).usage is None


def test_further_fields_are_kept():
    """
    A better reader may want them.
    """
    stream = chunk(
        piece({"content": "Hi", "annotations": [1]}, "stop", native_finish_reason="STOP"),
        provider="Somebody",
        system_fingerprint="fp",
    ) + chunk(piece({"annotations": [2]}))
    body = orjson.loads(whole(stream))

    assert (body["provider"], body["system_fingerprint"]) == ("Somebody", "fp")
    assert body["choices"][0]["native_finish_reason"] == "STOP"
    assert body["choices"][0]["message"]["annotations"] == [1, 2]


# ---------------------------------------------------------------------- whole or not


def test_done_is_not_needed():
    """
    `transformers serve` never sends it: finished choices are a finished stream.
    """
    assert parsed(HELLO.replace(DONE, b"")).text == "Grüße 🙂"


def test_a_last_line_without_its_end_counts():
    """
    If it is whole.
    """
    assert parsed(chunk(piece({"content": "Hi"}, "stop")).rstrip()).text == "Hi"


@pytest.mark.parametrize(
    "stream",
    [
        chunk(piece({"content": "Hel"})),
        chunk(piece({"content": "Hel"})) + DONE,
        chunk(piece({"content": "Hel"})) + chunk(usage=USAGE) + DONE,
        chunk(piece({"content": "Hel"}, "")) + DONE,
        chunk(piece({"content": "Hel"})) + chunk(piece({"content": "lo"}, "stop"))[:-20],
        chunk(piece({"content": "a"}, "stop"), piece({"content": "b"}, index=1)) + DONE,
    ],
    ids=["cut", "done", "usage and done", "empty reason", "cut line", "one of two"],
)
def test_a_stream_without_its_finish_marker_is_incomplete(stream):
    """
    It is never an answer; what came is kept.
    """
    with pytest.raises(errors.IncompleteReply, match="finish marker never came") as caught:
        whole(stream)

    kept = orjson.loads(caught.value.raw)
    assert kept["choices"][0]["message"]["content"]
    assert caught.value.maybe_billed


def test_a_missing_answer_of_several_is_noticed():
    """
    Two asked for, one begun and finished, and the connection closed.
    """
    stream = chunk(piece({"content": "a"}, "stop"))

    assert parsed(stream, samples=1).text == "a"
    with pytest.raises(errors.IncompleteReply):
        whole(stream, samples=2)


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"\n\n",
        DONE,
        b": nothing\n\n",
        chunk(usage=USAGE) + DONE,
        b"<html>oops</html>",
        b"data: ",
    ],
)
def test_a_stream_that_brings_nothing_is_incomplete(stream):
    """
    With the beginning of what came.
    """
    with pytest.raises(errors.IncompleteReply, match="no answer at all") as caught:
        whole(stream)

    assert caught.value.raw == stream


@pytest.mark.parametrize(
    "bad",
    [b"data: {broken\n\n", b"data: \xff\n\n", b"data: null\n\n", b"data: 7\n\n", b"data: []\n\n"],
)
def test_a_hole_in_the_middle_is_never_an_answer(bad):
    """
    An event that cannot be read may have held text.
    """
    stream = chunk(piece({"content": "a"})) + bad + chunk(piece({"content": "c"}, "stop"))

    with pytest.raises(errors.IncompleteReply, match="holes"):
        whole(stream)


def test_deep_nesting_in_an_event_is_a_hole():
    """
    And not the end of the process.
    """
    bad = b'data: {"choices":[' + b"[" * 100_000 + b"\n\n"

    with pytest.raises(errors.IncompleteReply):
        whole(bad + chunk(piece({"content": "c"}, "stop")))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "Rate limit", "code": 429}, errors.RateLimited),
        ({"message": "overloaded", "type": "overloaded_error"}, errors.ProviderError),
        ({"message": "no credit", "code": "insufficient_quota"}, errors.QuotaExhausted),
        ({"message": "who knows"}, errors.BadReply),
        ("who knows", errors.BadReply),
    ],
)
def test_an_error_before_any_answer_means_what_it_says(error, kind):
    """
    As if the status had said it.
    """
    with pytest.raises(errors.LLMNBError) as caught:
        whole(event({"error": error}) + DONE)

    assert type(caught.value) is kind


@pytest.mark.parametrize(
    "breaking",
    [
        event({"error": {"message": "Bad gateway", "code": 502}}),
        chunk(piece({"content": ""}, "error"), error={"message": "Bad gateway", "code": 502}),
        chunk(piece({}, "error", error={"message": "Bad gateway", "code": 502})),
    ],
    ids=["alone", "beside the choices", "inside a choice"],
)
def test_an_error_in_mid_answer_is_an_incomplete_reply(breaking):
    """
    Something was answered and may have been billed, so it is not simply asked again.
    """
    with pytest.raises(errors.IncompleteReply, match="Bad gateway") as caught:
        whole(chunk(piece({"content": "Hel"})) + breaking + DONE)

    assert orjson.loads(caught.value.raw)["choices"][0]["message"]["content"] == "Hel"
    assert caught.value.maybe_billed
    assert len(caught.value.message.splitlines()) <= 10


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": "none"},
        {"choices": [None, 7, "x"]},
        {"choices": [{"index": "x", "delta": None}]},
        {"choices": [{"delta": {"content": None, "tool_calls": "x", "function_call": 3}}]},
        {"choices": [{"delta": {"tool_calls": [None, {"index": None, "function": 3}]}}]},
        {"choices": [{"message": "x", "delta": {"role": None}, "logprobs": {"content": 3}}]},
        {"choices": [{"delta": {"refusal": 3, "reasoning": {}}}]},
        {"usage": "x", "x_groq": "y", "model": 3},
    ],
)
def test_odd_shapes_among_the_events_bring_nothing_down(odd):
    """
    The answer beside them is read.
    """
    result = parsed(event(odd) + chunk(piece({"content": "Hi"}, "stop")))

    assert result.text == "Hi"


@pytest.mark.parametrize("is_id_repeated", [True, False])
def test_a_name_that_comes_again_with_every_fragment_is_kept_once(is_id_repeated):
    """
    Only what a tool is called with grows.
    """
    deltas = [
        call(0, "weather", part, "c1" if is_id_repeated or not position else None)
        for position, part in enumerate(['{"city"', ': "Ky', 'iv"}'])
    ]
    stream = b"".join(chunk(piece(delta)) for delta in deltas) + chunk(piece({}, "tool_calls"))

    (result,) = parsed(stream).tool_calls
    assert (result.id, result.name, result.arguments) == ("c1", "weather", '{"city": "Kyiv"}')


def test_a_name_of_the_older_function_call_that_comes_again_is_kept_once():
    """
    The same of the field that came before tools.
    """
    chunks = [{"function_call": {"name": "f", "arguments": part}} for part in ('{"a"', ": 1}")]
    stream = b"".join(chunk(piece(case)) for case in chunks) + chunk(piece({}, "function_call"))

    body = orjson.loads(whole(stream))
    assert body["choices"][0]["message"]["function_call"] == {"name": "f", "arguments": '{"a": 1}'}


def test_a_call_of_a_custom_tool_is_a_call():
    """
    Its input is text, whole in a reply and in pieces in a stream.
    """
    start = {"index": 0, "id": "c1", "type": "custom", "custom": {"name": "sql", "input": ""}}
    chunks = [start, *({"index": 0, "custom": {"input": part}} for part in ("SELECT", " 1"))]
    stream = b"".join(chunk(piece({"tool_calls": [case]})) for case in chunks)
    result = parsed(stream + chunk(piece({}, "tool_calls")))

    (case,) = result.tool_calls
    assert (case.id, case.name, case.arguments, case.kind) == ("c1", "sql", "SELECT 1", "custom")
    assert result.body["choices"][0]["message"]["tool_calls"] == [
        {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
    ]


def test_geminis_sealed_thoughts_come_with_its_call():
    """
    Whole and streamed, as Google's own OpenAI interface has them; the next turn takes them back.
    """
    sealed = {"google": {"thought_signature": "c2ln"}}
    delta = {**call(0, "now", "{}", "c1")["tool_calls"][0], "extra_content": sealed}
    stream = chunk(piece({"tool_calls": [delta]})) + chunk(piece({}, "tool_calls"))

    result = parsed(stream)

    assert [case.signature for case in result.tool_calls] == ["c2ln"]
    turn = Message(role="assistant", tool_calls=result.tool_calls).body()
    assert turn["tool_calls"][0]["extra_content"] == sealed


def test_content_that_is_an_object_is_its_json():
    """
    Cloudflare gives an answer in JSON already read, in a reply as in a stream.
    """
    answer = {"stars": 4, "words": "größer"}
    stream = chunk(piece({"content": answer})) + chunk(piece({}, "stop"))
    reply = orjson.loads(whole(HELLO))
    reply["choices"][0]["message"]["content"] = answer
    assembler = CHAT.assembler()
    report = "".join(delta.text for delta in assembler.feed(stream))

    for result in (parsed(stream), CHAT.parse(orjson.dumps(reply))):
        assert orjson.loads(result.text) == answer
        assert (result.text, result.quality) == (report, "good")


def test_fragments_of_a_thought_are_joined():
    """
    OpenRouter's details come in pieces under one place and go back as whole ones.
    """
    chunks = [
        {"type": "reasoning.text", "text": "The ", "index": 0},
        {"type": "reasoning.text", "text": "clock.", "index": 0},
        {"type": "reasoning.text", "signature": "s1", "index": 0},
        {"type": "reasoning.encrypted", "data": "gAAA", "index": 1},
    ]
    stream = b"".join(chunk(piece({"reasoning_details": [case]})) for case in chunks)
    result = parsed(
        stream + chunk(piece(call(0, "f", "{}", "c1"))) + chunk(piece({}, "tool_calls"))
    )

    assert result.handed_back == {
        "reasoning_details": [
            {"type": "reasoning.text", "text": "The clock.", "signature": "s1", "index": 0},
            {"type": "reasoning.encrypted", "data": "gAAA", "index": 1},
        ]
    }


@pytest.mark.parametrize("details", [None, 7, True, "x", {"type": "reasoning.text"}, [None], ["x"]])
def test_details_of_reasoning_that_are_none_leave_the_answer(details):
    """
    Whatever stands where OpenRouter's list of details would, the text is read.
    """
    stream = chunk(piece({"content": "Hi", "reasoning_details": details})) + chunk(
        piece({}, "stop")
    )

    assert (parsed(stream).text, parsed(stream).quality) == ("Hi", "good")
