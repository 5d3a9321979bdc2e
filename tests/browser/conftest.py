"""One JupyterLab and one page of it for all tests; each has a notebook and a kernel of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from browsers import Chromium
from lab import Lab, Notebook
from laboratory import Laboratory
from playwright.sync_api import Browser


class Open(Protocol):
    """Opens a notebook whose kernel asks a provider."""

    def __call__(
        self, name: str, cells: list[str], provider: Laboratory, **options: str
    ) -> Notebook: ...


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Run JupyterLab."""
    running = Lab(tmp_path_factory.mktemp("lab"))
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def open_notebook(
    lab: Lab, chromium: Chromium, browser: Browser, isolated: Path, cache_dir: Path
) -> Iterator[Open]:
    """Return what opens a notebook; its kernel ends with the test, whatever it does."""

    def opened(name: str, cells: list[str], provider: Laboratory, **options: str) -> Notebook:
        environment = {
            **provider.environment,
            "HOME": str(isolated),
            "LLMNB_CACHE_DIR": str(cache_dir),
            "PYTHONWARNINGS": "default",
        }
        return lab.open(chromium, name, cells, environment, **options)

    try:
        yield opened
    finally:
        lab.end_kernels()
