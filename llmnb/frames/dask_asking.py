"""The verbs of Dask's tables: each checks its arguments at once, and returns a lazy table."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, cast

import cloudpickle
import dask
import pandas as pd
from dask.callbacks import Callback
from dask.dataframe.utils import make_meta  # type: ignore[attr-defined]

from llmnb import settings
from llmnb.embeddings.factory import choose_model
from llmnb.embeddings.litellm_model import LiteLLMEmbeddingModel
from llmnb.embeddings.model import EmbeddingModel
from llmnb.errors import ConfigurationError
from llmnb.frames import dask_watching
from llmnb.frames.dask_worker import (
    Question,
    Verb,
    Work,
    answer_partition,
    plan_partition,
    prepared,
    preview_partition,
    steer,
)
from llmnb.frames.failures import log_once
from llmnb.frames.job import Job
from llmnb.frames.options import options_of
from llmnb.frames.pandas_source import PartitionSource
from llmnb.frames.prepared import PreparedRun
from llmnb.frames.table_source import Keywords, name_of
from llmnb.frames.vectors import Embedding
from llmnb.options import ROWS, checked
from llmnb.progress import Bars
from llmnb.rate_limiter import GLOBAL_LIMITER
from llmnb.rates import per_minute
from llmnb.running.asking import endpoints_of
from llmnb.running.planning import Plan
from llmnb.targets.custom import CustomModel
from llmnb.targets.endpoint import Endpoint
from llmnb.targets.resolve import choose
from llmnb.wire.catalog import load_catalog

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
    return dataclasses.replace(whole, budget_usd=settings.budget_usd(keywords.get("budget_usd")))


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


def embed(table: Any, name: Hashable, keywords: Keywords) -> Any:
    """Return a lazy column with a vector for every text."""
    without_rows = Embedding(PartitionSource(_meta(table)), name, keywords)
    without_key(keywords.get("params"), "params")
    travels, model = dict(keywords), keywords.get("model")
    if not isinstance(model, EmbeddingModel):
        (travels["model"],) = models_to_send(choose_model(model)[0], "embedding")
    elif isinstance(model, LiteLLMEmbeddingModel):
        order = model.order()
        models_to_send(order.asking.model, "embedding")  # refuses one with a key
        # The limits of its own config come before the settings.
        own = {name: order.options[name] for name in _OWN_LIMITS if name in order.options}
        travels = {**own, **travels}
    question = Question(verb="embed", prompt=name, options=travels)
    return _lazy_table(table, _with_settings(question, table.npartitions), without_rows)


# --------------------------------------------------------------------------- the graph


def _lazy_answers(
    table: Any, verb: Verb, prompt: Hashable | None, argument: Any, keywords: Keywords
) -> Any:
    return _lazy_table(table, *_question(table, verb, prompt, argument, keywords))


def _lazy_table(table: Any, question: Question, without_rows: PreparedRun) -> Any:
    # What the answers look like is known from an empty table: nothing is asked for that.
    _, fields, empty = without_rows.outline
    question = dataclasses.replace(question, meta=empty)
    work, options = pack(question, table.npartitions), without_rows.options
    _expect(work, options.progress, options.on_error)
    if options.into is None:
        table = _needed_columns(table, fields)
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
    labels = [label for label in table.columns if name_of(label) in fields]
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
    question = Question(verb=verb, prompt=prompt, argument=argument, options=keywords)
    job: Job = prepared(question, PartitionSource(_meta(table)), keywords)
    without_key(keywords.get("params"), "params")
    if options.model is None and (announcement := choose(None).announcement):
        log_once(announcement)
    models = models_to_send(options.model)
    model = models[0] if len(models) == 1 else models
    travels = {**keywords, "model": model, "params": options.params or None}
    question = dataclasses.replace(question, options=travels)
    return _with_settings(question, table.npartitions), job


def _with_settings(question: Question, partitions: int) -> Question:
    """Return the question with the settings of this process: workers have their own."""
    current, options = settings.current(), question.options
    travels = {name: value for name, value in options.items() if name not in _LIMITS}
    travels |= {
        "project_name": settings.project_name(options.get("project_name")),
        "overwrite": True,  # looked at here, where the whole table is known
        "progress": False,
    }
    if (budget := settings.budget_usd(options.get("budget_usd"))) is not None:
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
        cache_dir=str(settings.cache_dir()),
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


# --------------------------------------------------------------------- what may travel

_SHORTEST_KEY = 8
"""Characters of a key at least; a shorter text would occur in any question."""

_WHERE_KEYS_BELONG = (
    "Workers read keys themselves: set the variable (such as OPENAI_API_KEY) in their "
    "environment or in a .env file where they run, or give it to those that are there with "
    'client.run(llmnb.set_key, "openai", …). Nothing was sent.'
)

_KEY_FIELDS = frozenset(("api_key", "authorization", "x-api-key", "api-key"))


def pack(question: Question, partitions: int) -> Work:
    """Pickle a question for the graph.

    Raises:
        ConfigurationError: If something in it cannot travel, or a key would.
    """
    try:
        payload: bytes = cloudpickle.dumps(question)
    except Exception as error:  # pickling calls methods of the objects, which may raise anything
        raise ConfigurationError(
            f"Something in the question cannot travel to Dask's workers "
            f"({type(error).__name__}): name models by text, and give schemas and params of plain "
            "values. Nothing was sent."
        ) from None
    for name, key in _known_keys():
        if key.encode() in payload:
            raise ConfigurationError(
                f"The question holds the value of {name}, and what is asked on Dask travels to "
                f"scheduler and workers: leave it out. {_WHERE_KEYS_BELONG}"
            )
    return Work(payload, partitions)


def _known_keys() -> Iterator[tuple[str, str]]:
    """Yield the secrets that this process knows."""
    for row in load_catalog().values():
        for variable in row.key_env:
            if len(key := settings.environment(variable) or "") >= _SHORTEST_KEY:
                yield variable, key
        if len(key := settings.find_key(row.name, ()) or "") >= _SHORTEST_KEY:
            yield f"{row.name}'s key", key
    url = settings.environment("REDIS_URL") or ""
    if "@" in url:
        yield "REDIS_URL", url


def without_key(fields: Any, where: str) -> None:
    """Refuse fields that hold a key.

    Raises:
        ConfigurationError: If there is one.
    """
    fields = fields.body() if hasattr(fields, "body") else fields
    if not isinstance(fields, Mapping):
        return
    for name, value in fields.items():
        if str(name).lower() in _KEY_FIELDS and value:
            raise ConfigurationError(
                f"{where} holds {name!r}, and what is asked on Dask travels to scheduler and "
                f"workers: leave it out. {_WHERE_KEYS_BELONG}"
            )
        without_key(value, where)


def models_to_send(model: Any, gen_type: str = "chat") -> list[Any]:
    """Return models as they may be sent to workers: by full name or address, without keys.

    Args:
        model: One model or a list of them; None: the configured one.
        gen_type: Kind of generation.

    Raises:
        ConfigurationError: If there is no such model, or one brings a key along.

    Example:
        >>> models_to_send(["openai/gpt-4o-mini", "sim/any"])
        ['openai/gpt-4o-mini', 'sim/any']
    """
    is_list = isinstance(model, Sequence) and not isinstance(model, str)
    models: Sequence[Any] = model if is_list else [model]
    return [
        _model_to_send(endpoint, gen_type) for model in models for endpoint in endpoints_of(model)
    ]


def _model_to_send(model: Any, gen_type: str) -> Any:
    if model is None or isinstance(model, str):
        return _full_name(model, None, gen_type)
    if not isinstance(model, Endpoint):
        raise ConfigurationError(
            f"model is of type {type(model).__name__}; it is a name such as 'openai/gpt-4o-mini', "
            "an LLM, or a list of them. Nothing was sent."
        )
    if isinstance(model.owner, CustomModel):
        raise ConfigurationError(
            "A model of your own code is not asked on Dask: it would travel to scheduler and "
            "workers with all it holds, keys too. Name a model, or compute the frame and ask there."
        )
    if model.api_key:
        raise ConfigurationError(
            f"{model!r} brings its key along, and what is asked on Dask travels to scheduler and "
            f"workers: make it without api_key. {_WHERE_KEYS_BELONG}"
        )
    without_key(model.params, "The model")
    without_key(getattr(model.owner, "fields", None), "The model")
    if model.owner is not None:  # the owner makes the target in whatever process it is
        return model
    name, provider = model.model, model.api_provider
    if not model.url:
        name, provider = _full_name(name or None, provider, gen_type), None
    return dataclasses.replace(
        model,
        model=name,
        api_provider=provider,
        params=dict(model.params),
        limits=None,  # the question holds them
        rates={},
    )


def _full_name(name: str | None, provider: str | None, gen_type: str) -> str:
    chosen = choose(name, api_provider=provider, gen_type=gen_type)
    return f"{chosen.provider}/{chosen.model}"
