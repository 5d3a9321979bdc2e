"""Promises about Responses and embeddings that hold for any bytes: a value, or one of our errors.

The examples are drawn the same way in every run.
"""

from __future__ import annotations

import pickle

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmnb import errors
from llmnb.records import Reply
from llmnb.wire.dialect import dialect

RESPONSES, EMBEDDINGS = dialect("openai.responses"), dialect("openai.embeddings")
BOTH = [RESPONSES, EMBEDDINGS]

fuzzed = settings(
    max_examples=200,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

texts = st.one_of(
    st.sampled_from(["", "Hi", "Grüße", "\U0001f600", "null", "\x1b[2J", "AACAPw=="]),
    st.text(max_size=5),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
NAMES = (
    "type output content summary text refusal name call_id id arguments input status error "
    "code message incomplete_details reason usage input_tokens output_tokens model object "
    "index output_index content_index summary_index delta item response part logprobs data "
    "embedding phase role tools response_format reasoning include tool_choice function"
)
names = st.sampled_from(NAMES.split())
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(names, texts), inner, max_size=5)
    ),
    max_leaves=8,
)


def nearly(name, fits):
    """Return what should stand at a place, now and then anything else, or nothing."""
    odd = st.one_of(st.just({}), anything.map(lambda value: {name: value}))
    case = fits.map(lambda value: {name: value})
    return st.one_of(case, case, case, case, odd)


def together(*parts):
    return st.tuples(*parts).map(lambda result: {k: v for case in result for k, v in case.items()})


parts = together(
    nearly("type", st.sampled_from(["output_text", "refusal", "summary_text", "reasoning_text"])),
    nearly("text", texts),
    nearly("refusal", st.none()),
    nearly("logprobs", st.lists(anything, max_size=2)),
)
items = together(
    nearly(
        "type", st.sampled_from(["message", "reasoning", "function_call", "custom_tool_call", "x"])
    ),
    nearly("content", st.lists(parts, max_size=2)),
    nearly("summary", st.lists(parts, max_size=2)),
    nearly("name", texts),
    nearly("arguments", texts),
    nearly("phase", st.sampled_from([None, "commentary"])),
)
responses = together(
    nearly("output", st.lists(items, max_size=3)),
    nearly("status", st.sampled_from(["completed", "incomplete", "failed", "queued"])),
    nearly("incomplete_details", st.dictionaries(st.just("reason"), texts, max_size=1)),
    nearly("usage", st.dictionaries(names, anything, max_size=4)),
    nearly("id", texts),
    st.sampled_from([{}, {}, {}, {"error": None}, {"error": "x"}, {"error": {"code": 429}}]),
)
vectors = together(
    nearly("index", st.integers(0, 2)),
    nearly("embedding", st.one_of(st.lists(st.floats(width=32), max_size=3), texts)),
)
lists = together(nearly("data", st.lists(vectors, max_size=3)), nearly("model", texts))
raws = st.one_of(
    st.binary(max_size=200),
    anything.map(orjson.dumps),
    responses.map(orjson.dumps),
    lists.map(orjson.dumps),
    responses.map(orjson.dumps).flatmap(
        lambda raw: st.integers(0, len(raw)).map(lambda index: raw[:index])
    ),
)
KINDS = [
    *("created", "in_progress", "completed", "incomplete", "failed", "queued"),
    *("output_item.added", "output_item.done", "output_text.delta", "refusal.delta"),
    *("reasoning_text.delta", "reasoning_summary_text.delta", "content_part.added"),
    *("function_call_arguments.delta", "custom_tool_call_input.delta"),
]
events = together(
    nearly("type", st.sampled_from([*(f"response.{kind}" for kind in KINDS), "error"])),
    nearly("response", responses),
    nearly("item", items),
    nearly("delta", texts),
    nearly("output_index", st.integers(0, 2)),
    nearly("content_index", st.integers(0, 2)),
    nearly("summary_index", st.integers(0, 2)),
    nearly("logprobs", st.lists(anything, max_size=2)),
)
streams = st.lists(
    st.one_of(
        st.binary(max_size=40),
        events.map(lambda case: b"event: x\ndata: " + orjson.dumps(case) + b"\n\n"),
        events.map(lambda case: b"data:" + orjson.dumps(case) + b"\r\n\r\n"),
        st.sampled_from([b"data: [DONE]\n\n", b": ping\n\n", b"\r", b"\n"]),
    ),
    max_size=8,
)


def value_or_our_error(call):
    """Run a call; only a value or one of our errors may come out of it."""
    try:
        return call()
    except errors.LLMNBError as error:
        result = error
    assert len(result.message.splitlines()) <= errors.MAX_MESSAGE_LINES
    assert result.body is None or len(result.body) <= 2000
    pickle.loads(pickle.dumps(result))
    return result


@pytest.mark.parametrize("case", BOTH, ids=lambda case: case.name)
@fuzzed
@given(raw=raws)
def test_any_bytes_parse_to_a_reply_or_to_our_error(case, raw):
    """
    A reply's text can be shown and its body read again; a bad reply keeps its bytes.
    """
    result = value_or_our_error(lambda: case.parse(raw))

    if isinstance(result, Reply):
        (result.text + (result.reasoning or "")).encode()
        assert isinstance(result.body, dict)
        assert all(vector and len(vector) % 4 == 0 for vector in result.vectors)
    elif type(result) is errors.BadReply:
        assert result.raw == raw


@pytest.mark.parametrize("case", BOTH, ids=lambda case: case.name)
@fuzzed
@given(chunks=streams, size=st.integers(1, 50))
def test_any_stream_is_put_together_or_is_our_error(case, chunks, size):
    """
    However it is cut; and what is put together is not torn down by the parser.
    """
    stream = b"".join(chunks)
    result = []
    for step in (size, len(stream) or 1):
        assembler = case.assembler()
        for index in range(0, len(stream), step):
            for delta in assembler.feed(stream[index : index + step]):
                (delta.text + delta.reasoning).encode()
        result.append(value_or_our_error(assembler.finish))

    if isinstance(result[0], bytes):
        assert result[0] == result[1]
        value_or_our_error(lambda: case.parse(result[0]))
    else:
        assert type(result[0]) is type(result[1])


fields = st.dictionaries(st.one_of(names, texts), anything, max_size=4)
messages = st.lists(
    together(
        nearly("role", st.sampled_from(["user", "assistant", "tool", "system"])),
        nearly("content", st.one_of(texts, st.lists(parts, max_size=2))),
        st.one_of(st.just({}), nearly("tool_calls", st.lists(anything, max_size=2))),
        st.one_of(st.just({}), nearly("tool_call_id", texts)),
    ),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize("case", BOTH, ids=lambda case: case.name)
@fuzzed
@given(
    asked=st.one_of(
        messages.map(lambda value: {"messages": value}),
        anything.map(lambda value: {"input": value}),
        anything.map(lambda value: {"prompt": value}),
    ),
    request_=fields,
    params=fields,
)
def test_any_request_becomes_a_body_or_an_input_error(case, asked, request_, params):
    """
    The model is in it, the stream is not, and nothing that was given is changed.
    """
    request_ = {**request_, **asked}
    before = repr((request_, params))

    result = value_or_our_error(lambda: case.body(request_, model="m", params=params))

    assert repr((request_, params)) == before
    if isinstance(result, errors.LLMNBError):
        assert type(result) is errors.InputError
    else:
        assert result["model"] == "m"
        assert "stream" not in result
        assert None not in list(map(type, result.values()))
