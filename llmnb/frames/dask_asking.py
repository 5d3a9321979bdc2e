"""What `llm` of Dask's frames does where it is called: checks everything, and makes the graph."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable, Hashable, Mapping
from typing import Any, cast

import dask
import pandas as pd
from dask.callbacks import Callback
from dask.dataframe.utils import make_meta  # type: ignore[attr-defined]

from llmnb import settings
from llmnb.embeddings.choosing import chosen
from llmnb.embeddings.litellm_model import LiteLLMEmbeddingModel
from llmnb.embeddings.model import EmbeddingModel
from llmnb.errors import ConfigurationError
from llmnb.frames import dask_watching, placing, vectors
from llmnb.frames.answers import Form, column, suffixed
from llmnb.frames.columns import WHOLE, Columns, name_of
from llmnb.frames.dask_columns import settled
from llmnb.frames.dask_work import Question, Verb, Work, packed, travelling, without_key
from llmnb.frames.dask_worker import answered, made, planned, previewed, steer
from llmnb.frames.job import say_once
from llmnb.frames.options import Options, options_of
from llmnb.frames.placing import label
from llmnb.frames.questions import Questions
from llmnb.options import checked
from llmnb.progress import Bars
from llmnb.rate_limiter import GLOBAL_LIMITER
from llmnb.rates import per_minute
from llmnb.running.asking import endpoints_of
from llmnb.running.planning import Plan
from llmnb.targets.resolve import choose

_dask: Any = dask  # its own types leave these out
_meta: Any = make_meta
"""Returns the empty table of pandas that has a table's columns and kinds."""

Given = Mapping[str, Any]

_LIMITS = ("max_requests_per_minute", "max_tokens_per_minute")

_SETTINGS = ("max_concurrent_requests", "burst", "max_wait")
"""Settings that travel as the options of the same name."""

_BATCHES = (
    "mode='batch' does not go with Dask: a batch is one for the whole table and takes up to a "
    "day, in which every worker would wait. Use llmnb run on the files, or a frame of pandas. "
    "Nothing was sent."
)


def generate(table: Any, prompt: Hashable | None, given: Given) -> Any:
    """Ask about every row."""
    return _asked(table, "generate", prompt, None, given)


def extract(table: Any, prompt: Hashable, schema: Any, given: Given) -> Any:
    """Fill typed columns from texts."""
    return _asked(table, "extract", prompt, schema, given)


def classify(table: Any, prompt: Hashable, labels: Any, given: Given) -> Any:
    """Give every text one of the labels."""
    return _asked(table, "classify", prompt, labels, given)


def plan(table: Any, prompt: Hashable | None, given: Given) -> Plan:
    """Compute, and add up what the partitions would take; nothing is sent."""
    question, fields = _question(table, "generate", prompt, None, given)
    work = packed(question, table.npartitions)
    plans = _delayed(planned, _needed(table, fields, is_whole=False), work)
    found = _sum(_dask.compute(*plans), question)
    budget = options_of(given).budget_usd
    budget = budget if budget is not None else settings.current().budget_usd
    return dataclasses.replace(found, budget_usd=budget)


def preview(table: Any, prompt: Hashable, rows: int, given: Given) -> Any:
    """Ask about the first rows of the first partition."""
    options = options_of(given)
    if options.into is not None or options.details:
        raise ConfigurationError("preview() has a form of its own: leave out into and details.")
    question, fields = _question(table, "generate", prompt, None, given)
    work = packed(question, 1)
    _expect(work, options)
    first = _needed(table, fields, is_whole=False).partitions[:1]
    (found,) = _dask.compute(*_delayed(functools.partial(previewed, rows=rows), first, work))
    return found


def embed(table: Any, name: Hashable, into: Hashable | None, given: Given) -> Any:
    """Make a vector of every text."""
    given = vectors.keywords(given, vectors.KEYWORDS)
    on_error = given.get("on_error", "null")
    Columns.of(_meta(table)).cells("" if name == WHOLE else name_of(name))
    without_key(given.get("params"), "params")
    question = _with_settings(
        Question(
            verb="embed",
            prompt=name,
            more=into,
            given=_embedding(given),
            cache_dir=str(settings.cache_dir()),
        ),
        {**_limits_of(given.get("model")), **given},
        table.npartitions,
    )
    call = functools.partial(placing.call_text, "embed", (name,), {**given, "into": into})
    overwrite = bool(given.get("overwrite"))
    meta, own = _vectors(
        _meta(table), into, is_several=on_error == "column", overwrite=overwrite, call=call
    )
    question = dataclasses.replace(question, meta=meta, own=own)
    work = packed(question, table.npartitions)
    _heed(work, given.get("progress", "auto"), on_error)
    needed = _needed(table, [str(name)], is_whole=into is not None)
    return needed.map_partitions(answered, work, meta=meta, token="llm-embed")


