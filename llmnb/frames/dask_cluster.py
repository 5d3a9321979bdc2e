"""The functions of `distributed` that are used, where it is installed."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

TOPIC = "llmnb"
"""The topic of Dask's events under which workers report how far they are."""

_COUNTED_SECONDS = 1.0
"""How long a count of workers is used before they are counted again."""

_MISSED_SECONDS = 30.0
"""A worker that was seen within this time is counted: it may come back."""


def worker() -> Any:
    """Return the worker of `distributed` that runs this thread's task; None where there is none."""
    module = sys.modules.get("distributed.worker")
    if module is None:
        return None
    try:
        return module.get_worker()
    except ValueError:
        return None


def client() -> Any:
    """Return the client of `distributed` that would compute now; None where there is none."""
    module = sys.modules.get("distributed.client")
    if module is None:
        return None
    try:
        return module.Client.current()
    except ValueError:
        return None


# ----------------------------------------------------------------------------- events


def publish(on: Any, event: Mapping[str, Any]) -> None:
    """Send an event to every client that listens.

    Args:
        on: The worker that sends it.
        event: Plain values.
    """
    on.log_event(TOPIC, dict(event))


_listening: set[str] = set()


def listen(to: Any, receive: Callable[[Mapping[str, Any]], None]) -> None:
    """Receive what workers publish, from now on; a second time does nothing.

    Args:
        to: The client.
        receive: Called with each event, on the client's own thread.
    """
    if to.id in _listening:
        return
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


# ------------------------------------------------------------------------------ tasks


def is_unwanted(of: Any, key: Any) -> bool:
    """Return whether a task's compute was interrupted or cancelled."""
    task = of.state.tasks.get(key)
    return task is not None and task.state == "cancelled"


def put_back() -> BaseException:
    """Return the error of a task that was stopped early, so that Dask runs it again if needed."""
    from distributed import Reschedule

    error: BaseException = Reschedule()
    return error


# ------------------------------------------------------------------------- who else is


class Peers:
    """Counts the processes that have workers, this one included, by asking the scheduler."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted = -_COUNTED_SECONDS
        self._seen: deque[tuple[float, int]] = deque()

    def count(self, among: Any) -> int:
        """Return the most processes that were there in the last half minute.

        Args:
            among: This process's worker; None: there is no scheduler to ask.
        """
        if among is None:
            multiprocessing = sys.modules.get("multiprocessing")
            if multiprocessing is None or multiprocessing.parent_process() is None:
                return 1
            import dask  # this is one of the processes of Dask's own pool

            return int(dask.config.get("num_workers", None) or os.cpu_count() or 1)
        with self._lock:
            now = time.monotonic()
            if now - self._counted >= _COUNTED_SECONDS or not self._seen:
                self._counted = now
                self._seen.append((now, _processes(among)))
            while now - self._seen[0][0] > _MISSED_SECONDS:
                self._seen.popleft()
            return max(count for _, count in self._seen)


peers = Peers()


def _processes(among: Any) -> int:
    from distributed.utils import sync

    addresses = sync(among.loop, among.scheduler.ncores)
    return max(1, len({_process_of(address) for address in addresses}))


def _process_of(address: str) -> str:
    """Return the part of a worker's address that tells its process from others.

    Example:
        >>> _process_of("tcp://127.0.0.1:40000"), _process_of("inproc://127.0.0.1/4711/3")
        ('tcp://127.0.0.1:40000', 'inproc://127.0.0.1/4711')
    """
    return address.rpartition("/")[0] if address.startswith("inproc://") else address
