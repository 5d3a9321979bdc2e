"""What tests of files share: a provider that repeats a prompt, and the bodies that came."""

from __future__ import annotations

import pytest

from llmnb.testing import SimulatedProvider


@pytest.fixture(scope="module")
def repeating():
    """A provider, and a list that gets every request's body."""
    bodies = []

    def note(request):
        bodies.append(dict(request.body))

    with SimulatedProvider(reply=lambda prompt: f"> {prompt}", faults=note, latency=0) as sim:
        yield sim, bodies


@pytest.fixture
def repeater(repeating, monkeypatch):
    """The same provider, asked as OpenAI by the test, and its bodies so far: none."""
    provider, bodies = repeating
    monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    bodies.clear()
    return provider, bodies
