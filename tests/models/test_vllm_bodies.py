"""Promises about how a vLLM engine's values become OpenAI's bodies, and back; no vLLM needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from llmnb.errors import InputError
from llmnb.targets import vllm_target
from llmnb.wire.dialect import dialect


@dataclass
class Logprob:
    """As vLLM tells one candidate."""

    logprob: float
    rank: int | None
    decoded_token: str | None


@dataclass
class Written:
    """As vLLM tells one answer."""

    text: str
    token_ids: list[int]
    logprobs: list[dict[int, Logprob]] | None = None
    finish_reason: str | None = "stop"
    stop_reason: str | None = None


@dataclass
class Output:
    """As vLLM tells one request."""

    prompt_token_ids: list[int] = field(default_factory=lambda: [1, 2, 3])
    prompt_logprobs: list[dict[int, Logprob] | None] | None = None
    num_cached_tokens: int | None = 0


CHOSEN = Logprob(-3.0, 9, "yes")
LIKELY = {7: CHOSEN, 1: Logprob(-0.5, 1, "no"), 2: Logprob(-1.0, 2, "maybe")}


def reply(answers: dict[int, Written], output: Output | None = None, **options: Any) -> bytes:
    """Return a body."""
    asked = {"model": "tiny", "name": "x-1", "is_chat": True, **options}
    return vllm_target.reply_body(answers, output or Output(), **asked)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 6}, {"max_tokens": 6}),
        ({"logprobs": True}, {"logprobs": 0}),
        ({"logprobs": True, "top_logprobs": 3}, {"logprobs": 3}),
        ({"logprobs": False, "top_logprobs": 3}, {}),
        ({"prompt": "x", "logprobs": 2}, {"logprobs": 2}),
        ({"stop": ["."], "seed": 1, "n": 2}, {"stop": ["."], "seed": 1, "n": 2}),
        ({"logit_bias": {"5": 1}}, {"logit_bias": {5: 1.0}}),
        ({"response_format": {"type": "text"}}, {}),
        (
            {"response_format": {"type": "json_object"}},
            {"structured_outputs": {"json_object": True}},
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"a": 1}}}},
            {"structured_outputs": {"json": {"a": 1}}},
        ),
        ({"structured_outputs": {"choice": ["a"]}}, {"structured_outputs": {"choice": ["a"]}}),
    ],
)
def test_a_body_becomes_parameters_of_sampling(body, expected):
    """
    Both protocols' names mean what they mean at vLLM's own server.
    """
    assert vllm_target.sampling_fields({"model": "m", **body}) == expected


@pytest.mark.parametrize(
    "body", [{"tools": [{}]}, {"colour": "red"}, {"response_format": {"type": "json_schema"}}]
)
def test_what_an_engine_cannot_do_is_refused_by_name(body):
    """
    Nothing is left out in silence.
    """
    with pytest.raises(InputError):
        vllm_target.sampling_fields(body)


def test_pictures_are_refused_and_texts_in_parts_are_joined():
    """
    A template takes texts only.
    """
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    assert vllm_target.turns([{"role": "user", "content": parts}])[0]["content"] == "ab"
    with pytest.raises(InputError, match="text only"):
        vllm_target.turns([{"role": "user", "content": [{"type": "image_url"}]}])


@pytest.mark.parametrize(("is_chat", "name"), [(True, "openai.chat"), (False, "openai.text")])
def test_a_reply_is_read_by_the_dialect_of_its_kind(is_chat, name):
    """
    Text, samples, usage and the finish reason arrive.
    """
    answers = {1: Written("two", [4], finish_reason="length"), 0: Written("one", [4, 5])}

    read = dialect(name).parse(reply(answers, is_chat=is_chat))

    assert read.texts == ("one", "two")
    assert read.quality == "truncated"
    assert read.usage is not None
    assert (read.usage.prompt, read.usage.completion) == (3, 3)


def test_the_token_that_was_written_is_listed_and_only_so_many_alternatives():
    """
    An unlikely choice is told beside the likeliest, not among them.
    """
    body = orjson.loads(reply({0: Written("yes", [7], [LIKELY])}, alternatives=2))

    (token,) = body["choices"][0]["logprobs"]["content"]
    assert (token["token"], token["logprob"], token["bytes"]) == ("yes", -3.0, [121, 101, 115])
    assert [other["token"] for other in token["top_logprobs"]] == ["no", "maybe"]


def test_a_prompts_log_probabilities_are_written_as_vllms_server_writes_them():
    """
    Nothing for the first token, then a candidate for each number.
    """
    output = Output(prompt_logprobs=[None, {7: CHOSEN}])

    body = orjson.loads(reply({0: Written("", [])}, output))

    assert body["prompt_logprobs"] == [
        None,
        {"7": {"logprob": -3.0, "rank": 9, "decoded_token": "yes"}},
    ]
