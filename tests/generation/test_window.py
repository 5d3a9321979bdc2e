"""Promises about cutting: only what is too long, to what fits, and said in words."""

from __future__ import annotations

import copy
import logging
import types

import pytest

from llmnb.adapters.tokens import count_tokens
from llmnb.errors import ConfigurationError
from llmnb.generation import openai_parallel_generate
from llmnb.generation.lines import RequestLine
from llmnb.generation.recipients import asking_for
from llmnb.generation.window import Fitter
from llmnb.testing import SimulatedProvider

LONG = "one two three four five six seven eight nine ten " * 2_000
HOLDS_ITSELF: list[object] = []
HOLDS_ITSELF.append(HOLDS_ITSELF)
SHORT = {"model": "gpt-4-0613", "messages": [{"role": "user", "content": "Hi"}]}


def chat(*texts, **fields):
    roles = ("system", "user", "assistant", "user")
    messages = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]
    return {"model": "gpt-4-0613", "messages": messages, **fields}


def fit(request, side="end"):
    fitted, warning = Fitter(asking_for(request), side).fit(request)
    return types.SimpleNamespace(request=fitted, warning=warning)


def test_what_fits_is_handed_on_as_it_is():
    """
    The same object: nothing is copied, nothing is said.
    """
    fitted = fit(SHORT)

    assert fitted.request is SHORT
    assert fitted.warning == ""


def test_a_model_whose_window_is_not_known_is_never_cut_for():
    """
    Its server decides.
    """
    request = {"model": "sim/m", "messages": [{"role": "user", "content": LONG}]}

    assert fit(request).request is request


@pytest.mark.parametrize("side", ["end", "start"])
def test_the_longest_message_is_cut_to_the_window_less_the_answer(side):
    """
    The rest stays; what is left out is counted; the caller's own request is not changed.
    """
    request = chat("Be brief.", "START " + LONG + " END", max_tokens=500)
    before = copy.deepcopy(request)

    fitted = fit(request, side)

    system, user = fitted.request["messages"]
    tokens = count_tokens(fitted.request, model="gpt-4-0613").tokens
    assert request == before
    assert system["content"] == "Be brief."
    assert user["content"].startswith("START ") is (side == "end")
    assert user["content"].endswith(" END") is (side == "start")
    assert 8192 - 500 - 1000 < tokens <= 8192 - 500
    assert "openai/gpt-4-0613 takes 8,192 tokens with 500 kept for the answer" in fitted.warning
    assert "of message 2 (user) were left out" in fitted.warning
    left_out = len(request["messages"][1]["content"]) - len(user["content"])
    assert f"({left_out:,} characters)" in fitted.warning


def test_several_long_messages_are_cut_in_turn():
    """
    The longest first, until the conversation fits.
    """
    fitted = fit(chat("Be brief.", LONG, LONG + LONG, "And now?"))

    contents = [item["content"] for item in fitted.request["messages"]]
    assert contents[0] == "Be brief."
    assert contents[3] == "And now?"
    assert count_tokens(fitted.request).tokens <= 8192
    assert "message 3" in fitted.warning
    assert "message 2" in fitted.warning


@pytest.mark.parametrize("field", ["prompt", "input"])
def test_each_text_of_a_list_is_cut_for_itself(field):
    """
    A short one beside a long one stays whole.
    """
    model = "text-embedding-3-small" if field == "input" else "gpt-4-0613"
    fitted = fit({"model": model, field: ["Hi", LONG]})

    short, long = fitted.request[field]
    assert short == "Hi"
    assert LONG.startswith(long)
    assert len(long) < len(LONG)
    assert "of text 2 were left out" in fitted.warning


def test_embeddings_keep_no_room_for_an_answer():
    """
    The whole window is theirs.
    """
    fitted = fit({"model": "text-embedding-3-small", "input": LONG})

    assert 7000 < count_tokens(fitted.request["input"]).tokens <= 8192
    assert "kept for the answer" not in fitted.warning


@pytest.mark.parametrize(
    "request_",
    [
        {"model": "gpt-4-0613", "messages": LONG},
        {"model": "gpt-4-0613", "messages": [LONG]},
        {"model": "gpt-4-0613", "messages": [{"role": "user", "content": [{"text": LONG}]}]},
        {"model": "gpt-4-0613", "messages": None},
        {"model": "gpt-4-0613", "prompt": [[1, 2, 3] * 9000]},
        {"model": ["gpt-4-0613"], "prompt": LONG, "api_provider": 7},
        {"model": "gpt-4-0613", "messages": [{"content": LONG}], "max_tokens": "many"},
        {"model": "gpt-4-0613", "messages": HOLDS_ITSELF},
        {},
    ],
)
def test_whatever_is_no_request_goes_by(request_):
    """
    Cutting never ends a run; the server, or the engine, says what is wrong.
    """
    fit(request_)


def test_a_line_of_a_file_is_weighed_by_its_bytes():
    """
    A short line is not counted, a long one is cut like any other.
    """
    import orjson

    written = orjson.dumps(chat("Be brief.", LONG))
    line = RequestLine(orjson.loads(written), written)

    assert fit(line).warning
    assert fit(RequestLine(SHORT, orjson.dumps(SHORT))).warning == ""


async def test_a_run_sends_what_was_cut_shows_it_and_says_so(caplog):
    """
    The row holds the request as it was sent, and the log what was left out of it.
    """
    with SimulatedProvider() as sim, caplog.at_level(logging.WARNING):
        rows = await openai_parallel_generate(
            [SHORT, chat("Be brief.", LONG)], request_url=sim.base_url, api_key="k"
        )

    assert rows[0][0] == SHORT
    assert len(rows[1][0]["messages"][1]["content"]) < len(LONG)
    assert isinstance(rows[1][1], dict)
    (said,) = [item.getMessage() for item in caplog.records if "is cut" in item.getMessage()]
    assert said.startswith("Request #1 is cut. openai/gpt-4-0613 takes 8,192 tokens")


async def test_nothing_is_cut_where_that_is_not_wanted():
    """
    ``truncate=None`` sends what there is.
    """
    request = chat("Be brief.", LONG)
    with SimulatedProvider() as sim:
        ((asked, _),) = await openai_parallel_generate(
            [request], request_url=sim.base_url, api_key="k", truncate=None
        )

    assert asked == request


async def test_an_end_that_is_none_is_refused():
    """
    Before anything is sent: a wrong word must not cut the other end.
    """
    with pytest.raises(ConfigurationError, match="'middle'"):
        await openai_parallel_generate([SHORT], api_key="k", truncate="middle")
