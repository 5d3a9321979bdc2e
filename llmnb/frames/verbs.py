"""The verbs of pandas' and Polars' tables; loaded at first use, because they load the engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from llmnb import progress
from llmnb.errors import ConfigurationError, UnknownOption
from llmnb.frames import overwriting
from llmnb.frames.answers import Table
from llmnb.frames.comparing import comparison
from llmnb.frames.job import Job, job, with_instructions
from llmnb.frames.options import Options, options_of
from llmnb.frames.overwriting import VerbCall
from llmnb.frames.pandas_source import source_of
from llmnb.frames.run import TableRun
from llmnb.frames.table_source import Keywords, PreparedVerb, Source
from llmnb.frames.template import is_missing
from llmnb.options import ROWS
from llmnb.running.planning import Plan

if TYPE_CHECKING:
    from llmnb.frames.labelling import Labeller

Labels = Sequence[Any] | Mapping[Any, str] | type[Enum]
"""Labels, labels with what they mean, or an enumeration."""

_EXTRACT = (
    "Take what the schema asks for from the text. Invent nothing: what the text does not say "
    "is null, or empty where null cannot be."
)


def generate(table: Source, prompt: Hashable | None, keywords: Keywords) -> Job:
    """Prepare to ask about every row."""
    call = VerbCall("generate", (prompt,), keywords)
    return job(table, prompt, options_of(keywords), call=call)


def start(table: Source, prompt: Hashable | None, keywords: Keywords) -> TableRun[Table]:
    """Start in the background, on show where a notebook shows runs."""
    asked = generate(table, prompt, keywords)
    run = asked.start()
    progress.show_in_background(run, asked.options.progress)
    return run


def plan(table: Source, prompt: Hashable | None, keywords: Keywords) -> Plan:
    """Return what asking would take; nothing is sent."""
    return generate(table, prompt, keywords).plan()


def preview(table: Source, prompt: Hashable, rows: int, keywords: Keywords) -> Job:
    """Prepare to ask about the first rows only, and to show prompts beside answers."""
    ROWS.checked("n", rows)
    _refuse_messages(keywords)
    options = options_of({"on_error": "column", **keywords})
    if options.into is not None or options.details:
        raise ConfigurationError("preview() has a form of its own: leave out into and details.")
    source = source_of(table)
    whole = job(source, prompt, options)
    questions = whole.questions.first(rows)
    form = dataclasses.replace(
        whole.form,
        source=source.rows_at(questions.positions),
        positions=range(len(questions.positions)),
        prompts=[questions.text(row) for row in questions.positions],
    )
    overwriting.check_names(form.names)
    return dataclasses.replace(whole, questions=questions, form=form, verb="")


def extract(table: Source, prompt: Hashable, schema: Any, keywords: Keywords) -> Job:
    """Prepare to fill typed columns from texts."""
    options = _instructed(_EXTRACT, {**_without_schema(keywords), "schema": schema})
    call = VerbCall("extract", (prompt, schema), keywords)
    return job(table, prompt, options, call=call)


def classify(table: Source, prompt: Hashable, labels: Labels, keywords: Keywords) -> Job:
    """Prepare to give every text one of the labels."""
    known, meanings = _labels(labels)
    asked = {**_without_schema(keywords), "schema": tuple(known)}
    options = _instructed(_instructions_for(known, meanings), asked)
    call = VerbCall("classify", (prompt, labels), keywords)
    return job(table, prompt, options, labels=known, call=call)


def compare(
    table: Source, prompts: Any, models: Any, truth: Any, rows: str, keywords: Keywords
) -> Job:
    """Prepare to ask several models, prompts or settings the same."""
    _refuse_messages(keywords)
    _refuse_quotes(keywords)
    settings = keywords.get("params")
    if isinstance(settings, list):
        keywords = {**keywords, "params": None}
    else:
        settings = None
    return comparison(
        table, prompts, models, settings, options_of(keywords), truth=truth, rows=rows
    )


def judge(
    table: Source,
    criterion: str,
    column: Hashable,
    against: Hashable | None,
    scale: tuple[int, int],
    keywords: Keywords,
) -> Job:
    """Prepare to have every text judged, or every two texts against each other."""
    from llmnb.frames import verdicts

    asked = _without_schema(keywords)
    _refuse_quotes(keywords)
    if not isinstance(criterion, str) or not criterion.strip():
        raise ConfigurationError(
            f"The criterion is what is judged, in words, not {criterion!r:.60}. Nothing was sent."
        )
    call = VerbCall("judge", (criterion, column), keywords)
    if against is not None:
        told = verdicts.CHOICE_INSTRUCTIONS.format(criterion=criterion)
        options = _instructed(told, {**asked, "schema": verdicts.ORDER})
        return verdicts.better_of_two(table, column, against, options, call)
    schema = verdicts.score_schema(scale)
    low, high = scale
    told = verdicts.SCORE_INSTRUCTIONS.format(criterion=criterion, low=low, high=high)
    options = _instructed(told, {**asked, "schema": schema})
    return job(table, column, options, call=call)


def label(table: Source, column: Hashable, labels: Labels, sampling: Keywords) -> Labeller:
    """Return what a person labels rows with; nothing is sent."""
    from llmnb.frames.labelling import labeller

    known, meanings = _labels(labels)
    return labeller(source_of(table), column, known, meanings, **sampling)


def embed(
    table: Source, column: Hashable, into: Hashable | None, keywords: Keywords
) -> PreparedVerb:
    """Prepare to make a vector of every text."""
    from llmnb.frames.vectors import Embedding

    return Embedding(table, column, into, keywords)


def _without_schema(keywords: Keywords) -> Keywords:
    if "schema" in keywords:
        raise UnknownOption("The schema is given by position here: leave out schema=…")
    _refuse_messages(keywords)
    return keywords


def _refuse_messages(keywords: Keywords) -> None:
    if keywords.get("messages") is not None:
        raise ConfigurationError(
            "messages= goes with generate, start and plan: here the text's column is given by "
            "position. Nothing was sent."
        )


def _refuse_quotes(keywords: Keywords) -> None:
    if keywords.get("quotes"):
        raise ConfigurationError(
            "quotes=True goes with extract and classify, and with a schema. Nothing was sent."
        )


def _instructed(instructions: str, keywords: Keywords) -> Options:
    """Return the options of a call whose system message ends with instructions of ours."""
    options = options_of(keywords)
    return dataclasses.replace(options, system=with_instructions(options.system, instructions))


def _labels(labels: Labels) -> tuple[list[Any], Mapping[Any, str]]:
    if isinstance(labels, type) and issubclass(labels, Enum):
        return [member.value for member in labels], {}
    if isinstance(labels, str):
        raise ConfigurationError(
            f"labels is one text, {labels[:60]!r}; give a list of them. Nothing was sent."
        )
    if not isinstance(labels, Iterable):
        raise ConfigurationError(
            f"labels is a list of texts or whole numbers, not {type(labels).__name__}. "
            "Nothing was sent."
        )
    if not isinstance(labels, Mapping) and hasattr(labels, "tolist"):
        labels = labels.tolist()  # an array's numbers are not Python's
    try:
        known = list(dict.fromkeys(labels))
    except TypeError:
        raise ConfigurationError(
            "labels is a list of texts or whole numbers, and holds a list or a dictionary. "
            "Nothing was sent."
        ) from None
    return known, labels if isinstance(labels, Mapping) else {}


def _instructions_for(labels: Sequence[Any], meanings: Mapping[Any, str]) -> str:
    lines = [
        f"- {label}" if is_missing(meaning := meanings.get(label)) else f"- {label}: {meaning}"
        for label in labels
    ]
    return "\n".join(["Give the text the one label that fits best. The labels are:", *lines])
