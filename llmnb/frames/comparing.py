"""Prompts, models and settings over the same rows: answers side by side, and who is right."""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pandas as pd

from llmnb.display import durations, money, numbers
from llmnb.display.escape import summary, visible
from llmnb.display.html_fragments import box, cell, fitting, headline, line, table
from llmnb.display.palette import FAINT
from llmnb.display.texts import counted, cut
from llmnb.errors import ConfigurationError, InputError
from llmnb.evaluation.comparison_card import ComparisonCard, RankedRival
from llmnb.evaluation.labels import Spellings, folded, label_text
from llmnb.evaluation.scores import Rival, rank
from llmnb.frames import overwriting
from llmnb.frames.answers import AnswerForm, Outcomes, in_rows
from llmnb.frames.job import Job, job
from llmnb.frames.options import Options
from llmnb.frames.overwriting import VerbCall
from llmnb.frames.pandas_source import source_of
from llmnb.frames.table_source import AnswerColumn, Source
from llmnb.frames.truth import longest_texts, refuse_several_labels, truth_of, without_examples
from llmnb.options import body_of
from llmnb.records import Outcome, shown_url
from llmnb.running.asking import Model, endpoints_of, is_model
from llmnb.targets.endpoint import Endpoint
from llmnb.targets.resolve import resolve

MAJORITY_SHARE = "agreement"
"""The column of the share that the most frequent answer has."""

TRUTH = "truth"
"""The column of true labels."""

_DISPUTED_SHOWN = 3
"""Rows on which answers part that a card names."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The answers of several models and their figures, in two frames of the table's own library."""

    answers: Any
    """A column for each model, prompt or setting and `agreement`: the share of the answers that
    are the most frequent one; with truth a column `truth` before them. Rows on which they agree
    least stand first; the index tells which they are, in Polars a column `row`."""

    models: Any
    """A row for each: answered, failed, how often it is with the majority, dollars, seconds and
    tokens. With truth the best stands first, with `accuracy`, `low` and `high` of its 95 %
    interval, `worse` (rows wrong here that the best has right), `better`, `p` (exact McNemar
    against the best, NA for itself) and `p_holm` (corrected for their number)."""

    _card: ComparisonCard | None = None
    """How it is shown where there is truth; None: as the two tables."""

    def __repr__(self) -> str:
        if self._card is not None:
            return summary("Comparison", self._card.line())
        _, models = _head(self.models, _SHOWN)
        names = ", ".join(str(model[0]) for model in models)  # the first cell is the name
        size = f"{counted(len(self.models), 'model')}, {counted(len(self.answers), 'row')}"
        return summary("Comparison", f"of {size}: {names}")

    def __str__(self) -> str:
        if self._card is not None:
            return self._card.text()
        with pd.option_context("display.width", 100, "display.max_columns", 20):
            shown = f"{self.models}\n\n{self.answers}"
        # pandas lets terminal escapes of an answer through.
        return "\n".join(map(visible, shown.split("\n")))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        if self._card is not None:
            return self._card.html()
        models, answers = len(self.models), len(self.answers)
        style = f"margin-top:6px;{FAINT}"
        return fitting(
            lambda rows: box(
                headline(counted(models, "model"), f"over {counted(answers, 'row')}"),
                _small_table(self.models, _SHOWN),
                line("Rows on which they agree least stand first.", style),
                _small_table(self.answers, rows),
                line(".models and .answers are the whole tables.", style),
            ),
            (_SHOWN, 4, 2, 1),
            _LARGEST_PAGE,
        )


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


