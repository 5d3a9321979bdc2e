"""Promises about chat completions: requests are built faithfully, replies read without trust."""

from __future__ import annotations

import copy

import orjson
import pytest

from llmnb import errors
from llmnb.wire.dialect import dialect

CHAT = dialect("openai.chat")
HI = [{"role": "user", "content": "Hi"}]


def body(request, *, model="m", **params):
    return CHAT.body(request, model=model, params=params)


def reply(*choices, **fields):
    return orjson.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": list(choices) or [choice("Hello")],
            "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
            **fields,
        }
    )


def choice(content, reason="stop", index=0, **message):
    return {
        "index": index,
        "message": {"role": "assistant", "content": content, **message},
        "logprobs": None,
        "finish_reason": reason,
    }


# -------------------------------------------------------------------------- requests


def test_messages_go_in_as_they_are():
    """
    The list is shared, not copied, and nothing of it is changed.
    """
    before = copy.deepcopy(HI)

    made = body({"messages": HI}, temperature=0)

    assert made == {"model": "m", "messages": HI, "temperature": 0}
    assert made["messages"] is HI
    assert before == HI


@pytest.mark.parametrize("name", ["prompt", "input"])
def test_a_prompt_becomes_a_user_message(name):
    """
    Under both names that callers know.
    """
    assert body({name: "Hi"}) == {"model": "m", "messages": HI}


def test_the_request_wins_over_parameters_and_is_not_changed():
    """
    So does a None: it takes a parameter back.
    """
    request = {"messages": HI, "temperature": 1, "top_p": None}
    params = {"temperature": 0, "top_p": 0.5, "seed": 7, "stop": None}
    before = copy.deepcopy((request, params))

    made = CHAT.body(request, model="m", params=params)

    assert made == {"model": "m", "messages": HI, "temperature": 1, "seed": 7}
    assert (request, params) == before


def test_stop_tokens_are_called_stop():
    """
    Whoever says it under whichever name, the request wins.
    """
    assert body({"prompt": "Hi"}, stop_tokens=["."])["stop"] == ["."]
    assert body({"prompt": "Hi", "stop": ["!"]}, stop_tokens=["."])["stop"] == ["!"]
    assert body({"prompt": "Hi", "stop_tokens": ["!"]}, stop=["."])["stop"] == ["!"]
    assert "stop_tokens" not in body({"prompt": "Hi"}, stop_tokens=["."])


def test_unknown_fields_pass_through():
    """
    Providers have fields of their own, and tomorrow's are known to nobody.
    """
    made = body({"messages": HI, "guided_choice": ["a", "b"]}, top_k=5)

    assert (made["guided_choice"], made["top_k"]) == (["a", "b"], 5)


def test_the_model_is_the_targets_own():
    """
    A model among the parameters does not send the request elsewhere.
    """
    assert body({"prompt": "Hi", "model": "x"}, model="m")["model"] == "m"
    assert CHAT.body({"prompt": "Hi"}, model="m", params={"model": "x"})["model"] == "m"


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o-mini", "max_tokens"),
        ("gpt-4.1", "max_tokens"),
        ("gpt-oss-120b", "max_tokens"),
        ("llama-3.1-8b-instant", "max_tokens"),
        ("o3-mini", "max_completion_tokens"),
        ("o1", "max_completion_tokens"),
        ("gpt-5-nano", "max_completion_tokens"),
        ("gpt-5.4-mini", "max_completion_tokens"),
        ("gpt-6-luna", "max_completion_tokens"),
        ("openai/gpt-6-luna", "max_completion_tokens"),
        ("olmo-2", "max_tokens"),
    ],
)
def test_max_tokens_has_the_name_that_the_model_accepts(model, name):
    """
    OpenAI's newer models refuse the old name, most other servers know no other.
    """
    made = body({"prompt": "Hi"}, model=model, max_tokens=5)

    assert made[name] == 5
    assert not {"max_tokens", "max_completion_tokens"} - {name} & made.keys()


def test_a_length_under_the_new_name_is_kept():
    """
    Who says both means the new one.
    """
    made = body({"prompt": "Hi", "max_tokens": 5, "max_completion_tokens": 50}, model="gpt-6-luna")

    assert made["max_completion_tokens"] == 50
    assert "max_tokens" not in made


def test_whether_it_is_streamed_is_decided_elsewhere():
    """
    A `stream` left in the request would bring a reply that nobody reads as such.
    """
    made = body({"messages": HI, "stream": True, "stream_options": {}})

    assert made == {"model": "m", "messages": HI}
    assert CHAT.stream_body(made) == {
        **made,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert "stream" not in made


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"temperature": 0},
        {"prompt": None},
        {"messages": []},
        {"messages": "Hi"},
        {"messages": None},
        {"messages": ["Hi"]},
        {"messages": [{"content": "Hi"}]},
        {"messages": [HI[0], None]},
        {"messages": {"role": "user", "content": "Hi"}},
        {"prompt": 7},
        {"prompt": ["Hi"]},
        {"input": b"Hi"},
        {"messages": HI, "prompt": "Hi"},
    ],
)
def test_a_request_that_asks_nothing_is_an_input_error(request_):
    """
    Before anything is sent, with what is missing.
    """
    with pytest.raises(errors.InputError, match="Nothing was sent"):
        body(request_)


