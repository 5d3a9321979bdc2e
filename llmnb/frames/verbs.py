"""What the accessors do; loaded when one is first used, because it brings the engine along."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from llmnb import progress
from llmnb.errors import ConfigurationError
from llmnb.frames import placing
from llmnb.frames.answers import Table
from llmnb.frames.comparing import Comparison, comparison
from llmnb.frames.job import Job, job
from llmnb.frames.options import options_of, said
from llmnb.frames.pandas_source import source_of
from llmnb.frames.placing import Call
from llmnb.frames.questions import Questions
from llmnb.frames.run import TableRun
from llmnb.frames.table_source import Source
from llmnb.frames.template import escaped
from llmnb.running.planning import Plan

if TYPE_CHECKING:
    import pandas as pd

Given = Mapping[str, Any]
"""Keywords as they were given."""

Labels = Sequence[Any] | Mapping[Any, str] | type[Enum]
"""Labels, labels with what they mean, or an enumeration."""

_EXTRACT = (
    "Take what the schema asks for from the text. Invent nothing: what the text does not say "
    "is null, or empty where null cannot be."
)


def generate(table: Source, prompt: Hashable | None, given: Given) -> Table:
    """Block for the answers."""
    return finish(generating(table, prompt, given))


def generating(table: Source, prompt: Hashable | None, given: Given) -> Job:
    """Return what `generate` does."""
    call = Call("generate", (prompt,), said(given))
    return job(table, prompt, options_of(given), call=call)


def start(table: Source, prompt: Hashable | None, given: Given) -> TableRun[Table]:
    """Start in the background."""
    return generating(table, prompt, given).start()


def plan(table: Source, prompt: Hashable | None, given: Given) -> Plan:
    """Reckon; nothing is sent."""
    return generating(table, prompt, given).plan()


def preview(table: Source, prompt: Hashable, rows: int, given: Given) -> pd.DataFrame:
    """Ask about the first rows only, and show prompts beside answers."""
    shown: pd.DataFrame = finish(previewing(table, prompt, rows, given))
    return shown


def previewing(table: Source, prompt: Hashable, rows: int, given: Given) -> Job:
    """Return what `preview` does."""
    _refuse_messages(given)
    options = options_of({"on_error": "column", **given})
    if options.into is not None or options.details:
        raise ConfigurationError("preview() has a form of its own: leave out into and details.")
    source = source_of(table)
    positions = Questions(source.columns(), prompt, options).positions[:rows]
    first = job(source.rows_at(positions), prompt, options)
    prompts = [first.questions.text(row) for row in range(len(positions))]
    form = dataclasses.replace(first.form, prompts=prompts)
    placing.check_names(form.names)
    return dataclasses.replace(first, form=form)


def extract(table: Source, prompt: Hashable, schema: Any, given: Given) -> Table:
    """Fill typed columns from texts."""
    return finish(extracting(table, prompt, schema, given))


def extracting(table: Source, prompt: Hashable, schema: Any, given: Given) -> Job:
    """Return what `extract` does."""
    told = _told(_EXTRACT, {**_without_schema(given), "schema": schema})
    call = Call("extract", (prompt, schema), said(given))
    return job(table, prompt, options_of(told), call=call)


def classify(table: Source, prompt: Hashable, labels: Labels, given: Given) -> Table:
    """Give every text one of the labels."""
    return finish(sorting(table, prompt, labels, given))


def sorting(table: Source, prompt: Hashable, labels: Labels, given: Given) -> Job:
    """Return what `classify` does."""
    known, meanings = _labels(labels)
    told = _told(_classifying(known, meanings), {**_without_schema(given), "schema": tuple(known)})
    call = Call("classify", (prompt, labels), said(given))
    return job(table, prompt, options_of(told), labels=known, call=call)


def compare(table: Source, prompt: Hashable, models: Sequence[Any], given: Given) -> Comparison:
    """Ask several models the same."""
    _refuse_messages(given)
    found: Comparison = finish(comparing(table, prompt, models, given))
    return found


def comparing(table: Source, prompt: Hashable, models: Sequence[Any], given: Given) -> Job:
    """Return what `compare` does."""
    return comparison(table, prompt, models, options_of(given))


def finish(what: Job) -> Any:
    """Block until a job is done, showing how far it is, and return what it gives.

    An interrupt stops it: in IPython the partial result comes back, in a script the
    interrupt is raised again once the answers are safe.
    """
    run = what.start()
    progress.attend(run, bars=what.options.progress)
    return run.result()


def _without_schema(given: Given) -> Given:
    if "schema" in given:
        raise TypeError("the schema is given by position here, not as a keyword")
    _refuse_messages(given)
    return given


def _refuse_messages(given: Given) -> None:
    if given.get("messages") is not None:
        raise ConfigurationError(
            "messages= goes with generate, start and plan: here the text's column is given by "
            "position. Nothing was sent."
        )


def _told(words: str, given: Given) -> Given:
    """Put words of our own after the caller's system message."""
    system = given.get("system")
    words = escaped(words)
    return {**given, "system": f"{system}\n\n{words}" if system else words}


def _labels(labels: Labels) -> tuple[list[Any], Mapping[Any, str]]:
    if isinstance(labels, type) and issubclass(labels, Enum):
        return [one.value for one in labels], {}
    if isinstance(labels, str):
        raise ConfigurationError(
            f"labels is one text, {labels[:60]!r}; give a list of them. Nothing was sent."
        )
    if not isinstance(labels, Iterable):
        raise ConfigurationError(
            f"labels is a list of texts or whole numbers, not {type(labels).__name__}. "
            "Nothing was sent."
        )
    known = list(dict.fromkeys(labels))
    return known, labels if isinstance(labels, Mapping) else {}


def _classifying(labels: Sequence[Any], meanings: Mapping[Any, str]) -> str:
    lines = [f"- {one}: {meanings[one]}" if one in meanings else f"- {one}" for one in labels]
    return "\n".join(["Give the text the one label that fits best. The labels are:", *lines])