def comparison(
    table: Source,
    prompts: Hashable | Sequence[Hashable] | Mapping[str, Hashable],
    models: Model | Sequence[Model] | None,
    settings: Sequence[Any] | None,
    options: Options,
    *,
    truth: Any = None,
    rows: str = "labelled",
) -> Job:
    """Return the job that asks every row with every mixture of prompt, model and settings.

    Raises:
        ConfigurationError: If there are fewer than two mixtures, two are called the same, or an
            option makes no sense here.
        InputError: If truth cannot be matched.
    """
    if rows not in ("labelled", "all"):
        raise ConfigurationError(f'rows= is "labelled" or "all", not {rows!r}. Nothing was sent.')
    named = _named_models(models)
    mixtures = _mixtures(_named_prompts(prompts), named, _named_settings(settings))
    names = [mixture.name for mixture in mixtures]
    _check(names, options)
    for model in named.values():  # one that cannot be asked is no row's error
        if isinstance(model, str):
            resolve(model)
    source = source_of(table)
    labels: Sequence[Any] = ()
    called: list[str] = []
    if truth is not None:
        true = truth_of(source, truth)
        called = [true.name]
        if options.schema is None:
            refuse_several_labels(true)
        labels = true.labels
        if not isinstance(options.examples, list | tuple):  # pairs are of no row
            labels = without_examples(source, labels, options.examples)
    # The first one is the default, so that no other has to be looked for.
    options = replace(options, model=next(iter(named.values())))
    asked = job(
        source,
        mixtures[0].prompt,
        options,
        call=VerbCall("compare", (prompts,), {}),
        kind=functools.partial(_SideBySide, models=names, truth=labels, without=called),
        variants=[mixture.fields for mixture in mixtures],
        prompts=[mixture.prompt for mixture in mixtures],
    )
    if truth is not None and rows == "labelled":
        labelled = [row for row in asked.questions.positions if labels[row] is not None]
        if not labelled:
            raise InputError(
                "No labelled row asks anything: the cells that the prompts name are missing in all "
                "of them. Nothing was sent."
            )
        asked = asked.about(labelled)
    return asked


@dataclass(frozen=True, slots=True)
class _Mixture:
    """A prompt, a model and settings, with the names of those that differ among all."""

    name: str
    prompt: Hashable
    fields: Mapping[str, Any]


def _mixtures(
    prompts: Mapping[str, Hashable],
    models: Mapping[str, Model | None],
    settings: Mapping[str, Mapping[str, Any]],
) -> list[_Mixture]:
    if len(prompts) * len(models) * len(settings) < 2:
        raise ConfigurationError(
            "compare() takes at least two prompts, models or settings (params=[…]). Nothing was "
            "sent."
        )
    mixtures = []
    for model, prompt, setting in itertools.product(models, prompts, settings):
        named = ((model, models), (prompt, prompts), (setting, settings))
        fields = {} if models[model] is None else {"model": models[model]}
        mixtures.append(
            _Mixture(
                name=", ".join(name for name, all_named in named if len(all_named) > 1),
                prompt=prompts[prompt],
                fields={**fields, **settings[setting]},
            )
        )
    return mixtures


def _named_prompts(prompts: Any) -> Mapping[str, Hashable]:
    if isinstance(prompts, Mapping):
        named = {str(name): prompt for name, prompt in prompts.items()}
    elif isinstance(prompts, list):
        named = {f"prompt {number}": prompt for number, prompt in enumerate(prompts, 1)}
    elif not isinstance(prompts, Hashable):
        raise ConfigurationError(
            f"Prompts are a list, or a dictionary from their names, not {type(prompts).__name__}. "
            "Nothing was sent."
        )
    else:
        return {"prompt": prompts}
    if not named:
        raise ConfigurationError("compare() was given no prompt. Nothing was sent.")
    return named


def _named_models(models: Any) -> Mapping[str, Model | None]:
    if models is None:
        return {"": None}
    if is_model(models) or isinstance(models, str):
        return {_name(models): models}
    names = [_name(model) for model in models]
    for same, count in Counter(names).items():
        if count > 1:
            places = [place for place, name in enumerate(names) if name == same]
            told_apart = _told_apart([models[place] for place in places])
            for place, apart in zip(places, told_apart, strict=True):
                names[place] += apart
    _refuse_twice(names)
    if not names:
        raise ConfigurationError("compare() was given an empty list of models. Nothing was sent.")
    return dict(zip(names, models, strict=True))