def test_a_long_prompt_is_not_repeated_in_an_error():
    """
    No message shows a whole prompt.
    """
    with pytest.raises(errors.InputError) as caught:
        body({"prompt": ["x" * 100_000]})

    assert len(str(caught.value)) < 300


# --------------------------------------------------------------------------- replies


def test_a_reply_is_read_whole():
    """
    Text, reason, model, id, tokens.
    """
    raw = reply()
    result = CHAT.parse(raw)

    assert result.text == "Hello"
    assert (result.finish_reason, result.quality) == ("stop", "good")
    assert result.model == "gpt-4o-mini-2024-07-18"
    assert result.response_id == "chatcmpl-1"
    assert (result.usage.prompt, result.usage.completion) == (9, 2)
    assert (result.texts, result.tool_calls, result.reasoning) == ((), (), None)
    assert result.raw == raw
    assert result.body == orjson.loads(raw)


def test_tokens_are_read_in_detail():
    """
    Those served from a cache and those of hidden reasoning have prices of their own.
    """
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }
    result = CHAT.parse(reply(usage=usage)).usage

    assert (result.cache_read, result.cache_write, result.reasoning) == (80, 5, 30)
    deepseek = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4}
    assert CHAT.parse(reply(usage=deepseek)).usage.cache_read == 4


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "many",
        {"prompt_tokens": None},
        {"prompt_tokens": "9"},
        {"prompt_tokens": -1, "completion_tokens": -1},
        {"prompt_tokens": True},
        {"prompt_tokens": 2**60},
        {"prompt_tokens": 1.5},
    ],
)
def test_a_usage_that_says_nothing_is_unknown_not_zero(usage):
    """
    Unknown costs are shown as unknown.
    """
    assert CHAT.parse(reply(usage=usage)).usage is None


def test_odd_details_of_a_usage_are_left_aside():
    """
    The two figures that matter are kept.
    """
    usage = {
        "prompt_tokens": 9.0,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": "all"},
        "completion_tokens_details": [],
    }
    result = CHAT.parse(reply(usage=usage)).usage

    assert (result.prompt, result.completion, result.cache_read) == (9, 2, 0)


@pytest.mark.parametrize(
    ("case", "quality"),
    [
        (choice("Yes", "stop"), "good"),
        (choice("Yes", "tool_calls"), "good"),
        (choice("Yes", "eos"), "good"),
        (choice("Yes", None), "good"),
        (choice("Once upon", "length"), "truncated"),
        (choice("Once upon", "max_tokens"), "truncated"),
        (choice("Once upon", "model_length"), "broken"),
        (choice("", "content_filter"), "filtered"),
        (choice(None, "SAFETY"), "filtered"),
        (choice(None, "content_filter: HATE"), "filtered"),
        (choice(None, "stop", refusal="I cannot."), "refused"),
        (choice("Hm.", "stop", refusal="I cannot."), "refused"),
        (choice("", "refusal"), "refused"),
        (choice("Yes", "stop", refusal=""), "good"),
        (choice("Yes", "stop", refusal=None), "good"),
        (choice("Yes", 7), "unknown"),
    ],
)
def test_what_an_answer_is_worth_is_judged(case, quality):
    """
    Cut off, filtered and refused ones are told from good ones.
    """
    assert CHAT.parse(reply(case)).quality == quality


def test_a_refusal_alone_is_the_text():
    """
    So that the person can read why.
    """
    assert CHAT.parse(reply(choice(None, refusal="I cannot."))).text == "I cannot."
    assert CHAT.parse(reply(choice("Hm.", refusal="I cannot."))).text == "Hm."


def test_several_answers_come_in_their_own_order():
    """
    Whatever the order in which they were written.
    """
    result = CHAT.parse(reply(choice("b", index=1), choice("c", index=2), choice("a", index=0)))

    assert result.texts == ("a", "b", "c")
    assert result.text == "a"


def test_a_reply_is_no_better_than_its_worst_answer():
    """
    One of several cut off: the reply is not served as good again.
    """
    result = CHAT.parse(reply(choice("a"), choice("b", "length", 1), choice("c", index=2)))

    assert (result.quality, result.finish_reason) == ("truncated", "length")
    assert result.texts == ("a", "b", "c")


