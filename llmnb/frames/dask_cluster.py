"""The functions of `distributed` that are used, where it is installed."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from operator import attrgetter
from typing import Any

TOPIC = "llmnb"
"""The topic of Dask's events under which workers report how far they are."""


def worker() -> Any:
    """Return the worker of `distributed` that runs this thread's task; None where there is none."""
    return _current("distributed.worker", "get_worker")


def client() -> Any:
    """Return the client of `distributed` that would compute now; None where there is none."""
    return _current("distributed.client", "Client.current")


def _current(module: str, function: str) -> Any:
    if (home := sys.modules.get(module)) is None:
        return None
    try:
        return attrgetter(function)(home)()
    except ValueError:
        return None


_listening: set[str] = set()


def listen(to: Any, receive: Callable[[Any], None]) -> None:
    """Receive what workers publish, from now on; a second time does nothing.

    Args:
        to: The client.
        receive: Called with each event, on the client's own thread.
    """
    if to.id not in _listening:
        _listening.add(to.id)
        to.subscribe_topic(TOPIC, lambda event: receive(event[1]))


def on_every_worker(of: Any, do: Callable[..., Any], *arguments: Any) -> None:
    """Call a function on every worker without waiting for it."""
    # A worker that goes away meanwhile need not be called.
    threading.Thread(
        target=of.run,
        args=(do, *arguments),
        kwargs={"on_error": "ignore"},
        name="llmnb-dask-steering",
        daemon=True,
    ).start()


def is_unwanted(of: Any, key: Any) -> bool:
    """Return whether a task's compute was interrupted or cancelled."""
    task = of.state.tasks.get(key)
    return task is not None and task.state == "cancelled"


def put_back() -> BaseException:
    """Return the error of a task that was stopped early, so that Dask runs it again if needed."""
    from distributed import Reschedule

    error: BaseException = Reschedule()
    return error


def processes(among: Any) -> int:
    """Return how many processes have workers, this one included.

    Args:
        among: This process's worker, whose scheduler is asked; None: there is none.
    """
    if among is not None:
        from distributed.utils import sync

        addresses = sync(among.loop, among.scheduler.ncores)
        return max(1, len({_process_of(address) for address in addresses}))
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is None or multiprocessing.parent_process() is None:
        return 1
    import dask  # this is one of the processes of Dask's own pool

    return int(dask.config.get("num_workers", None) or os.cpu_count() or 1)


def _process_of(address: str) -> str:
    """Return the part of a worker's address that tells its process from others.

    Example:
        >>> _process_of("tcp://127.0.0.1:40000"), _process_of("inproc://127.0.0.1/4711/3")
        ('tcp://127.0.0.1:40000', 'inproc://127.0.0.1/4711')
    """
    return address.rpartition("/")[0] if address.startswith("inproc://") else address
