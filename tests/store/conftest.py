"""What tests of claims share: a project's place, and this process's claims on it."""

from __future__ import annotations

import pytest

from llmnb.store import claims, layout


@pytest.fixture
def place(tmp_path):
    return layout.ProjectPaths(tmp_path / "cache", "p")


@pytest.fixture
def mine(place):
    """The claims of a process that a run of its own keeps in use."""
    with (one := claims.of(place)).in_use():
        yield one
