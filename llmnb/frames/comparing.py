"""Compare the answers of several models to the same rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pandas as pd

from llmnb.display import durations, money, numbers
from llmnb.display.escape import summary, visible
from llmnb.display.html_fragments import box, cell, headline, line, table
from llmnb.display.palette import FAINT
from llmnb.display.texts import counted, cut
from llmnb.errors import ConfigurationError
from llmnb.frames import overwriting
from llmnb.frames.answers import AnswerForm, Outcomes, in_rows
from llmnb.frames.job import Job, job
from llmnb.frames.options import Options
from llmnb.frames.table_source import AnswerColumn, Source
from llmnb.records import Outcome
from llmnb.running.asking import Model, endpoints_of, is_model
from llmnb.targets.endpoint import Endpoint

MAJORITY_SHARE = "agreement"
"""The column of the share that the most frequent answer has."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The answers of several models and their figures, in two frames of the table's own library."""

    answers: Any
    """A column for each model and `agreement`: the share of the answers that are the most
    frequent one. Rows on which they agree least stand first; the index tells which they are, in
    Polars a column `row`."""

    models: Any
    """A row for each model: answered, failed, how often it is with the majority, dollars,
    seconds and tokens."""

    def __repr__(self) -> str:
        _, models = _head(self.models, _SHOWN)
        names = ", ".join(str(model[0]) for model in models)
        return summary(
            "Comparison", f"of {len(self.models)} models, {len(self.answers):,} rows: {names}"
        )

    def __str__(self) -> str:
        with pd.option_context("display.width", 100, "display.max_columns", 20):
            shown = f"{self.models}\n\n{self.answers}"
        # pandas lets terminal escapes of an answer through.
        return "\n".join(map(visible, shown.split("\n")))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        models, answers = len(self.models), len(self.answers)
        parts = [
            headline(counted(models, "model"), f"over {counted(answers, 'row')}"),
            _small_table(self.models, _SHOWN),
            line("Rows on which they agree least stand first.", f"margin-top:6px;{FAINT}"),
        ]
        foot = line(".models and .answers are the whole tables.", f"margin-top:6px;{FAINT}")
        for rows in (_SHOWN, 4, 2, 1):
            page = box(*parts, _small_table(self.answers, rows), foot)
            if len(page.encode()) <= _LARGEST_PAGE:
                break
        return page


_SHOWN = 8
"""Rows of a table that are shown at most, and columns."""

_LARGEST_PAGE = 8_000
"""Bytes of a comparison's page."""


def _head(frame: Any, rows: int) -> tuple[list[Any], list[list[Any]]]:
    """Return the names of a frame's columns and its first rows, the index of pandas first."""
    head = frame.head(rows)
    if not isinstance(head, pd.DataFrame):
        return list(head.columns), [list(row) for row in head.rows()]
    cells = zip(head.index, head.itertuples(index=False, name=None), strict=True)
    return [head.index.name or "", *head.columns], [[label, *row] for label, row in cells]


def _small_table(frame: Any, rows: int) -> str:
    names, cells = _head(frame, rows)
    names = [str(name) for name in names[:_SHOWN]]
    heads = [cell(cut(visible(name), 40), FAINT, head="col") for name in names]
    body = [
        [cell(_text(name, value)) for name, value in zip(names, row, strict=False)] for row in cells
    ]
    return table([heads, *body])


def _text(name: str, value: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float) and name in _FIGURES:
        return _FIGURES[name](value)
    return cut(visible(value), 40)


_FIGURES: dict[str, Callable[[float], str]] = {
    **dict.fromkeys(("with_majority", MAJORITY_SHARE), numbers.share),
    **dict.fromkeys(("usd", "usd_per_answer"), money.usd),
    **dict.fromkeys(("seconds_p50", "seconds_p95"), durations.latency),
}
"""How figures are written on a page, by their columns."""


def comparison(table: Source, prompt: Hashable, models: Sequence[Model], options: Options) -> Job:
    """Return the job that asks every model about every row, in one run.

    Raises:
        ConfigurationError: If fewer than two models are named, one is named twice, or an
            option makes no sense here.
    """
    if is_model(models):
        raise ConfigurationError("compare() takes a list of models, at least two.")
    names = [_name(model) for model in models]
    _check(names, options)
    # The first one is the default, so that no other has to be looked for.
    asked = job(
        table,
        prompt,
        replace(options, model=models[0]),
        variants=[{"model": model} for model in models],
    )
    form = _SideBySide(
        source=asked.form.source,
        options=options,
        positions=asked.form.positions,
        output=asked.form.output,
        models=names,
    )
    return replace(asked, form=form)


def _name(model: Model) -> str:
    if isinstance(model, str):
        return model
    if not is_model(model):
        raise ConfigurationError(
            f"A model is named by text or an LLM, not {type(model).__name__}: compare() takes no "
            "list of fallbacks in place of one model."
        )
    endpoint = endpoints_of(model)[0]
    assert isinstance(endpoint, Endpoint)
    provider, name = endpoint.api_provider, endpoint.model
    return f"{provider}/{name}" if provider and not name.startswith(f"{provider}/") else name


