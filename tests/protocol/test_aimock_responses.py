"""Promises kept against a server that others wrote: aimock's streams, Responses, embeddings."""

from __future__ import annotations

import json

import pytest

from llmnb import errors
from llmnb.adapters.http import HttpClient
from llmnb.records import RawReply, Reply
from llmnb.wire import classify
from llmnb.wire.dialect import dialect
from llmnb.wire.openai_embeddings import numbers, with_every_vector

pytestmark = pytest.mark.aimock

RESPONSES = dialect("openai.responses")
EMBEDDINGS = dialect("openai.embeddings")
STREAMED = {"/chat/completions": dialect("openai.chat"), "/responses": RESPONSES}


async def posted(aimock, path: str, body: dict, feed=None) -> RawReply:
    """Send a body as llmnb's own client does."""
    client = HttpClient()
    try:
        return await client.post(
            aimock.base_url + path,
            headers={"content-type": "application/json"},
            body=json.dumps(body).encode(),
            origin_has_key=False,
            feed=feed,
        )
    finally:
        await client.close()


async def asked(aimock, text: str, **fields) -> Reply:
    """Ask for a response in one piece."""
    body = RESPONSES.body({"prompt": text, **fields}, model="gpt-4o-mini", params={})
    return RESPONSES.parse((await posted(aimock, "/responses", body)).body)


async def streamed(aimock, path: str, text: str) -> tuple[list[str], Reply]:
    """Ask for a stream; return its pieces and the reply they make."""
    speaks = STREAMED[path]
    body = speaks.body({"prompt": text}, model="gpt-4o-mini", params={})
    assembler = speaks.assembler()
    fragments: list[str] = []

    def feed(data: bytes) -> bool:
        fragments.extend(delta.text for delta in assembler.feed(data))
        return bool(fragments)

    await posted(aimock, path, speaks.stream_body(body), feed)
    return fragments, speaks.parse(assembler.finish())


async def test_a_response_comes_whole(aimock):
    """
    Accents and other scripts arrive as they were sent.
    """
    reply = await asked(aimock, "please greet")

    assert (reply.text, reply.quality) == ("Hello. Grüße, 世界.", "good")
    assert reply.response_id.startswith("resp")


async def test_its_usage_is_read(aimock):
    """
    Under the names of this API.
    """
    reply = await asked(aimock, "label", response_format={"type": "json_object"})

    assert json.loads(reply.text) == {"label": "positive"}
    assert (reply.usage.prompt, reply.usage.completion) == (7, 3)


async def test_a_conversation_is_understood(aimock):
    """
    Instructions, calls of tools and their results arrive as the items they are.
    """
    call = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What time is it?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "noon"},
        {"role": "user", "content": [{"type": "text", "text": "please greet"}]},
    ]
    body = RESPONSES.body({"messages": messages}, model="gpt-4o-mini", params={})
    reply = RESPONSES.parse((await posted(aimock, "/responses", body)).body)

    assert reply.text == "Hello. Grüße, 世界."
    assert aimock.journal()[-1]["path"] == "/v1/responses"


@pytest.mark.parametrize("path", STREAMED)
async def test_a_stream_comes_in_fragments_and_makes_the_whole_answer(aimock, path):
    """
    What was shown bit by bit is what the finished reply says.
    """
    fragments, reply = await streamed(aimock, path, "slow")

    assert len([piece for piece in fragments if piece]) > 3
    assert "".join(fragments) == reply.text == "an answer that comes in pieces"


@pytest.mark.parametrize("path", STREAMED)
async def test_a_stream_that_breaks_is_no_answer(aimock, path):
    """
    A stream cut before its end is an error, however much of it had come.
    """
    with pytest.raises((errors.IncompleteReply, errors.MaybeBilled)):
        await streamed(aimock, path, "cut")


async def test_what_it_does_not_know_is_a_rejected_request(aimock):
    """
    With the server's own words.
    """
    body = RESPONSES.body({"prompt": "nothing matches this"}, model="m", params={})
    raw = await posted(aimock, "/responses", body)
    error = classify.classify(
        raw.status, raw.headers, raw.body, provider="openai", model="m", now=0.0, secret=None
    )

    assert type(error) is errors.RequestRejected


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_every_text_gets_an_embedding(aimock, encoding):
    """
    The same text has the same vector, and each has the size that was asked for.
    """
    request = {"input": ["one", "two", "one"], "dimensions": 8, "encoding_format": encoding}
    body = EMBEDDINGS.body(request, model="text-embedding-3-small", params={})
    raw = await posted(aimock, "/embeddings", body)
    reply = with_every_vector(EMBEDDINGS.parse(raw.body), 3)

    assert reply.vectors[0] == reply.vectors[2] != reply.vectors[1]
    assert [len(numbers(vector)) for vector in reply.vectors] == [8, 8, 8]
    assert reply.model == "text-embedding-3-small"
