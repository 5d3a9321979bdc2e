"""A table as far as a run tells of it that was written down: its rows, and the prompts sent."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence

from llmnb.frames.answers import AnswerForm
from llmnb.frames.asked_rows import AskedRows
from llmnb.frames.recipes import options_in
from llmnb.frames.table_source import TableSource
from llmnb.frames.verdicts import Choice
from llmnb.schemas import Output
from llmnb.store.run_index import RunHeader


class WrittenRows(AskedRows):
    """Rows of a table of which only what was written down is known.

    Args:
        header: What is known of the run.
        positions: Rows of the table that were asked about, in order.
    """

    def __init__(self, header: RunHeader, positions: Sequence[int]) -> None:
        super().__init__(positions, header.group)
        self.needs_prompts = header.form["details"] == "full" or header.form["quotes"]
        """Whether the columns of answers tell something of the prompts."""

        self.prompts: Mapping[int, str] = {}
        """The prompts that were sent first, by row, as far as they were read."""

    def prompt_of(self, row: int, request: int = 0) -> str | None:
        """Return the prompt that was sent first for a row; quotes are looked up in it."""
        return self.prompts.get(row)


def written_form(header: RunHeader, output: Output | None, asked: WrittenRows) -> AnswerForm:
    """Return what makes the columns of a run's outcomes.

    Args:
        header: What is known of the run.
        output: The form of its answers; None where they are texts.
        asked: The rows that were asked about.
    """
    recipe = header.form
    kind: Callable[..., AnswerForm] = AnswerForm
    if columns := recipe.get("columns"):
        into: Hashable = recipe["choice"]
        kind = functools.partial(Choice, columns=columns, into=into)
    rows = max([header.rows or 0, *(row + 1 for row in asked.positions[-1:])])
    return kind(
        source=_source(recipe["library"], rows),
        options=options_in(recipe),
        asked=asked,
        output=output,
        labels=recipe["labels"],
    )


def _source(library: str, rows: int) -> TableSource:
    """Return a table of so many rows, of which nothing else is known."""
    if library == "polars":
        import polars as pl

        from llmnb.frames.polars_source import PolarsSource

        return PolarsSource(pl.Series("", [None] * rows))
    import pandas as pd

    from llmnb.frames.pandas_source import PandasSource

    return PandasSource(pd.Series(index=pd.RangeIndex(rows), dtype="object"))
