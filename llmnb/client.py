"""`AsyncLLM`: lists of request dictionaries to rows of answers, with projects, limits and a cache.

It is a thin door: names and defaults are resolved here, everything else
happens in the one engine.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import functools
import itertools
import logging
import warnings
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Unpack

from llmnb import bridge, progress, settings
from llmnb.batches.start import start_batch
from llmnb.engine import collector
from llmnb.engine.handle import RunHandle
from llmnb.engine.request_log import level_of
from llmnb.engine.run import Run
from llmnb.errors import ConfigurationError
from llmnb.keywords import RequestParams
from llmnb.models.response_rows import ResponseRow, response_row
from llmnb.options import (
    PARAMS,
    checked,
    params_in,
    refuse_unknown,
    with_params,
)
from llmnb.rates import Rate
from llmnb.records import Burst, Limits, Outcome, secret, secret_url
from llmnb.running.asking import Asking, Duplicates, Model
from llmnb.running.preparer import Preparer
from llmnb.running.start import start
from llmnb.store import clearing
from llmnb.targets.resolve import choose

logger = logging.getLogger("llmnb")

_NO_LIST = (str, bytes, Mapping)
"""One request, or a file's content, given where a list belongs."""


class _Default(str):
    """A default that can be told from the same word given by the caller."""

    __slots__ = ()


_OPENAI_BY_DEFAULT = _Default("openai")


def task_id_generator() -> Iterator[int]:
    """Yield 0, 1, 2, …: the ids that requests carry when the caller brings none.

    Example:
        >>> list(itertools.islice(task_id_generator(), 3))
        [0, 1, 2]
    """
    return itertools.count()


