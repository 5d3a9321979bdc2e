"""The thread that owns the event loop, the two doors into it, and the threads beside it.

A notebook's own loop is busy running cells, a script has none, and several
threads may ask at once. So one background thread owns one loop for the whole
process; everybody else hands it coroutines. The notebook's loop is never
patched or nested.

Code that is not ours never runs on it: coroutines have a loop and a thread beside it
(`on_side_loop`), plain functions a few threads (`in_thread`), and listeners, who are called in
order, have one (`LISTENERS`).

After a fork the child has no such thread; the first call there starts a new
one, and everything kept `per_loop` starts empty.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import contextvars
import functools
import os
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from llmnb import user_code
from llmnb.errors import ConfigurationError

T = TypeVar("T")

SLICE_SECONDS = 0.1
"""A waiting thread looks up this often, so that an interrupt is noticed on every platform."""


class LoopThread:
    """One event loop on one daemon thread, and what lives as long as it.

    Args:
        name: Name of the thread.
    """

    def __init__(self, name: str) -> None:
        self.pid = os.getpid()
        self.loop = _new_loop()
        most = min(32, (os.cpu_count() or 1) + 4)  # as Python has it
        self.workers = Workers(f"{name}-worker", most)
        self.loop.set_default_executor(self.workers)
        self.kept: dict[str, Any] = {}
        self.closers: list[Callable[[], Awaitable[None]]] = []
        started = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(started,), name=name, daemon=True)
        self.thread.start()
        started.wait()

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(started.set)
        self.loop.run_forever()

    def close(self, timeout: float) -> None:
        """Close what lives on the loop, then stop it."""
        if self.pid != os.getpid() or not self.thread.is_alive():
            return
        future = asyncio.run_coroutine_threadsafe(self._aclose(), self.loop)
        try:
            future.result(timeout)
            self.workers.wait(timeout)  # asyncio's own wait starts a thread: see `Workers`
        except (TimeoutError, concurrent.futures.CancelledError, KeyboardInterrupt):
            future.cancel()  # whoever interrupts the end of a program does not want to wait for it
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(timeout)
        if not self.thread.is_alive():
            self.loop.close()

    async def _aclose(self) -> None:
        # In the order they were made: the engine drains before the connections close.
        for closer in self.closers:
            await closer()


def _new_loop() -> asyncio.AbstractEventLoop:
    """Make the loop: uvloop's where it is installed, unless LLMNB_LOOP=asyncio."""
    if os.environ.get("LLMNB_LOOP", "uvloop") == "uvloop":
        try:
            import uvloop
        except ImportError:
            pass
        else:
            return uvloop.new_event_loop()
    return asyncio.new_event_loop()


_OURS, _SIDE = "llmnb-loop", "llmnb-side"
"""The loop threads by name: llmnb's own, and one for code that is not ours."""

_lock = threading.Lock()
_threads: dict[str, LoopThread] = {}


def loop_thread(name: str = _OURS) -> LoopThread:
    """Return this process's loop thread of a name, llmnb's own at first, started on first use."""
    with _lock:
        thread = _threads.get(name)
        if thread is None or thread.pid != os.getpid() or not thread.thread.is_alive():
            thread = _threads[name] = LoopThread(name)
        return thread


def is_loop_thread(name: str = _OURS) -> bool:
    """Whether the caller runs on the loop thread of a name, llmnb's own at first."""
    thread = _threads.get(name)
    return thread is not None and threading.current_thread() is thread.thread


async def on_side_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """Await a coroutine that runs on a loop and a thread of its own, beside llmnb's.

    Code that is not ours may hold its loop up, or block for an answer of ours: there it holds
    up nobody else, and may. Cancelling this cancels it.
    """
    return await asyncio.wrap_future(submit_to_side_loop(coroutine))


def is_cancelled() -> bool:
    """Return whether the running task is being cancelled: else a `CancelledError` is not ours."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def submit_to_side_loop(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Start a coroutine as `on_side_loop` does, from any thread, and return its future."""
    return asyncio.run_coroutine_threadsafe(coroutine, loop_thread(_SIDE).loop)


def is_side_thread() -> bool:
    """Whether the caller runs on the thread of `on_side_loop`."""
    return is_loop_thread(_SIDE)


class Workers(concurrent.futures.ThreadPoolExecutor):
    """Threads that call functions: started when needed, not waited for at exit.

    Python's own executors take nothing any more once the main thread has ended, though other
    threads may still ask, and runs under way have answers to save. Python 3.12.0 and 3.12.1 start
    no thread any more while a program ends: the threads there are do the work, or the caller.

    Args:
        name: Name of the threads.
        most: Threads at most; with one, functions run in the order in which they were given.
    """

    def __init__(self, name: str, most: int) -> None:
        super().__init__(most)  # which starts no thread of its own
        self._name = name
        self._most = most
        self.forget()

    def forget(self) -> None:
        """Begin anew, in a forked child that has none of the threads."""
        self._changed = threading.Condition()
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._started = 0
        self._open = 0

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Have a function called and return its future.

        What it raises that is no `Exception`, such as an exit, comes as a `RuntimeError`.
        """
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except Exception as error:
                future.set_exception(error)
            except BaseException as error:  # it would end the thread that waits
                future.set_exception(RuntimeError(f"{type(error).__name__} was raised"))

        with self._changed:
            self._open += 1
            if self._open > self._started and self._started < self._most:
                with contextlib.suppress(RuntimeError):
                    threading.Thread(target=self._work, name=self._name, daemon=True).start()
                    self._started += 1
            has_threads = self._started > 0
        self._jobs.put(work)
        if not has_threads:
            self._do_next()
        return future

    def _work(self) -> None:
        while True:
            self._do_next()

    def _do_next(self) -> None:
        self._jobs.get()()
        with self._changed:
            self._open -= 1
            if not self._open:
                self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait for so long, at most, until all that is under way is done."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open, seconds)

    async def drain(self, seconds: float) -> None:
        """Wait for so long, at most, until a single thread has done what it was given so far."""
        if self._open:
            await asyncio.wait([asyncio.wrap_future(self.submit(int))], timeout=seconds)


_CALLERS = Workers("llmnb-callers", 32)

LISTENERS = Workers("llmnb-listeners", 1)
"""Calls listeners in the order of the events."""


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Await a plain function on a thread where it may block; several run at once."""
    return await asyncio.wrap_future(_CALLERS.submit(function, *arguments))


