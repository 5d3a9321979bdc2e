"""What tests of claims share: a project's paths, and this process's claims on it."""

from __future__ import annotations

import pytest
from claims import in_use

from llmnb.store import claims, layout


@pytest.fixture
def paths(tmp_path):
    return layout.ProjectPaths(tmp_path / "cache", "p")


@pytest.fixture
def mine(paths):
    """The claims of a process that a run of its own keeps in use."""
    with in_use(claims.of(paths)) as claimed:
        yield claimed
