"""What tests of batches stand on: a provider, and rests that take no time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from laboratory import Laboratory

import llmnb
from llmnb.batches import poller
from llmnb.batches.run import BatchRun
from llmnb.batches.start import start_batch
from llmnb.running.asking import Asking

Start = Callable[..., BatchRun]


@pytest.fixture(autouse=True)
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let nobody wait; returns how long each rest would have been."""
    result: list[float] = []

    async def rest(seconds: float, until: asyncio.Event) -> None:
        result.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(poller, "rest", rest)
    return result


@pytest.fixture
def sim() -> Iterator[Laboratory]:
    """Run a provider that answers with the prompt, and refuses prompts with *fail* in them."""

    def fault(request: Any) -> int | None:
        return 400 if "fail" in request.prompt else None

    def reply(prompt: str) -> str:
        _, is_label, label = prompt.partition("label: ")
        return f'{{"value": "{label}"}}' if is_label else f"> {prompt}"

    with Laboratory(reply=reply, faults=fault, api_key="k-1") as sim:
        yield sim


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of all projects."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LLMNB_CACHE_DIR", str(folder))
    return folder


@pytest.fixture(params=["openai", "anthropic"])
def provider(request: pytest.FixtureRequest) -> str:
    """Return whose protocol is spoken; a test that wants it runs with each."""
    name: str = request.param
    return name


MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5"}


@pytest.fixture
def asking(sim: Laboratory, provider: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Asking:
    """Return who is asked: the simulated provider, in the protocol that is due."""
    monkeypatch.setenv(f"{provider.upper()}_BASE_URL", sim.base_url)
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", "k-1")
    return Asking(model=f"{provider}/{MODELS[provider]}", params={"max_tokens": 50})


@pytest.fixture
def start(asking: Asking) -> Start:
    """Return what starts a batch run over prompts."""

    def begin(*prompts: str, **options: Any) -> BatchRun:
        return start_batch([{"prompt": prompt} for prompt in prompts], asking, **options)

    return begin


@pytest.fixture(autouse=True)
def accessors() -> None:
    """Register `df.llm`, whatever another test has done to it."""
    llmnb.register_accessor("llm")
