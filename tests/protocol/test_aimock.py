"""Promises kept against a server that others wrote: aimock speaks OpenAI's protocol."""

from __future__ import annotations

import json

import pytest

from llmnb import AsyncLLM, errors
from llmnb.adapters.http import HttpClient
from llmnb.records import Reply
from llmnb.wire.dialect import dialect

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


async def streamed(aimock, text: str) -> tuple[list[str], Reply]:
    """Ask for a stream; return its pieces and the reply they make."""
    chat = dialect("openai.chat")
    body = chat.stream_body(chat.body(ask(text)[0], model="gpt-4o-mini", params={}))
    assembler = chat.assembler()
    fragments: list[str] = []

    def feed(data: bytes) -> bool:
        fragments.extend(delta.text for delta in assembler.feed(data))
        return bool(fragments)

    client = HttpClient()
    try:
        await client.post(
            f"{aimock.base_url}/chat/completions",
            headers={"content-type": "application/json"},
            body=json.dumps(body).encode(),
            origin_has_key=False,
            feed=feed,
        )
    finally:
        await client.close()
    return fragments, chat.parse(assembler.finish())


async def test_a_stream_comes_in_fragments_and_makes_the_whole_answer(aimock):
    """
    What was shown bit by bit is what the finished reply says.
    """
    fragments, reply = await streamed(aimock, "slow")

    assert len([piece for piece in fragments if piece]) > 3
    assert "".join(fragments) == reply.text == "an answer that comes in pieces"


async def test_a_stream_that_breaks_is_no_answer(aimock):
    """
    A stream cut before its end is an error, however much of it had come.
    """
    with pytest.raises((errors.IncompleteReply, errors.MaybeBilled)):
        await streamed(aimock, "cut")
