"""Two real Dask worker processes, and functions that they run for tests."""

from __future__ import annotations

import os
import signal
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


def die() -> None:
    """Kill this process as the system's killer of memory eaters does."""
    os.kill(os.getpid(), signal.SIGKILL)


def cpu_seconds() -> float:
    """Return the CPU time of this process."""
    import time

    return time.process_time()


def counts() -> dict[str, Any]:
    """Return what this worker's last run has done."""
    import dataclasses

    import llmnb

    run = llmnb.last_run()
    return {} if run is None else dataclasses.asdict(run.status().counts)