def test_tool_calls_are_read():
    """
    With arguments as text, also where a server sends them parsed.
    """
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
        {"function": {"name": "g", "arguments": {"b": 2}}},
        {"function": {"name": "h"}},
        {"id": "c4", "function": {}},
        "nonsense",
    ]
    result = CHAT.parse(reply(choice(None, "tool_calls", tool_calls=calls)))

    assert [(case.id, case.name, case.arguments) for case in result.tool_calls] == [
        ("c1", "f", '{"a": 1}'),
        ("call_1", "g", '{"b":2}'),
        ("call_2", "h", "{}"),
    ]
    assert result.text == ""


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_content": "2 + 2"},
        {"reasoning": "2 + 2"},
        {"reasoning": "2 + 2", "reasoning_content": "2 + 2"},
    ],
)
def test_reasoning_is_read_under_both_names(message):
    """
    DeepSeek and vLLM call it one way, OpenRouter the other.
    """
    assert CHAT.parse(reply(choice("4", **message))).reasoning == "2 + 2"


def test_content_in_parts_is_read():
    """
    As Mistral sends it: thinking beside the text.
    """
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "2 + 2"}]},
        {"type": "text", "text": "It is "},
        {"type": "text", "text": "4."},
        {"type": "image"},
        None,
    ]
    result = CHAT.parse(reply(choice(parts)))

    assert (result.text, result.reasoning) == ("It is 4.", "2 + 2")


def test_log_probabilities_keep_their_shape():
    """
    They are the provider's.
    """
    case = {**choice("Yes"), "logprobs": {"content": [{"token": "Yes", "logprob": -0.1}]}}

    assert CHAT.parse(reply(case)).logprobs == case["logprobs"]


def test_the_least_that_can_be_an_answer_counts_as_such():
    """
    No id, no usage, no reason, no model: local servers send so little.
    """
    result = CHAT.parse(b'{"choices":[{"message":{"content":"Hi"}}]}')

    assert (result.text, result.quality, result.usage, result.model) == ("Hi", "good", None, None)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"error": {"message": "slow", "code": 429}}, errors.RateLimited),
        ({"error": {"message": "broken", "code": 502}, "choices": []}, errors.ProviderError),
        ({"error": {"message": "no", "code": "insufficient_quota"}}, errors.QuotaExhausted),
        ({"error": {"message": "who knows"}}, errors.BadReply),
        ({"error": "who knows"}, errors.BadReply),
        ({"error": True}, errors.BadReply),
        ({"object": "error", "message": "broken", "code": 500}, errors.ProviderError),
        (
            {"choices": [{"error": {"code": 502, "message": "x"}, "finish_reason": "error"}]},
            errors.ProviderError,
        ),
        ({"choices": [choice("Hal", "error")]}, errors.BadReply),
    ],
)
def test_an_error_in_a_good_status_is_an_error(value, kind):
    """
    Gateways answer 200 before they know.
    """
    with pytest.raises(errors.LLMNBError) as caught:
        CHAT.parse(orjson.dumps(value))

    assert type(caught.value) is kind


@pytest.mark.parametrize("error", [None, "", {}, [], 0, False])
def test_an_empty_error_field_is_none(error):
    """
    Some servers send it with every answer.
    """
    assert CHAT.parse(reply(error=error)).text == "Hello"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b'{"choices":[{"message":{"content":"\\ud83d\\ude00"}}]}', "\U0001f600"),
        (b'{"choices":[{"message":{"content":"a\\ud83db"}}]}', "a\ufffdb"),
        (b'\xef\xbb\xbf{"choices":[{"message":{"content":"a"}}]}', "a"),
        (b'{"choices":[{"message":{"content":"a"},"logprobs":{"x":NaN}}]}', "a"),
        (b'{"choices":[{"message":{"content":"a"},"n":1e999}]}', "a"),
        (b'{"choices":[{"message":{"content":"a"},"n":' + b"9" * 9999 + b"}]}", "a"),
        (b'{"choices":[{"message":{"content":"a"},"n":' + b"9" * 50 + b"}]}", "a"),
        (b'{"choices":[{"message":{"content":"\\u0000\\u001b[2J"}}]}', "\x00\x1b[2J"),
    ],
)
def test_odd_but_readable_answers_are_not_lost(raw, text):
    """
    Lone surrogates, NaN and gigantic numbers: the text is read, and can be encoded and read again.
    """
    result = CHAT.parse(raw)

    assert result.text == text
    result.text.encode()
    assert result.body["choices"][0]["message"]["content"] == text


def test_an_answer_that_was_streamed_against_our_wish_is_read():
    """
    Some servers stream whatever they were asked.
    """
    raw = (
        b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'
        b"data: [DONE]\n\n"
    )

    assert CHAT.parse(raw).text == "Hi"
    with pytest.raises(errors.IncompleteReply):
        CHAT.parse(raw[:-40].replace(b'"stop"', b"null"))
