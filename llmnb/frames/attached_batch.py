"""`AttachedBatch`: a batch run of another kernel, with its answers as columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from llmnb.batches.run import BatchRun
from llmnb.engine.handle import Mode, RunHandle, RunWrapper
from llmnb.engine.status import StatusSnapshot
from llmnb.errors import SchemaMismatch
from llmnb.frames import failures
from llmnb.frames.answers import AnswerForm
from llmnb.records import Outcome
from llmnb.running.structured import value_in
from llmnb.schemas import Output


class AttachedBatch(RunWrapper[Any]):
    """A batch run over a table whose rows are known by their position.

    Args:
        batch: The run itself.
        form: Makes the form of its columns.
        row_of: Which row of the table a request belongs to.
    """

    is_batch = True
    can_retry = False
    again = "Make the same call again"

    def __init__(
        self, batch: BatchRun, form: Callable[[], AnswerForm], *, row_of: Callable[[int], int]
    ) -> None:
        super().__init__()
        self._inner = self._batch = batch
        self._form = form
        self._done = batch._done
        batch.row_of = row_of
        batch.owner = self

    @property
    def run_id(self) -> str:
        """Name by which `llmnb.attach` finds it."""
        return self._batch.run_id

    def status(self) -> StatusSnapshot:
        """Return a frozen picture of the run as it is now."""
        return self._batch.status()

    def partial(self) -> Any:
        """Return the columns as they are now: n rows, missing where there is no answer yet."""
        form = self._form()
        return form.table([_read(outcome, form.output) for outcome in self._batch.partial()])

    def failures(self) -> list[Outcome]:
        """Return the outcomes that are errors; their `row` is the position in the table."""
        row_of = self._batch.row_of
        return [
            dataclasses.replace(outcome, row=row_of(outcome.row))
            for outcome in self._batch.failures()
        ]

    def notes(self) -> Mapping[str, str]:
        """Return further lines of its receipt, by name."""
        form = self._form()
        return form.notes([_read(outcome, form.output) for outcome in self._batch.partial()])

    def _finished(self) -> Any:
        table, form = self.partial(), self._form()
        if form.options.on_error != "column":
            failures.report(self, len(self._batch.partial()), "null", table)
        return table

    def withdraw(self) -> None:
        """Ask the provider to stop, and keep what it has finished."""
        self._batch.withdraw()

    def retry_failed(
        self, causes: str | Iterable[str] | None = None, *, mode: Mode | None = None
    ) -> RunHandle[Any]:
        """Refuse: the requests are not known here; the same call asks what is missing."""
        return self._batch.retry_failed(causes, mode=mode)

    def _repr_html_(self) -> str:
        return self._batch._repr_html_()


def _read(outcome: Outcome | None, output: Output | None) -> Outcome | None:
    """Return an outcome with the value that its answer holds; it is not changed."""
    if outcome is None or output is None or not outcome.is_answer or outcome.reply is None:
        return outcome
    try:
        return dataclasses.replace(outcome, value=value_in(output, outcome.reply))
    except SchemaMismatch as mismatch:
        return dataclasses.replace(outcome, error=mismatch)
