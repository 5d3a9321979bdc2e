"""Promises that hold for any bytes at all: what leaves this room is a value or one of our errors.

The examples are drawn the same way in every run.
"""

from __future__ import annotations

import dataclasses
import pickle

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmnb import errors
from llmnb.display import escape
from llmnb.records import Reply
from llmnb.wire.api_keys import check_key, mask
from llmnb.wire.canonical import canonical
from llmnb.wire.classify import classify
from llmnb.wire.dialect import dialect
from llmnb.wire.event_stream import EventDecoder
from llmnb.wire.limits import FAMILIES, limit_reports, request_id, retry_after

fuzzed = settings(
    max_examples=200,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# ------------------------------------------------------------------- bodies that nearly fit

texts = st.one_of(
    st.sampled_from(
        [
            *("", "Hi", "Grüße", "\U0001f600", "null", "\x1b[2J", "\u202e", "<html>", "\x00"),
            "AACAPw==",
        ]
    ),
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
    "choices message delta content text error code type status finish_reason index usage refusal "
    "prompt_tokens completion_tokens prompt_tokens_details tool_calls function name arguments id "
    "logprobs reasoning_content detail msg metadata raw object model stop length output summary "
    "call_id input incomplete_details reason input_tokens output_tokens output_index content_index "
    "summary_index item response part data embedding phase role tools response_format reasoning "
    "include tool_choice content_block thinking partial_json stop_reason citation citations "
    "candidates parts thought finishReason functionCall args usageMetadata promptTokenCount "
    "logprobsResult citationMetadata promptFeedback blockReason thoughtSignature"
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


usages = nearly("usage", st.dictionaries(names, anything, max_size=4))
errors_within = st.sampled_from(
    [{}, {}, {}, {"error": None}, {"error": "x"}, {"error": {"code": 429}}]
)
places = st.integers(0, 2)
logprobs = nearly("logprobs", st.lists(anything, max_size=2))

calls = st.lists(
    together(
        nearly("index", places),
        nearly("id", texts),
        nearly("function", together(nearly("name", texts), nearly("arguments", texts))),
    ),
    max_size=3,
)
messages = together(
    nearly("role", texts),
    nearly("content", st.one_of(texts, st.lists(anything, max_size=2))),
    nearly("refusal", st.none()),
    nearly("reasoning_content", texts),
    nearly("tool_calls", calls),
)
reasons = st.sampled_from(["stop", "length", "content_filter", "tool_calls", None])
choices = together(
    nearly("index", st.integers(0, 3)),
    nearly("message", messages),
    nearly("delta", messages),
    nearly("text", texts),
    nearly("finish_reason", reasons),
    nearly("logprobs", st.dictionaries(names, st.lists(anything, max_size=2), max_size=2)),
)
completions = together(
    nearly("choices", st.lists(choices, min_size=1, max_size=3)),
    usages,
    nearly("model", texts),
    errors_within,
)

parts = together(
    nearly("type", st.sampled_from(["output_text", "refusal", "summary_text", "reasoning_text"])),
    nearly("text", texts),
    nearly("refusal", st.none()),
    logprobs,
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
    usages,
    nearly("id", texts),
    errors_within,
)
KINDS = [
    *("created", "in_progress", "completed", "incomplete", "failed", "queued"),
    *("output_item.added", "output_item.done", "output_text.delta", "refusal.delta"),
    *("reasoning_text.delta", "reasoning_summary_text.delta", "content_part.added"),
    *("function_call_arguments.delta", "custom_tool_call_input.delta"),
]
response_events = together(
    nearly("type", st.sampled_from([*(f"response.{kind}" for kind in KINDS), "error"])),
    nearly("response", responses),
    nearly("item", items),
    nearly("delta", texts),
    *(nearly(name, places) for name in ("output_index", "content_index", "summary_index")),
    logprobs,
)

vectors = together(
    nearly("index", places),
    nearly("embedding", st.one_of(st.lists(st.floats(width=32), max_size=3), texts)),
)
embeddings = together(nearly("data", st.lists(vectors, max_size=3)), nearly("model", texts))

blocks = together(
    nearly("type", st.sampled_from(["text", "thinking", "tool_use", "redacted_thinking"])),
    nearly("text", texts),
    nearly("thinking", texts),
    nearly("name", texts),
    nearly("input", anything),
)
ends = nearly("stop_reason", st.sampled_from(["end_turn", "tool_use", "max_tokens", None]))
claude = together(
    nearly("content", st.lists(blocks, max_size=3)),
    ends,
    usages,
    nearly("id", texts),
    errors_within,
)
claude_events = together(
    nearly(
        "type",
        st.sampled_from(
            [
                *("message_start", "content_block_start", "content_block_delta"),
                *("message_delta", "message_stop", "ping", "error"),
            ]
        ),
    ),
    nearly("message", claude),
    nearly("index", places),
    nearly("content_block", blocks),
    nearly(
        "delta",
        st.dictionaries(
            st.sampled_from(["text", "thinking", "partial_json", "citation", "stop_reason"]),
            st.sampled_from(["a", "{", "}", "1", "end_turn", None]),
            max_size=2,
        ),
    ),
    usages,
)

gemini_parts = together(
    nearly("text", texts),
    st.one_of(st.just({}), nearly("thought", st.booleans())),
    st.one_of(st.just({}), nearly("functionCall", together(nearly("name", texts)))),
)
candidates = together(
    nearly("index", places),
    nearly("content", together(nearly("parts", st.lists(gemini_parts, max_size=3)))),
    nearly("finishReason", st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "OTHER", None])),
)
gemini = together(
    nearly("candidates", st.lists(candidates, min_size=1, max_size=2)),
    nearly("usageMetadata", st.dictionaries(names, anything, max_size=3)),
    st.sampled_from([{}, {}, {"promptFeedback": {"blockReason": "SAFETY"}}]),
    errors_within,
)

