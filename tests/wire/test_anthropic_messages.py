"""Promises about Anthropic's replies: they are read without trust."""

from __future__ import annotations

import orjson
import pytest

from llmnb import errors
from llmnb.decide.quality import objection
from llmnb.records import UnchosenLength
from llmnb.wire.anthropic_messages import ANSWER_TOOL
from llmnb.wire.dialect import dialect

CLAUDE = dialect("anthropic.messages")


def text(said):
    return {"type": "text", "text": said}


def call(name="now", options=None, **fields):
    return {"type": "tool_use", "id": "toolu_1", "name": name, "input": options or {}, **fields}


def reply(*content, reason="end_turn", **fields):
    return orjson.dumps(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-haiku-4-5-20251001",
            "content": list(content),
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": {"input_tokens": 9, "output_tokens": 2},
            **fields,
        }
    )


def test_a_reply_is_read_whole():
    """
    Text, reason, model, id, tokens.
    """
    raw = reply(text("Hello"))
    result = CLAUDE.parse(raw)

    assert result.text == "Hello"
    assert (result.finish_reason, result.quality) == ("end_turn", "good")
    assert (result.model, result.response_id) == ("claude-haiku-4-5-20251001", "msg_1")
    assert (result.usage.prompt, result.usage.completion) == (9, 2)
    assert (result.texts, result.tool_calls, result.reasoning, result.logprobs) == (
        (),
        (),
        None,
        None,
    )
    assert result.raw == raw
    assert result.body == orjson.loads(raw)


def test_blocks_of_text_are_joined():
    """
    Citations and the provider's own tools cut it into pieces.
    """
    result = CLAUDE.parse(
        reply(
            text("It is "),
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
            {**text("noon."), "citations": [{"type": "char_location"}]},
        )
    )

    assert result.text == "It is noon."
    assert result.tool_calls == ()


def test_thinking_is_reasoning():
    """
    What is hidden stays in the raw reply only.
    """
    result = CLAUDE.parse(
        reply(
            {"type": "thinking", "thinking": "2 + 2", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "b3BhcXVl"},
            text("4"),
        )
    )

    assert (result.text, result.reasoning) == ("4", "2 + 2")
    assert result.body["content"][1]["data"] == "b3BhcXVl"


def test_tool_calls_are_read():
    """
    Their arguments as text, in the order in which the model wrote them.
    """
    result = CLAUDE.parse(
        reply(
            text("Let me see."),
            call("f", {"z": 1, "a": "ü"}),
            call("g", id="toolu_2"),
            {"type": "tool_use", "input": {}},
            reason="tool_use",
        )
    )

    assert [(case.id, case.name, case.arguments) for case in result.tool_calls] == [
        ("toolu_1", "f", '{"z":1,"a":"ü"}'),
        ("toolu_2", "g", "{}"),
    ]
    assert (result.text, result.quality) == ("Let me see.", "good")


def test_an_answer_by_our_own_tool_is_the_text():
    """
    The caller asked for JSON, not for a tool.
    """
    result = CLAUDE.parse(reply(call(ANSWER_TOOL, {"label": "good"}), reason="tool_use"))

    assert result.text == '{"label":"good"}'
    assert result.tool_calls == ()
    assert result.quality == "good"


@pytest.mark.parametrize(
    ("reason", "quality"),
    [
        ("end_turn", "good"),
        ("stop_sequence", "good"),
        ("tool_use", "good"),
        (None, "good"),
        (7, "unknown"),
        ("something_new", "unknown"),
        ("max_tokens", "truncated"),
        ("model_context_window_exceeded", "broken"),
        ("pause_turn", "broken"),
        ("refusal", "refused"),
    ],
)
def test_what_an_answer_is_worth_is_judged(reason, quality):
    """
    Cut off and refused ones are told from good ones.
    """
    assert CLAUDE.parse(reply(text("Once upon"), reason=reason)).quality == quality


@pytest.mark.parametrize(
    ("reason", "length", "is_accepted"),
    [
        ("max_tokens", 5, True),
        ("max_tokens", UnchosenLength(5), False),
        ("model_context_window_exceeded", 5, False),
        ("pause_turn", 5, False),
    ],
)
def test_only_a_length_that_the_caller_chose_excuses_a_cut(reason, length, is_accepted):
    """
    Our own default does not, and neither does an end for another reason.
    """
    result = CLAUDE.parse(reply(text("Once upon"), reason=reason))

    assert (objection(result, {"max_tokens": length}, b"") is None) is is_accepted


