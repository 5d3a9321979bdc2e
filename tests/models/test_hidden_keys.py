"""Promises about keys outside headers: no repr, no traceback, no pickle, no echo shows one."""

from __future__ import annotations

import asyncio
import copy
import pickle

import pytest

from llmnb import LLM, AsyncLLM, GenerationMaster, LiteLLMModel, settings
from llmnb.errors import LLMNBError
from llmnb.generation import openai_parallel_generate_sync, process_api_requests_from_file_sync
from llmnb.running.asking import Asking
from llmnb.running.preparer import Preparer
from llmnb.targets.resolve import resolve
from llmnb.wire.api_keys import mask, mask_error
from tests.support.script_server import ScriptServer, reply

SECRET = "sk-Abcd1234efgh5678IJKL9012mnop3456"
REFUSED = reply(b'{"error": {"message": "no"}}', "connection: close", status="401 Unauthorized")


def holders():
    """Return everything that a person holds and that was given a key."""
    llm = LLM(url="https://host.example/v1", api_key=SECRET, model="m")
    lite = LiteLLMModel("bedrock/x", {"aws_secret_access_key": SECRET, "api_key": SECRET})
    return {
        "LLM": llm,
        "AsyncLLM": AsyncLLM("openai", "m", api_key=SECRET),
        "LiteLLMModel": lite,
        "GenerationMaster": GenerationMaster([llm], ["x"], bars=False),
        "Asking": Asking(model="openai/m", api_key=SECRET),
    }


@pytest.mark.parametrize("name", holders())
def test_the_variables_of_an_object_show_no_key(name):
    """vars() of whatever was given a key shows none of it."""
    holder = holders()[name]
    shown = repr(vars(holder)) + repr([vars(part) for part in getattr(holder, "endpoints", ())])

    assert SECRET not in shown


@pytest.mark.parametrize("name", holders())
def test_a_pickle_holds_no_key(name):
    """A pickle of whatever was given a key holds none of it."""
    assert SECRET.encode() not in pickle.dumps(holders()[name])


def test_a_loaded_model_looks_for_its_key_where_it_is(monkeypatch):
    """What was pickled finds the key of the place where it is loaded."""
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-other-machine")
    llm = pickle.loads(pickle.dumps(LLM(api_key=SECRET, model="openai/m")))

    target = Preparer(Asking(model=llm)).default

    assert target.sent_headers["authorization"] == "Bearer key-of-the-other-machine"


def test_a_copy_keeps_its_key():
    """copy and deepcopy stay in the process, and so does the key."""
    llm = LLM(api_key=SECRET, model="openai/m")

    assert copy.deepcopy(llm).api_key == copy.copy(llm).api_key == SECRET


def test_what_is_sent_is_the_key_itself():
    """A hidden key travels whole."""
    assert resolve("openai/m", api_key=SECRET).sent_headers["authorization"] == f"Bearer {SECRET}"


def shown_by(error):
    """Return every variable of every frame of llmnb's, as verbose tracebacks show them."""
    shown, trace = [], error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if "/llmnb/" in frame.f_code.co_filename:
            shown.append(repr(frame.f_locals))
            shown += [
                repr(vars(value)) for value in frame.f_locals.values() if hasattr(value, "__dict__")
            ]
            for holder in frame.f_locals.values():
                for slot in getattr(type(holder), "__slots__", ()):
                    shown.append(repr(getattr(holder, slot, None)))
        trace = trace.tb_next
    return "\n".join(shown)


def fail_at(url):
    return {
        "LLM": lambda: LLM(url=url, api_key=SECRET, model="m").generate("Hi"),
        "AsyncLLM": lambda: AsyncLLM("openai", "m", api_key=SECRET, logging_level="loud"),
        "process": lambda: asyncio.run(
            AsyncLLM("openai", "m", api_key=SECRET).process_api_requests("ftp://x", SECRET, 5)
        ),
        "list": lambda: openai_parallel_generate_sync("x", api_key=SECRET),
        "file": lambda: process_api_requests_from_file_sync("/nowhere/x.jsonl", api_key=SECRET),
        "resolve": lambda: resolve("openai/m", api_key=SECRET + "\n"),
    }


@pytest.mark.parametrize("door", fail_at(""))
def test_a_traceback_with_its_variables_shows_no_key(door):
    """Whatever fails, no variable of a frame of llmnb's shows the key."""
    with ScriptServer([REFUSED]) as server, pytest.raises(Exception) as caught:
        fail_at(server.base_url)[door]()

    assert SECRET not in shown_by(caught.value)


