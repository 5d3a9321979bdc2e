"""The verbs of Polars' lazy frames and expressions.

A question is one expression over a struct of the columns that the prompt
needs, marked as depending on the whole column: one run answers it, so that
limits, budget and bars are those of one run however Polars cuts its work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import polars as pl

from llmnb.frames import overwriting, verbs
from llmnb.frames.accessors import DataFrameLLM
from llmnb.frames.job import Job
from llmnb.frames.overwriting import VerbCall
from llmnb.frames.polars_source import PolarsSource
from llmnb.frames.prepared import PreparedRun
from llmnb.frames.run import TableRun
from llmnb.frames.table_source import WHOLE, Keywords
from llmnb.running.planning import Plan
from llmnb.user_code import warn

Lazy = TypeVar("Lazy", pl.LazyFrame, pl.Expr)

Maker = Callable[[pl.DataFrame | pl.Series, Any, Keywords], PreparedRun]
"""Prepares a verb for a table, a prompt and keywords."""

_ASIDE = "llmnb answers"
"""What the column of structs is called between the answers and their own columns."""


def generate(asked: Lazy, prompt: str | None, keywords: Keywords) -> Lazy:
    """Ask about every row of a lazy frame, or about every value of an expression."""
    return _lazy_answers(asked, verbs.generate, prompt, keywords)


def extract(asked: Lazy, prompt: str, schema: Any, keywords: Keywords) -> Lazy:
    """Fill typed columns from every text."""
    return _lazy_answers(asked, verbs.extract, prompt, keywords, schema)


def classify(asked: Lazy, prompt: str, labels: Any, keywords: Keywords) -> Lazy:
    """Give every text one of the labels."""
    return _lazy_answers(asked, verbs.classify, prompt, keywords, labels)


def embed(asked: Lazy, column: str, keywords: Keywords) -> Lazy:
    """Make a vector of every text."""
    return _lazy_answers(asked, verbs.embed, column, keywords)


def plan(lazy: pl.LazyFrame, prompt: str | None, keywords: Keywords) -> Plan:
    """Collect the columns that the prompt needs, and return what asking would take."""
    return collected(lazy, prompt, keywords).plan(prompt, **keywords)


def preview(lazy: pl.LazyFrame, prompt: str, rows: int, keywords: Keywords) -> Any:
    """Collect the columns that the prompt needs, and ask about the first rows."""
    return collected(lazy, prompt, keywords).preview(prompt, n=rows, **keywords)


def start(lazy: pl.LazyFrame, prompt: str | None, keywords: Keywords) -> TableRun[Any]:
    """Collect what is needed, and start asking in the background."""
    return collected(lazy, prompt, keywords).start(prompt, **keywords)


def compare(
    lazy: pl.LazyFrame, prompts: Any, models: Any, truth: Any, rows: str, keywords: Keywords
) -> Job:
    """Collect the frame, and prepare to ask several models, prompts or settings the same."""
    return verbs.compare(PolarsSource(lazy.collect()), prompts, models, truth, rows, keywords)


def collected(lazy: pl.LazyFrame, prompt: str | None, keywords: Keywords) -> DataFrameLLM:
    """Return the accessor of the collected frame, of the columns that are needed."""
    if keywords.get("into") is None:
        schema = lazy.collect_schema()
        names = ("images", "examples", "messages", "system")
        read = {name: keywords[name] for name in names if keywords.get(name) is not None}
        empty = _answers_only(pl.DataFrame(schema=schema))
        questions = verbs.generate(empty, prompt, read).questions
        lazy = lazy.select(_needed_columns(questions.fields, schema))
    return DataFrameLLM(PolarsSource(lazy.collect()))


def _lazy_answers(
    asked: Lazy, verb: Callable[..., PreparedRun], prompt: Any, keywords: Keywords, *further: Any
) -> Lazy:
    def make(table: pl.DataFrame | pl.Series, prompt: Any, keywords: Keywords) -> PreparedRun:
        return verb(_answers_only(table), prompt, *further, keywords)

    if isinstance(asked, pl.Expr):
        return _of_values(asked, prompt, make, keywords)
    call = VerbCall(verb.__name__, (prompt, *further), keywords)
    return _of_rows(asked, prompt, make, keywords, call)


# ------------------------------------------------------------------------ expressions


def _of_values(expr: pl.Expr, prompt: str, make: Maker, keywords: Keywords) -> pl.Expr:
    # Names in the prompt can only be checked with the values; errors in options are raised now.
    without_values = make(
        pl.Series(str(keywords.get("images") or ""), [], dtype=pl.String()),
        WHOLE,
        {name: keywords[name] for name in keywords if name not in ("system", "examples")},
    )
    name, _, empty = without_values.outline
    kind = _as_series(empty).dtype

    def answered(values: pl.Series) -> pl.Series:
        return _answers(make(values, prompt, keywords), kind)

    answers = expr.map_batches(answered, return_dtype=kind)
    return answers.alias(str(name))


def _answers(asked: PreparedRun, kind: pl.DataType) -> pl.Series:
    """Return a verb's answers in the type that the lazy frame was built with."""
    answers = _as_series(asked.finish())
    if answers.dtype == kind:
        return answers
    fitting = answers.cast(kind, strict=False)
    if lost := fitting.null_count() - answers.null_count():
        warn(
            f"{lost:,} answers do not fit a column of {kind} and are null. Ask the collected frame "
            "to have them as text: they are kept."
        )
    return fitting


