"""How `--dist loadfile` spreads the tests: what is long begins first, what shares a program stays.

A worker takes a file at a time. A long one that began last would leave the other cores idle; two
workers that take turns at JupyterLab would start it twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

TOGETHER = ("tests/browser/", "tests/kernel/")
"""Folders whose files run in one process, with one JupyterLab or one kernel."""

LONG = (
    "tests/rate_limiter/test_processes.py",
    "tests/browser/",
    "tests/test_notebooks.py",
    "tests/wire/test_fuzzed_bodies.py",
    "tests/engine/test_failing_rows.py",
    "tests/faults/test_connections.py",
    "tests/frames/test_dask_cluster.py",
    "tests/generation/test_examples.py",
    "tests/wire/test_fuzz.py",
    "tests/marimo/",
    "tests/voila/",
    "tests/engine/test_ledger_outages.py",
    "tests/notebook/test_run_dashboard_page.py",
    "tests/cli/test_kill_and_memory.py",
    "tests/notebook/test_cache_manager.py",
    "tests/benchmarks/test_peers_small.py",
    "tests/adapters/test_llamacpp.py",
    "tests/adapters/test_http.py",
    "tests/wire/test_openai_responses_fuzz.py",
    "tests/frames/test_dask.py",
    "tests/generation/test_kill_and_memory.py",
    "tests/kernel/",
    "tests/store/test_project.py",
)
"""What takes longest, the longest first; the rest is short, and comes in its own order."""


def _unit(nodeid: str) -> str:
    """Return the folder or the file that a test runs with."""
    path = nodeid.partition("::")[0]
    return next((folder for folder in TOGETHER if path.startswith(folder)), path)


def _turn(nodeid: str) -> int:
    """Return a test's place in the order: smaller ones begin before."""
    return next((turn for turn, name in enumerate(LONG) if nodeid.startswith(name)), len(LONG))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a worker, put the long ones first; the order of tests within a file stays."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _turn(item.nodeid))


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Callable[..., None]) -> Any:
    """Spread by files and folders, in the order of the collection."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Spreading(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _unit(nodeid)

    # Else it would begin with the files of most tests, however quick each is.
    config.option.loadscopereorder = False
    return Spreading(config, log)
