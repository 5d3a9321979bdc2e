"""Two real Dask worker processes, and functions that they run for tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

KEY = "sk-known-to-the-workers-alone"


@contextmanager
def workers(count: int = 2, *, threads: int = 1, **environment: str) -> Iterator[Any]:
    """Run worker processes, each under a nanny that starts another when it dies."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=count,
            threads_per_worker=threads,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            # Without a dashboard it still serves HTTP, and two clusters would want one port.
            scheduler_kwargs={"dashboard_address": ":0"},
            memory_limit="2GiB",
            env={"OPENAI_API_KEY": KEY, **environment},
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(count)
        yield client


def set_variable(name: str, value: str | None) -> None:
    """Change a worker's environment."""
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