def test_a_refusal_says_why_where_nothing_else_is_said():
    """
    So that the person can read it.
    """
    details = {"type": "refusal", "category": "bio", "explanation": "Not this."}

    assert CLAUDE.parse(reply(reason="refusal", stop_details=details)).text == "Not this."
    result = CLAUDE.parse(reply(text("I cannot."), reason="refusal", stop_details=details))
    assert (result.text, result.quality) == ("I cannot.", "refused")
    assert CLAUDE.parse(reply(reason="refusal", stop_details=None)).text == ""


def test_tokens_are_read_in_detail():
    """
    What went through the cache is counted apart there, and is a part of the prompt here.
    """
    result = CLAUDE.parse(
        reply(
            text("Hi"),
            usage={
                "input_tokens": 10,
                "cache_creation_input_tokens": 5,
                "cache_read_input_tokens": 80,
                "output_tokens": 50,
                "output_tokens_details": {"thinking_tokens": 30},
                "service_tier": "standard",
            },
        )
    ).usage

    assert (result.prompt, result.completion) == (95, 50)
    assert (result.cache_read, result.cache_write, result.reasoning) == (80, 5, 30)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "many",
        {"input_tokens": None},
        {"input_tokens": "9"},
        {"input_tokens": -1, "output_tokens": -1},
        {"input_tokens": True},
        {"input_tokens": 2**60},
        {"cache_read_input_tokens": 9},
    ],
)
def test_a_usage_that_says_nothing_is_unknown_not_zero(usage):
    """
    Unknown costs are shown as unknown.
    """
    assert CLAUDE.parse(reply(text("Hi"), usage=usage)).usage is None


def test_odd_details_of_a_usage_are_left_aside():
    """
    The two figures that matter are kept.
    """
    usage = {
        "input_tokens": 9.0,
        "output_tokens": 2,
        "cache_read_input_tokens": "all",
        "output_tokens_details": [],
    }
    result = CLAUDE.parse(reply(text("Hi"), usage=usage)).usage

    assert (result.prompt, result.completion, result.cache_read, result.reasoning) == (9, 2, 0, 0)


def test_the_least_that_can_be_an_answer_counts_as_such():
    """
    No id, no usage, no reason, no model; an empty answer is one too.
    """
    result = CLAUDE.parse(b'{"content":[{"type":"text","text":"Hi"}]}')

    assert (result.text, result.quality, result.usage, result.model) == ("Hi", "good", None, None)
    assert CLAUDE.parse(reply()).text == ""


@pytest.mark.parametrize(
    ("kind", "message", "error"),
    [
        ("overloaded_error", "Overloaded", errors.ProviderError),
        ("api_error", "Internal server error", errors.ProviderError),
        ("rate_limit_error", "Too fast.", errors.RateLimited),
        ("authentication_error", "invalid x-api-key", errors.AuthenticationError),
        ("permission_error", "Not yours.", errors.AuthenticationError),
        ("billing_error", "Pay first.", errors.QuotaExhausted),
        ("invalid_request_error", "prompt is too long: 9 > 8", errors.ContextOverflow),
        ("invalid_request_error", "No.", errors.RequestRejected),
        ("not_found_error", "model: x", errors.RequestRejected),
        ("timeout_error", "Too slow.", errors.MaybeBilled),
        ("something_new", "Who knows.", errors.BadReply),
    ],
)
def test_an_error_in_a_good_status_is_an_error(kind, message, error):
    """
    Gateways answer 200 before they know.
    """
    raw = orjson.dumps({"type": "error", "error": {"type": kind, "message": message}})

    with pytest.raises(errors.LLMNBError) as caught:
        CLAUDE.parse(raw)

    assert type(caught.value) is error
    assert message in caught.value.message


def test_odd_but_readable_answers_are_not_lost():
    """
    Lone surrogates, NaN and gigantic numbers: the text is read, and can be encoded and read again.
    """
    raw = b'{"content":[{"type":"text","text":"a\\ud83db","n":NaN,"m":' + b"9" * 9999 + b"}]}"
    result = CLAUDE.parse(raw)

    assert result.text == "a\ufffdb"
    assert result.body["content"][0]["text"] == "a\ufffdb"