def _as_series(answers: pl.Series | pl.DataFrame) -> pl.Series:
    """Return a column as it is, and a table as a column of structs."""
    return answers.to_struct("") if isinstance(answers, pl.DataFrame) else answers


def _answers_only(table: pl.DataFrame | pl.Series) -> PolarsSource:
    return PolarsSource(table, answers_only=True)


# ------------------------------------------------------------------------ lazy frames


def _needed_columns(fields: Sequence[str], schema: pl.Schema) -> list[str]:
    """Return the columns that a verb reads; if it reads none, the first, for its rows."""
    return list(dict.fromkeys(fields)) or schema.names()[:1]


def _of_rows(
    lazy: pl.LazyFrame, prompt: str | None, make: Maker, keywords: Keywords, call: VerbCall
) -> pl.LazyFrame:
    schema = lazy.collect_schema()
    # Errors in the arguments are raised now.
    without_rows = make(pl.DataFrame(schema=schema), prompt, keywords)
    name, fields, empty = without_rows.outline
    kind = _as_series(empty).dtype

    def answered(values: pl.Series) -> pl.Series:
        return _answers(make(values.struct.unnest(), prompt, keywords), kind)

    options = without_rows.options
    needed = pl.struct(_needed_columns(fields, schema))
    return _with_answers(
        lazy,
        needed.map_batches(answered, return_dtype=kind),
        str(name),
        empty.columns if isinstance(empty, pl.DataFrame) else [],
        is_into=options.into is not None,
        overwrite=options.overwrite,
        call=call,
    )


def _with_answers(
    lazy: pl.LazyFrame,
    asked: pl.Expr,
    name: str,
    fields: Sequence[str],
    *,
    is_into: bool,
    overwrite: bool,
    call: VerbCall,
) -> pl.LazyFrame:
    """Return a lazy frame of the answers alone, or with `is_into` of the whole table with them."""
    put = lazy.with_columns if is_into else lazy.select
    if is_into:
        written = fields or [name]
        taken = overwriting.unknown(written, lazy.collect_schema().names())
        if taken and not overwrite:
            raise overwriting.would_replace(taken, call)
        overwriting.remember(written)
    if not fields:
        return put(asked.alias(name))
    # A column of its own, so that the fields of one answer are not asked for one by one.
    aside = put(asked.alias(_ASIDE))
    filled = aside.with_columns(pl.col(_ASIDE).struct.field(field) for field in fields)
    return filled.drop(_ASIDE)
