"""Promises of what an address tells: which protocol is spoken there, or that it is none."""

from __future__ import annotations

import orjson
import pytest
from conversations import raw
from script_server import ScriptServer, reply
from streams import STREAMS, TEXT

from llmnb import LLM, AsyncLLM, GenerationMaster
from llmnb.errors import ConfigurationError
from llmnb.generation.recipients import asking_for
from llmnb.running.asking import Asking
from llmnb.running.planning import plan
from llmnb.running.start import start
from llmnb.targets.resolve import resolve
from llmnb.wire.catalog import load_catalog

KEYS = [name for row in load_catalog().values() for name in row.key_env]
HOST = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    """No key and no address in the environment."""
    for name in (*KEYS, "LLMNB_MODEL", "OPENAI_BASE_URL", "OPENAI_API_VERSION"):
        monkeypatch.delenv(name, raising=False)


# -------------------------------------------------------------------- which protocol it is

EXPECTED = {
    f"{HOST}/v1/chat/completions": "openai.chat",
    f"{HOST}/v1/completions": "openai.text",
    f"{HOST}/v1/responses": "openai.responses",
    f"{HOST}/v1/responses/?api-version=1": "openai.responses",
    f"{HOST}/v1/embeddings": "openai.embeddings",
    f"{HOST}/v1/messages": "anthropic.messages",
    f"{HOST}/anthropic/v1/messages": "anthropic.messages",
    f"{HOST}/v1beta/models/m:generateContent": "gemini.generate",
    f"{HOST}/v1beta/models/m:streamGenerateContent?alt=sse": "gemini.generate",
    f"{HOST}/v1": "openai.chat",
    HOST: "openai.chat",
}


@pytest.mark.parametrize("url", EXPECTED)
def test_a_full_endpoint_tells_how_it_is_asked(url):
    """
    Of whomever, with no provider named; a base is asked in OpenAI's chat, as ever.
    """
    target = resolve("m", url=url, api_key="k")

    assert target.dialect_name == EXPECTED[url]
    if EXPECTED[url] != "gemini.generate" and url.partition("?")[0].rstrip("/") not in (
        HOST,
        f"{HOST}/v1",
    ):
        assert target.url.partition("?")[0] == url.partition("?")[0].rstrip("/")


def test_another_protocol_of_a_provider_gets_the_key_as_it_does_itself():
    """
    DeepSeek's Anthropic endpoint, Gemini's and Anthropic's OpenAI endpoints, Azure's Claude.
    """

    def headers(model, url):
        target = resolve(model, url=url, api_key="k")
        names = ("x-api-key", "authorization", "x-goog-api-key", "api-key", "anthropic-version")
        sent = {name: str(value) for name, value in target.sent_headers.items() if name in names}
        return target.url, target.dialect_name, sent

    version = {"anthropic-version": "2023-06-01"}
    google = "https://generativelanguage.googleapis.com/v1beta/openai"
    assert headers("deepseek/m", "https://api.deepseek.com/anthropic/v1/messages") == (
        "https://api.deepseek.com/anthropic/v1/messages",
        "anthropic.messages",
        {"x-api-key": "k", **version},
    )
    for url in (f"{google}/", google, f"{google}/chat/completions"):
        assert headers("gemini/gemini-2.5-flash", url) == (
            f"{google}/chat/completions",
            "openai.chat",
            {"authorization": "Bearer k"},
        )
    claude = "https://mine.services.ai.azure.com/anthropic/v1/messages"
    assert headers("azure/claude", claude) == (
        claude,
        "anthropic.messages",
        {"x-api-key": "k", **version},
    )
    assert headers("openai/m", "https://api.openai.com/v1/responses")[1:] == (
        "openai.responses",
        {"authorization": "Bearer k"},
    )


def test_an_address_from_the_environment_tells_the_same(monkeypatch):
    """
    A variable may hold a full endpoint, too.
    """
    monkeypatch.setenv("OPENAI_BASE_URL", f"{HOST}/v1/responses")

    assert resolve("openai/m", api_key="k").dialect_name == "openai.responses"