def test_a_key_of_the_environment_is_hidden_too(monkeypatch):
    """A key that was looked up is as hidden as a given key."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    settings.keep_key("groq", SECRET)
    try:
        assert repr(settings.find_key("openai", ["OPENAI_API_KEY"])) == "***"
        assert SECRET not in repr(settings._keys)
        assert SECRET not in repr(dict(resolve("openai/m").sent_headers))
    finally:
        settings.keep_key("groq", None)


@pytest.mark.parametrize("length", [8, 12, 20, len(SECRET)])
@pytest.mark.parametrize("case", [str, str.lower, str.upper])
def test_any_run_of_eight_characters_of_a_key_is_masked(length, case):
    """An echo of a part of the key, eight characters or more, cannot be read."""
    for start in range(len(SECRET) - length + 1):
        part = case(SECRET[start : start + length])
        assert part not in mask(f"key ..{part}.. refused", SECRET)
        raw = mask_error(LLMNBError("x", raw=f"<{part}>".encode()), SECRET).raw
        assert raw is not None
        assert part.encode() not in raw


def test_some_characters_of_a_key_stay_readable():
    """The last four characters, by which people know their keys, are left."""
    assert mask("key ending in 3456", SECRET) == "key ending in 3456"


def test_a_provider_that_echoes_a_part_of_the_key_is_masked():
    """The last twenty characters of the key in a refusal are in no part of the error."""
    body = b'{"error": {"message": "wrong key: %b"}}' % SECRET[-20:].encode()
    answer = reply(body, "connection: close", status="400 Bad Request")
    with ScriptServer([answer]) as server, pytest.raises(LLMNBError) as caught:
        LLM(url=server.base_url, api_key=SECRET, model="m").generate("Hi")

    message = f"{caught.value} {caught.value.details}"
    assert SECRET[-20:] not in message
    assert SECRET[-8:] not in message


def test_the_frames_of_the_http_client_are_not_in_a_traceback():
    """An error of a request that failed brings along no frame in which a head was written."""
    cut = reply(b"{", "connection: close", length=50)
    with ScriptServer([cut]) as server, pytest.raises(LLMNBError) as caught:
        LLM(url=server.base_url, api_key=SECRET, model="m").generate("Hi")

    assert SECRET not in shown_by(caught.value)


# ------------------------------------------------------------- addresses with a key in them

IN_URL = "hunter2hunter2"


@pytest.mark.parametrize(
    "url", [f"http://127.0.0.1:9/v1?key={IN_URL}", f"http://me:{IN_URL}@127.0.0.1:9/v1"]
)
def test_a_key_within_an_address_is_hidden_too(url):
    """No repr, no variable and no pickle shows it; the address itself stays what it is."""
    llm = LLM(url=url, api_key=SECRET, model="m")
    asking = Asking(model="m", api_provider="openai", api_key=SECRET, url=url)
    target = resolve("openai/m", api_key=SECRET, url=url)
    for holder in (llm, AsyncLLM("openai", "m", api_key=SECRET, url=url), asking):
        assert IN_URL not in repr(holder) + repr(vars(holder)) + repr(copy.deepcopy(holder))
        assert IN_URL.encode() not in pickle.dumps(holder)

    assert IN_URL not in repr(target.url) + repr(target)
    assert llm.configured_url == url
    assert IN_URL in target.url


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/v1?key={}", "http://me:{}@127.0.0.1:9/v1", "ftp://me:{}@host/v1"]
)
def test_a_traceback_shows_no_key_of_an_address(url):
    """Whatever fails, no variable of a frame of llmnb's shows it, and no message."""
    with pytest.raises(LLMNBError) as caught:
        LLM(url=url.format(IN_URL), api_key=SECRET, model="m").generate("Hi", max_attempts=1)

    assert IN_URL not in shown_by(caught.value) + str(caught.value)


@pytest.mark.parametrize("proxy", ["socks5://me:{}@127.0.0.1:9", "me:{}@127.0.0.1:0"])
def test_a_traceback_shows_no_password_of_a_proxy(proxy, monkeypatch):
    """A proxy that cannot be asked is told without its login."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.format(IN_URL))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(LLMNBError, match="HTTPS_PROXY") as caught:
        resolve("openai/m", api_key=SECRET)

    assert IN_URL not in shown_by(caught.value) + str(caught.value)


@pytest.mark.parametrize("made", [LLM, AsyncLLM])
def test_what_could_not_be_made_can_be_shown(made):
    """A traceback with its variables shows it as far as it came, and no key."""
    with pytest.raises(TypeError, match="no keyword") as caught:
        made(api_key=SECRET, tomorrow=1)

    assert SECRET not in shown_by(caught.value)
    assert repr(made.__new__(made)).startswith(f"<{made.__name__} ")
