"""Promises about replies of the Responses API: read without trust, whatever stands in them."""

from __future__ import annotations

import orjson
import pytest

from llmnb import errors
from llmnb.records import ToolCall
from llmnb.wire.dialect import dialect

RESPONSES = dialect("openai.responses")
USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 16,
}


def said(*texts, **fields):
    parts = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return message(*parts, **fields)


def message(*parts, **fields):
    return {"type": "message", "role": "assistant", "content": list(parts), **fields}


def reply(*output, **fields):
    return orjson.dumps(
        {
            "id": "resp_1",
            "object": "response",
            "created_at": 1_700_000_000,
            "status": "completed",
            "error": None,
            "incomplete_details": None,
            "model": "gpt-6-luna-2026-09-01",
            "output": list(output) or [said("Hello")],
            "usage": USAGE,
            **fields,
        }
    )


def parsed(*output, **fields):
    return RESPONSES.parse(reply(*output, **fields))


def test_a_reply_is_read():
    """
    Text, why it ended, who answered, what it took.
    """
    raw = reply()
    result = RESPONSES.parse(raw)

    assert (result.text, result.finish_reason, result.quality) == ("Hello", "completed", "good")
    assert (result.response_id, result.model) == ("resp_1", "gpt-6-luna-2026-09-01")
    assert (result.usage.prompt, result.usage.completion, result.usage.total) == (9, 7, 16)
    assert (result.usage.cache_read, result.usage.cache_write, result.usage.reasoning) == (4, 2, 5)
    assert (result.reasoning, result.logprobs, result.tool_calls, result.texts) == (
        None,
        None,
        (),
        (),
    )
    assert result.raw == raw


def test_the_text_is_all_that_the_answer_says():
    """
    Several parts, several messages; what is said while working comes in where nothing else is.
    """
    working = said("Let me see. ", phase="commentary")

    assert parsed(said("Hel", "lo"), said(", you")).text == "Hello, you"
    assert parsed(working, said("4", phase="final_answer")).text == "4"
    assert parsed(working).text == "Let me see. "


def test_reasoning_is_distinguished():
    """
    A model's own thoughts before summaries of them; hidden ones are none.
    """
    summary = [
        {"type": "summary_text", "text": "First."},
        {"type": "summary_text", "text": "Then."},
    ]
    thought = {"type": "reasoning", "id": "rs_1", "summary": summary}
    own = {**thought, "content": [{"type": "reasoning_text", "text": "2 + 2"}]}
    hidden = {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAA"}

    assert parsed(thought, said("4")).reasoning == "First.\n\nThen."
    assert parsed(own, said("4")).reasoning == "2 + 2"
    assert parsed(hidden, said("4")).reasoning is None
    assert parsed(thought, said("4")).text == "4"


def test_calls_of_tools_are_read():
    """
    By the id that an answer to them must name; a call alone is an answer.
    """
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "now",
        "arguments": '{"zone":"UTC"}',
        "status": "completed",
    }
    code = {"type": "custom_tool_call", "call_id": "call_2", "name": "code", "input": "print()"}
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}

    result = parsed(search, call, code)

    assert result.tool_calls == (
        ToolCall(id="call_1", name="now", arguments='{"zone":"UTC"}'),
        ToolCall(id="call_2", name="code", arguments="print()", kind="custom"),
    )
    assert (result.text, result.quality) == ("", "good")


@pytest.mark.parametrize(
    ("reason", "quality"),
    [("max_output_tokens", "truncated"), ("content_filter", "filtered"), ("tomorrow", "broken")],
)
def test_an_answer_that_ended_early_says_why(reason, quality):
    """
    Also where the model only got as far as thinking.
    """
    fields = {"status": "incomplete", "incomplete_details": {"reason": reason}}

    result = parsed(said("Hel"), **fields)

    assert (result.text, result.finish_reason, result.quality) == ("Hel", reason, quality)
    thought = {"type": "reasoning", "summary": []}
    assert parsed(thought, **fields).quality == quality
    assert RESPONSES.parse(reply(status="incomplete", output=[])).quality == "broken"


def test_a_refusal_is_no_good_answer():
    """
    Its words are the text.
    """
    result = parsed(message({"type": "refusal", "refusal": "I cannot help."}))

    assert (result.text, result.quality) == ("I cannot help.", "refused")


def test_log_probabilities_of_all_parts_stand_in_a_single_list():
    """
    In the provider's own shape; an empty list is none.
    """
    case, two = {"token": "Hel", "logprob": -0.1}, {"token": "lo", "logprob": -0.2}
    part = {"type": "output_text", "annotations": []}
    first = {**part, "text": "Hel", "logprobs": [case]}
    second = {**part, "text": "lo", "logprobs": [two]}

    assert parsed(message(first, second)).logprobs == [case, two]
    assert parsed(message({**part, "text": "Hello", "logprobs": []})).logprobs is None


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", errors.ProviderError),
        ("rate_limit_exceeded", errors.RateLimited),
        ("invalid_prompt", errors.Filtered),
        ("vector_store_timeout", errors.BadReply),
    ],
)
def test_a_response_that_failed_is_the_error_that_it_names(code, kind):
    """
    Whatever it had said until then.
    """
    with pytest.raises(kind, match="It broke") as caught:
        parsed(said("Hel"), status="failed", error={"code": code, "message": "It broke."})

    assert type(caught.value) is kind


@pytest.mark.parametrize(
    "output",
    [
        [{"type": "message", "content": None}],
        [{"type": "message", "content": ["Hello", None, {"type": "output_text", "text": 7}]}],
        [{"type": "reasoning", "summary": "x", "content": [7]}],
        [{"type": "function_call", "name": None}, {"type": 7}],
    ],
)
def test_odd_things_in_an_output_are_passed_over(output):
    """
    What is there can be used; a call without a name is none.
    """
    result = RESPONSES.parse(reply(output=output))

    assert (result.text, result.tool_calls, result.reasoning) == ("", (), None)


@pytest.mark.parametrize(
    "usage", [None, 7, {}, {"input_tokens": "3"}, {"input_tokens": -1}, {"output_tokens": None}]
)
def test_a_usage_that_says_nothing_is_none(usage):
    """
    Nothing is made up.
    """
    assert parsed(usage=usage).usage is None


def test_a_usage_without_details_is_read():
    """
    As other servers of the protocol send it.
    """
    result = parsed(usage={"input_tokens": 3, "output_tokens": 1, "input_tokens_details": 7}).usage

    assert (result.prompt, result.completion, result.cache_read, result.reasoning) == (3, 1, 0, 0)


def test_a_kind_of_output_that_is_no_text_spoils_no_reply():
    """An item whose type is a list is passed over, and the answer beside commentary is read."""
    odd = {"type": [], "phase": {}}
    commentary = said("I look it up.", phase="commentary")
    raw = orjson.dumps({"status": "completed", "output": [odd, commentary], "usage": USAGE})
    assert RESPONSES.parse(raw).text == "I look it up."
