"""Promises about text completions: a prompt goes in, a text comes out."""

from __future__ import annotations

import orjson
import pytest

from llmnb import errors
from llmnb.wire.dialect import dialect

TEXT = dialect("openai.text")


def body(request, **params):
    return TEXT.body(request, model="m", params=params)


def reply(*choices, **fields):
    choices = choices or ({"text": " there", "index": 0, "finish_reason": "stop"},)
    return orjson.dumps({"object": "text_completion", "choices": list(choices), **fields})


@pytest.mark.parametrize("name", ["prompt", "input"])
@pytest.mark.parametrize("prompt", ["Once", "", ["a", "b"], [1, 2, 3], [[1], [2]]])
def test_a_prompt_goes_in_as_it_is(name, prompt):
    """
    Text, or the lists of texts and tokens that the endpoint takes.
    """
    assert body({name: prompt}, stop_tokens=["."]) == {
        "model": "m",
        "prompt": prompt,
        "stop": ["."],
    }


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"prompt": None},
        {"prompt": 7},
        {"prompt": []},
        {"prompt": {"text": "Hi"}},
        {"messages": [{"role": "system", "content": "Hi"}]},
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": "you"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
        {"messages": [{"role": "user", "content": "Hi", "name": "me"}]},
        {"messages": [{"role": "user", "content": "Hi"}], "prompt": "Hi"},
        {"prompt": "Hi", "input": "Hi"},
    ],
)
def test_what_is_no_prompt_is_an_input_error(request_):
    """
    A conversation is not flattened in silence.
    """
    with pytest.raises(errors.InputError, match="Nothing was sent"):
        body(request_)


def test_max_tokens_keeps_its_name():
    """
    This endpoint knows no other.
    """
    assert body({"prompt": "Hi", "max_tokens": 3})["max_tokens"] == 3


def test_a_reply_is_read():
    """
    Text, reason, tokens, log-probabilities.
    """
    logprobs = {"tokens": [" there"], "token_logprobs": [-0.5]}
    case = {"text": " there", "index": 0, "logprobs": logprobs, "finish_reason": "length"}
    result = TEXT.parse(
        reply(case, id="cmpl-1", model="m2", usage={"prompt_tokens": 1, "completion_tokens": 1})
    )

    assert (result.text, result.finish_reason, result.quality) == (" there", "length", "truncated")
    assert (result.response_id, result.model, result.usage.total) == ("cmpl-1", "m2", 2)
    assert result.logprobs == logprobs


def test_several_texts_come_in_their_own_order_and_are_judged_together():
    """
    As for chat.
    """
    result = TEXT.parse(
        reply(
            {"text": "b", "index": 1, "finish_reason": "content_filter"},
            {"text": "a", "index": 0, "finish_reason": "stop"},
        )
    )

    assert (result.text, result.texts, result.quality) == ("a", ("a", "b"), "filtered")


def test_a_stream_gives_the_same_reply():
    """
    Texts and lists of log-probabilities grow piece by piece.
    """
    chunks = [
        {"index": 0, "text": "Hel", "logprobs": {"tokens": ["Hel"], "text_offset": [0]}},
        {"index": 1, "text": "Bye", "logprobs": None, "finish_reason": "stop"},
        {"index": 0, "text": "lo", "logprobs": {"tokens": ["lo"], "text_offset": [3]}},
        {"index": 0, "text": "", "finish_reason": "stop"},
    ]
    assembler = TEXT.assembler(samples=2)
    deltas = [
        delta.text
        for piece in chunks
        for delta in assembler.feed(b"data: " + orjson.dumps({"choices": [piece]}) + b"\n\n")
    ]
    result = TEXT.parse(assembler.finish())

    assert deltas == ["Hel", "Bye", "lo"]
    assert result.texts == ("Hello", "Bye")
    assert result.logprobs == {"tokens": ["Hel", "lo"], "text_offset": [0, 3]}


def test_a_stream_that_ends_too_early_is_incomplete():
    """
    As for chat.
    """
    with pytest.raises(errors.IncompleteReply):
        TEXT.assembler().whole(b'data: {"choices":[{"index":0,"text":"Hel"}]}\n\ndata: [DONE]\n\n')