BODIES = {
    "openai.chat": (completions, completions),
    "openai.text": (completions, completions),
    "openai.responses": (responses, response_events),
    "openai.embeddings": (embeddings, embeddings),
    "anthropic.messages": (claude, claude_events),
    "gemini.generate": (st.one_of(gemini, st.lists(gemini, max_size=2)), gemini),
}
"""What nearly fits each dialect: whole bodies, and events of streams."""


def raw_of(bodies):
    """Return bytes: any, of any JSON, of bodies that nearly fit, and of such that are cut off."""
    fitting = bodies.map(orjson.dumps)
    cut = fitting.flatmap(lambda raw: st.integers(0, len(raw)).map(lambda end: raw[:end]))
    return st.one_of(st.binary(max_size=200), anything.map(orjson.dumps), fitting, cut)


def streams_of(events):
    """Return streams in chunks that are events mostly."""
    return st.lists(
        st.one_of(
            st.binary(max_size=40),
            events.map(lambda case: b"event: x\ndata: " + orjson.dumps(case) + b"\n\n"),
            events.map(lambda case: b"data:" + orjson.dumps(case) + b"\r\n\r\n"),
            st.sampled_from([b"data: [DONE]\n\n", b": ping\n\n", b"\r", b"\n"]),
        ),
        max_size=8,
    )


RAWS = {name: raw_of(whole) for name, (whole, _) in BODIES.items()}
STREAMS = {name: streams_of(events) for name, (_, events) in BODIES.items()}


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


@pytest.mark.parametrize("name", BODIES)
@fuzzed
@given(data=st.data())
def test_any_bytes_parse_to_a_reply_or_to_our_error(name, data):
    """
    A reply's text can be shown and its body read again; a bad reply keeps its bytes.
    """
    raw = data.draw(RAWS[name])

    result = value_or_our_error(lambda: dialect(name).parse(raw))

    if isinstance(result, Reply):
        (result.text + (result.reasoning or "")).encode()
        assert isinstance(result.body, dict)
        assert all(len(vector) % 4 == 0 for vector in result.vectors)
    elif type(result) is errors.BadReply and not (name == "gemini.generate" and raw[:1] == b"["):
        # Gemini's list of events is kept as the body that they add up to.
        assert result.raw == raw


@pytest.mark.parametrize("name", BODIES)
@fuzzed
@given(data=st.data(), size=st.integers(1, 50))
def test_any_stream_is_put_together_or_is_our_error(name, data, size):
    """
    However it is cut; and what is put together is not torn down by the parser.
    """
    stream = b"".join(data.draw(STREAMS[name]))
    result = []
    for step in (size, len(stream) or 1):
        assembler = dialect(name).assembler()
        for position in range(0, len(stream), step):
            for delta in assembler.feed(stream[position : position + step]):
                (delta.text + delta.reasoning).encode()
        result.append(value_or_our_error(assembler.finish))

    if isinstance(result[0], bytes):
        assert result[0] == result[1]
        value_or_our_error(lambda: dialect(name).parse(result[0]))
    else:
        assert type(result[0]) is type(result[1])


