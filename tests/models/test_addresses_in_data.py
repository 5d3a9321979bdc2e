"""Promises about a URL that comes with data: no key of the person's ever goes there."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from llmnb import AsyncLLM
from llmnb.cli import main
from llmnb.generation import process_api_requests_from_file_sync
from llmnb.generation.__main__ import main as generation
from llmnb.running.asking import Asking
from llmnb.running.preparer import Preparer
from tests.support.script_server import GOOD, ScriptServer, reply

SECRET = "sk-of-the-environment-1234567890"
ANSWER = reply(GOOD, "connection: close")
ASKED = {"messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def stranger(monkeypatch):
    """A server that nobody but the data has named, and keys in the environment."""
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.setenv(name, SECRET)
    with ScriptServer([ANSWER]) as server:
        yield server


def sent_to(request, asking=None):
    """Return what the headers of a request would say."""
    return " ".join(
        Preparer(asking or Asking(model="openai/gpt-4o-mini"))(
            request, 0
        ).call.target.sent_headers.values()
    )


def lines(path, *requests):
    path.write_text("".join(json.dumps(request) + "\n" for request in requests))
    return path


@pytest.mark.parametrize(
    "who",
    [
        {"model": "openai/gpt-4o-mini"},
        {"model": "gpt-4o-mini", "api_provider": "openai"},
        {"model": "groq/m"},
        {"model": "m", "api_provider": "anthropic"},
        {"api_provider": "openai"},
        {},
    ],
)
@pytest.mark.parametrize(
    "url", ["https://stranger.example/v1", "https://x.openai.azure.com/openai"]
)
def test_a_url_in_a_request_gets_no_key_of_the_environment(stranger, who, url):
    """A request that names a URL carries only the key that stands beside it."""
    assert SECRET not in sent_to({**ASKED, **who, "url": url})
    assert "beside" in sent_to({**ASKED, **who, "url": url, "api_key": "beside"})


def test_the_programs_own_key_stays_with_the_programs_own_address(stranger):
    """A key given to the constructor does not follow a request to another URL."""
    asking = Asking(model="m", api_provider="openai", api_key=SECRET, url="https://mine.example/v1")

    assert SECRET not in (sent_to({**ASKED, "url": "https://stranger.example/v1"}, asking))
    assert SECRET in (sent_to({**ASKED, "model": "other"}, asking))


def test_the_providers_own_origin_in_a_request_is_obeyed_with_its_key(stranger):
    """A request may name the address that the catalog or the environment has for its provider."""
    there = {**ASKED, "model": "openai/m", "url": "https://api.openai.com/v1/chat/completions"}
    assert SECRET in (sent_to(there))
    os.environ["OPENAI_BASE_URL"] = "https://gateway.example/v1"
    try:
        assert SECRET in (sent_to({**there, "url": "https://gateway.example/v1"}))
    finally:
        del os.environ["OPENAI_BASE_URL"]


def test_a_url_of_the_call_does_not_lend_its_key_to_another(stranger):
    """The key of process_api_requests is for its own address, not for one that a request names."""
    llm = AsyncLLM(model="openai/m")
    with ScriptServer([ANSWER]) as mine:
        rows = asyncio.run(
            llm.process_api_requests(
                mine.base_url, SECRET, [ASKED, {**ASKED, "url": stranger.base_url}]
            )
        )
        assert [row[1]["choices"][0]["message"]["content"] for row in rows] == ["fine", "fine"]
        assert SECRET in str(mine.requests)
    assert SECRET not in str(stranger.requests)


@pytest.mark.parametrize(
    "asking",
    [
        Asking(model="gpt-4o-mini", api_key="given"),
        Asking(model="openai/gpt-4o-mini", api_key="given"),
        Asking(model=["gpt-4o-mini", "claude-haiku-4-5"], api_key="given"),
        Asking(model=["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"], api_key="given"),
        Asking(api_provider="openai", api_key="given"),
    ],
)
@pytest.mark.parametrize("model", ["claude-haiku-4-5", "anthropic/claude-haiku-4-5", "groq/m"])
def test_a_key_of_the_call_goes_to_its_own_provider_only(stranger, asking, model):
    """A model that a request names, by whichever name, is asked with a key of its provider's."""
    preparer = Preparer(asking)
    target = preparer({**ASKED, "model": model}, 0).call.target
    assert "given" not in " ".join(target.sent_headers.values()) or target.provider == "openai"
    assert "given" in " ".join(
        preparer({**ASKED, "model": "gpt-4o"}, 0).call.target.sent_headers.values()
    )
    for other in preparer.defaults[1:]:
        assert "given" not in " ".join(other.sent_headers.values())


@pytest.mark.parametrize("field", ["url", "api_key"])
def test_a_line_with_an_address_or_a_key_is_an_error_row_of_llmnb_run(
    stranger, tmp_path, capsys, field
):
    """`llmnb run` sends such a line nowhere, and the end says how many there were."""
    value = {"url": stranger.base_url, "api_key": "theirs"}
    source = lines(tmp_path / "a.jsonl", *[{**ASKED, "model": "openai/m", field: value[field]}] * 2)

    code = main(["run", str(source), "--model", "openai/m", "--quiet"])

    message = capsys.readouterr().err
    rows = [json.loads(line) for line in (tmp_path / "a.answers.jsonl").read_text().splitlines()]
    assert code == 1
    assert "2 lines named a url or an api_key" in message
    assert "--allow-urls" in message
    assert all("Nothing was sent for it" in row[1][0] for row in rows)
    assert stranger.requests == []


def test_a_line_with_an_address_is_an_error_row_of_a_generation_file(stranger, tmp_path, capsys):
    """`python -m llmnb.generation` sends such a line nowhere, and says how many there were."""
    source = lines(tmp_path / "a.jsonl", {**ASKED, "model": "openai/m", "url": stranger.base_url})

    assert generation(["--requests_filepath", str(source), "--logging_level", "50"]) == 1

    assert "1 line named a url or an api_key of its own" in capsys.readouterr().err
    assert stranger.requests == []


def test_allowed_addresses_of_a_file_are_asked_without_a_key(stranger, tmp_path):
    """With allow_urls=True a line goes to its own URL, and no key of the environment does."""
    source = lines(tmp_path / "a.jsonl", {**ASKED, "model": "openai/m", "url": stranger.base_url})

    report = process_api_requests_from_file_sync(
        source, allow_urls=True, progress=False, logging_level=50
    )

    assert (report.failed, report.refused) == (0, 0)
    assert len(stranger.requests) == 1
    assert SECRET not in str(stranger.requests)


def test_the_flag_of_llmnb_run_allows_addresses_without_a_key(stranger, tmp_path):
    """With --allow-urls `llmnb run` asks lines where they say, and keeps its keys at home."""
    source = lines(tmp_path / "a.jsonl", {**ASKED, "model": "openai/m", "url": stranger.base_url})

    assert main(["run", str(source), "--model", "openai/m", "--quiet", "--allow-urls"]) == 0

    assert SECRET not in str(stranger.requests)
