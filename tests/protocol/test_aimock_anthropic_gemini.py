"""Promises kept against a server that others wrote: the protocols of Anthropic and Google."""

from __future__ import annotations

import orjson
import pytest

from llmnb import AsyncLLM, errors
from llmnb.adapters.http import HttpClient
from llmnb.records import Reply
from llmnb.wire import classify
from llmnb.wire.api_keys import auth_headers
from llmnb.wire.catalog import endpoint, provider, stream_url
from llmnb.wire.dialect import dialect

pytestmark = pytest.mark.aimock

MODELS = {"anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash"}
KEY = "not-a-real-key"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "now",
            "description": "Tells the time.",
            "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}},
        },
    }
]


def asking(text: str) -> dict:
    """Return a request."""
    return {"messages": [{"role": "user", "content": text}]}


class Asked:
    """One provider's dialect, asked over llmnb's own HTTP client."""

    def __init__(self, name: str, aimock) -> None:
        self.row = provider(name)
        self.base = f"{aimock.origin}/{self.row.base_url.rpartition('/')[2]}"
        self.dialect = dialect(self.row.dialects["chat"])
        self.model = MODELS[name]
        self.url = endpoint(self.row, self.base, "chat", self.model)
        self.headers = {"content-type": "application/json", **auth_headers(self.row, KEY)}
        self.fragments: list[str] = []

    async def _post(self, url, body, feed=None):
        client = HttpClient()
        try:
            return await client.post(
                url,
                headers=self.headers,
                body=orjson.dumps(body),
                origin_has_key=False,
                feed=feed,
            )
        finally:
            await client.close()

    async def whole(self, request: dict, **params) -> Reply:
        """Ask in one piece; a bad status is its error."""
        body = self.dialect.body(request, model=self.model, params=params)
        raw = await self._post(self.url, body)
        if raw.status != 200:
            raise classify.classify(
                raw.status,
                raw.headers,
                raw.body,
                provider=self.row.name,
                model=self.model,
                now=0.0,
                secret=KEY,
            )
        return self.dialect.parse(raw.body)

    async def streamed(self, request: dict, **params) -> Reply:
        """Ask for a stream; its pieces of text are kept."""
        body = self.dialect.body(request, model=self.model, params=params)
        assembler = self.dialect.assembler()

        def feed(data: bytes) -> bool:
            deltas = assembler.feed(data)
            self.fragments += [delta.text for delta in deltas if delta.text]
            return bool(deltas)

        raw = await self._post(stream_url(self.url), self.dialect.stream_body(body), feed)
        assert not raw.body, "it came as a stream"
        return self.dialect.parse(assembler.finish())


@pytest.fixture(params=list(MODELS))
def asked(request, aimock) -> Asked:
    """Ask aimock as Anthropic is asked, then as Google is asked."""
    return Asked(request.param, aimock)


async def test_an_answer_comes_whole(asked):
    """
    Accents and other scripts arrive as they were sent.
    """
    reply = await asked.whole(asking("please greet"))

    assert reply.text == "Hello. Grüße, 世界."
    assert reply.quality == "good"


async def test_a_stream_comes_in_fragments_and_makes_the_whole_answer(asked):
    """
    What was shown bit by bit is what the finished reply says.
    """
    reply = await asked.streamed(asking("slow"))

    assert len(asked.fragments) > 3
    assert "".join(asked.fragments) == reply.text == "an answer that comes in pieces"


async def test_a_stream_that_breaks_is_no_answer(asked):
    """
    A stream cut before its end is an error, however much of it had come.
    """
    with pytest.raises((errors.IncompleteReply, errors.MaybeBilled)):
        await asked.streamed(asking("cut"))


async def test_what_it_thinks_is_kept_apart_from_the_answer(asked):
    """
    Streamed or not, with the same figures.
    """
    whole = await asked.whole(asking("think first"))
    stream = await asked.streamed(asking("think first"))

    for reply in (whole, stream):
        assert (reply.text, reply.reasoning) == ("4", "2 + 2 makes four")
        assert (reply.usage.prompt, reply.usage.completion) == (11, 5)


async def test_a_tool_is_called_and_its_result_is_answered(asked):
    """
    The whole round: described, called, told the result, answered.
    """
    question = asking("the time in Bern")
    whole = await asked.whole(question, tools=TOOLS, tool_choice="auto")
    stream = await asked.streamed(question, tools=TOOLS)

    for reply in (whole, stream):
        (call,) = reply.tool_calls
        assert (call.name, orjson.loads(call.arguments)) == ("now", {"zone": "Europe/Zurich"})
    function = {"name": call.name, "arguments": call.arguments}
    turns = [
        *question["messages"],
        {
            "role": "assistant",
            "content": whole.text or None,
            "tool_calls": [{"id": call.id, "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": call.id, "content": "noon"},
    ]
    answer = await asked.whole({"messages": turns}, tools=TOOLS)

    assert answer.text == "It is noon."


async def test_an_answer_that_was_cut_off_is_no_good_answer(asked):
    """
    Each protocol has its own word for it.
    """
    reply = await asked.whole(asking("too long"))

    assert (reply.text, reply.quality) == ("Once upon a", "truncated")


async def test_what_it_does_not_know_is_an_error_that_says_why(asked):
    """
    The body of each protocol's errors is read.
    """
    with pytest.raises(errors.RequestRejected) as caught:
        await asked.whole(asking("nothing matches this"))

    assert caught.value.status == 404
    assert asked.row.name in caught.value.message


async def test_what_is_sent_is_the_protocol(asked, aimock):
    """
    The server's own journal shows path, key and body, translated back to OpenAI's words by it.
    """
    request = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            *asking("please greet")["messages"],
        ]
    }
    await asked.whole(request, max_tokens=9, temperature=0.5)

    sent = aimock.journal()[-1]

    assert sent["path"] == asked.url.removeprefix(aimock.origin)
    assert sent["headers"][asked.row.key_header], "the key travels in its header"
    assert [turn["role"] for turn in sent["body"]["messages"]] == ["system", "user"]
    assert (sent["body"]["max_tokens"], sent["body"]["temperature"]) == (9, 0.5)


def test_a_run_asks_it_like_any_other_provider(asked):
    """
    From the front door to the store: key header, address, translation, reading.
    """
    llm = AsyncLLM(asked.row.name, model=asked.model, url=asked.base, api_key=KEY)
    first, second = llm.generate([asking("please greet"), asking("nothing matches this")])

    assert asked.dialect.parse(orjson.dumps(first[1])).text == "Hello. Grüße, 世界."
    assert isinstance(second[1], list)
