"""A shell with the extension, and a provider that it asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from shells import Shell, new_shell

from llmnb.testing import SimulatedProvider


class Desk:
    """A simulated provider whose next answers a test decides, and what it was asked."""

    def __init__(self, **options: Any) -> None:
        self.answer: str | Callable[[str], str] = "An answer."
        self.bodies: list[dict[str, Any]] = []
        self.sim = SimulatedProvider(latency=0, reply=self._reply, **options)

    def _reply(self, prompt: str, request: Any) -> str:
        self.bodies.append(dict(request.body))
        return self.answer(prompt) if callable(self.answer) else self.answer

    @property
    def prompts(self) -> list[str]:
        """The last message of each request."""
        return [body["messages"][-1]["content"] for body in self.bodies]


@contextmanager
def asked(one: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Let `openai/…` be a simulated provider, and the model that is asked."""
    with one.sim:
        monkeypatch.setenv("OPENAI_BASE_URL", one.sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("LLMNB_MODEL", "openai/m")
        yield one


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Start a provider that answers at once."""
    with asked(Desk(), monkeypatch) as one:
        yield one


@pytest.fixture
def slow_desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Start a provider that takes half a second for eighty characters."""
    with asked(Desk(tokens_per_second=40), monkeypatch) as one:
        yield one


@pytest.fixture
def bare() -> Iterator[Shell]:
    """Start a shell without the extension."""
    with new_shell() as one:
        yield one


@pytest.fixture
def shell(bare: Shell) -> Shell:
    """Start a shell with the extension."""
    bare.ip.extension_manager.load_extension("llmnb")
    return bare