def test_vectors_are_not_asked_of_an_address_of_texts():
    """
    The other way round as well, before anything is sent.
    """
    with pytest.raises(ConfigurationError, match="/embeddings"):
        resolve("m", url=f"{HOST}/v1/chat/completions", api_key="k", gen_type="embedding")
    with pytest.raises(ConfigurationError, match="vectors"):
        LLM(f"{HOST}/v1/embeddings", "k", "m").generate("Hi")


def test_files_of_requests_know_the_same_endpoints():
    """
    The kind of a file's answers comes from the one table.
    """
    assert [asking_for({}, request_url=url).gen_type for url in EXPECTED] == [
        *("chat", "text", "responses", "responses", "embedding", "chat", "chat", "chat", "chat"),
        *("chat", "chat"),
    ]


# ------------------------------------------------------------------------- through every door


def body(name):
    return reply(orjson.dumps(STREAMS[name][1]), "connection: close")


DOORS = {
    "LLM": lambda url: LLM(url, "k", "m").generate("Hi"),
    "AsyncLLM": lambda url: AsyncLLM(model="m", url=url, api_key="k").generate(
        [{"prompt": "Hi"}], progress=False
    ),
    "start": lambda url: start([{"prompt": "Hi"}], Asking(model="m", url=url, api_key="k")).result(
        60
    ),
    "a request's own": lambda url: start(
        [{"prompt": "Hi", "url": url, "api_key": "k"}], Asking(model="openai/m", api_key="k")
    ).result(60),
}
ENDPOINTS = {
    "openai.responses": "responses",
    "openai.text": "completions",
    "anthropic.messages": "messages",
    "openai.chat": "chat/completions",
}
ASKS = {
    "openai.responses": "input",
    "openai.text": "prompt",
    "anthropic.messages": "max_tokens",
    "openai.chat": "messages",
}


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize("door", DOORS)
def test_every_door_asks_as_the_address_tells(door, name):
    """
    The body that is sent is the endpoint's own, and its answer is read.
    """
    with ScriptServer([body(name)]) as server:
        results = DOORS[door](f"{server.base_url}/{ENDPOINTS[name]}")
        asked = orjson.loads(server.requests[0].partition(b"\r\n\r\n")[2])

    assert ASKS[name] in asked
    if door == "LLM":
        assert results == TEXT
    elif door == "AsyncLLM":
        assert "error" not in results[0][1]
    else:
        assert [result.text for result in results] == [TEXT]


async def test_several_inputs_over_several_endpoints():
    """
    A master asks each of its models as its own address tells.
    """
    with ScriptServer([body("openai.responses")]) as server:
        models = [LLM(f"{server.base_url}/responses", "k", "m")]
        master = GenerationMaster(models, ["Hi"], num_workers=1)
        results = await master.run()

    assert results == [TEXT]


def test_a_model_says_its_kind_of_generation():
    """
    By argument, for every door it is given to; what a call says wins.
    """
    with ScriptServer([body("openai.responses")], [body("openai.text")]) as server:
        model = LLM(server.base_url, "k", "m", gen_type="responses")
        first = model.generate("Hi")
        other = model.call_single_sync("Hi", gen_type="text")

    assert (first, other.text) == (TEXT, TEXT)
    assert [request.split(b" ", 2)[1] for request in server.requests] == [
        b"/v1/responses",
        b"/v1/completions",
    ]


async def test_a_text_completion_can_be_followed():
    """
    In pieces, as a chat can, where the conversation is one text.
    """
    stream = raw(
        "HTTP/1.1 200 OK\ncontent-type: text/event-stream\nconnection: close",
        STREAMS["openai.text"][0],
    )
    with ScriptServer([stream]) as server:
        model = LLM(f"{server.base_url}/completions", "k", "m")
        fragments = [fragment async for fragment in model.acompletion_iter(["Once upon"])]
        asked = orjson.loads(server.requests[0].partition(b"\r\n\r\n")[2])

    assert asked["prompt"] == "Once upon"
    assert len(fragments) > 2
    assert "".join(fragment.text for fragment in fragments) == TEXT


