"""What every run offers, whatever carries it out: look at it, wait for it, steer it.

Everything here may be called from any thread, and displays know nothing else of a run.
"""

from __future__ import annotations

import abc
import asyncio
import concurrent.futures
import dataclasses
import importlib
import weakref
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, Generic, Literal, NamedTuple, TypeVar, Unpack

from llmnb import bridge
from llmnb.display import durations
from llmnb.display.escape import summary
from llmnb.display.texts import cut
from llmnb.engine.status import Clock, StatusSnapshot, StatusTracker
from llmnb.errors import ConfigurationError, LLMNBError
from llmnb.keywords import RunLimits
from llmnb.options import checked, refuse_unknown
from llmnb.records import Outcome
from llmnb.signatures import KEYWORDS, full_signature

T = TypeVar("T")

Mode = Literal["live", "batch"]
"""Ask now, or by the provider's batches at about half the price."""


class RowAnswer(NamedTuple):
    """One row as displays show it, in a few words; all of it text from outside."""

    prompt: str
    answer: str
    status: str
    """Such as ``"answered"``, ``"reused"`` or why it failed."""


@dataclasses.dataclass(slots=True, kw_only=True)
class About:
    """What displays tell of a run beside its status."""

    traits: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What may tell it from other runs, by name: model, settings, prompt, project."""

    empty: int = 0
    """Rows of the table that ask nothing."""

    shows_answers: bool = False
    """Whether its receipt may show answers."""

    is_reported: bool = False
    """Whether a display has told how it ended and why rows failed: no warning repeats that."""


_last_run: RunHandle[Any] | None = None


_named: weakref.WeakValueDictionary[str, RunHandle[Any]] = weakref.WeakValueDictionary()
"""The runs of this process that are written down and still at hand, by their names."""


def run_named(run_id: str) -> RunHandle[Any] | None:
    """Return a run of this process by its name; None where nobody holds it any more."""
    return outermost(_named.get(run_id))


def last_run() -> RunHandle[Any] | None:
    """Return the run started last in this process, finished or not; None before the first.

    It is the very object that `start` returned, or that a blocking call waited for.

    Example:
        >>> import llmnb
        >>> import pandas as pd
        >>> run = pd.Series(["so good"]).llm.start("Is this kind? {}", model="sim/any")
        >>> llmnb.last_run() is run
        True
        >>> run.wait()
        True
    """
    return outermost(_last_run)


def outermost(run: RunHandle[Any] | None) -> RunHandle[Any] | None:
    """Return the run that a person holds, of which another is a part."""
    while run is not None and run.owner is not None:
        run = run.owner
    return run


class RunHandle(abc.ABC, Generic[T]):
    """A run as its owner holds it; `T` is what it results in.

    Subclasses set `project`, and `_done`, the future of the run's end, in their constructors.
    """

    is_batch = False
    """Whether a provider's batches answer it, in hours: nothing can be paused or sped up."""

    can_retry = True
    """Whether failed rows can be asked again from here."""

    how_to_repeat = "Run this cell"
    """What a person does again to have failed rows asked, where that cannot be done from here."""

    unit = "rows"
    """What is counted."""

    run_id = ""
    """Name by which `llmnb.attach` finds it again; empty where it is not written down.

    That is of a single request, and of a batch for which nothing had to be submitted.
    """

    project: str
    """Name of the project that keeps the answers."""

    owner: RunHandle[Any] | None = None
    """The run that this one is a part of, where it is not the person's own."""

    _done: concurrent.futures.Future[None]

    def __init__(self) -> None:
        self.row_of: Callable[[int], int] = int
        """Which row of its owner's table an outcome belongs to, for what people read."""

        self.about = About()
        """What displays tell of it beside its status."""

        self._retries: list[tuple[frozenset[int], RunHandle[T]]] = []
        """Runs that ask failed rows of this one again, and which rows those are."""

        self._on_retry: list[Callable[[AnyRun], None]] = []
        """Told of every run that asks failed rows again, whoever begins it."""

    def _set_last_run(self) -> None:
        """Become the run started last; called at the end of a constructor."""
        global _last_run
        _last_run = self
        if self.run_id:
            _named[self.run_id] = self

    # --------------------------------------------------------------------- reading

    @abc.abstractmethod
    def status(self) -> StatusSnapshot:
        """Return a frozen picture of the run as it is now."""

    @property
    def counts(self) -> StatusTracker:
        """A copy of the counts as they are now, without the rest of `status`."""
        return self.status().counts

    @property
    @abc.abstractmethod
    def asked(self) -> str:
        """The models in words, such as ``"openai/gpt-5-mini, then 2 more"``; empty at first."""

    @property
    @abc.abstractmethod
    def error(self) -> LLMNBError | None:
        """What stopped a whole model or the buying, None where all went well."""

    @abc.abstractmethod
    def partial(self) -> Any:
        """Return the result as it is now, with None or a missing cell for what has no answer."""

    @abc.abstractmethod
    def failures(self) -> list[Outcome]:
        """Return the outcomes that are errors."""

    def first_answers(self, most: int) -> list[RowAnswer]:
        """Return at most so many of the first rows with their answers, where it knows prompts."""
        return []

    def notes(self) -> Mapping[str, str]:
        """Return further lines of its receipt, by name."""
        return {}

    def explore(self, other: Any = None) -> Any:
        """Return a widget to read its rows, and the same in code; nothing is sent.

        Args:
            other: A run of the same rows, asked otherwise before: what changed most comes first.

        Raises:
            InputError: If it was not written down, or the other has more rows or fewer.
        """
        return importlib.import_module("llmnb.frames.explorers").explore_run(self, other)

    @property
    def is_done(self) -> bool:
        """Whether every row has its outcome."""
        return self._done.done()

    # --------------------------------------------------------------------- waiting

    def wait(self, timeout: float | None = None) -> bool:
        """Block until every row has its outcome; False if `timeout` seconds were not enough."""
        try:
            self._done.result(timeout)
        except TimeoutError:
            if not self._done.done():
                return False
            raise
        return True

    def result(self, timeout: float | None = None) -> T:
        """Block for the result.

        Args:
            timeout: Seconds to wait; None waits as long as it takes.

        Raises:
            TimeoutError: If the run takes longer; it goes on.
        """
        began = Clock.monotonic()
        # In slices, so that an interrupt is noticed.
        while not self.wait(bridge.SLICE_SECONDS):
            if timeout is not None and Clock.monotonic() >= began + timeout:
                waited = durations.exact(timeout)
                raise TimeoutError(f"The run is not done after {waited}; it goes on.")
        return self._finished()

    def __await__(self) -> Generator[Any, None, T]:
        yield from self.ended().__await__()
        return self._finished()

    async def ended(self) -> None:
        """Await the end alone, on any loop, whatever becomes of the result."""
        # Shielded: an awaiting task that is cancelled must not cancel the run.
        await asyncio.shield(asyncio.wrap_future(self._done))

    @abc.abstractmethod
    def _finished(self) -> T:
        """Return the result of the run, which is done."""

    # -------------------------------------------------------------------- steering

    @abc.abstractmethod
    def pause(self) -> None:
        """Send nothing new; what is in flight is finished and stored."""

    @abc.abstractmethod
    def resume(self) -> None:
        """Go on after `pause`."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Send nothing new and hand over what there is; the next run asks only what is missing."""

    @abc.abstractmethod
    def cancel(self) -> None:
        """Stop, and drop what is in flight at once; it may be billed and lost."""

    def withdraw(self) -> None:
        """Stop; a batch run also asks the provider to stop, and keeps what it has finished."""
        self.stop()

    @full_signature
    def set_limits(self, **limits: Unpack[RunLimits]) -> None:
        """Hold the run to other limits from now on; what is left out stays as it is.

        Args:
            **limits: None takes a limit back.

        Raises:
            ConfigurationError: If one is no limit; nothing is changed.

        Example:
            >>> import llmnb
            >>> run = llmnb.AsyncLLM(model="sim/any").start([{"prompt": "Hi"}])
            >>> run.set_limits(max_requests_per_minute="5 per second")
        """
        refuse_unknown(limits, KEYWORDS["RunLimits"], "set_limits()")
        self._change_limits(checked(limits))

    @abc.abstractmethod
    def _change_limits(self, limits: dict[str, Any]) -> None:
        """Hold the run to limits by the names of the options; they have been checked."""

    def retry_failed(
        self, causes: str | Iterable[str] | None = None, *, mode: Mode | None = None
    ) -> RunHandle[T]:
        """Ask the failed rows again in the background, those that were stopped included.

        The new outcomes take the place of the failed ones in this run's result. Rows that an
        earlier retry is still asking are left to it.

        Args:
            causes: Only rows that failed for these, such as ``"Refused"`` or
                ``["TimedOut", "Unsent"]``, as the warning, the dashboard and
                `status().failures` name them; None: all of them.
            mode: Of a run with ``mode="batch"``: ``"live"`` asks now at the full price; None:
                as they were asked.

        Returns:
            The run that asks them.

        Raises:
            ConfigurationError: If this run goes on, no row failed for a cause that is named, or
                the rows cannot be asked again from here.
        """
        if not self.is_done:
            raise ConfigurationError("The run goes on: wait for its end, or stop it first.")
        failed = self._failed_for(causes)
        self._retries = [(rows, run) for rows, run in self._retries if not run.is_done]
        asked = frozenset[int]().union(*(rows for rows, _ in self._retries))
        again = [outcome for outcome in failed if outcome.row not in asked]
        if not again and self._retries:
            return self._retries[-1][1]
        run = self._ask_again(again, mode)
        self._retries.append((frozenset(outcome.row for outcome in again), run))
        for listener in list(self._on_retry):
            listener(run)
        return run

    def on_retry(self, listener: Callable[[AnyRun], None]) -> None:
        """Have a function called with every run that asks failed rows of this one again.

        It is called before anybody else has that run, on whichever thread begins it.
        """
        self._on_retry.append(listener)

    def _ask_again(self, failed: list[Outcome], mode: Mode | None) -> RunHandle[T]:
        """Start a run over failed rows, whose outcomes take their places here."""
        raise ConfigurationError("These rows cannot be asked from here: make the same call again.")

    def _failed_for(self, causes: str | Iterable[str] | None) -> list[Outcome]:
        """Return the outcomes that failed for one of the causes; None: all."""
        failed = self.failures()
        if causes is None:
            return failed
        wanted = {causes} if isinstance(causes, str) else set(causes)
        kinds = {type(outcome.error).__name__ for outcome in failed}
        if unknown := sorted(wanted - kinds):
            known = f"rows failed for {', '.join(sorted(kinds))}" if kinds else "no row failed"
            raise ConfigurationError(f"No row failed for {', '.join(unknown)}: {known}.")
        return [outcome for outcome in failed if type(outcome.error).__name__ in wanted]

    # --------------------------------------------------------------------- on show

    def _repr_html_(self) -> str:
        return self.status().page(unit=self.unit, asked=self.asked, foot=_METHODS)

    def __repr__(self) -> str:
        name = type(self).__name__ + (f" {self.run_id}:" if self.run_id else "")
        line = cut(self.status().line(self.unit), 110)
        return summary(name, f"{line}, project {cut(self.project, 40)!r}")


_METHODS = (
    "A run has result(), partial(), pause(), resume(), stop(), set_limits(), failures() and "
    "retry_failed()."
)

AnyRun = RunHandle[Any]
"""A run, whatever it results in."""


class RunWrapper(RunHandle[T]):
    """A run that an inner one carries out, and that is steered by steering that one.

    Subclasses set `_inner` and `project` in their constructors.
    """

    _inner: AnyRun

    @property
    def asked(self) -> str:
        """The models in words; empty at first."""
        return self._inner.asked

    @property
    def error(self) -> LLMNBError | None:
        """What stopped a whole model or the buying, None where all went well."""
        return self._inner.error

    def pause(self) -> None:
        """Send nothing new; what is in flight is finished and stored."""
        self._inner.pause()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._inner.resume()

    def stop(self) -> None:
        """Send nothing new and hand over what there is; the next run asks only what is missing."""
        self._inner.stop()

    def cancel(self) -> None:
        """Stop, and drop what is in flight at once; it may be billed and lost."""
        self._inner.cancel()

    def _change_limits(self, limits: dict[str, Any]) -> None:
        self._inner.set_limits(**limits)
