"""A model that says the same to every question."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from laboratory import Laboratory

from llmnb.models.llm import LLM


@contextmanager
def saying(text: str) -> Iterator[tuple[LLM, Laboratory]]:
    """Run a provider that answers with one text; the model behind it, and the provider."""
    with Laboratory(reply=lambda prompt: text, latency=0) as sim:
        yield LLM(url=sim.base_url, api_key="k", model="m"), sim