# --------------------------------------------------------------------------- no address at all

NONE = {
    "   ": "blank",
    '"https://api.openai.com/v1"': "quotes",
    "'http://127.0.0.1:9/v1'": "quotes",
    "“https://host/v1”": "quotes",
    "api.openai.com/v1": "https://",
    "localhost:8000/v1": "http://",
    "//host/v1": "https://",
}


@pytest.mark.parametrize("url", NONE)
def test_what_is_no_address_is_a_single_error_before_any_row(url):
    """
    Not one for each row, and it says what is wrong.
    """
    with pytest.raises(ConfigurationError, match=NONE[url]) as caught:
        start([{"prompt": f"{row}"} for row in range(3)], Asking(model="m", url=url, api_key="k"))
    with pytest.raises(ConfigurationError, match=NONE[url]):
        LLM(url, "k", "m").generate("Hi")

    assert "Nothing was sent" in str(caught.value)


@pytest.mark.parametrize("url", NONE)
def test_a_variable_that_holds_no_address_is_named(monkeypatch, url):
    """
    Whoever has set it finds it.
    """
    monkeypatch.setenv("OPENAI_BASE_URL", url)

    with pytest.raises(ConfigurationError, match="OPENAI_BASE_URL"):
        resolve("openai/m", api_key="k")


def test_a_password_in_what_is_no_address_is_not_shown():
    """
    An address may hold one.
    """
    with pytest.raises(ConfigurationError) as caught:
        resolve("m", url="me:secret@host/v1", api_key="k")

    assert "secret" not in str(caught.value)


# ------------------------------------------------------------------------ what a model tells


@pytest.mark.parametrize(
    ("model", "url"),
    [
        (LLM(model="openai/gpt-4o-mini"), "https://api.openai.com/v1/chat/completions"),
        (LLM(model="gpt-4o-mini"), "https://api.openai.com/v1/chat/completions"),
        (LLM(model="openai/m", gen_type="responses"), "https://api.openai.com/v1/responses"),
        (LLM(model="anthropic/claude-x"), "https://api.anthropic.com/v1/messages"),
        (LLM(f"{HOST}/v1", model="m"), f"{HOST}/v1/chat/completions"),
        (LLM(f"{HOST}/v1/responses", model="m"), f"{HOST}/v1/responses"),
        (LLM(model="local/smollm2"), ""),
        (LLM(model="nobody/m"), ""),
        (LLM("no address", model="m"), "no address"),
        (LLM(), ""),
    ],
)
def test_a_model_tells_the_address_that_would_be_asked(model, url):
    """
    Without a key, and without asking anybody.
    """
    assert model.url == url


def test_the_expected_address_follows_the_environment(monkeypatch):
    """
    As the request would.
    """
    monkeypatch.setenv("OPENAI_BASE_URL", f"{HOST}/v1")
    model = LLM(model="openai/m")

    assert model.url == f"{HOST}/v1/chat/completions"
    model.url = f"{HOST}/other/v1"
    assert model.url == f"{HOST}/other/v1/chat/completions"


def test_a_plan_asks_at_the_models_own_address(tmp_path):
    """
    It finds what was bought there, of a model with its own kind of generation too.
    """
    with ScriptServer([body("openai.responses")]) as server:
        model = LLM(server.base_url, "k", "m", gen_type="responses")
        start([{"prompt": "Hi"}], Asking(model=model), cache_dir=tmp_path).result(60)
        results = plan([{"prompt": "Hi"}], Asking(model=model), cache_dir=tmp_path)

    assert (results.cached, results.to_ask) == (1, 0)


def test_an_answer_that_stands_under_a_base_is_not_bought_again():
    """
    A base and the endpoint under it are one address of one key.
    """
    keys = {
        resolve("openai/m", url=url, api_key="k").call({"prompt": "Hi"}, {}).key
        for url in (None, "https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions")
    }

    assert len(keys) == 1
