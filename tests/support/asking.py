"""Short ways to put questions to a simulated provider through the engine."""

from __future__ import annotations

from typing import Any

import pandas as pd

from llmnb import bridge
from llmnb.engine.run import Run
from llmnb.engine.run_context import RunContext
from llmnb.engine.shared import engine
from llmnb.running.asking import Asking
from llmnb.running.start import start


def questions(rows: int, *, first: int = 0) -> list[dict[str, Any]]:
    """Return chat requests that all differ."""
    return [
        {"messages": [{"role": "user", "content": f"question {row}"}]}
        for row in range(first, first + rows)
    ]


def ask(sim: Any, requests: Any, *, params: dict[str, Any] | None = None, **options: Any) -> Run:
    """Start a run against a simulated provider."""
    duplicates = options.pop("duplicates", "merge")
    key = options.pop("api_key", "k")
    cache_vars = options.pop("cache_vars", {})
    # Places enough at once: a test of how they are found says None.
    options.setdefault("max_concurrent_requests", 64)
    asking = Asking(
        model="m",
        api_provider="openai",
        api_key=key,
        url=sim.base_url,
        params=params or {},
        duplicates=duplicates,
        cache_vars=cache_vars,
    )
    return start(requests, asking, **options)


def texts(run: Run) -> list[str | None]:
    """Return the answers of a run, None where a row failed."""
    return [outcome.text for outcome in run.result(60)]


def cells(column: pd.Series[Any]) -> list[Any]:
    """Return a column's cells, None for what its dtype has where a cell is missing."""
    return [None if missing else cell for cell, missing in zip(column, column.isna(), strict=True)]


def kinds(run: Run) -> list[str]:
    """Return the kind of each row's error, empty for an answer."""
    return [
        "" if outcome.error is None else type(outcome.error).__name__ for outcome in run.result(60)
    ]


async def _waiting() -> set[object]:
    """Return what the runs share with their tasks whose rows wait for requests in flight."""
    return {run for request in engine().requests.values() for _, run in request.waiters}


def wait_joined(*runs: Run) -> None:
    """Wait until the rows of each run, whose first chunk was looked up, wait for requests."""
    contexts: set[RunContext] = {run._run_loop.context for run in runs}
    while not contexts <= bridge.call(_waiting()):
        assert not runs[0].wait(0.01)
