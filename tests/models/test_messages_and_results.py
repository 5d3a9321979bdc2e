"""Promises of the values: messages in every form, results that travel, log-probabilities."""

from __future__ import annotations

import pickle

import pytest

from llmnb import LLMResult, Message
from llmnb.chat.messages import messages_of
from llmnb.chat.results import result_of, top_logprobs, total_logprob, without_keys
from llmnb.errors import ConfigurationError, RateLimited
from llmnb.records import Outcome, Reply, ToolCall, Usage

CALL = ToolCall(id="c1", name="add", arguments='{"a": 1}', signature="sealed")


@pytest.mark.parametrize(
    "conversation",
    [
        "Hi",
        Message("Hi"),
        Message(content="Hi", role="user"),
        {"role": "user", "content": "Hi"},
        ["Hi"],
        [Message("Hi")],
        [{"role": "user", "content": "Hi"}],
    ],
)
def test_a_conversation_may_be_written_variously(conversation):
    """
    A text, a message, a dictionary or a list of these is the same conversation.
    """
    assert [message.body() for message in messages_of(conversation)] == [
        {"role": "user", "content": "Hi"}
    ]


@pytest.mark.parametrize(
    "conversation", [None, 7, [], [7], b"Hi", [{"tool_calls": [{}], "role": "x"}]]
)
def test_what_is_no_conversation_is_refused_before_anything_is_sent(conversation):
    """
    Nothing, numbers, bytes and nameless calls are errors that say what is wanted.
    """
    with pytest.raises(ConfigurationError):
        messages_of(conversation)


def test_tool_calls_may_be_written_as_the_protocol_has_them():
    """
    A message made by hand says the same with dictionaries as with `ToolCall`s; else it is refused.
    """
    (body,) = Message(tool_calls=(CALL,)).body()["tool_calls"]

    assert Message(tool_calls=(body,)).body() == Message(tool_calls=(CALL,)).body()
    with pytest.raises(ConfigurationError):
        Message(tool_calls=("x",)).body()


def test_a_message_keeps_every_field_there_and_back():
    """
    Calls with their sealed thoughts, names and unknown fields survive the way through a dict.
    """
    message = Message(
        content=None, role="assistant", name="me", tool_calls=(CALL,), extra={"refusal": None}
    )

    again = Message.of(message.body())

    assert again == message
    assert again.tool_calls[0].signature == "sealed"


def test_a_messages_text_is_what_is_said_in_its_parts():
    """
    Images have no text; texts are joined.
    """
    parts = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "text", "text": "b"},
    ]

    assert str(Message(parts)) == "ab"


def test_a_result_pickles_with_its_error_and_its_calls():
    """
    Results travel to other processes whole.
    """
    result = LLMResult(
        text="Four.",
        prompt=(Message("2 + 2?"),),
        tool_calls=(CALL,),
        error=RateLimited("too fast", status=429),
        top_logprobs=((("Four", -0.1),),),
    )

    again = pickle.loads(pickle.dumps(result))

    assert (again.text, again.prompt, again.tool_calls) == ("Four.", result.prompt, (CALL,))
    assert (again.error.message, again.error.status) == ("too fast", 429)
    assert str(again) == "Four."


def test_a_result_has_every_figure_of_its_outcome():
    """
    Tokens, prompt cache, cost, seconds, reasoning, reason to end, provider and ids.
    """
    outcome = Outcome(
        row=0,
        reply=Reply(
            text="x",
            finish_reason="stop",
            response_id="r-1",
            reasoning="well",
            usage=Usage(prompt=10, completion=5, cache_read=4, cache_write=3, reasoning=2),
        ),
        provider="openai",
        model="m",
        usd=0.5,
        seconds=2.0,
        first_token_seconds=0.5,
        key="k",
    )

    result = result_of(outcome, prompt=(Message("Hi"),), name="mark", config={"api_key": "no"})

    assert (result.prompt_count, result.completion_count) == (10, 5)
    assert (result.cache_read_tokens, result.cache_creation_tokens) == (4, 3)
    assert (result.cost, result.seconds_to_first_token, result.seconds_to_last_token) == (
        0.5,
        0.5,
        2.0,
    )
    assert (result.model, result.provider, result.response_id) == ("m", "openai", "r-1")
    assert (result.reasoning_content, result.finish_reason, result.key) == ("well", "stop", "k")
    assert (result.name, dict(result.config)) == ("mark", {})
    assert [message.body() for message in result.messages] == [
        {"role": "assistant", "content": "x"}
    ]


def test_no_key_stays_in_a_config_that_is_shown():
    """
    Whatever is called a key, a token, a secret or a password is left out, however deep.
    """
    config = {
        "model_list": [{"litellm_params": {"api_key": "K", "max_tokens": 5}}],
        "aws_secret_access_key": "K",
        "vertex_credentials_token": "K",
        "extra_headers": {"x": "K"},
        "temperature": 0,
    }

    shown = without_keys(config)

    assert "K" not in str(shown).replace("'", "")
    assert shown == {"model_list": [{"litellm_params": {"max_tokens": 5}}], "temperature": 0}


@pytest.mark.parametrize(
    ("logprobs", "total", "likeliest"),
    [
        (None, None, None),
        ({"content": None}, None, None),
        (
            {"content": [{"token": "a", "logprob": -1.0, "top_logprobs": []}]},
            -1.0,
            None,
        ),
        (
            {
                "tokens": ["a", "b"],
                "token_logprobs": [None, -2.0],
                "top_logprobs": [None, {"b": -2.0, "c": -3.0}],
            },
            -2.0,
            ((), (("b", -2.0), ("c", -3.0))),
        ),
        (
            {
                "chosenCandidates": [{"token": "a", "logProbability": -0.25}],
                "topCandidates": [{"candidates": [{"token": "a", "logProbability": -0.25}]}],
            },
            -0.25,
            ((("a", -0.25),),),
        ),
        (
            [{"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "a", "logprob": -0.5}]}],
            -0.5,
            ((("a", -0.5),),),
        ),
        ({"content": ["?", {"token": 1, "logprob": "x"}]}, None, None),
    ],
    ids=["none", "empty", "chat", "text", "gemini", "responses", "garbage"],
)
def test_log_probabilities_have_the_same_shape_whichever_api_sends_them(logprobs, total, likeliest):
    """
    A sum for the answer, and for each place the likeliest tokens.
    """
    assert total_logprob(logprobs) == total
    assert top_logprobs(logprobs) == likeliest


def test_a_call_written_by_hand_may_have_its_arguments_parsed():
    """
    They are sent as the JSON that they are, and not in Python's spelling.
    """
    call = {"id": "c", "function": {"name": "add", "arguments": {"a": True}}}

    (sent,) = Message.of({"role": "assistant", "tool_calls": [call]}).body()["tool_calls"]

    assert sent["function"]["arguments"] == '{"a":true}'
