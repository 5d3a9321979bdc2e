"""The verbs of Dask's tables: each checks its arguments at once, and returns a lazy table."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Hashable, Sequence
from typing import Any, cast

import dask
import pandas as pd
from dask.callbacks import Callback
from dask.dataframe.utils import make_meta  # type: ignore[attr-defined]

from llmnb import settings
from llmnb.embeddings.factory import choose_model
from llmnb.embeddings.litellm_model import LiteLLMEmbeddingModel
from llmnb.embeddings.model import EmbeddingModel
from llmnb.errors import ConfigurationError
from llmnb.frames import dask_watching, vectors
from llmnb.frames.dask_work import Question, Verb, Work, models_to_send, pack, without_key
from llmnb.frames.dask_worker import (
    answer_partition,
    job_of,
    plan_partition,
    preview_partition,
    steer,
)
from llmnb.frames.failures import log_once
from llmnb.frames.job import Job
from llmnb.frames.options import options_of
from llmnb.frames.pandas_source import PartitionSource
from llmnb.frames.table_source import Keywords
from llmnb.options import ROWS, checked
from llmnb.progress import Bars
from llmnb.rate_limiter import GLOBAL_LIMITER
from llmnb.rates import per_minute
from llmnb.running.planning import Plan
from llmnb.targets.resolve import choose

_dask: Any = dask  # the types of `dask` leave out what is used here
_meta: Any = make_meta
"""Returns the empty table of pandas that has a table's columns and kinds."""

_LIMITS = ("max_requests_per_minute", "max_tokens_per_minute")

_SETTINGS = ("max_concurrent_requests", "burst", "max_wait")
"""Settings that travel as the options of the same name."""

_OWN_LIMITS = (*_LIMITS, *_SETTINGS)
"""Limits that an embedding model may bring along."""

_BATCHES = (
    "mode='batch' does not go with Dask: a batch is one for the whole table and takes up to a "
    "day, in which every worker would wait. Use llmnb run on the files, or a frame of pandas. "
    "Nothing was sent."
)


def generate(table: Any, prompt: Hashable | None, keywords: Keywords) -> Any:
    """Return a lazy table of the answers to every row."""
    return _lazy_answers(table, "generate", prompt, None, keywords)


def extract(table: Any, prompt: Hashable, schema: Any, keywords: Keywords) -> Any:
    """Return a lazy table of typed columns, filled from texts."""
    return _lazy_answers(table, "extract", prompt, schema, keywords)


def classify(table: Any, prompt: Hashable, labels: Any, keywords: Keywords) -> Any:
    """Return a lazy column with one of the labels for every text."""
    return _lazy_answers(table, "classify", prompt, labels, keywords)


def plan(table: Any, prompt: Hashable | None, keywords: Keywords) -> Plan:
    """Compute what the prompt needs, and add up the partitions' plans; nothing is sent."""
    question, job = _question(table, "generate", prompt, None, keywords)
    work = pack(question, table.npartitions)
    plans = _computed(plan_partition, _needed_columns(table, job.questions.fields), work)
    whole = _sum(plans, question)
    return dataclasses.replace(whole, budget_usd=_budget(keywords))


def preview(table: Any, prompt: Hashable, rows: int, keywords: Keywords) -> Any:
    """Compute the first partition, and return the answers to its first rows."""
    ROWS.checked("n", rows)
    options_of(keywords, "PreviewOptions", "preview()")
    question, job = _question(table, "generate", prompt, None, keywords)
    work = pack(question, 1)
    _expect(work, job.options.progress, job.options.on_error)
    first = _needed_columns(table, job.questions.fields).partitions[:1]
    (shown,) = _computed(functools.partial(preview_partition, rows=rows), first, work)
    return shown


def embed(table: Any, name: Hashable, into: Hashable | None, keywords: Keywords) -> Any:
    """Return a lazy column with a vector for every text."""
    # Over an empty table it checks the arguments, and returns an empty table of the right form.
    without_rows = vectors.Embedding(PartitionSource(_meta(table)), name, into, keywords)
    without_key(keywords.get("params"), "params")
    travels = {
        **keywords,
        "project_name": settings.project_name(keywords.get("project_name")),
        "overwrite": True,  # looked at here
        "progress": False,
    }
    model = keywords.get("model")
    if not isinstance(model, EmbeddingModel):
        (travels["model"],) = models_to_send(choose_model(model)[0], "embedding")
    elif isinstance(model, LiteLLMEmbeddingModel):
        order = model.order()
        models_to_send(order.asking.model, "embedding")  # refuses one with a key
        # The limits of its own config come before the settings.
        own = {name: order.options[name] for name in _OWN_LIMITS if name in order.options}
        travels = {**own, **travels}
    question = Question(
        verb="embed",
        prompt=name,
        argument=into,
        options=travels,
        cache_dir=str(settings.cache_dir()),
        meta=without_rows.table((), {}),
    )
    work = pack(_with_settings(question, table.npartitions), table.npartitions)
    _expect(work, keywords.get("progress", "auto"), keywords.get("on_error", "null"))
    return _lazy_table(table if into is not None else _needed_columns(table, [str(name)]), work)


# --------------------------------------------------------------------------- the graph