def _told_apart(models: Sequence[Model]) -> list[str]:
    """Return what each of several models of one name is called beside it, as far as they differ.

    That is their address, and the settings that belong to them.
    """
    endpoints = [Endpoint() if isinstance(model, str) else _endpoint(model) for model in models]
    addresses = [shown_url(endpoint.url) for endpoint in endpoints]
    if len(set(addresses)) == 1:
        addresses = [""] * len(models)
    settings = _differing([endpoint.params for endpoint in endpoints])
    return [
        (f" at {address}" if address else "") + (f", {setting}" if setting else "")
        for address, setting in zip(addresses, settings, strict=True)
    ]


def _named_settings(settings: Sequence[Any] | None) -> Mapping[str, Mapping[str, Any]]:
    """Return settings by what tells them apart."""
    if settings is None:
        return {"": {}}
    bodies = [body_of(setting) for setting in settings]
    if not bodies:
        raise ConfigurationError("compare() was given an empty list of params. Nothing was sent.")
    names = [differing or "defaults" for differing in _differing(bodies)]
    _refuse_twice(names)
    return dict(zip(names, bodies, strict=True))


def _differing(bodies: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the fields of each body that are not the same in all, such as ``temperature=0``."""
    fields = dict.fromkeys(name for body in bodies for name in body)
    differ = [
        name for name in fields if any(body.get(name) != bodies[0].get(name) for body in bodies)
    ]
    return [
        ", ".join(f"{name}={body[name]!r}" for name in differ if name in body) for body in bodies
    ]


def _refuse_twice(names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        (twice, _), *_ = Counter(names).most_common(1)
        raise ConfigurationError(
            f"{twice!r} is named twice: leave one of them out. Nothing was sent."
        )


def _name(model: Model) -> str:
    if isinstance(model, str):
        return model
    if not is_model(model):
        raise ConfigurationError(
            f"A model is named by text or an LLM, not {type(model).__name__}: compare() takes no "
            "list of fallbacks in place of one model."
        )
    endpoint = _endpoint(model)
    provider, name = endpoint.api_provider, endpoint.model
    return f"{provider}/{name}" if provider and not name.startswith(f"{provider}/") else name


def _endpoint(model: Model) -> Endpoint:
    """Return the first endpoint of an object."""
    endpoint = endpoints_of(model)[0]
    assert isinstance(endpoint, Endpoint)
    return endpoint


def _check(names: Sequence[str], options: Options) -> None:
    _refuse_twice(names)
    errors = [f"{name}_error" for name in names] if options.on_error == "column" else []
    overwriting.check_names([*names, *errors, MAJORITY_SHARE, TRUTH])


@dataclass(frozen=True, slots=True, kw_only=True)
class _SideBySide(AnswerForm):
    models: Sequence[str]
    """What each column is called."""

    truth: Sequence[Any] = ()
    """The true label of each row, None where it has none; empty where no truth is known."""

    without: Sequence[str] = ()
    """What the truth is called: the rows are not about it."""

    def recipe(self) -> dict[str, Any]:
        """Return nothing: a comparison is more than columns of answers."""
        return {}

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
        card, order = None, list(range(len(self.models)))
        if self.truth:
            rivals, card = self._ranked(values, figures, [share for _, share in majorities])
            order = [rival.number for rival in rivals]
            for rival in rivals:
                ranked = {name: getattr(rival, name) for name in _RANKED}
                figures[rival.number] = {**ranked, **figures[rival.number]}
        models = {
            name: AnswerColumn(
                [figures[number][name] for number in order], _COUNTS.get(name, "Float64")
            )
            for name in figures[0]
        }
        return Comparison(
            self._answers(each, values, [share for _, share in majorities]),
            self.source.named("model", [self.models[number] for number in order], models),
            card,
        )

    def _ranked(
        self,
        values: Sequence[Sequence[Any]],
        figures: Sequence[Mapping[str, Any]],
        shares: Sequence[float | None],
    ) -> tuple[list[Rival], ComparisonCard]:
        """Return who is right most often, and the card that says so."""
        spellings = Spellings()
        places = [place for place, row in enumerate(self.positions) if self.truth[row] is not None]
        truth = [spellings.key(self.truth[self.positions[place]]) or "" for place in places]
        labels = [[_as_label(own[place]) for place in places] for own in values]
        answers = [spellings.keys(own) for own in labels]
        rivals = rank(answers, truth)
        disputed = sorted(
            (
                number
                for number in range(len(places))
                if len({column[number] for column in answers}) > 1
            ),
            key=lambda number: shares[places[number]] or 0.0,
        )
        first = disputed[:_DISPUTED_SHOWN]
        rows = [self.positions[places[number]] for number in first]
        texts = longest_texts(self.source, rows, without=self.without)
        card = ComparisonCard(
            rivals=[
                RankedRival(
                    name=self.models[rival.number],
                    score=rival,
                    failed=sum(answers[rival.number][n] is None for n in range(len(places))),
                    usd_per_row=figures[rival.number]["usd_per_answer"],
                    seconds=figures[rival.number]["seconds_p50"],
                )
                for rival in rivals
            ],
            rows=len(places),
            whole=self.source.rows,
            disputed=[
                [
                    name,
                    spellings.shown(truth[number]),
                    *(
                        "" if (key := own[number]) is None else spellings.shown(key)
                        for own in answers
                    ),
                    text or "",
                ]
                for number, name, text in zip(
                    first, self.source.row_labels(rows), texts, strict=True
                )
            ],
            others_disputed=len(disputed) - len(first),
        )
        return rivals, card

    def _answers(
        self,
        each: Sequence[Outcomes],
        values: Sequence[Sequence[Any]],
        shares: Sequence[float | None],
    ) -> Any:
        """Return a column for each model, and the share of the most frequent answer."""
        kind = self._kind()
        columns: dict[str, tuple[Sequence[Any], str]] = {}
        if self.truth:
            labels = [label_text(self.truth[row]) for row in self.positions]
            columns[TRUTH] = labels, "string"
        columns |= {name: (own, kind) for name, own in zip(self.models, values, strict=True)}
        if self.options.on_error == "column":
            for name, own in zip(self.models, each, strict=True):
                errors = [outcome.error if outcome else None for outcome in own]
                messages = [error.message if error else None for error in errors]
                columns[f"{name}_error"] = messages, "string"
        columns[MAJORITY_SHARE] = shares, "Float64"
        # With truth only the rows that were asked stand there.
        rows = self.positions if self.truth else range(self.source.rows)
        spread_out = {
            name: in_rows(cells, self.positions, self.source.rows)
            for name, (cells, _) in columns.items()
        }
        agreement = spread_out[MAJORITY_SHARE]
        order = sorted(rows, key=lambda row: math.inf if agreement[row] is None else agreement[row])
        ordered = {
            name: AnswerColumn([spread_out[name][row] for row in order], kind)
            for name, (_, kind) in columns.items()
        }
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


def _as_label(value: Any) -> Any:
    """Return an answer as a label is compared; what is no single value stands as JSON."""
    return _compared(value) if isinstance(value, Mapping | list) else value


_RANKED = ("accuracy", "low", "high", "worse", "better", "p", "p_holm")
"""What is known of a rival beside its figures."""


def _compared(value: Any) -> str:
    """Return an answer as it is compared."""
    if isinstance(value, str):
        return folded(value)
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
    (
        *("answered", "failed", "prompt_tokens", "completion_tokens", "cached"),
        *("worse", "better"),
    ),
    "Int64",
)
"""The kinds of those figures that are whole numbers."""
