"""`start`: the one function that starts runs, for every surface."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from typing import Any, Unpack

from llmnb import bridge, settings
from llmnb.adapters import prices
from llmnb.adapters.http import tls
from llmnb.decide.retry import LONGEST_SERVER_WAIT, RetryPolicy
from llmnb.engine.budget import budget_for
from llmnb.engine.run import Run
from llmnb.engine.run_context import LIMITS, RunOptions, Store
from llmnb.engine.source import InputSource
from llmnb.engine.status import Clock
from llmnb.errors import ConfigurationError
from llmnb.keywords import StartOptions
from llmnb.options import OPTIONS, names
from llmnb.rate_limiter import GLOBAL_LIMITER
from llmnb.records import Delta, Limits, Outcome, Usage
from llmnb.running.asking import Asking
from llmnb.running.preparer import Preparer, names_its_model
from llmnb.store.project import ProjectStore, open_project
from llmnb.store.run_index import RunHeader, new_run_id
from llmnb.store.run_index_writer import RunIndexWriter
from llmnb.targets.endpoint import Endpoint
from llmnb.targets.target import HTTPTarget

_DEFAULTS = {name: OPTIONS[name].default for name in names("start")}


def start(
    requests: Iterable[Any] | AsyncIterable[Any] | InputSource,
    asking: Asking,
    *,
    on_delta: Callable[[int, Delta], None] | None = None,
    streams: bool = False,
    in_order: bool = True,
    window: int | None = None,
    account: Limits | None = None,
    store: Store | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
    header: RunHeader | None = None,
    row_of: Callable[[int], int] | None = None,
    **keywords: Unpack[StartOptions],
) -> Run:
    """Start a run over request dictionaries and return it at once.

    Args:
        requests: Any iterable or async iterable of request dictionaries, read lazily.
        asking: Who is asked.
        on_delta: Called on the loop thread with a row's position and each piece of its answer.
        streams: Hand outcomes over and forget them (`Run.outcomes`).
        in_order: Hand them over in the order of the requests, or else as they are ready.
        window: Rows between being pulled and being handed over.
        account: Limits that bind all runs of the account together, beside the configured ones;
            the arguments below bind this run alone.
        store: What keeps the answers, in place of the project's own store.
        on_outcome: Called on the loop thread with each outcome, before anybody else sees it.
        header: What is to be written down of it, so that it can be listed and taken up later;
            None: nothing.
        row_of: Which row of the caller's table a request belongs to; None: its own number.
        **keywords: See `llmnb.options`; they have been checked.

    Raises:
        ConfigurationError: Before anything is sent.
    """
    options = {**_DEFAULTS, **keywords}
    preparer = Preparer(asking)
    GLOBAL_LIMITER.check()
    is_elsewhere = (
        isinstance(requests, list) and bool(requests) and all(map(names_its_model, requests))
    )
    configured = settings.current()
    budget = settings.budget_usd(options["budget_usd"])
    patience: dict[str, float] = {}
    wait = configured.max_wait if options["max_wait"] is None else options["max_wait"]
    if wait is not None:
        patience = {"max_wait": wait, "longest_hint": max(LONGEST_SERVER_WAIT, wait)}
    targets = () if is_elsewhere else preparer.defaults
    for target in targets:
        target.fetch()
    if GLOBAL_LIMITER.url:
        # Where a Redis shares limits those of models bind every process, unless it has others.
        for model in preparer.models:
            for key, rate in model.rates.items() if isinstance(model, Endpoint) else ():
                GLOBAL_LIMITER.rate_config.setdefault(key, rate)
    for target in targets if budget is not None else ():
        if target.price(Usage(prompt=1, completion=1), target.model) is None:
            raise ConfigurationError(
                f"budget_usd cannot be kept: the price of {target.provider}/{target.model} is not "
                "known. Say it with llmnb.set_price(model, input_per_million, output_per_million), "
                "or leave the budget out. Nothing was sent."
            )
    limits, bound = limits_in(options, account)
    index = None
    if store is None:
        store = project = open_project(
            options["project_name"], options["cache_dir"], share=options["share"]
        )
        if header is not None:
            index = _index_of(project, header, row_of, () if is_elsewhere else targets)
    run = Run(
        requests,
        preparer,
        store,
        RunOptions(
            policy=RetryPolicy(
                max_attempts=options["max_attempts"], cooldown=options["cooldown"], **patience
            ),
            pool_limits=preparer.limits,
            limits=limits,
            account=bound,
            use_cache=options["use_cache"],
            time_limit=options["time_limit"],
            hedge_after=options["hedge_after"],
            budget_usd=budget,
            budget=budget_for(budget),
            good_finish=(*(options["good_finish"] or ()), *configured.good_finish),
            on_delta=on_delta,
            prepare=functools.partial(_get_ready, targets),
            streams=streams,
            index=index,
            in_order=in_order,
            window=window,
        ),
        on_outcome,
    )
    GLOBAL_LIMITER.attend(run)
    return run


def _index_of(
    project: ProjectStore,
    header: RunHeader,
    row_of: Callable[[int], int] | None,
    targets: Sequence[HTTPTarget],
) -> RunIndexWriter:
    """Return what writes down what becomes of a run's rows, with the project's commits."""
    known = dataclasses.replace(
        header,
        run_id=new_run_id(),
        project=project.name,
        model=names_of(targets),
        begun=Clock.wall(),
    )
    writer = RunIndexWriter(
        project.paths, known, row_of=row_of, write_soon=project.write_index_soon
    )
    project.index = writer
    project.write_index_soon()  # so that the run is listed from its beginning
    return writer


def names_of(targets: Sequence[HTTPTarget]) -> str:
    """Return who is asked, such as ``"openai/gpt-5-mini, then 2 more"``."""
    if not targets:
        return ""
    further = f", then {len(targets) - 1} more" if len(targets) > 1 else ""
    return f"{targets[0].provider}/{targets[0].model}{further}"


def limits_in(options: Mapping[str, Any], account: Limits | None = None) -> tuple[Limits, Limits]:
    """Return the limits of one run, and those of its account: an argument replaces a setting.

    Args:
        options: The options of a run, checked.
        account: What binds the account beside the settings.
    """
    named: dict[str, Any] = {field: options[name] for name, field in LIMITS.items()}
    limits = Limits(**named, even=options.get("max_rps", False))
    account = account or Limits()
    set_here, configured = limits.intersect(account), settings.current()
    unnamed: dict[str, Any] = {
        field: None if getattr(set_here, field) else getattr(configured, name)
        for name, field in LIMITS.items()
    }
    rest = Limits(**unnamed, burst=options.get("burst") or configured.burst)
    return limits, account.intersect(rest)


def _get_ready(targets: Sequence[HTTPTarget]) -> None:
    """Read certificates, prices and limits that others set, before the first request is sent.

    Reading the price table holds the whole process up for half a second. In the
    midst of a run that would delay requests that have left the gate, and a provider
    would get those of half a second at once.
    """
    tls()
    if GLOBAL_LIMITER.url:
        bridge.call(GLOBAL_LIMITER.receive_limits())
    for target in targets:
        target.get_ready()
        if not target.is_free:
            prices.rates(target.provider, target.model)
