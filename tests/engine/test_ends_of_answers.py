"""An answer that is not finished is never served, and nothing of it is bought twice in vain."""

from __future__ import annotations

import orjson
import pytest
from asking import ask
from script_server import ScriptServer, reply

from llmnb import AsyncLLM, settings
from llmnb.errors import ConfigurationError, NoAnswer, Truncated, UnknownEnd

QUESTION = [{"prompt": "one"}]
COUNTED = {"prompt_tokens": 3, "completion_tokens": 5}


def serving(message, *, reason="stop", usage=COUNTED):
    """Return a server that answers everything with one chat message."""
    message = {"role": "assistant", **message}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    body = {"id": "1", "object": "chat.completion", "model": "m", "choices": [choice]}
    return ScriptServer([reply(orjson.dumps({**body, "usage": usage}), "connection: close")])


def answer(server, **options):
    (outcome,) = ask(server, QUESTION, **options).result(60)
    return outcome


@pytest.mark.parametrize(
    "reason", ["abort", "network_error", "insufficient_system_resource", "model_length"]
)
def test_an_answer_that_broke_off_is_asked_again_on_the_next_run(reason):
    """
    It is an error row that keeps its text, whatever max_tokens the caller chose.
    """
    with serving({"content": "Half an"}, reason=reason) as server:
        outcome = answer(server, params={"max_tokens": 9})
        assert type(outcome.error) is Truncated
        assert outcome.error.body == outcome.reply.text == "Half an"

        answer(server, params={"max_tokens": 9})
        assert len(server.requests) == 2


def test_an_unknown_end_is_kept_and_not_bought_again():
    """
    The row is an error on the next run too, which costs nothing and offers the word.
    """
    with serving({"content": "All of it."}, reason="fin") as server:
        first, second = answer(server), answer(server)

        assert type(first.error) is type(second.error) is UnknownEnd
        assert "good_finish=['fin']" in second.error.message
        assert (second.usd, second.source, second.reply.text) == (0.0, "cached", "All of it.")
        assert len(server.requests) == 1


def test_good_finish_reads_again_what_is_kept():
    """
    The word makes an answer of it in any case of letters, for nothing.
    """
    with serving({"content": "All of it."}, reason="fin") as server:
        answer(server)
        outcome = answer(server, good_finish=["FIN"])

        assert (outcome.text, outcome.usd) == ("All of it.", 0.0)
        assert len(server.requests) == 1


def test_good_finish_can_be_configured():
    """
    A word of `configure` counts in every call.
    """
    settings.configure(good_finish=["fin"])
    with serving({"content": "All of it."}, reason="fin") as server:
        assert answer(server).text == "All of it."


@pytest.mark.parametrize("value", [5, [""], [7]])
def test_good_finish_takes_text_only(value):
    """
    What is no word is refused before anything is sent.
    """
    with serving({"content": "Hi"}) as server:
        llm = AsyncLLM(model="m", api_key="k", url=server.base_url)
        with pytest.raises(ConfigurationError, match="good_finish"):
            llm.generate(QUESTION, good_finish=value)
        assert not server.requests


@pytest.mark.parametrize(
    ("message", "usage"),
    [
        ({"content": None}, COUNTED),
        ({"content": ""}, {"prompt_tokens": 3, "completion_tokens": 0}),
        ({"content": ""}, None),
        ({"content": "", "reasoning_content": "Hm."}, COUNTED),
        ({"content": ""}, {**COUNTED, "completion_tokens_details": {"reasoning_tokens": 5}}),
    ],
)
def test_a_reply_without_an_answer_is_asked_again(message, usage):
    """
    A text of null, one of no tokens, and reasoning alone are error rows.
    """
    with serving(message, usage=usage) as server:
        assert type(answer(server).error) is NoAnswer
        answer(server)
        assert len(server.requests) == 2


def test_an_empty_text_with_counted_tokens_is_an_answer():
    """
    A model may say nothing.
    """
    with serving({"content": ""}) as server:
        outcome = answer(server)

    assert (outcome.text, outcome.error) == ("", None)


def test_that_a_model_thought_for_all_of_its_tokens_is_said():
    """
    The error names max_tokens, though the caller chose it.
    """
    thought = {**COUNTED, "completion_tokens_details": {"reasoning_tokens": 5}}
    with serving({"content": ""}, reason="length", usage=thought) as server:
        outcome = answer(server, params={"max_tokens": 5})

    assert type(outcome.error) is Truncated
    assert "max_tokens (5 here)" in outcome.error.message


def test_an_answer_cut_at_the_chosen_length_says_length():
    """
    It is kept, and its reason is there to be read.
    """
    with serving({"content": "Once upon"}, reason="length") as server:
        outcome = answer(server, params={"max_tokens": 2})

    assert (outcome.text, outcome.reply.finish_reason) == ("Once upon", "length")
