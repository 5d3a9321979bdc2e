"""The folder of all projects, one project's paths in it, and this process's claims on that."""

from __future__ import annotations

import pytest
from claims import in_use

from llmnb.store import claims, layout


@pytest.fixture
def root(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def paths(root):
    return layout.ProjectPaths(root, "p")


@pytest.fixture
def mine(paths):
    """The claims of a process that a run of its own keeps in use."""
    with in_use(claims.of(paths)) as claimed:
        yield claimed
