"""Promises kept against a server that others wrote: aimock speaks OpenAI's protocol."""

from __future__ import annotations

import pytest

from llmnb import AsyncLLM

pytestmark = pytest.mark.aimock


@pytest.fixture
def llm(aimock) -> AsyncLLM:
    """Ask aimock as OpenAI is asked."""
    return AsyncLLM("openai", model="gpt-4o-mini", url=aimock.base_url, api_key="not-a-real-key")


def ask(*texts: str) -> list[dict]:
    """Return one chat request for each text."""
    return [{"messages": [{"role": "user", "content": text}]} for text in texts]


def answer(row: list) -> str:
    """Return the text of a row's answer."""
    return row[1]["choices"][0]["message"]["content"]


def test_an_answer_comes_whole(llm):
    """
    Accents and other scripts arrive as they were sent.
    """
    (row,) = llm.generate(ask("please greet"))

    assert answer(row) == "Hello. Grüße, 世界."
    assert row[1]["usage"]["total_tokens"] > 0


def test_a_refusal_for_pace_is_waited_out(llm):
    """
    A 429 with its own Retry-After is followed by the answer, and costs no attempt.
    """
    (row,) = llm.generate(ask("limit"), max_attempts=1)

    assert answer(row) == "after the limit"


def test_what_it_does_not_know_is_an_error_of_that_row(llm):
    """
    The row says why, and the rows beside it are answered.
    """
    first, second = llm.generate(ask("nothing matches this", "please greet"))

    assert isinstance(first[1], list)
    assert answer(second) == "Hello. Grüße, 世界."


def test_what_is_sent_is_the_protocol(llm, aimock):
    """
    The server's own journal shows the path, the key in its header, and the body alone.
    """
    llm.generate([{**ask("please greet")[0], "temperature": 0.5, "metadata": {"id": 1}}])

    sent = aimock.journal()[-1]

    assert (sent["method"], sent["path"]) == ("POST", "/v1/chat/completions")
    assert sent["headers"]["authorization"], "the key travels in its header"
    assert sent["body"]["temperature"] == 0.5
    assert "metadata" not in sent["body"]
