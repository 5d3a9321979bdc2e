"""A run over a table as its owner holds it: the engine's run, with its answers in their rows."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Generator, Iterable
from typing import Any, Generic, Literal, TypeVar

from llmnb.engine.run import UNCHANGED, Run, Unchanged
from llmnb.engine.status import StatusSnapshot
from llmnb.errors import ConfigurationError, LLMNBError
from llmnb.frames import failures
from llmnb.frames.answers import Outcomes
from llmnb.frames.questions import Questions
from llmnb.records import Outcome

T = TypeVar("T")


class TableRun(Generic[T]):
    """Questions about a table on their way to a column, steered from any thread.

    Args:
        run: The engine's run.
        questions: What it asks.
        shape: Makes of outcomes what the caller gets back.
        on_error: What becomes of failed rows.
        awaited: The run that is waited for, where it is another one that mends this.
    """

    def __init__(
        self,
        run: Run,
        questions: Questions,
        shape: Callable[[Outcomes], T],
        *,
        on_error: str = "null",
        awaited: Run | None = None,
    ) -> None:
        self.run = run
        """The engine's run, as displays want it."""

        run.row_of = questions.row_of
        self._questions = questions
        self._shape = shape
        self._on_error = on_error
        self._awaited = awaited or run

    # -------------------------------------------------------------------- looking

    def status(self) -> StatusSnapshot:
        """Return a frozen picture of the run as it is now."""
        return self._awaited.status()

    def partial(self) -> T:
        """Return the table as it is now: n rows, missing where there is no answer yet."""
        outcomes = self.run.partial()
        # A run that has not pulled its first row yet may not know how many there are.
        outcomes += [None] * (len(self._questions) - len(outcomes))
        return self._shape(outcomes)

    def failures(self) -> list[Outcome]:
        """Return the outcomes that are errors; their `row` is the position in the table."""
        row_of = self._questions.row_of
        return [dataclasses.replace(one, row=row_of(one.row)) for one in self.run.failures()]

    @property
    def is_done(self) -> bool:
        """Whether every row has its outcome."""
        return self._awaited.is_done

    @property
    def error(self) -> LLMNBError | None:
        """What stopped a whole model or the buying, None where all went well."""
        return self._awaited.error

    @property
    def project(self) -> str:
        """Name of the project that keeps the answers."""
        return self.run.project

    @property
    def asked(self) -> str:
        """The models in words."""
        return self.run.asked

    # -------------------------------------------------------------------- waiting

    def wait(self, timeout: float | None = None) -> bool:
        """Block until every row has its outcome; False if `timeout` seconds were not enough."""
        return self._awaited.wait(timeout)

    def result(self, timeout: float | None = None) -> T:
        """Block for the table.

        Args:
            timeout: Seconds to wait; None waits as long as it takes.

        Returns:
            As `generate` gives it: n rows, missing where a row failed.

        Raises:
            TimeoutError: If the run takes longer; it goes on.
            RowsFailed: With ``on_error="raise"``, where rows failed.
        """
        self._awaited.result(timeout)
        return self.told(self.partial())

    def __await__(self) -> Generator[Any, None, T]:
        yield from self._awaited.__await__()
        return self.told(self.partial())

    def told(self, table: T) -> T:
        """Return the finished run's table, having said which rows failed.

        Raises:
            RowsFailed: With ``on_error="raise"``, where rows failed.
        """
        failures.tell(self.run, self._questions, self._on_error, table)
        return table

    # -------------------------------------------------------------------- steering

    def pause(self) -> None:
        """Send nothing new; what is in flight is finished and stored."""
        self._awaited.pause()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._awaited.resume()

    def stop(self) -> None:
        """Send nothing new; the partial result is there at once, the next run asks the rest."""
        self._awaited.stop()

    def cancel(self) -> None:
        """Stop, and drop what is in flight at once; it may be billed and lost."""
        self._awaited.cancel()

    def set_limits(
        self,
        *,
        max_requests_per_minute: float | Unchanged | None = UNCHANGED,
        max_tokens_per_minute: float | Unchanged | None = UNCHANGED,
        max_concurrent_requests: int | Unchanged | None = UNCHANGED,
    ) -> None:
        """Hold the run to other limits from now on; what is left out stays as it is.

        Args:
            max_requests_per_minute: Requests a minute for each model; None: what the provider
                allows.
            max_tokens_per_minute: Tokens a minute; None: what the provider allows.
            max_concurrent_requests: Requests in flight at once; None: found by trying.
        """
        self._awaited.set_limits(
            max_requests_per_minute=max_requests_per_minute,
            max_tokens_per_minute=max_tokens_per_minute,
            max_concurrent_requests=max_concurrent_requests,
        )

    def retry_failed(
        self,
        causes: str | Iterable[str] | None = None,
        *,
        mode: Literal["live", "batch"] | None = None,
    ) -> TableRun[T]:
        """Ask the failed rows again in the background, those that were stopped included.

        Args:
            causes: Only rows that failed for these, such as ``"Refused"`` or
                ``["TimedOut", "Unsent"]``, as the warning and the dashboard name them; None:
                all of them.
            mode: Of a run with ``mode="batch"``: ``"live"`` asks now at the full price; None,
                and else: as they were asked.

        Returns:
            A run whose result is the whole table, the new answers in their rows; this one's
            `partial()` shows them too.

        Raises:
            ConfigurationError: If this run goes on, no row failed for a cause that is named, or
                it was asked live and is to be asked in a batch.
        """
        if mode == "batch" and isinstance(self.run, Run):
            raise ConfigurationError(
                "This run asks live: make the same call with mode='batch', which submits only "
                "what is missing."
            )
        how: dict[str, Any] = {} if mode is None or isinstance(self.run, Run) else {"mode": mode}
        again = self.run.retry_failed(causes, **how)
        return TableRun(
            self.run, self._questions, self._shape, on_error=self._on_error, awaited=again
        )

    def __repr__(self) -> str:
        status = self.status()
        total = len(self._questions) if status.total is None else status.total
        return (
            f"<TableRun {status.completed:,} of {total:,} questions, {status.state}, "
            f"project {self.project!r}>"
        )

    def _ipython_display_(self) -> None:
        # Whatever the notebook shows for the engine's run is what it shows for this one.
        display = getattr(sys.modules.get("IPython.display"), "display", None)
        if display is None:
            print(repr(self))
        else:
            display(self._awaited)
