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
from llmnb.frames.table_source import Keywords, Source
from llmnb.frames.template import is_missing
from llmnb.options import ROWS
from llmnb.running.planning import Plan

if TYPE_CHECKING:
    from llmnb.frames.labelling import Labeller
    from llmnb.frames.vectors import Embedding

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
    options = options_of({"on_error": "column", **keywords}, "PreviewOptions", "preview()")
    source = source_of(table)
    whole = job(source, prompt, options)
    first = whole.about(whole.questions.positions[:rows])
    positions = first.questions.positions
    form = dataclasses.replace(
        first.form,
        source=source.rows_at(positions),
        prompts=list(map(first.questions.text, positions)),
    )
    overwriting.check_names(form.names)
    return dataclasses.replace(first, form=form, verb="")


def extract(table: Source, prompt: Hashable, schema: Any, keywords: Keywords) -> Job:
    """Prepare to fill typed columns from texts."""
    if schema is None:
        raise ConfigurationError(
            "extract() needs a schema that says what to take from the text: a pydantic model, a "
            "dataclass, a TypedDict, a type or a JSON schema. Nothing was sent."
        )
    options = options_of(keywords, "ExtractOptions", "extract()")
    options = _instructed(options, _EXTRACT, schema)
    call = VerbCall("extract", (prompt, schema), keywords)
    return job(table, prompt, options, call=call)


def classify(table: Source, prompt: Hashable, labels: Labels, keywords: Keywords) -> Job:
    """Prepare to give every text one of the labels."""
    known, meanings = _labels(labels)
    options = options_of(keywords, "ExtractOptions", "classify()")
    options = _instructed(options, _instructions_for(known, meanings), tuple(known))
    call = VerbCall("classify", (prompt, labels), keywords)
    return job(table, prompt, options, labels=known, call=call)


def compare(
    table: Source, prompts: Any, models: Any, truth: Any, rows: str, keywords: Keywords
) -> Job:
    """Prepare to ask several models, prompts or settings the same."""
    params = keywords.get("params")
    settings = params if isinstance(params, list) else None
    keywords = {**keywords, "params": params if settings is None else None}
    if "model" in keywords:
        raise UnknownOption(
            "compare() takes models=, one or several, not model=. Nothing was sent."
        )
    options = options_of(keywords, "CompareOptions", "compare()")
    return comparison(table, prompts, models, settings, options, truth=truth, rows=rows)


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

    options = options_of(keywords, "JudgeOptions", "judge()")
    if not isinstance(criterion, str) or not criterion.strip():
        raise ConfigurationError(
            f"The criterion is what is judged, in words, not {criterion!r:.60}. Nothing was sent."
        )
    named = {"scale": scale} if against is None else {"against": against}
    call = VerbCall("judge", (criterion, column), {**named, **keywords})
    if against is not None:
        told = verdicts.CHOICE_INSTRUCTIONS.format(criterion=criterion)
        options = _instructed(options, told, verdicts.ORDER)
        return verdicts.better_of_two(table, column, against, options, call)
    schema = verdicts.score_schema(scale)
    low, high = scale
    told = verdicts.SCORE_INSTRUCTIONS.format(criterion=criterion, low=low, high=high)
    return job(table, column, _instructed(options, told, schema), call=call)


def label(table: Source, column: Hashable, labels: Labels, *sampling: Any) -> Labeller:
    """Return what a person labels rows with; nothing is sent."""
    from llmnb.frames.labelling import labeller

    known, meanings = _labels(labels)
    return labeller(source_of(table), column, known, meanings, *sampling)


def embed(table: Source, column: Hashable, keywords: Keywords) -> Embedding:
    """Prepare to make a vector of every text."""
    from llmnb.frames.vectors import Embedding

    return Embedding(table, column, keywords)


def _instructed(options: Options, instructions: str, schema: Any) -> Options:
    """Return the options of a call whose system message ends with instructions of ours."""
    system = with_instructions(options.system, instructions)
    return dataclasses.replace(options, system=system, schema=schema)


def _labels(labels: Labels) -> tuple[list[Any], Mapping[Any, str]]:
    if isinstance(labels, type) and issubclass(labels, Enum):
        return [member.value for member in labels], {}
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise ConfigurationError(
            f"labels is a list of texts or whole numbers, not {labels!r:.60}. Nothing was sent."
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
