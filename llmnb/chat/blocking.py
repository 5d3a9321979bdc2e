"""Blocking for a coroutine, from a script and from a notebook's cell alike.

Where no loop runs in the caller's thread, the coroutine runs right here, and so do its
callbacks. Where one does, as in a notebook, a thread of its own runs it: a running loop can
not be entered again, and is never patched for this.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from llmnb import bridge
from llmnb.errors import ConfigurationError

T = TypeVar("T")


def blocking(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end and return its result.

    An interrupt cancels it; what is in flight goes to the store.

    Args:
        make: Makes the coroutine, in the thread that runs it.

    Raises:
        ConfigurationError: If called on llmnb's own loop thread, which would wait for itself.

    Example:
        >>> async def answer():
        ...     return 42
        >>> blocking(answer)
        42
    """
    if bridge.is_loop_thread():
        raise ConfigurationError(
            "A blocking llmnb call was made on llmnb's own loop thread: it would wait for itself. "
            "Await the form without _sync instead."
        )
    return _in_a_thread(make) if _has_loop() else asyncio.run(make())


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _in_a_thread(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    done: concurrent.futures.Future[T] = concurrent.futures.Future()
    under_way: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None
        under_way.append((asyncio.get_running_loop(), task))
        return await make()

    def work() -> None:
        try:
            done.set_result(asyncio.run(main()))
        except BaseException as error:
            done.set_exception(error)

    context = contextvars.copy_context()  # so that what callbacks print lands in this cell
    thread = threading.Thread(target=context.run, args=(work,), name="llmnb-blocking", daemon=True)
    thread.start()
    try:
        while True:
            try:
                return done.result(bridge.SLICE_SECONDS)
            except TimeoutError:
                if done.done():  # the coroutine's own TimeoutError, not ours
                    return done.result()
    except BaseException:
        for loop, task in under_way:
            if not done.done():
                loop.call_soon_threadsafe(task.cancel)
        raise