def _check(names: Sequence[str], options: Options) -> None:
    if len(names) < 2:
        raise ConfigurationError("compare() takes at least two models. Nothing was sent.")
    if len(set(names)) < len(names):
        (twice, _), *_ = Counter(names).most_common(1)
        raise ConfigurationError(f"{twice!r} is named twice. Nothing was sent.")
    errors = [f"{name}_error" for name in names] if options.on_error == "column" else []
    overwriting.check_names([*names, *errors, MAJORITY_SHARE])
    refused = {
        "model": options.model is not None,
        "into": options.into is not None,
        "details": options.details,
        "n": options.n != 1,
        "mode": options.mode != "live",
    }
    if wrong := [name for name, is_set in refused.items() if is_set]:
        raise ConfigurationError(
            f"compare() has a form of its own: leave out {' and '.join(wrong)}. Nothing was sent."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _SideBySide(AnswerForm):
    models: Sequence[str]

    def table(self, outcomes: Outcomes) -> Comparison:
        """Return the comparison of the outcomes so far."""
        each = [outcomes[first :: len(self.models)] for first in range(len(self.models))]
        values = [[self._value(outcome) for outcome in own] for own in each]
        compared = [
            [None if value is None else _compared(value) for value in row]
            for row in zip(*values, strict=True)
        ]
        majorities = [_majority(row) for row in compared]
        figures = [
            _figures(own, [row[model] for row in compared], majorities)
            for model, own in enumerate(each)
        ]
        models = {
            name: AnswerColumn([row[name] for row in figures], _COUNTS.get(name, "Float64"))
            for name in figures[0]
        }
        return Comparison(
            self._answers(each, values, [share for _, share in majorities]),
            self.source.named("model", self.models, models),
        )

    def _answers(
        self,
        each: Sequence[Outcomes],
        values: Sequence[Sequence[Any]],
        shares: Sequence[float | None],
    ) -> Any:
        """Return a column for each model, and the share of the most frequent answer."""
        kind = self._kind()
        columns = {name: (own, kind) for name, own in zip(self.models, values, strict=True)}
        if self.options.on_error == "column":
            for name, own in zip(self.models, each, strict=True):
                errors = [outcome.error if outcome else None for outcome in own]
                messages = [error.message if error else None for error in errors]
                columns[f"{name}_error"] = messages, "string"
        columns[MAJORITY_SHARE] = shares, "Float64"
        rows = self.source.rows
        by_row = in_rows(shares, self.positions, rows)
        order = sorted(
            range(rows), key=lambda row: math.inf if by_row[row] is None else by_row[row]
        )
        ordered = {}
        for name, (cells, kind) in columns.items():
            cells = in_rows(cells, self.positions, rows)
            ordered[name] = AnswerColumn([cells[row] for row in order], kind)
        return self.source.labelled(order, ordered)

    def _value(self, outcome: Outcome | None) -> Any:
        if outcome is None or not outcome.is_answer:
            return None
        if self.output is None:
            return outcome.text
        answer = self.output.as_mapping(outcome.value)
        return answer["value"] if self.output.is_wrapped else answer

    def _kind(self) -> str:
        """Return the kind of the models' columns."""
        if self.output is None:
            return "string"
        kind = self.output.fields[0][1] if self.output.is_wrapped else "object"
        # Categories of several columns side by side would only be in the way.
        return "string" if kind == "category" else kind


def _compared(value: Any) -> str:
    """Return an answer as it is compared: in lower case and without outer white space."""
    if isinstance(value, str):
        return value.strip().casefold()
    return orjson.dumps(value, default=str, option=orjson.OPT_SORT_KEYS).decode()


def _majority(answers: Sequence[str | None]) -> tuple[str | None, float | None]:
    """Return the most frequent answer and its share; None where fewer than two answered."""
    known = [answer for answer in answers if answer is not None]
    if len(known) < 2:
        return None, None
    (first, count), *_ = Counter(known).most_common(1)
    return (first if count > 1 else None), count / len(known)


def _figures(
    outcomes: Outcomes,
    answers: Sequence[str | None],
    majorities: Sequence[tuple[str | None, float | None]],
) -> dict[str, Any]:
    known = [outcome for outcome in outcomes if outcome is not None]
    answered = [outcome for outcome in known if outcome.is_answer]
    judged = [
        own == most
        for own, (most, _) in zip(answers, majorities, strict=True)
        if own is not None and most is not None
    ]
    seconds = pd.Series([row.seconds for row in answered if row.seconds is not None], dtype=float)
    prices = [
        (row.usd or 0.0) + (row.saved_usd or 0.0)
        for row in answered
        if row.usd is not None and not (row.is_cached and row.saved_usd is None)
    ]
    spent = [row.usd for row in answered if row.usd is not None]
    usages = [row.reply.usage for row in answered if row.reply is not None and row.reply.usage]
    return {
        "answered": len(answered),
        "failed": len(known) - len(answered),
        "with_majority": sum(judged) / len(judged) if judged else None,
        "usd": None if len(spent) < len(answered) else sum(spent),
        "usd_per_answer": sum(prices) / len(prices) if prices else None,
        "seconds_p50": seconds.quantile(0.5) if len(seconds) else None,
        "seconds_p95": seconds.quantile(0.95) if len(seconds) else None,
        "prompt_tokens": sum(usage.prompt for usage in usages),
        "completion_tokens": sum(usage.completion for usage in usages),
        "cached": sum(row.is_cached for row in answered),
    }


_COUNTS = dict.fromkeys(
    ("answered", "failed", "prompt_tokens", "completion_tokens", "cached"), "Int64"
)
"""The kinds of those figures that are whole numbers."""