# --------------------------------------------------------------------------- the graph


def _asked(table: Any, verb: Verb, prompt: Hashable | None, more: Any, given: Given) -> Any:
    question, fields = _question(table, verb, prompt, more, given)
    # What the answers look like is known from an empty table: nothing is asked for that.
    overwrite = options_of(given).overwrite
    what = made(question, _meta(table), {**question.given, "overwrite": overwrite})
    own, found = _form(what.shape)
    question = dataclasses.replace(question, meta=settled(found, own), own=own)
    work = packed(question, table.npartitions)
    _expect(work, options_of(given))
    needed = _needed(table, fields, is_whole=what.options.into is not None)
    return needed.map_partitions(answered, work, meta=question.meta, token=f"llm-{verb}")


def _expect(work: Work, options: Options) -> None:
    _heed(work, options.progress, options.on_error)


def _heed(work: Work, bars: Bars, on_error: str) -> None:
    """Show what is computed of a question, and end it with the compute."""
    dask_watching.expect(work.id, work.partitions, steer, bars=bars, is_telling=on_error == "null")
    _interrupts.register()


class _Interrupts(Callback):
    """Told by Dask's own schedulers how a compute ended.

    An interrupt ends the wait for its threads, and not what they do.
    """

    def _finish(self, _graph: Any, _state: Any, _is_errored: bool) -> None:
        if isinstance(sys.exc_info()[1], KeyboardInterrupt):
            steer(None, "stop")


_interrupts = cast(Any, _Interrupts)()


def _form(shape: Any) -> tuple[tuple[Hashable, ...], Any]:
    """Return the columns that hold answers, and the whole result, both empty."""
    form: Form = dataclasses.replace(shape.__self__, run_id="")  # one question, one graph
    answers = dataclasses.replace(form, frame=None).table([])
    names = () if isinstance(answers, pd.Series) else tuple(answers.columns)
    if form.frame is None:
        return names, form.table([])
    named = names or (answers.name,)
    return tuple(label(form.frame, name) for name in named), form.table([])


def _needed(table: Any, fields: list[str], *, is_whole: bool) -> Any:
    """Return what the workers need of a table: only the prompt's columns, where nothing else."""
    if is_whole or isinstance(_meta(table), pd.Series):
        return table
    labels = [one for one in table.columns if str(one) in fields] or list(table.columns[:1])
    return table[labels]


def _delayed(do: Any, table: Any, work: Work) -> list[Any]:
    return [_dask.delayed(do, pure=False)(part, work) for part in table.to_delayed()]


# ------------------------------------------------------------------------ the question


def _question(
    table: Any, verb: Verb, prompt: Hashable | None, more: Any, given: Given
) -> tuple[Question, list[str]]:
    """Return what travels, and the columns that it reads.

    Raises:
        InputError: If the prompt names what is no column.
        ConfigurationError: If an option cannot be used on Dask, or a key would travel.
    """
    options = options_of(given)
    if options.mode == "batch":
        raise ConfigurationError(_BATCHES)
    fields = _fields(_meta(table), prompt, options)
    without_key(given.get("params"), "params")
    if options.model is None and (words := choose(None).announcement):
        say_once(words)
    models = travelling(options.model)
    travels = {
        **given,
        "model": models[0] if len(models) == 1 else models,
        "params": dict(options.body) or None,
        "project_name": settings.project_name(options.project_name),
        "overwrite": True,  # looked at here, where the whole table is known
        "progress": False,
    }
    question = Question(
        verb=verb,
        prompt=prompt,
        more=more,
        given=travels,
        cache_dir=str(settings.cache_dir()),
    )
    return _with_settings(question, given, table.npartitions), fields