async def made_in_thread(make: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
    """Await what a function makes on a thread, while the caller's loop goes on.

    Args:
        make: Imports, reads and starts what takes its time.
        undo: Called with what was made for a caller who has left meanwhile.
    """
    lock = threading.Lock()
    made: list[T] = []
    has_left = False

    def work() -> T:
        result = make()
        with lock:
            made.append(result)
            is_late = has_left
        if is_late and undo is not None:
            undo(result)
        return result

    try:
        with user_code.on_behalf():
            return await asyncio.to_thread(work)
    except asyncio.CancelledError:
        with lock:
            has_left = True
        if undo is not None and made:
            undo(made[0])
        raise


def _forget_after_fork() -> None:
    # The lock may have been held by a thread that the child does not have.
    global _lock
    _lock = threading.Lock()
    _threads.clear()
    _CALLERS.forget()
    LISTENERS.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


def per_loop(
    name: str, make: Callable[[], T], close: Callable[[T], Awaitable[None]] | None = None
) -> T:
    """Return the one object of that name that lives on the loop, made on first use.

    Call it on the loop thread.

    Args:
        name: Name of the object, such as ``"http"``.
        make: Makes it.
        close: Closes it when the process ends.
    """
    thread = _threads.get(_OURS)  # on its own thread it is surely alive
    if thread is None or name not in thread.kept:
        thread = loop_thread()
        thread.kept[name] = kept = make()
        if close is not None:
            thread.closers.append(functools.partial(close, kept))
    existing: T = thread.kept[name]
    return existing


def submit(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Start a coroutine on the loop thread from any thread and return its future."""
    return asyncio.run_coroutine_threadsafe(coroutine, loop_thread().loop)


def call(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the loop thread and block until it is done.

    Raises:
        ConfigurationError: If called on the loop thread, which would wait for itself.

    Example:
        >>> async def answer():
        ...     return 42
        >>> call(answer())
        42
    """
    if is_loop_thread():
        coroutine.close()
        raise _waits_for_itself("Await the form with a leading 'a' instead.")
    future = submit(coroutine)
    try:
        return _result(future)
    except BaseException:
        future.cancel()
        raise


def block(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end on the caller's side and return its result.

    It runs in the caller's thread, and so do its callbacks; where a loop runs there already, as
    in a notebook's cell, in a thread of its own. An interrupt cancels it; what is in flight goes
    to the store.

    Args:
        make: Makes the coroutine, in the thread that runs it.

    Raises:
        ConfigurationError: If called on llmnb's own loop thread, which would wait for itself.

    Example:
        >>> async def answer():
        ...     return 42
        >>> block(answer)
        42
    """
    if is_loop_thread():
        raise _waits_for_itself("Await the form without _sync instead.")
    is_free = False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        is_free = True
    if is_free:
        return asyncio.run(make())
    done: Future[T] = Future()
    tasks: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None
        tasks.append((asyncio.get_running_loop(), task))
        return await make()

    def work() -> None:
        try:
            done.set_result(asyncio.run(main()))
        except BaseException as error:
            done.set_exception(error)

    context = contextvars.copy_context()  # so that what callbacks print lands in this cell
    threading.Thread(target=context.run, args=(work,), name="llmnb-blocking", daemon=True).start()
    try:
        return _result(done)
    except BaseException:
        for loop, task in tasks:
            if not done.done():
                loop.call_soon_threadsafe(task.cancel)
        raise


def _result(future: Future[T]) -> T:
    """Block for a future's result, in slices, so that an interrupt is noticed."""
    while True:
        try:
            return future.result(SLICE_SECONDS)
        except TimeoutError:
            if future.done():  # the coroutine's own TimeoutError, not ours
                return future.result()


def _waits_for_itself(instead: str) -> ConfigurationError:
    return ConfigurationError(
        "A blocking llmnb call was made on llmnb's own loop thread, for instance inside a "
        f"callback: it would wait for itself. {instead}"
    )


async def acall(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the loop thread and await it on the caller's loop."""
    if is_loop_thread():
        return await coroutine
    return await asyncio.wrap_future(submit(coroutine))


_last_calls: list[Callable[[], object]] = []


def at_exit(function: Callable[[], object]) -> None:
    """Call a function when the process ends, once nothing runs on the loops any more."""
    _last_calls.append(function)


@atexit.register
def _close_at_exit() -> None:
    for name, seconds in ((_OURS, 15.0), (_SIDE, 1.0)):
        if name in _threads:
            _threads[name].close(seconds)
    for function in _last_calls:
        function()
