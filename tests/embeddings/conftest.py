"""What tests of embeddings stand on: a provider that writes down which texts it was sent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from embedding import Asked
from laboratory import Laboratory


@pytest.fixture
def asked() -> Asked:
    """Return the texts of every request, in order."""
    return Asked()


@pytest.fixture
def sim(asked: Asked) -> Iterator[Laboratory]:
    """Run a provider that refuses texts with *fail* in them."""
    with Laboratory(faults=asked, latency=0) as sim:
        yield sim
