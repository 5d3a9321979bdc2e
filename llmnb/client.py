"""`AsyncLLM`: lists of request dictionaries to rows of answers, with projects, limits and a cache.

It is a thin door: names and defaults are resolved here, everything else happens in the one
engine. `APIRequest`, one request under its seed name, is thinner still.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import itertools
import logging
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Unpack, cast

from llmnb import bridge, settings
from llmnb.batches.start import start_batch
from llmnb.engine import gc_thresholds
from llmnb.engine.handle import RunHandle
from llmnb.engine.request_log import level_of
from llmnb.engine.run import Run
from llmnb.engine.status import StatusTracker
from llmnb.keywords import AsyncLLMOptions, ListOptions, MadeWith, StreamOptions
from llmnb.models.response_rows import ResponseRow, requests_in, response_row
from llmnb.options import (
    ARGUMENTS,
    checked,
    names,
    read_keywords,
    refuse_with_batch,
    with_params,
)
from llmnb.progress import Bars, aattend, attended, show_in_background
from llmnb.rates import Rate
from llmnb.records import Limits, Outcome, secret, secret_url
from llmnb.running.asking import Asking, Model
from llmnb.running.preparer import Preparer
from llmnb.running.start import start
from llmnb.signatures import KEYWORDS, full_signature
from llmnb.store import clearing
from llmnb.store.run_index import RunHeader
from llmnb.targets.resolve import choose
from llmnb.user_code import warn

if TYPE_CHECKING:
    import aiohttp

logger = logging.getLogger("llmnb")


class _Default(str):
    """A default that differs from the same word written by the caller."""

    __slots__ = ()


_OPENAI_BY_DEFAULT = _Default("openai")


def task_id_generator() -> Iterator[int]:
    """Yield 0, 1, 2, …: the ids that requests carry when the caller brings none.

    Example:
        >>> list(itertools.islice(task_id_generator(), 3))
        [0, 1, 2]
    """
    return itertools.count()


@full_signature
class AsyncLLM(MadeWith):
    """Ask a model many things at once, within its limits, and never pay for an answer twice.

    Args:
        api_provider: Catalog name, such as ``"openai"`` or ``"groq"``. When neither it nor a
            model is given, the model is chosen as everywhere: `llmnb.configure`,
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
        **options: ``max_tokens``, ``temperature`` and their like stand beside `sampling_params`.

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
        **options: Unpack[AsyncLLMOptions],
    ) -> None:
        api_key, url = secret(api_key), secret_url(url)
        known = inspect.signature(AsyncLLM).parameters
        own, params = read_keywords(options, known, "AsyncLLM()")
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
        vars(self).update(own)  # defaults of the others stand on the class
        self._made_with()
        self.last_run: RunHandle[list[Outcome]] | None = None
        self._asking = Asking(
            model=model or None,
            api_provider=self.api_provider,
            api_key=api_key,
            url=url or None,
            gen_type=gen_type,
            params=self.sampling_params,
            duplicates=self.duplicates,
            takes_several=True,
        )
        logger.setLevel(level_of(logging_level))
        if not url and isinstance(model, str):
            chosen = choose(model or None, api_provider=self.api_provider, gen_type=gen_type)
            if chosen.announcement:
                logger.warning(chosen.announcement)

    def __repr__(self) -> str:
        made = vars(self).get  # incomplete if `__init__` has failed and a traceback shows it
        parts = [str(part) for part in (made("api_provider"), made("model")) if part]
        who = "/".join(parts) or "default model"
        return f"<AsyncLLM {who}, project {settings.project_name(made('project_name'))!r}>"

    # ----------------------------------------------------------------- generating

    @full_signature
    def generate(
        self,
        request_list: Iterable[Mapping[str, Any]],
        *,
        task_id_generator: Iterator[Any] | None = None,
        progress: Bars = "auto",
        **options: Unpack[ListOptions],
    ) -> list[ResponseRow]:
        """Return a row for every request, in the order of the requests.

        Args:
            request_list: Dictionaries with ``messages``, ``prompt`` or ``input``; ``model``,
                ``api_provider``, ``url``, ``api_key`` and ``metadata`` are understood per
                request, everything else is part of the body. Never changed.
            task_id_generator: Yields an id for each request, used in log lines.
            progress: Whether to show bars; ``"auto"``: on a terminal and in a notebook.
            **options: For this call only; what is not given is as this object was made.

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
        requests = requests_in(request_list, "generate()")
        run = self._start(self.generate, requests, options)
        with attended(run, bars=progress):
            return _rows(requests, run, task_id_generator)

    @full_signature
    async def agenerate(
        self,
        request_list: Iterable[Mapping[str, Any]],
        *,
        task_id_generator: Iterator[Any] | None = None,
        progress: Bars = "auto",
        **options: Unpack[ListOptions],
    ) -> list[ResponseRow]:
        """Await what `generate` returns; works on any running loop.

        Args:
            request_list: As for `generate`.
            task_id_generator: As for `generate`.
            progress: As for `generate`.
            **options: As for `generate`.
        """
        checked({"progress": progress})
        requests = requests_in(request_list, "agenerate()")
        run = await bridge.made_in_thread(
            lambda: self._start(self.agenerate, requests, options), RunHandle.stop
        )
        return await aattend(run, lambda: _rows(requests, run, task_id_generator), bars=progress)

    @full_signature
    def start(
        self,
        request_list: Iterable[Mapping[str, Any]],
        *,
        progress: Bars = "auto",
        **options: Unpack[ListOptions],
    ) -> RunHandle[list[Outcome]]:
        """Start `generate` in the background and return its run at once.

        Args:
            request_list: As for `generate`.
            progress: Whether a notebook shows the run's card; bars are for those who wait.
            **options: As for `generate`.
        """
        checked({"progress": progress})
        run = self._start(self.start, requests_in(request_list, "start()"), options)
        show_in_background(run, progress)
        return run

    @full_signature
    def iterate(
        self,
        requests: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        *,
        in_order: bool = True,
        **options: Unpack[StreamOptions],
    ) -> Iterator[Outcome]:
        """Yield the outcome of every request while others are still asked.

        Memory does not grow with the number of requests: they are read as they are needed,
        no further ahead of the reader than a window, and outcomes are not kept. Whoever leaves
        the loop stops the run; what was in flight goes into the store.

        Args:
            requests: As for `generate`; any iterable or async iterable.
            in_order: In the order of the requests; False: each as soon as it is there.
            **options: As for `generate`.

        Example:
            >>> from llmnb.testing import SimulatedProvider
            >>> with SimulatedProvider(reply="yes") as sim:
            ...     llm = AsyncLLM(model="m", url=sim.base_url, api_key="k")
            ...     asked = ({"prompt": f"Is {n} a number?"} for n in range(3))
            ...     [(outcome.row, outcome.text) for outcome in llm.iterate(asked)]
            [(0, 'yes'), (1, 'yes'), (2, 'yes')]
        """
        run = self._stream(self.iterate, requests, options, in_order=in_order)
        try:
            yield from run.outcomes()
        finally:
            run.stop()

    @full_signature
    async def aiterate(
        self,
        requests: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        *,
        in_order: bool = True,
        **options: Unpack[StreamOptions],
    ) -> AsyncIterator[Outcome]:
        """Yield what `iterate` does, on any running loop.

        Args:
            requests: As for `iterate`.
            in_order: As for `iterate`.
            **options: As for `iterate`.
        """
        run = await bridge.made_in_thread(
            lambda: self._stream(self.aiterate, requests, options, in_order=in_order), Run.stop
        )
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
        asking = dataclasses.replace(
            self._asking,
            model=model or self._asking.model,
            api_provider=api_provider or self._asking.api_provider,
        )
        return bridge.call(_is_listed(asking))

    # ------------------------------------------------------------------- starting

    def _made_with(self) -> dict[str, Any]:
        """Return the options that this object was made with, as the engine takes them."""
        return checked({name: getattr(self, name) for name in _MADE_WITH})

    def _start(
        self,
        method: Callable[..., Any],
        requests: Any,
        options: Mapping[str, Any],
        **streamed: Any,
    ) -> RunHandle[list[Outcome]]:
        """Start a run, or a batch where one was asked for.

        Args:
            method: What was called: its signature says which options there are.
            requests: A list; for a stream any iterable.
            options: Those of the call.
            **streamed: Of a run that hands its outcomes over and forgets them, what it is told.

        Raises:
            TypeError: If there is no such option.
            ConfigurationError: If one has a value that it does not take; nothing was sent.
        """
        known = {**inspect.signature(method).parameters, **KEYWORDS["ListOptions"]}
        call, params = read_keywords(options, known, f"{method.__name__}()")
        if clear := call.pop("clear_project_cache", None):
            ARGUMENTS["clear_project_cache"].checked("clear_project_cache", clear)
            _clear(clear, settings.cache_dir(self.cache_dir))
        if call.get("project_name") is None:
            call.pop("project_name", None)
        own = self._made_with()
        # What the object was made with binds the account, an argument of a call its run.
        account = {field: own.pop(name) for name, field in _OF_THE_ACCOUNT if name not in call}
        call = {**own, **call}
        asking = dataclasses.replace(
            self._asking,
            cache_vars=call.get("cache_vars") or {},
            duplicates=call["duplicates"],
            params={**self._asking.params, **with_params(None, params)},
        )
        is_batch = call.get("mode") == "batch"
        taken = {name: call[name] for name in call.keys() & names("batch" if is_batch else "start")}
        if is_batch:
            refuse_with_batch({**options, "iterate": streamed or None})
            self.last_run = start_batch(requests, asking, **taken)
        else:
            rows = None if streamed else len(requests)
            is_written = rows is None or rows > 1
            self.last_run = start(
                requests,
                asking,
                account=Limits(**account),
                header=RunHeader(verb="AsyncLLM", rows=rows) if is_written else None,
                **streamed,
                **taken,
            )
        return self.last_run

    def _stream(
        self,
        method: Callable[..., Any],
        requests: Any,
        options: Mapping[str, Any],
        *,
        in_order: bool,
    ) -> Run:
        return cast("Run", self._start(method, requests, options, streams=True, in_order=in_order))


_MADE_WITH = tuple(
    name
    for name in names("AsyncLLM")
    if name not in ("use_cache", "mode", "progress", "cooldown")  # these belong to a call
)

_OF_THE_ACCOUNT = (
    ("max_requests_per_minute", "requests_per_minute"),
    ("max_tokens_per_minute", "tokens_per_minute"),
    ("max_concurrent_requests", "concurrency"),
    ("max_rps", "even"),
)
"""Options that bind the account, and what `Limits` calls them."""


def _rows(
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
    with gc_thresholds.raised():
        return list(map(response_row, requests, outcomes))


def _clear(names: str | Sequence[str], cache_dir: Path) -> None:
    report = clearing.clear(names, cache_dir)
    for unknown in report.unknown:
        warn(f"There is no project {unknown!r} in the cache; nothing was cleared for it.")
    for project, removed in report.removed.items():
        logger.info("Cleared %d answers of project %r.", removed, project)


async def _is_listed(asking: Asking) -> bool:
    target = Preparer(asking).default
    return target.model in await target.list_models()


# --------------------------------------------------------------- one request by its seed name


class RetryQueue(Protocol):
    """A queue of requests that are to be tried again, such as an `asyncio.Queue`."""

    def put_nowait(self, item: Any, /) -> None:
        """Take the request."""


@dataclass
class APIRequest:
    """A request's inputs, outputs, and what is known of it.

    Example:
        >>> request = APIRequest(0, 0, 0, {"prompt": "6 times 7?"}, 12, 3, {})
        >>> request.result
        []
    """

    task_id: int
    """The request's id, named in log lines."""

    recent_task_id: int
    difference_task_id: int
    request_json: dict[str, Any]
    """``messages``, ``prompt`` or ``input``, and further fields of the body; never changed."""

    token_consumption: int
    """Tokens it is expected to use; the engine counts for itself."""

    attempts_left: int
    """How often it may still go to the retry queue."""

    metadata: dict[str, Any] | None
    result: list[Any] = field(default_factory=list)
    """The row ``[request, response(, metadata)]`` once there is one; until then the errors."""

    async def call_api(
        self,
        session: aiohttp.ClientSession | None,
        request_url: str,
        request_header: Mapping[str, str],
        retry_queue: RetryQueue,
        cache_filepath: str,
        association_filepath: str,
        project_name: str,
        status_tracker: StatusTracker,
        asyncllm_instance: AsyncLLM,
    ) -> None:
        """Make one attempt through the engine, count it, and keep the row or the error.

        Args:
            session: Ignored: the engine has a session of its own, on its own loop.
            request_url: Base or full endpoint.
            request_header: Its key is used; the engine writes the other headers.
            retry_queue: Gets this request when it failed and attempts are left.
            cache_filepath: Ignored: answers are kept in the project's store.
            association_filepath: Ignored, for the same reason.
            project_name: The project.
            status_tracker: Its counters are moved.
            asyncllm_instance: Whose model, limits and cache folder are used.
        """
        request = {**self.request_json, "url": request_url, "metadata": self.metadata}
        if key := _key_of(request_header):
            request["api_key"] = key
        if asyncllm_instance.api_provider:
            request["api_provider"] = asyncllm_instance.api_provider
        run = asyncllm_instance.start(
            [request], progress=False, project_name=project_name, max_attempts=1
        )
        (outcome,) = await run
        if outcome.error is None:
            self.result = response_row(request, outcome)
            status_tracker.num_tasks_in_progress -= 1
            status_tracker.num_tasks_succeeded += 1
            return
        status_tracker.count_failed_request(outcome.error)
        self.result.append(outcome.error)
        if self.attempts_left > 0:
            self.attempts_left -= 1
            retry_queue.put_nowait(self)
            return
        status_tracker.num_tasks_in_progress -= 1
        status_tracker.num_tasks_failed += 1


def _key_of(headers: Mapping[str, str]) -> str | None:
    named = {name.lower(): value for name, value in headers.items()}
    for name in ("authorization", "api-key", "x-api-key", "x-goog-api-key"):
        if value := named.get(name):
            return value.removeprefix("Bearer ").strip()
    return None