fragments = st.lists(st.text(max_size=5), max_size=6)


@fuzzed
@given(
    answers=st.lists(st.tuples(fragments, reasons.filter(bool)), min_size=1, max_size=3),
    reasoning=fragments,
    arguments=fragments,
    has_usage=st.booleans(),
    size=st.integers(1, 99),
)
def test_streamed_and_unstreamed_read_the_same(answers, reasoning, arguments, has_usage, size):
    """
    Whatever the texts, the cuts and the number of answers.
    """
    chat = dialect("openai.chat")
    usage = {"prompt_tokens": 3, "completion_tokens": 5} if has_usage else None
    events, whole = [], []
    for index, (texts_, reason) in enumerate(answers):
        message = {"role": "assistant", "content": "".join(texts_)}
        deltas = [{"role": "assistant", "content": ""}, *({"content": case} for case in texts_)]
        if "".join(reasoning):
            message["reasoning_content"] = "".join(reasoning)
            deltas += [{"reasoning_content": case} for case in reasoning]
        if arguments:
            function = {"name": "f", "arguments": "".join(arguments)}
            message["tool_calls"] = [{"id": "c", "type": "function", "function": function}]
            first = {"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}
            rest = [{"index": 0, "function": {"arguments": case}} for case in arguments]
            deltas += [{"tool_calls": [case]} for case in (first, *rest)]
        events += [{"index": index, "delta": case, "finish_reason": None} for case in deltas]
        events.append({"index": index, "delta": {}, "finish_reason": reason})
        whole.append({"index": index, "message": message, "finish_reason": reason})
    head = {"id": "x", "model": "m"}
    stream = b"".join(
        b"data: " + orjson.dumps({**head, "choices": [case], "usage": None}) + b"\n\n"
        for case in events
    ) + (b"data: " + orjson.dumps({**head, "choices": [], "usage": usage}) + b"\n\n")

    assembler = chat.assembler(samples=len(answers))
    for position in range(0, len(stream), size):
        assembler.feed(stream[position : position + size])
    streamed = chat.parse(assembler.finish())
    unstreamed = chat.parse(orjson.dumps({**head, "choices": whole, "usage": usage}))

    assert dataclasses.replace(streamed, raw=b"") == dataclasses.replace(unstreamed, raw=b"")


values = st.one_of(
    st.text(max_size=30),
    st.from_regex(r"-?[0-9]{0,6}(\.[0-9]{0,3})?(ms|s|m|h)?", fullmatch=True),
    st.floats().map(str),
    st.integers().map(str),
    st.datetimes().map(str),
)
header_names = st.sampled_from(
    [
        *("retry-after", "retry-after-ms", "x-request-id", "x-ratelimit-reset"),
        *("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"),
        *("x-ratelimit-reset-requests", "x-ratelimit-limit-tokens", "x-ratelimit-reset-tokens"),
        *("x-ratelimit-remaining-tokens", "anthropic-ratelimit-requests-limit"),
        *("anthropic-ratelimit-requests-reset", "anthropic-ratelimit-tokens-remaining"),
        *("ratelimit", "ratelimit-policy", "ratelimit-limit", "ratelimit-remaining", "date"),
        *("x-ratelimit-limit", "x-ratelimit-remaining", "x-tokenlimit-limit"),
        *("x-ratelimit-limit-req-10-second", "x-ratelimit-renewalperiod-requests"),
    ]
)
headers = st.dictionaries(header_names, values, max_size=6)
moments = st.floats(0, 4e9)


@fuzzed
@given(
    headers=headers,
    body=RAWS["openai.chat"],
    now=moments,
    family=st.sampled_from([*sorted(FAMILIES), "none"]),
)
def test_any_headers_are_read_to_sane_values(headers, body, now, family):
    """
    A wait is finite and never negative; a limit is above 0; what remains is not below it.
    """
    wait = retry_after(headers, body, now=now)
    assert wait is None or 0 <= wait <= 366 * 86400
    name = request_id(headers)
    assert name is None or name.isprintable()
    for case in limit_reports(headers, family):
        assert case.limit is None or 0 < case.limit < float("inf")
        assert case.left is None or 0 <= case.left < float("inf")
        assert case.reset is None or 0 <= case.reset <= 366 * 86400
        assert 0 < case.period < float("inf")
        assert case.limit is not None or case.left is not None


@fuzzed
@given(
    status=st.one_of(st.integers(100, 599), st.sampled_from([400, 401, 403, 429, 503])),
    headers=headers,
    body=RAWS["openai.chat"],
    now=moments,
    secret=st.one_of(st.none(), st.from_regex(r"[!-~]{8,40}", fullmatch=True)),
    position=st.integers(0, 100),
)
def test_any_refusal_becomes_an_error_without_the_key(status, headers, body, now, secret, position):
    """
    Never raised, always typed, never with the key, never with what a terminal would obey.
    """
    echoed = body[:position] + (secret or "").encode() + body[position:]

    error = classify(status, headers, echoed, provider="openai", model="m", now=now, secret=secret)

    assert isinstance(error, errors.LLMNBError)
    assert len(error.body) <= 2000
    assert error.message == escape.visible(error.message)
    assert error.body == escape.visible_lines(error.body)
    if secret is not None:
        assert secret not in error.message + error.body
        assert secret.encode() not in (error.raw or b"")
    pickle.loads(pickle.dumps(error))


python_values = st.recursive(
    st.one_of(
        scalars,
        st.floats(),
        st.integers(),
        st.text(alphabet=st.characters(codec=None), max_size=6),
        st.binary(max_size=3),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.sets(st.integers(), max_size=2),
        st.dictionaries(st.one_of(texts, st.integers()), inner, max_size=3),
    ),
    max_leaves=10,
)


@fuzzed
@given(body=st.dictionaries(st.one_of(texts, st.integers()), python_values, max_size=5))
def test_any_body_is_written_or_is_an_input_error(body):
    """
    Written the same twice, whatever order the fields come in; or refused before it is sent.
    """
    result = value_or_our_error(lambda: canonical(body))

    if isinstance(result, errors.LLMNBError):
        assert type(result) is errors.InputError
    else:
        assert canonical(dict(reversed(body.items()))) == result


asked = st.one_of(
    st.lists(
        together(
            nearly("role", st.sampled_from(["user", "assistant", "tool", "system"])),
            nearly("content", st.one_of(texts, st.lists(parts, max_size=2))),
            st.one_of(st.just({}), nearly("tool_calls", st.lists(anything, max_size=2))),
            st.one_of(st.just({}), nearly("tool_call_id", texts)),
        ),
        min_size=1,
        max_size=3,
    ).map(lambda turns: {"messages": turns}),
    st.dictionaries(
        st.sampled_from(["messages", "prompt", "input", "stream"]), python_values, max_size=2
    ),
)
fields = st.dictionaries(st.one_of(st.just("stop_tokens"), names, texts), python_values, max_size=3)


@pytest.mark.parametrize("name", BODIES)
@fuzzed
@given(question=asked, further=fields, params=fields)
def test_any_request_becomes_a_body_or_an_input_error(name, question, further, params):
    """
    The model is in it, the stream is not, and nothing that was given is changed.
    """
    request = {**further, **question}
    before = repr((request, params))

    result = value_or_our_error(lambda: dialect(name).body(request, model="m", params=params))

    assert repr((request, params)) == before
    if isinstance(result, errors.LLMNBError):
        assert type(result) is errors.InputError
    else:
        # Gemini has it in the address.
        assert result.get("model") == (None if name == "gemini.generate" else "m")
        assert "stream" not in result
        assert None not in list(map(type, result.values()))


@fuzzed
@given(chunks=st.lists(st.binary(max_size=20), max_size=10))
def test_any_bytes_decode_to_the_same_events_however_cut(chunks):
    """
    Cuts carry no meaning.
    """
    together_, apart = EventDecoder(), EventDecoder()
    whole = together_.feed(b"".join(chunks)) + together_.finish()

    assert [case for chunk in chunks for case in apart.feed(chunk)] + apart.finish() == whole


@fuzzed
@given(key=st.text(max_size=20))
def test_any_key_is_taken_as_it_is_or_refused(key):
    """
    What is taken fits into a header; what is refused is not told.
    """
    result = value_or_our_error(lambda: check_key(key, "openai"))

    if isinstance(result, errors.LLMNBError):
        assert type(result) is errors.InvalidKey
    else:
        assert result == key
        key.encode("ascii")
        assert not set(key) & set("\r\n \"'")


@fuzzed
@given(text=st.text(max_size=60), secret=st.text(min_size=4, max_size=10))
def test_a_masked_text_never_holds_the_secret(text, secret):
    """
    Also where the secret holds characters that mean something to a search.
    """
    assert secret == "***" or secret not in mask(text + secret + text, secret).replace("***", "")
