"""Starting a run: the one function behind every door."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from llmnb import bridge, settings
from llmnb.adapters import prices
from llmnb.adapters.http import tls
from llmnb.decide.retry import LONGEST_SERVER_WAIT, RetryPolicy
from llmnb.engine.budget import budget_for
from llmnb.engine.run import Run
from llmnb.engine.run_context import RunOptions, Store
from llmnb.engine.source import InputSource
from llmnb.errors import ConfigurationError
from llmnb.options import checked
from llmnb.rate_limiter import GLOBAL_LIMITER
from llmnb.rates import Rate
from llmnb.records import Burst, Delta, Limits, Outcome, Usage
from llmnb.running.asking import Asking
from llmnb.running.preparer import Preparer, names_its_model
from llmnb.store.project import open_project
from llmnb.targets.endpoint import Endpoint
from llmnb.targets.target import HTTPTarget


def start(
    requests: Iterable[Any] | AsyncIterable[Any] | InputSource,
    asking: Asking,
    *,
    project_name: str | None = None,
    cache_dir: str | Path | None = None,
    share: bool | str | list[str] = True,
    use_cache: bool = True,
    max_requests_per_minute: Rate | None = None,
    max_tokens_per_minute: Rate | None = None,
    max_concurrent_requests: int | None = None,
    max_rps: bool = False,
    burst: Burst | None = None,
    max_attempts: int = 3,
    max_wait: float | None = None,
    cooldown: float | None = None,
    time_limit: float | None = None,
    hedge_after: float | Literal["p95"] | None = None,
    budget_usd: float | None = None,
    good_finish: str | Sequence[str] | None = (),
    on_delta: Callable[[int, Delta], None] | None = None,
    streams: bool = False,
    in_order: bool = True,
    window: int | None = None,
    account: Limits | None = None,
    store: Store | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> Run:
    """Start a run over request dictionaries and return it at once.

    Args:
        requests: Any iterable or async iterable of request dictionaries, read lazily.
        asking: Who is asked.
        project_name: Project that keeps the answers; None: `LLMNB_PROJECT`, else ``default``.
        cache_dir: Folder of all projects; None: `LLMNB_CACHE_DIR`, else ``.cache/llmnb``.
        share: Whether other projects' answers are used: True, False, or the projects' names.
        use_cache: False skips reading what is stored; answers are stored all the same.
        max_requests_per_minute: Requests a minute for each target: a number, ``"100/minute"``,
            ``"5 per second"``, or a `limits.RateLimitItem`; None: what the provider allows.
        max_tokens_per_minute: Tokens a minute for each target, in the same forms.
        max_concurrent_requests: Requests in flight at once for each target; None: found by trying.
        max_rps: A burst of one: requests evenly spaced.
        burst: Whether what a server says is left of its limits is spent at once ("announced"), or
            at a smooth rate ("smooth"), which then holds for all runs of the account. None: that
            of `configure`, else "announced". Limits that are given are smooth in either case.
        max_attempts: Attempts for a row that were unsent or surely unbilled.
        max_wait: Seconds a target may refuse for pace without one success. A server
            that asks to wait for more than two minutes is waited for only where this covers it.
            None: that of `configure`, else 600.
        cooldown: Seconds of pause after a refusal that does not say how long; None: drawn, and
            growing with each.
        time_limit: Seconds for a row from its first dispatch; at half of it, without a first
            token, one request goes to each further model.
        hedge_after: Seconds without a first token, or ``"p95"``, after which one redundant
            request goes to the next model.
        budget_usd: Dollars that are not overshot beyond what is in flight.
        good_finish: Finish reasons that are good though llmnb does not know them, beside those of
            `configure`; what is kept is read again for nothing.
        on_delta: Called on the loop thread with a row's position and each piece of its answer.
        streams: Hand outcomes over and forget them (`Run.outcomes`).
        in_order: Hand them over in the order of the requests, or else as they are ready.
        window: Rows between being pulled and being handed over.
        account: Limits that bind all runs of the account together, beside the configured ones;
            the arguments above bind this run alone.
        store: What keeps the answers, in place of the project's own store.
        on_outcome: Called on the loop thread with each outcome, before anybody else sees it.

    Raises:
        ConfigurationError: Before anything is sent.
    """
    options = checked(locals())  # the arguments: there is nothing else yet
    preparer = Preparer(asking)
    GLOBAL_LIMITER.check()
    is_elsewhere = (
        isinstance(requests, list) and bool(requests) and all(map(names_its_model, requests))
    )
    configured = settings.current()
    budget = configured.budget_usd if budget_usd is None else options["budget_usd"]
    patience: dict[str, float] = {}
    if (wait := configured.max_wait if max_wait is None else options["max_wait"]) is not None:
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
    run = Run(
        requests,
        preparer,
        store or open_project(project_name, cache_dir, share=options["share"]),
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
            in_order=in_order,
            window=window,
        ),
        on_outcome,
    )
    GLOBAL_LIMITER.attend(run)
    return run


def limits_in(options: Mapping[str, Any], account: Limits | None = None) -> tuple[Limits, Limits]:
    """Return the limits of one run, and those of its account: an argument replaces a setting.

    Args:
        options: The options of a run, checked.
        account: What binds the account beside the settings.
    """
    limits = Limits(
        requests_per_minute=options["max_requests_per_minute"],
        tokens_per_minute=options["max_tokens_per_minute"],
        concurrency=options["max_concurrent_requests"],
        even=options.get("max_rps", False),
    )
    account = account or Limits()
    set_here = limits.intersect(account)
    configured = settings.current()
    rest = Limits(
        requests_per_minute=(
            None if set_here.requests_per_minute else configured.max_requests_per_minute
        ),
        tokens_per_minute=None if set_here.tokens_per_minute else configured.max_tokens_per_minute,
        concurrency=None if set_here.concurrency else configured.max_concurrent_requests,
        burst=options.get("burst") or configured.burst,
    )
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
