"""Take up a run of another kernel or another day, for nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmnb import settings
from llmnb.batches import records
from llmnb.batches.attaching import attach_batch
from llmnb.batches.listing import RunNote
from llmnb.batches.run import BatchRun
from llmnb.engine.handle import AnyRun, run_named
from llmnb.errors import ConfigurationError, SchemaMismatch
from llmnb.frames.attached_run import AttachedRun
from llmnb.frames.recipes import output_in
from llmnb.frames.run import TableRun
from llmnb.frames.written_table import WrittenRows, written_form
from llmnb.options import checked
from llmnb.records import Outcome
from llmnb.running.structured import value_in
from llmnb.schemas import Output
from llmnb.store import run_index
from llmnb.store.run_index import RunHeader


def attach(
    run_id: str | RunNote,
    *,
    schema: Any = None,
    api_key: str | None = None,
    cache_dir: str | Path | None = None,
    good_finish: str | Sequence[str] = (),
) -> AnyRun:
    """Return a run that `runs` lists: of this kernel, of another one, or of another day.

    Nothing is sent, and it costs nothing; only a batch run that is under way asks its provider
    how far it is. A run that this kernel carries out just now is returned itself.

    Of any other is read what was written down. Its `result()` is the columns of answers, as they
    were, in the table's order: index labels and further columns are not known, so its index is
    0, 1, 2, …; `status()` has the counts and the cost of then. Its failed rows can be asked again
    while this kernel has the run that asked them. Else their table is not known: make the same
    call again, which asks only what is missing. A run that goes on in another process is followed.

    Args:
        run_id: Its name, as `runs` lists it and as `run_id` of a run tells it; or what stands in
            that list.
        schema: The class that the answers were asked for with, where this kernel does not have it
            under its name.
        api_key: The account's key, for a batch run where it was given with the call.
        cache_dir: Folder of all projects; None: ``LLMNB_CACHE_DIR``, else ``.cache/llmnb``.
        good_finish: Finish reasons that are good though llmnb does not know them; of batch runs.

    Raises:
        ConfigurationError: If there is no such run, or a batch's provider lacks its key.

    Example:
        >>> import pandas as pd
        >>> import llmnb
        >>> df = pd.DataFrame({"text": ["Good", "Bad"]})
        >>> run = df.llm.start("Is this kind? {text}", model="sim/any", progress=False)
        >>> run.result().equals(llmnb.attach(run.run_id).result())
        True
    """
    if isinstance(run_id, RunNote):
        run_id = run_id.run_id
    if not isinstance(run_id, str):
        raise ConfigurationError(
            f"A run is named by text, as llmnb.runs() lists it, not by {type(run_id).__name__}."
        )
    if not run_id:
        raise ConfigurationError(
            "A run without a name was not written down, such as a batch that had nothing to "
            "submit. Make its call again: what is kept costs nothing, and what another batch "
            "asks is waited for."
        )
    live = run_named(run_id)
    if live is not None and not (live.is_batch or live.is_done):
        return live
    root = settings.cache_dir(checked({"cache_dir": cache_dir})["cache_dir"])
    folder = records.folder_of(root, run_id)
    if (folder / records.RECORD).exists():
        batch = attach_batch(run_id, api_key=api_key, cache_dir=cache_dir, good_finish=good_finish)
        asked = records.read_table(folder)
        return AttachedBatch(batch, *asked, schema) if asked and asked[0].form else batch
    return AttachedRun(run_index.read(run_id, root), schema)


class AttachedBatch(TableRun[Any]):
    """A batch run of another kernel, over a table whose rows are known by their position.

    Args:
        batch: The run itself.
        header: What is known of its table.
        positions: Rows of the table that were asked about, in order.
        schema: What its answers were asked for with, where the caller says so.
    """

    can_retry = False
    how_to_repeat = "Make the same call"

    def __init__(
        self, batch: BatchRun, header: RunHeader, positions: Sequence[int], schema: Any
    ) -> None:
        self._batch = batch
        self._rows = WrittenRows(header, positions)
        output = output_in(header.form, schema)
        super().__init__(batch, written_form(header, output, self._rows))
        self._warns_of_cut = False  # nobody knows which length was chosen

    def outcomes(self) -> list[Outcome | None]:
        """Return what became of each request so far, with the values that answers hold."""
        if (rows := self._rows).needs_prompts:
            kept = self._batch.prompts()
            rows.prompts = {rows.row_of(request): text for request, text in kept.items()}
        return [_read(outcome, self.form.output) for outcome in super().outcomes()]


def _read(outcome: Outcome | None, output: Output | None) -> Outcome | None:
    """Return an outcome with the value that its answer holds; it is not changed."""
    if outcome is None or output is None or not outcome.is_answer or outcome.reply is None:
        return outcome
    try:
        return dataclasses.replace(outcome, value=value_in(output, outcome.reply))
    except SchemaMismatch as mismatch:
        return dataclasses.replace(outcome, error=mismatch)
