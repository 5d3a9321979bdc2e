"""Identical requests in flight share one request task: all who want the answer wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llmnb.engine.target import Call
from llmnb.errors import LLMNBError
from llmnb.records import Reply
from llmnb.store.entry import Entry

Kept = tuple[Call, Entry, Reply, LLMNBError | None]
"""What the store holds of a row; the error says why it is no good answer, though it is not bought
again."""


@dataclass(slots=True, eq=False)
class TaskResult:
    """How a request task ended: a reply, an error, or a reply that is not good enough and why."""

    reply: Reply | None = None
    error: LLMNBError | None = None
    model: str = ""
    provider: str = ""
    usd: float | None = None
    seconds: float | None = None
    first_token_seconds: float | None = None
    attempts: int = 0
    hedged: bool = False
    key: str | None = None
    """Key of the answer; another target's or a mended answer's is not the row's own."""

    value: Any = None
    """What a structured answer holds."""

    simulated: bool = False
    entry: Entry | None = None
    """What was saved, so that a waiter of another project can save it too."""

    store: object = None
    """The store it was saved in."""

    found: Kept | None = None
    """What the store held when the row's turn came, since another process had asked it: whoever
    wants the row takes it from there."""


Waiter = Callable[[TaskResult], None]
"""Called once, on the loop thread, when the request task has landed."""


class SharedRequest:
    """A request in flight and who waits for its answer.

    While its run is paused, or blocked by a rate of its own, a request task stands aside: it
    takes no further waiters, and those who want the same answer open a task of their own.

    Args:
        registry: All registry.
        key: Of what is asked.
        run: Whose request task it is.
    """

    __slots__ = ("_key", "_registry", "_run", "is_aside", "make_way", "waiters")

    def __init__(self, registry: InFlightRegistry, key: str, run: object) -> None:
        self._registry = registry
        self._key = key
        self._run = run
        self.is_aside = False
        self.make_way: Callable[[], None] | None = None
        """Stands aside where only its own run holds it back; asked when another run comes."""

        self.waiters: list[tuple[Waiter, object]] = []

    def is_of(self, run: object) -> bool:
        """Whether it is a run's own."""
        return self._run is run

    @property
    def is_asked_by_another(self) -> bool:
        """Whether another run's request task asks for the same at present."""
        return self.is_aside and self._key in self._registry.requests

    def stand_aside(self, result: TaskResult) -> None:
        """Take nobody on any more, and let the waiters of other runs go.

        Args:
            result: What they are told.
        """
        if self.is_aside:
            return
        self.is_aside = True
        del self._registry.requests[self._key]
        others = [one for one in self.waiters if one[1] is not self._run]
        self.waiters = [one for one in self.waiters if one[1] is self._run]
        for waiter, _ in others:
            waiter(result)

    def come_back(self) -> bool:
        """Take waiters on again; False while another request task asks for the same."""
        if self._key in self._registry.requests:
            return False
        self._registry.requests[self._key] = self
        self.is_aside = False
        return True


class InFlightRegistry:
    """All registry of the process, by the key of what they ask; lives on the loop thread.

    A request task that ends while somebody is still looking the store up is kept
    until that look-up ends: the look-up may have begun before the commit, and
    would otherwise buy the answer again.
    """

    def __init__(self) -> None:
        self.requests: dict[str, SharedRequest] = {}
        """Those that take waiters on."""

        self._on_result: dict[str, TaskResult] = {}
        self._lookups = 0

    def __len__(self) -> int:
        return len(self.requests)

    @contextmanager
    def lookup(self) -> Iterator[None]:
        """Hold results back for as long as a look-up in the store takes."""
        self._lookups += 1
        try:
            yield
        finally:
            self._lookups -= 1
            if not self._lookups:
                self._on_result.clear()

    def join(self, key: str, waiter: Waiter, run: object) -> bool:
        """Join a request task, or hear at once how it landed; False where there is none.

        Args:
            key: Of what is asked.
            waiter: Told of the result.
            run: Whose waiter it is.
        """
        shared = self.requests.get(key)
        if shared is not None and shared.make_way is not None and not shared.is_of(run):
            shared.make_way()
        if (shared := self.requests.get(key)) is not None:
            shared.waiters.append((waiter, run))
            return True
        if (result := self._on_result.get(key)) is not None and result.error is None:
            waiter(result)
            return True
        return False

    def open(self, key: str, waiter: Waiter, run: object) -> SharedRequest:
        """Open a request task that others can board."""
        shared = self.requests[key] = SharedRequest(self, key, run)
        shared.waiters.append((waiter, run))
        return shared

    def is_shared(self, key: str, run: object) -> bool:
        """Whether somebody else's waiters are on a request task, too."""
        shared = self.requests.get(key)
        return shared is not None and any(other is not run for _, other in shared.waiters)

    def resolve(self, key: str, shared: SharedRequest, result: TaskResult) -> None:
        """Close a request task and tell every waiter."""
        if not shared.is_aside:
            del self.requests[key]
        shared.make_way = None  # a circle, and the collector is slow while runs are under way
        if self._lookups:
            self._on_result[key] = result
        for waiter, _ in shared.waiters:
            waiter(result)