class AsyncLLM:
    """Ask a model many things at once, within its limits, and never pay for an answer twice.

    Args:
        api_provider: Catalog name, such as ``"openai"`` or ``"groq"``. When neither it nor a
            model is given, the model is chosen as for every other door: `llmnb.configure`,
            ``LLMNB_MODEL``, the first provider whose key is found, the local model.
        model: The provider's name for a model, or ``"provider/model"``; empty: its default. A list
            is the order of fallback.
        api_key: API key; else `llmnb.set_key`, the environment, ``.env``, Colab's secrets.
        url: Base (``https://host/v1``) or full endpoint; empty: the catalog's.
        sampling_params: Fields of the request body, such as ``temperature`` or ``max_tokens``.
        max_requests_per_minute: Requests a minute, as a number, ``"100/minute"``, ``"5 per
            second"`` or a `limits.RateLimitItem`; None: what the provider allows.
        max_tokens_per_minute: Tokens a minute, prompt and answer together, in the same forms.
        max_concurrent_requests: Requests in flight at once; None: found by trying.
        max_rps: True sends evenly spaced requests, a burst of one.
        max_attempts: Attempts for a request that was unsent or surely unbilled, the first included.
        token_encoding_name: Encoding that counts tokens.
        logging_level: Level of the logger ``llmnb``: 10 to 40, or its name.
        gen_type: ``"chat"`` or ``"text"``.
        project_name: Project whose store keeps the answers; None: ``LLMNB_PROJECT``, else
            ``default``.
        cache_dir: Folder of all projects; None: ``LLMNB_CACHE_DIR``, else ``.cache/llmnb``.
        burst: Whether what the provider says is left of its limits is spent at once
            ("announced"), or at a smooth rate ("smooth"); None: `configure`'s, else "announced".
        max_wait: Seconds that a model may refuse without one success; None: `configure`'s, else
            600. A server that asks to wait for more than two minutes is waited for only where
            this covers it.
        time_limit: Seconds for a request from its first dispatch.
        hedge_after: Seconds without a first token, or ``"p95"``, after which the next model is
            asked as well.
        budget_usd: Dollars that each call may spend.
        good_finish: Finish reasons that are good though llmnb does not know them, such as
            ``["done"]``; answers that are kept under them are read again for nothing.
        share: Whether other projects' answers are used: True, False, or the projects' names.
        duplicates: ``"merge"`` asks identical requests once, ``"sample"`` each for itself.
        **params: ``max_tokens``, ``temperature`` and their like, beside `sampling_params`.

    Raises:
        ConfigurationError: If provider, model, key, address or an option is wrong; nothing was
            sent.

    Example:
        >>> from llmnb.testing import SimulatedProvider
        >>> with SimulatedProvider(reply="42") as sim:
        ...     llm = AsyncLLM(model="m", api_key="k", url=sim.base_url)
        ...     rows = llm.generate([{"prompt": "6 times 7?"}], progress=False)
        >>> rows[0][1]["choices"][0]["message"]["content"]
        '42'
    """

    def __init__(
        self,
        api_provider: str = _OPENAI_BY_DEFAULT,
        model: Model | Sequence[Model] = "",
        api_key: str | None = None,
        url: str = "",
        sampling_params: Mapping[str, Any] = {},
        max_requests_per_minute: Rate | None = None,
        max_tokens_per_minute: Rate | None = None,
        max_concurrent_requests: int | None = None,
        max_rps: bool = False,
        max_attempts: int = 3,
        token_encoding_name: str = "cl100k_base",
        logging_level: int | str = logging.INFO,
        gen_type: str = "chat",
        project_name: str | None = None,
        cache_dir: str | Path | None = None,
        *,
        burst: Burst | None = None,
        max_wait: float | None = None,
        time_limit: float | None = None,
        hedge_after: float | Literal["p95"] | None = None,
        budget_usd: float | None = None,
        good_finish: str | Sequence[str] = (),
        share: bool | str | list[str] = True,
        duplicates: Duplicates = "merge",
        **params: Unpack[RequestParams],
    ) -> None:
        api_key, url = secret(api_key), secret_url(url)
        refuse_unknown(params, PARAMS, "AsyncLLM()")
        is_named = not isinstance(api_provider, _Default)
        self.api_provider: str | None = str(api_provider) if is_named and api_provider else None
        self.model = model
        self.url = url
        self.sampling_params = with_params(sampling_params, params, "sampling_params")
        self.max_requests_per_minute = max_requests_per_minute
        self.max_tokens_per_minute = max_tokens_per_minute
        self.max_concurrent_requests = max_concurrent_requests
        self.max_rps = max_rps
        self.max_attempts = max_attempts
        self.token_encoding_name = token_encoding_name
        self.logging_level = logging_level
        self.gen_type = gen_type
        self.project_name = project_name
        self.cache_dir = cache_dir
        self.burst = burst
        self.max_wait = max_wait
        self.time_limit = time_limit
        self.hedge_after = hedge_after
        self.budget_usd = budget_usd
        self.good_finish = good_finish
        self.share = share
        self.duplicates = duplicates
        checked({name: getattr(self, name) for name in (*_OPTIONS, "project_name", "cache_dir")})
        self.last_run: RunHandle[list[Outcome]] | None = None
        self._api_key = api_key
        self._asking = Asking(
            model=model or None,
            api_provider=self.api_provider,
            api_key=api_key,
            url=url or None,
            gen_type=gen_type,
            params=self.sampling_params,
            duplicates=duplicates,
            takes_several=True,
        )
        logger.setLevel(level_of(logging_level))
        if not url and isinstance(model, str):
            announcement = choose(
                model or None, api_provider=self.api_provider, gen_type=gen_type
            ).announcement
            if announcement:
                logger.warning(announcement)

    def __repr__(self) -> str:
        made = vars(self).get  # not all of it where a traceback shows one that could not be made
        who = "/".join(str(part) for part in (made("api_provider"), made("model")) if part)
        who = who or "default model"
        return f"<AsyncLLM {who}, project {settings.project_name(made('project_name'))!r}>"

    # ----------------------------------------------------------------- generating

    def generate(
        self,
        request_list: Iterable[Mapping[str, Any]],
        *,
        project_name: str | None = None,
        clear_project_cache: str | list[str] | None = None,
        cache_vars: Mapping[str, Any] | None = None,
        task_id_generator: Iterator[Any] | None = None,
        use_cache: bool = True,
        progress: bool | Literal["auto"] = "auto",
        **limits: Any,
    ) -> list[ResponseRow]:
        """Return a row for every request, in the order of the requests.

        Args:
            request_list: Dictionaries with ``messages``, ``prompt`` or ``input``; ``model``,
                ``api_provider``, ``url``, ``api_key`` and ``metadata`` are understood per
                request, everything else is part of the body. Never changed.
            project_name: Project for this call.
            clear_project_cache: Project or projects to empty first; ``"full"``: all of them.
            cache_vars: Further values that tell answers apart in the store.
            task_id_generator: Yields an id for each request, used in log lines.
            use_cache: False asks everything anew; the answers are stored all the same.
            progress: Whether to show bars; ``"auto"``: on a terminal and in a notebook.
            **limits: Any of this class's limits and options, for this call only: `max_attempts`,
                `burst`, `max_wait`, `time_limit`, `hedge_after`, `budget_usd`, `good_finish`,
                `share`, `duplicates`, `cooldown` (seconds of pause after a refusal that does not
                say how long), ``max_tokens``, ``temperature`` and their like; ``mode="batch"`` asks
                through the provider's batch API, for half the price.

        Returns:
            ``[request, response]``, or ``[request, response, metadata]`` where the request had
            metadata. The response is the provider's JSON, or a list of error texts, one for each
            attempt, where the request failed.

        Raises:
            ConfigurationError: Before anything is sent.
            KeyboardInterrupt: In scripts, when the person interrupts: the answers so far are
                saved, and `llmnb.last_run()` has them.
        """
        checked({"progress": progress})
        requests, run = self._begin(
            request_list, project_name, clear_project_cache, cache_vars, use_cache, limits
        )
        _progress().attend(run, bars=progress)
        return self._rows(requests, run, task_id_generator)

    async def agenerate(
        self,
        request_list: Iterable[Mapping[str, Any]],
        *,
        project_name: str | None = None,
        clear_project_cache: str | list[str] | None = None,
        cache_vars: Mapping[str, Any] | None = None,
        task_id_generator: Iterator[Any] | None = None,
        use_cache: bool = True,
        progress: bool | Literal["auto"] = "auto",
        **limits: Any,
    ) -> list[ResponseRow]:
        """Await what `generate` returns; works on any running loop."""
        checked({"progress": progress})
        given = request_list if isinstance(request_list, _NO_LIST) else list(request_list)
        begin = functools.partial(
            self._begin, given, project_name, clear_project_cache, cache_vars, use_cache, limits
        )
        requests, run = await bridge.begun(begin, lambda begun: begun[1].stop())
        await _progress().aattend(run, bars=progress)
        return await asyncio.to_thread(self._rows, requests, run, task_id_generator)

    def start(
        self,
        request_list: Iterable[Mapping[str, Any]],
        *,
        project_name: str | None = None,
        clear_project_cache: str | list[str] | None = None,
        cache_vars: Mapping[str, Any] | None = None,
        use_cache: bool = True,
        **limits: Any,
    ) -> RunHandle[list[Outcome]]:
        """Start `generate` in the background and return its run at once."""
        return self._begin(
            request_list, project_name, clear_project_cache, cache_vars, use_cache, limits
        )[1]

    def iterate(
        self,
        requests: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        *,
        in_order: bool = True,
        project_name: str | None = None,
        cache_vars: Mapping[str, Any] | None = None,
        use_cache: bool = True,
        **limits: Any,
    ) -> Iterator[Outcome]:
        """Yield the outcome of every request while others are still asked.

        Memory does not grow with the number of requests: they are read as they are needed,
        no further ahead of the reader than a window, and outcomes are not kept. Whoever leaves
        the loop stops the run; what was in flight goes into the store.

        Args:
            requests: As for `generate`; any iterable or async iterable.
            in_order: In the order of the requests; False: each as soon as it is there.
            project_name: Project for this call.
            cache_vars: Further values that tell answers apart in the store.
            use_cache: False asks everything anew; the answers are stored all the same.
            **limits: As for `generate`.

        Example:
            >>> from llmnb.testing import SimulatedProvider
            >>> with SimulatedProvider(reply="yes") as sim:
            ...     llm = AsyncLLM(model="m", url=sim.base_url, api_key="k")
            ...     asked = ({"prompt": f"Is {n} a number?"} for n in range(3))
            ...     [(one.row, one.text) for one in llm.iterate(asked)]
            [(0, 'yes'), (1, 'yes'), (2, 'yes')]
        """
        run = self._stream(requests, in_order, project_name, cache_vars, use_cache, limits)
        try:
            yield from run.outcomes()
        finally:
            run.stop()

    async def aiterate(
        self,
        requests: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        *,
        in_order: bool = True,
        project_name: str | None = None,
        cache_vars: Mapping[str, Any] | None = None,
        use_cache: bool = True,
        **limits: Any,
    ) -> AsyncIterator[Outcome]:
        """Yield what `iterate` does, on any running loop."""
        begin = functools.partial(
            self._stream, requests, in_order, project_name, cache_vars, use_cache, limits
        )
        run = await bridge.begun(begin, Run.stop)
        try:
            async for outcome in run.aoutcomes():
                yield outcome
        finally:
            run.stop()

    async def process_api_requests(
        self,
        request_url: str | None = None,
        api_key: str | None = None,
        request_list: Iterable[Mapping[str, Any]] = (),
        cache_filepath: str | None = None,
        association_filepath: str | None = None,
        project_name: str | None = None,
        different_requests: bool = False,
    ) -> list[ResponseRow]:
        """Await the rows for a list of requests, at one address with one key.

        Args:
            request_url: Endpoint for requests that name none; None: this object's.
            api_key: Key for them; None: this object's.
            request_list: As for `generate`.
            cache_filepath: Ignored: answers are kept in the project's store.
            association_filepath: Ignored, for the same reason.
            project_name: Project for this call.
            different_requests: Ignored: every request may name its own provider.
        """
        api_key = secret(api_key)
        there = copy.copy(self)
        there._asking = dataclasses.replace(
            self._asking,
            url=request_url or self._asking.url,
            api_key=api_key or self._asking.api_key,
        )
        rows = await there.agenerate(request_list, project_name=project_name, progress=False)
        self.last_run = there.last_run
        return rows

    # -------------------------------------------------------------------- looking

    def check_model_exists(self, model: str | None = None, api_provider: str | None = None) -> bool:
        """Ask the provider for its models and return whether it has this one.

        Args:
            model: Model; None: this object's.
            api_provider: Provider; None: this object's.

        Raises:
            ConfigurationError: If the provider is unknown or its key is missing.
            LLMNBError: If the provider does not answer.
        """
        asking = self._asking
        if model:
            is_full = "/" in model and not (api_provider or asking.api_provider)
            asking = dataclasses.replace(
                asking, model=model, api_provider=None if is_full else asking.api_provider
            )
        if api_provider:
            asking = dataclasses.replace(asking, api_provider=api_provider)
        return bridge.call(_is_listed(asking))

    # -------------------------------------------------------------------- the walk

    def _begin(
        self,
        request_list: Iterable[Mapping[str, Any]],
        project_name: str | None,
        clear_project_cache: str | list[str] | None,
        cache_vars: Mapping[str, Any] | None,
        use_cache: bool,
        limits: Mapping[str, Any],
    ) -> tuple[list[Mapping[str, Any]], RunHandle[list[Outcome]]]:
        if isinstance(request_list, _NO_LIST):
            raise ConfigurationError(
                "generate() takes a list of requests, such as "
                "[{'messages': [{'role': 'user', 'content': '…'}]}]."
            )
        requests = list(request_list)
        if clear_project_cache:
            _clear(clear_project_cache, settings.cache_dir(self.cache_dir))
        return requests, self._started(requests, project_name, cache_vars, use_cache, limits)

    def _stream(
        self,
        requests: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        in_order: bool,
        project_name: str | None,
        cache_vars: Mapping[str, Any] | None,
        use_cache: bool,
        limits: Mapping[str, Any],
    ) -> Run:
        how = {"streams": True, "in_order": in_order}
        run = self._started(requests, project_name, cache_vars, use_cache, limits, **how)
        assert isinstance(run, Run)  # no batch can be streamed
        return run

    def _started(
        self,
        requests: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        project_name: str | None,
        cache_vars: Mapping[str, Any] | None,
        use_cache: bool,
        limits: Mapping[str, Any],
        **how: Any,
    ) -> RunHandle[list[Outcome]]:
        beside, limits = params_in(limits)
        refuse_unknown(limits, (*_OPTIONS, "cooldown", "mode"), "generate()")
        limits = checked(limits)
        chosen = checked({name: getattr(self, name) for name in _OPTIONS})
        # What this object was made with binds the account, an argument of a call its run.
        own = {name: chosen.pop(name) for name in _OF_THE_ACCOUNT if name not in limits}
        account = Limits(
            requests_per_minute=own.get("max_requests_per_minute"),
            tokens_per_minute=own.get("max_tokens_per_minute"),
            concurrency=own.get("max_concurrent_requests"),
            even=own.get("max_rps", False),
        )
        chosen.update(limits)
        mode = chosen.pop("mode", "live")
        asking = dataclasses.replace(
            self._asking,
            cache_vars=cache_vars or {},
            duplicates=chosen.pop("duplicates"),
            params={**self._asking.params, **with_params(None, beside)},
        )
        project = project_name if project_name is not None else self.project_name
        if mode == "batch":
            _check_batch(limits, how)
            assert isinstance(requests, Iterable)  # streams, of whatever kind, were refused
            self.last_run = start_batch(
                requests,
                asking,
                project_name=project,
                cache_dir=self.cache_dir,
                share=chosen["share"],
                use_cache=use_cache,
                budget_usd=chosen["budget_usd"],
                good_finish=chosen["good_finish"],
            )
            return self.last_run
        self.last_run = start(
            requests,
            asking,
            project_name=project,
            cache_dir=self.cache_dir,
            use_cache=use_cache,
            account=account,
            **chosen,
            **how,
        )
        return self.last_run

    def _rows(
        self,
        requests: list[Mapping[str, Any]],
        run: RunHandle[list[Outcome]],
        ids: Iterator[Any] | None,
    ) -> list[ResponseRow]:
        outcomes = run.result()
        task_ids = ids if ids is not None else task_id_generator()
        for outcome, task_id in zip(outcomes, task_ids, strict=False):
            if outcome.error is not None:
                logger.debug("request %s failed: %s", task_id, outcome.error)
        if run.error is not None:
            logger.error("%s", run.error)
        pairs = zip(requests, outcomes, strict=True)
        with collector.calmed():
            return [response_row(request, one) for request, one in pairs]


