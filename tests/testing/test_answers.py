from __future__ import annotations

import pytest

from llmnb.errors import ConfigurationError
from llmnb.testing import SimulatedRequest
from llmnb.testing.answers import as_replier, make_answer
from llmnb.testing.body import Body, Rejected
from llmnb.testing.request import count_tokens, tokens_of


def request(**changes) -> SimulatedRequest:
    fields = {"endpoint": "text", "body": {}, "model": "m", "prompt": "Hi", "identity": "Hi"}
    return SimulatedRequest(**{**fields, **changes})


def text(request: SimulatedRequest, reply: object = None) -> tuple[str, str]:
    (choice,) = make_answer(request, as_replier(reply)).choices
    return choice.text, choice.finish_reason


def test_the_same_prompt_gets_the_same_text():
    """
    A sentence depends on the seed, the prompt and the sample, and on nothing else.
    """
    same = {text(request(digest=5, seed=1, number=number)) for number in range(10)}
    others = {text(request(digest=digest, seed=seed)) for digest in range(9) for seed in (1, 2)}
    samples = make_answer(request(digest=5, samples=5), None).choices

    assert len(same) == 1
    assert len(others) == 18
    assert len({choice.text for choice in samples}) == 5


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Yes.", "Yes."),
        ({"Hi": "Ho"}, "Ho"),
        (lambda prompt: prompt * 2, "HiHi"),
        (lambda prompt, request: f"{prompt} {request.model}", "Hi m"),
        (str.upper, "HI"),
    ],
)
def test_replies_are_texts_mappings_or_functions(reply, expected):
    """
    Whatever says what to answer is understood.
    """
    assert text(request(), reply)[0] == expected


def test_a_mapping_without_the_prompt_falls_back_to_a_sentence():
    """
    A label is given where one is known, a sentence elsewhere.
    """
    assert text(request(digest=3), {"other": "x"}) == text(request(digest=3))


def test_what_is_no_reply_is_refused():
    """
    A number or a list is a mistake, said before the first request.
    """
    with pytest.raises(ConfigurationError, match="reply"):
        as_replier(42)


def test_answers_end_at_the_token_limit_and_at_stop_texts():
    """
    Whichever comes first, with the finish reason that a provider gives.
    """
    long = "abcdefghijklmnop"

    assert text(request(max_tokens=2), long) == ("abcdefgh", "length")
    assert text(request(max_tokens=4), long) == (long, "stop")
    assert text(request(stop=("ij", "cd")), long) == ("ab", "stop")
    assert text(request(stop=("zz",), max_tokens=1), long) == ("abcd", "length")


def test_a_reply_can_be_a_whole_message():
    """
    Tool calls, refusals and reasoning are given as the fields of the message.
    """
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answer = make_answer(request(), as_replier(lambda prompt: {"tool_calls": [call]}))
    (choice,) = answer.choices

    assert choice.finish_reason == "tool_calls"
    assert choice.text is None
    assert choice.extra == {"tool_calls": [call]}
    assert answer.completion_tokens > 0


def test_tokens_cut_a_text_without_loss():
    """
    Four characters each, and their count is their number.
    """
    for sample in ("", "a", "abcd", "Grüße, 世界! 🎈", "x" * 99):
        assert "".join(tokens_of(sample)) == sample
        assert len(tokens_of(sample)) == count_tokens(sample)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "3", True])
def test_numbers_in_a_body_are_checked(wrong):
    """
    What a provider answers with 400 is answered with 400 here.
    """
    with pytest.raises(Rejected):
        Body(max_tokens=wrong).whole_number("max_tokens")
    assert Body(max_tokens=None).whole_number("max_tokens") is None


@pytest.mark.parametrize("wrong", [5, ["a"] * 5, [1], {}])
def test_stop_texts_are_a_single_text_or_up_to_four(wrong):
    """
    Anything else is refused.
    """
    with pytest.raises(Rejected):
        Body(stop=wrong).stop_texts()
    assert Body(stop="\n").stop_texts() == ("\n",)
    assert Body(stop=["a", "b"]).stop_texts() == ("a", "b")


def test_a_limit_charges_the_larger_of_the_prompt_and_the_answer_asked_for():
    """
    As OpenAI counts a request before it has answered.
    """
    assert request(prompt_tokens=10, max_tokens=4, samples=2).charged_tokens == 10
    assert request(prompt_tokens=10, max_tokens=40, samples=2).charged_tokens == 80
    assert request(prompt_tokens=10).charged_tokens == 10