def _lazy_answers(
    table: Any, verb: Verb, prompt: Hashable | None, argument: Any, keywords: Keywords
) -> Any:
    question, job = _question(table, verb, prompt, argument, keywords)
    # What the answers look like is known from an empty table: nothing is asked for that.
    question = dataclasses.replace(question, meta=job.form.table([]))
    work = pack(question, table.npartitions)
    _expect(work, job.options.progress, job.options.on_error)
    is_whole = job.options.into is not None
    return _lazy_table(table if is_whole else _needed_columns(table, job.questions.fields), work)


def _lazy_table(table: Any, work: Work) -> Any:
    question = work.question
    return table.map_partitions(
        answer_partition, work, meta=question.meta, token=f"llm-{question.verb}"
    )


def _expect(work: Work, bars: Bars, on_error: str) -> None:
    """Show progress when a question is computed; stop its runs if the compute is interrupted."""
    dask_watching.expect(work.id, work.partitions, steer, bars=bars, is_warning=on_error == "null")
    _interrupts.register()


class _Interrupts(Callback):
    """Stops this process's runs when a compute is interrupted; Dask calls it at the end of each.

    An interrupt ends the wait for its threads, and not what they do.
    """

    def _finish(self, _graph: Any, _state: Any, _is_errored: bool) -> None:
        if isinstance(sys.exc_info()[1], KeyboardInterrupt):
            steer(None, "stop")


_interrupts = cast(Any, _Interrupts)()


def _needed_columns(table: Any, fields: Sequence[str]) -> Any:
    """Return only the columns that a prompt reads; if it reads none, the first, for its rows."""
    if isinstance(_meta(table), pd.Series):
        return table
    labels = [label for label in table.columns if str(label) in fields]
    return table[labels or list(table.columns[:1])]


def _computed(do: Any, table: Any, work: Work) -> Any:
    return _dask.compute(
        *(_dask.delayed(do, pure=False)(part, work) for part in table.to_delayed())
    )


# ------------------------------------------------------------------------ the question


def _question(
    table: Any, verb: Verb, prompt: Hashable | None, argument: Any, keywords: Keywords
) -> tuple[Question, Job]:
    """Return the question that is sent to workers, and the job that asks it of an empty table.

    Raises:
        InputError: If the prompt names what is no column.
        ConfigurationError: If an option cannot be used on Dask, or a key would travel.
    """
    options = options_of(keywords)
    if options.mode == "batch":
        raise ConfigurationError(_BATCHES)
    if not isinstance(options.examples, list | tuple | None):
        raise ConfigurationError(
            "On Dask examples= are pairs of an input and its answer: labels of rows would need all "
            "partitions at once. Nothing was sent."
        )
    cache_dir = str(settings.cache_dir())
    question = Question(
        verb=verb, prompt=prompt, argument=argument, options=keywords, cache_dir=cache_dir
    )
    job = job_of(question, PartitionSource(_meta(table)), keywords)
    without_key(keywords.get("params"), "params")
    if options.model is None and (announcement := choose(None).announcement):
        log_once(announcement)
    models = models_to_send(options.model)
    travels = {
        **keywords,
        "model": models[0] if len(models) == 1 else models,
        "params": dict(options.body) or None,
        "project_name": settings.project_name(options.project_name),
        "overwrite": True,  # looked at here, where the whole table is known
        "progress": False,
    }
    question = dataclasses.replace(question, options=travels)
    return _with_settings(question, table.npartitions), job


def _budget(options: Keywords) -> float | None:
    budget: float | None = options.get("budget_usd")
    return settings.current().budget_usd if budget is None else budget


def _with_settings(question: Question, partitions: int) -> Question:
    """Return the question with the settings of this process: workers have their own."""
    current, options = settings.current(), question.options
    travels = {name: value for name, value in options.items() if name not in _LIMITS}
    if (budget := _budget(options)) is not None:
        travels["budget_usd"] = budget / max(1, partitions)
    for name in _SETTINGS:
        if options.get(name) is None and (value := getattr(current, name)) is not None:
            travels[name] = value
    if current.good_finish and question.verb != "embed":
        own = checked({"good_finish": options.get("good_finish")})["good_finish"]
        travels["good_finish"] = (*(own or ()), *current.good_finish)
    requests, tokens = (per_minute(options.get(name)) for name in _LIMITS)
    return dataclasses.replace(
        question,
        options=travels,
        requests_per_minute=requests or current.max_requests_per_minute,
        tokens_per_minute=tokens or current.max_tokens_per_minute,
        rules=tuple(GLOBAL_LIMITER.rate_config.rules()),
        is_cache_dir_chosen=current.cache_dir is not None,
        allow_http=current.allow_http,
    )


# -------------------------------------------------------------------------------- plans

_ADDED = (
    "rows", "empty", "wrong", "merged", "cached", "reused", "to_ask", "prompt_tokens",
    "answer_tokens_bound", "saved_usd",
)  # fmt: skip


def _sum(plans: Sequence[Plan], question: Question) -> Plan:
    """Return the sum of all partitions' plans."""
    sums: dict[str, Any] = {name: sum(getattr(plan, name) for plan in plans) for name in _ADDED}
    for name in ("usd_low", "usd_high"):
        prices = [getattr(plan, name) for plan in plans]
        sums[name] = None if None in prices else sum(prices)
    return dataclasses.replace(
        plans[0],
        **sums,
        max_requests_per_minute=question.requests_per_minute,
        max_tokens_per_minute=question.tokens_per_minute,
    )