def _with_settings(question: Question, given: Given, partitions: int) -> Question:
    """Return the question with what was set here: workers do not know it otherwise."""
    current = settings.current()
    travels = {name: value for name, value in question.given.items() if name not in _LIMITS}
    budget = given.get("budget_usd")
    budget = budget if budget is not None else current.budget_usd
    if budget is not None:
        travels["budget_usd"] = budget / max(1, partitions)
    for name in _SETTINGS:
        value = given.get(name)
        value = getattr(current, name) if value is None else value
        if value is not None:
            travels[name] = value
    if current.good_finish and question.verb != "embed":
        own = checked({"good_finish": given.get("good_finish")})["good_finish"]
        travels["good_finish"] = (*(own or ()), *current.good_finish)
    requests, tokens = (per_minute(given.get(name)) for name in _LIMITS)
    return dataclasses.replace(
        question,
        given=travels,
        requests_per_minute=requests or current.max_requests_per_minute,
        tokens_per_minute=tokens or current.max_tokens_per_minute,
        rules=tuple(GLOBAL_LIMITER.rate_config.rules()),
        is_cache_dir_chosen=current.cache_dir is not None,
        allow_http=current.allow_http,
    )


def _fields(meta: Any, prompt: Hashable | None, options: Options) -> list[str]:
    """Return the columns that a question reads."""
    read: list[str] = []

    def note(name: str) -> list[Any]:
        read.append(name)
        return []

    names = [name for name, _ in Columns.of(meta).named]
    Questions(
        Columns(0, [(name, functools.partial(note, name)) for name in names]),
        prompt,
        messages=options.messages,
        system=options.system,
        examples=options.examples,
        images=options.images,
        files_root=options.files_root,
        fetch_files=options.fetch_files,
        samples=options.n,
    )
    return read


# ------------------------------------------------------------------------------ vectors


def _embedding(given: Given) -> dict[str, Any]:
    model = given.get("model")
    travels = {
        **given,
        "project_name": settings.project_name(given.get("project_name")),
        "overwrite": True,  # looked at here
        "progress": False,
    }
    if isinstance(model, EmbeddingModel):
        if isinstance(model, LiteLLMEmbeddingModel):
            travelling(model.order().asking.model, "embedding")  # refuses one with a key
        return travels
    named, words = chosen(model)
    if words is not None:
        say_once(words)
    # A LiteLLMModel has several endpoints of its own; vectors are of one model.
    (travels["model"],) = travelling(endpoints_of(named)[0], "embedding")
    return travels


def _limits_of(model: Any) -> dict[str, Any]:
    """Return what a model for vectors brings along that settings would else stand for."""
    if not isinstance(model, LiteLLMEmbeddingModel):
        return {}
    own = model.order().options
    return {name: own[name] for name in (*_LIMITS, *_SETTINGS) if name in own}


def _vectors(
    meta: Any,
    into: Hashable | None,
    *,
    is_several: bool,
    overwrite: bool,
    call: Callable[[], str],
) -> tuple[Any, tuple[Hashable, ...]]:
    """Return the form of a result of `embed`, and the columns that hold its answers."""
    name: Hashable = vectors.EMBEDDING if into is None else into
    columns = {name: column([], "object", meta.index[:0], name)}
    if is_several:
        error = suffixed(name, "error")
        columns[error] = column([], "string", meta.index[:0], error)
    if into is not None and isinstance(meta, pd.DataFrame):
        placing.check_frame(meta, list(columns), overwrite=overwrite, call=call)
        whole = meta.iloc[:0].copy()
        for one, empty in columns.items():
            whole[label(whole, one)] = empty.array
        labels = tuple(label(whole, one) for one in columns)
        placing.sign(whole, labels, "")
        return whole, labels
    if len(columns) == 1:
        return columns[name], ()
    arrays = {one: empty.array for one, empty in columns.items()}
    return pd.DataFrame(arrays, index=meta.index[:0]), tuple(columns)


# -------------------------------------------------------------------------------- plans

_ADDED = (
    "rows", "empty", "wrong", "merged", "cached", "reused", "to_ask", "prompt_tokens",
    "answer_tokens_bound", "saved_usd",
)  # fmt: skip


def _sum(plans: tuple[Plan, ...], question: Question) -> Plan:
    """Return the plans of all partitions as one."""
    sums: dict[str, Any] = {name: sum(getattr(one, name) for one in plans) for name in _ADDED}
    for name in ("usd_low", "usd_high"):
        known = [getattr(one, name) for one in plans]
        sums[name] = None if None in known else sum(known)
    return dataclasses.replace(
        plans[0],
        **sums,
        max_requests_per_minute=question.requests_per_minute,
        max_tokens_per_minute=question.tokens_per_minute,
    )
