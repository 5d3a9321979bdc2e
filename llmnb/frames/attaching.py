"""Take up a run of another kernel or another day, for nothing."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llmnb import settings
from llmnb.batches import records
from llmnb.batches.attaching import attach_batch
from llmnb.batches.listing import RunNote
from llmnb.batches.run import BatchRun
from llmnb.engine.handle import AnyRun, run_named
from llmnb.errors import ConfigurationError
from llmnb.frames.answers import AnswerForm, Outcomes
from llmnb.frames.attached_batch import AttachedBatch
from llmnb.frames.attached_run import AttachedRun
from llmnb.frames.quoting import Quotes
from llmnb.frames.recipes import options_in, output_in
from llmnb.frames.table_source import TableSource
from llmnb.frames.verdicts import Choice
from llmnb.options import checked
from llmnb.records import Outcome
from llmnb.schemas import Output, QuotedOutput
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
    live = run_named(run_id)
    if live is not None and not (live.is_batch or live.is_done):
        return live
    root = settings.cache_dir(checked({"cache_dir": cache_dir})["cache_dir"])
    name = Path(run_id).name  # a name is no path
    if (root / records.FOLDER / name / records.RECORD).exists():
        batch = attach_batch(run_id, api_key=api_key, cache_dir=cache_dir, good_finish=good_finish)
        return _with_table(batch, root / records.FOLDER / name, schema)
    index = run_index.read(run_id, root)
    recipe = index.header.form
    if not recipe:
        return AttachedRun(index, functools.partial(_as_outcomes, index.header))
    output = output_in(recipe, schema)
    run: AttachedRun[Any]

    def form_of(positions: Sequence[int]) -> AnswerForm:
        return _form(index.header, recipe, output, positions, run.prompts)

    run = AttachedRun(
        index,
        lambda outcomes, positions: form_of(positions).table(outcomes),
        output=output,
        warns=recipe["on_error"] != "column",
        notes=(
            (lambda outcomes, positions: form_of(positions).notes(outcomes))
            if recipe["quotes"]
            else None
        ),
    )
    return run


def _with_table(batch: BatchRun, folder: Path, schema: Any) -> AnyRun:
    """Return a batch run whose result is the columns of its table, where it had one."""
    if (asked := records.read_table(folder)) is None or not asked[0].form:
        return batch
    header, positions = asked
    output = output_in(header.form, schema)

    def row_of(request: int) -> int:
        return positions[request // header.group]

    def prompts() -> dict[int, str]:
        return {row_of(request): text for request, text in batch.prompts().items()}

    return AttachedBatch(
        batch,
        lambda: _form(header, header.form, output, positions, prompts),
        row_of=row_of,
    )


def _as_outcomes(
    header: RunHeader, outcomes: Outcomes, positions: Sequence[int]
) -> list[Outcome | None]:
    """Return the outcomes of a list of requests, None where none is written down."""
    if header.verb in _TABLES:
        raise ConfigurationError(
            f"What {header.verb}() gives is more than columns, and is not made from what was "
            "written down. Make the same call again: its answers are kept and cost nothing. "
            "status() and failures() are there."
        )
    placed: list[Outcome | None] = [None] * max([header.rows or 0, *(row + 1 for row in positions)])
    for row, outcome in zip(positions, outcomes, strict=True):
        placed[row] = outcome
    return placed


_TABLES = ("compare", "generate", "start", "extract", "classify", "judge", "preview")
"""Verbs of tables."""


def _form(
    header: RunHeader,
    recipe: Mapping[str, Any],
    output: Output | None,
    positions: Sequence[int],
    prompts_of: Callable[[], Mapping[int, str]],
) -> AnswerForm:
    """Return what makes the columns of a run that was written down."""
    rows = max([header.rows or 0, *(row + 1 for row in positions[-1:])])
    options = options_in(recipe)
    prompts = prompts_of() if options.details == "full" or recipe["quotes"] else {}
    form = AnswerForm(
        source=_source(recipe["library"], rows),
        options=options,
        positions=positions,
        output=output,
        labels=recipe["labels"],
        prompt_of=prompts.get,
        quotes=(
            Quotes(_Cells(prompts, positions, header.group), output)
            if isinstance(output, QuotedOutput)
            else None
        ),
    )
    if columns := recipe.get("columns"):
        into: Hashable = recipe["choice"]
        given = {field.name: getattr(form, field.name) for field in dataclasses.fields(form)}
        return Choice(**given, columns=columns, into=into)
    return form


def _source(library: str, rows: int) -> TableSource:
    """Return a table of so many rows, of which nothing else is known."""
    if library == "polars":
        import polars as pl

        from llmnb.frames.polars_source import PolarsSource

        return PolarsSource(pl.Series("", [None] * rows))
    import pandas as pd

    from llmnb.frames.pandas_source import PandasSource

    return PandasSource(pd.Series(index=pd.RangeIndex(rows), dtype="object"))


@dataclasses.dataclass(frozen=True, slots=True)
class _Cells:
    """Stands for a table's questions where quotes are looked up: in the prompts that were sent."""

    prompts: Mapping[int, str]
    positions: Sequence[int]
    group: int

    def row_of(self, request: int) -> int:
        return self.positions[request // self.group]

    def cells_of(self, row: int) -> list[str]:
        return [self.prompts.get(row, "")]

    def shows_pictures(self, row: int) -> bool:
        return False