def _check_batch(limits: Mapping[str, Any], how: Mapping[str, Any]) -> None:
    """Refuse what a batch cannot do."""
    given = [name for name in ("time_limit", "hedge_after") if limits.get(name) is not None]
    if how:
        given.append("iterate")
    if given:
        raise ConfigurationError(
            f"{given[0]} does not go with mode='batch', which takes up to a day. Nothing was sent."
        )


_LIMITS = (
    "max_requests_per_minute",
    "max_tokens_per_minute",
    "max_concurrent_requests",
    "max_rps",
    "max_attempts",
)


_OF_THE_ACCOUNT = _LIMITS[:4]

_OPTIONS = (
    *_LIMITS,
    *("burst", "max_wait", "time_limit", "hedge_after", "budget_usd", "good_finish"),
    *("share", "duplicates"),
)
"""Options of the constructor that a call may change for itself."""


def _progress() -> Any:
    """Return the module that the argument of the same name hides."""
    return progress


def _clear(names: str | list[str], cache_dir: Path) -> None:
    report = clearing.clear(names, cache_dir)
    for unknown in report.unknown:
        warnings.warn(
            f"There is no project {unknown!r} in the cache; nothing was cleared for it.",
            stacklevel=4,
        )
    for project, removed in report.removed.items():
        logger.info("Cleared %d answers of project %r.", removed, project)


async def _is_listed(asking: Asking) -> bool:
    target = Preparer(asking).default
    return target.model in await target.list_models()
