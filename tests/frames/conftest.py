"""What tests of frames stand on: a provider that answers with the prompt, and writes all down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from laboratory import Laboratory

import llmnb


@pytest.fixture(autouse=True)
def accessors() -> None:
    """Register `df.llm`, whatever another test has done to it."""
    llmnb.register_accessor("llm")


@pytest.fixture
def asked() -> list[dict[str, Any]]:
    """Return the bodies that the provider has received, in order."""
    return []


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch, asked: list[dict[str, Any]]) -> Iterator[Laboratory]:
    """
    Run a provider that answers with the prompt, as `openai/…`.

    Prompts with *fail* in them are refused for good.
    """

    def note(request: Any) -> int | None:
        asked.append(dict(request.body))
        return 400 if "fail" in request.prompt else None

    with Laboratory(reply=lambda prompt: f"> {prompt}", faults=note, latency=0) as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("LLMNB_MODEL", "openai/m")
        yield sim
