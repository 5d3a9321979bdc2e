"""A table as far as a run tells of it that was written down: its rows, and the prompts sent."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence

from llmnb.frames.answers import AnswerForm
from llmnb.frames.quoting import Quotes
from llmnb.frames.recipes import options_in
from llmnb.frames.table_source import TableSource
from llmnb.frames.verdicts import Choice
from llmnb.schemas import Output, QuotedOutput
from llmnb.store.run_index import RunHeader


class WrittenTable:
    """Stands for a table's questions where only what was written down of them is known.

    Args:
        header: What is known of the run.
        output: The form of its answers; None where they are texts.
        positions: Rows of the table that were asked about, in order.
        read_prompts: Returns the prompts that were sent, by row.
    """

    def __init__(
        self,
        header: RunHeader,
        output: Output | None,
        positions: Sequence[int],
        read_prompts: Callable[[], Mapping[int, str]],
    ) -> None:
        self._header = header
        self._output = output
        self._read_prompts = read_prompts
        self._prompts: Mapping[int, str] = {}
        self.positions = positions
        self.group = header.group

    def __len__(self) -> int:
        return len(self.positions) * self.group

    def row_of(self, request: int) -> int:
        """Return the row of the table that a request belongs to."""
        return self.positions[request // self.group]

    def prompt_of(self, row: int, request: int = 0) -> str | None:
        """Return the prompt that was sent first for a row, as far as `form` has read it."""
        return self._prompts.get(row)

    def cells_of(self, row: int) -> list[str | None]:
        """Return the text in which a row's quotes are looked up: the prompt that was sent."""
        return [self.prompt_of(row)]

    def shows_pictures(self, row: int) -> bool:
        """Return False: pictures are not known."""
        return False

    def form(self) -> AnswerForm:
        """Return what makes the columns of the run's outcomes."""
        recipe = self._header.form
        options = options_in(recipe)
        if options.details == "full" or recipe["quotes"]:
            self._prompts = self._read_prompts()
        rows = max([self._header.rows or 0, *(row + 1 for row in self.positions[-1:])])
        kind: Callable[..., AnswerForm] = AnswerForm
        if columns := recipe.get("columns"):
            into: Hashable = recipe["choice"]
            kind = functools.partial(Choice, columns=columns, into=into)
        return kind(
            source=_source(recipe["library"], rows),
            options=options,
            positions=self.positions,
            output=self._output,
            labels=recipe["labels"],
            prompt_of=self.prompt_of,
            quotes=Quotes(self, self._output) if isinstance(self._output, QuotedOutput) else None,
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
