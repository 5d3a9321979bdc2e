"""What `llm` of lazy frames and expressions does; loaded when one is first used.

A question is one expression over a struct of the columns that the prompt
needs, marked as depending on the whole column: one run answers it, so that
limits, budget and bars are those of one run however Polars cuts its work.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import polars as pl

from llmnb.frames import placing, vectors, verbs
from llmnb.frames.accessors import DataFrameLLM
from llmnb.frames.columns import WHOLE, Columns
from llmnb.frames.job import Job, job
from llmnb.frames.options import options_of
from llmnb.frames.polars_columns import VECTOR
from llmnb.frames.polars_form import as_one
from llmnb.frames.polars_source import PolarsSource
from llmnb.running.planning import Plan

Given = Mapping[str, Any]

Lazy = TypeVar("Lazy", pl.LazyFrame, pl.Expr)

Maker = Callable[[Any, Any], Job]
"""Makes the job for a table and a prompt."""

_ASIDE = "llmnb answers"
"""What the column of structs is called between the answers and their own columns."""


def _generating(given: Given) -> Maker:
    return lambda table, prompt: job(table, prompt, options_of(given))


def _extracting(schema: Any, given: Given) -> Maker:
    return lambda table, prompt: verbs.extract(table, prompt, schema, given)


def _classifying(labels: Any, given: Given) -> Maker:
    return lambda table, prompt: verbs.classify(table, prompt, labels, given)


def generate(asked: Lazy, prompt: str | None, given: Given) -> Lazy:
    """Ask about every row of a lazy frame, or about every value of an expression."""
    return _asked(asked, prompt, _generating, given)


def extract(asked: Lazy, prompt: str, schema: Any, given: Given) -> Lazy:
    """Fill typed columns from every text."""
    return _asked(asked, prompt, functools.partial(_extracting, schema), given)


def classify(asked: Lazy, prompt: str, labels: Any, given: Given) -> Lazy:
    """Give every text one of the labels."""
    return _asked(asked, prompt, functools.partial(_classifying, labels), given)


def embed(asked: Lazy, column: str, into: str | None, given: Given) -> Lazy:
    """Make a vector of every text."""
    if isinstance(asked, pl.Expr):
        return _vectors(asked, into, given).alias(into or vectors.EMBEDDING)
    return _with_vectors(asked, column, into, given)


def plan(lazy: pl.LazyFrame, prompt: str | None, given: Given) -> Plan:
    """Collect the columns that the prompt needs, and return what asking would take."""
    return collected(lazy, prompt, given).plan(prompt, **given)


def preview(lazy: pl.LazyFrame, prompt: str, rows: int, given: Given) -> Any:
    """Collect the columns that the prompt needs, and ask about the first rows."""
    return collected(lazy, prompt, given).preview(prompt, n=rows, **given)


def _asked(asked: Lazy, prompt: Any, making: Callable[[Given], Maker], given: Given) -> Lazy:
    if isinstance(asked, pl.Expr):
        return _of_values(asked, prompt, making, given)
    return _of_rows(asked, prompt, making(given))


# ------------------------------------------------------------------------ expressions


def _of_values(
    expr: pl.Expr, prompt: str, making: Callable[[Given], Maker], given: Given
) -> pl.Expr:
    # The prompt's and the system's names are met with the values; what can be wrong with the
    # options is said now.
    images, make = given.get("images"), making(given)
    dry = making({name: value for name, value in given.items() if name != "system"})(
        _empty([WHOLE] if images is None else [str(images)]),
        "…{{}}" if images is None else str(images),
    )
    kind = as_one(dry.shape([])).dtype

    def answered(values: pl.Series) -> pl.Series:
        is_table = isinstance(values.dtype, pl.Struct) and prompt != WHOLE
        table = values.struct.unnest() if is_table else values
        return _answers(make(_lent(table), prompt), kind)

    return _over(expr, answered, kind).alias(str(dry.options.name))


def _answers(what: Job, kind: pl.DataType) -> pl.Series:
    return _fitting(as_one(what.finish()), kind)


def _over(expr: pl.Expr, answered: Callable[[pl.Series], pl.Series], kind: pl.DataType) -> pl.Expr:
    return expr.map_batches(answered, return_dtype=kind, is_elementwise=False)


def _vectors(expr: pl.Expr, into: str | None, given: Given) -> pl.Expr:
    vectors.keywords(given, vectors.KEYWORDS)
    name = into or vectors.EMBEDDING
    kind: pl.DataType = VECTOR
    if given.get("on_error") == "column":
        kind = pl.Struct({name: VECTOR, f"{name}_error": pl.String()})

    def embedded(values: pl.Series) -> pl.Series:
        return as_one(verbs.embed(_lent(values), WHOLE, into, given).finish())

    return _over(expr, embedded, kind)


def _fitting(answers: pl.Series, kind: pl.DataType) -> pl.Series:
    """Return answers as the column that the lazy frame was told of."""
    if answers.dtype == kind:
        return answers
    fitting = answers.cast(kind, strict=False)
    if lost := fitting.null_count() - answers.null_count():
        warnings.warn(
            f"{lost:,} answers do not fit a column of {kind} and are null. Ask the collected frame "
            "to have them as text: they are kept.",
            stacklevel=2,
        )
    return fitting


def _lent(table: pl.DataFrame | pl.Series) -> PolarsSource:
    return PolarsSource(table, answers_only=True)


def _empty(names: Sequence[str]) -> PolarsSource:
    return _lent(pl.DataFrame(schema=dict.fromkeys(names, pl.String())))


# ------------------------------------------------------------------------ lazy frames


def _with_vectors(lazy: pl.LazyFrame, column: str, into: str | None, given: Given) -> pl.LazyFrame:
    names = lazy.collect_schema().names()
    Columns(0, [(name, list) for name in names]).cells(column)  # refuses what is no column
    one = _vectors(pl.col(column), into, given)
    is_several = given.get("on_error") == "column"
    return _placed(
        lazy,
        one,
        into or vectors.EMBEDDING,
        into is not None,
        _errors(into, is_several),
        overwrite=bool(given.get("overwrite")),
        call=functools.partial(placing.call_text, "embed", (column,), {**given, "into": into}),
    )


def _errors(into: str | None, is_several: bool) -> Sequence[str]:
    name = into or vectors.EMBEDDING
    return [name, f"{name}_error"] if is_several else []


def _accessor(frame: pl.DataFrame) -> DataFrameLLM:
    return DataFrameLLM(PolarsSource(frame))


def collected(lazy: pl.LazyFrame, prompt: str | None, given: Given) -> DataFrameLLM:
    """Return the accessor of the collected frame, of the columns that are needed."""
    if given.get("into") is not None:
        return _accessor(lazy.collect())
    few = {name: given.get(name) for name in ("images", "examples", "messages", "system")}
    needed = _Noting(lazy.collect_schema().names())
    _generating({name: one for name, one in few.items() if one is not None})(needed, prompt)
    return _accessor(lazy.select(needed.fields).collect())


def _of_rows(lazy: pl.LazyFrame, prompt: str | None, make: Maker) -> pl.LazyFrame:
    noting = _Noting(lazy.collect_schema().names())
    dry = make(noting, prompt)  # what is wrong with the prompt or the options is said now
    found = dry.shape([])
    kind = as_one(found).dtype

    def answered(values: pl.Series) -> pl.Series:
        return _answers(make(_lent(values.struct.unnest()), prompt), kind)

    asked = _over(pl.struct(noting.fields), answered, kind)
    fields = found.columns if isinstance(found, pl.DataFrame) else []
    name, is_into = str(dry.options.name), dry.options.into is not None
    call = functools.partial(placing.call_text, "generate", (prompt,), {"into": name})
    overwrite = dry.options.overwrite
    return _placed(lazy, asked, name, is_into, fields, overwrite=overwrite, call=call)


def _placed(
    lazy: pl.LazyFrame,
    asked: pl.Expr,
    name: str,
    is_into: bool,
    fields: Sequence[str],
    *,
    overwrite: bool,
    call: Callable[[], str],
) -> pl.LazyFrame:
    """Return the answers, or with `is_into` the frame with them."""
    put = lazy.with_columns if is_into else lazy.select
    if is_into:
        derived = [one for one in fields if one != name]
        if not overwrite:
            there = lazy.collect_schema().names()
            placing.refuse(placing.unknown(derived, there), call)
        placing.remember([name, *derived])
    if not fields:
        return put(asked.alias(name))
    # A column of its own, so that the fields of one answer are not asked for one by one.
    aside = put(asked.alias(_ASIDE))
    filled = aside.with_columns(pl.col(_ASIDE).struct.field(field) for field in fields)
    return filled.drop(_ASIDE)


class _Noting(PolarsSource):
    """An empty table that notes which columns a question reads."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(pl.DataFrame(schema=dict.fromkeys(names, pl.String())), answers_only=True)
        self._names = names
        self._read: list[str] = []

    def columns(self) -> Columns:
        """Return the columns."""
        return Columns(0, [(name, functools.partial(self._note, name)) for name in self._names])

    def _note(self, name: str) -> list[Any]:
        self._read.append(name)
        return []

    @property
    def fields(self) -> list[str]:
        """The columns that were read; for a question without any, one that tells how many rows."""
        return list(dict.fromkeys(self._read)) or list(self._names[:1])
