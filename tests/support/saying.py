"""A model that says the same to every question."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llmnb.models.llm import LLM
from llmnb.testing import SimulatedProvider


@contextmanager
def saying(text: str) -> Iterator[tuple[LLM, SimulatedProvider]]:
    """Run a provider that answers with one text; the model behind it, and the provider."""
    with SimulatedProvider(reply=lambda prompt: text, latency=0) as sim:
        yield LLM(url=sim.base_url, api_key="k", model="m"), sim
