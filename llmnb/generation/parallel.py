"""A list of requests to a list of rows, in order, with the patience that batches want."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llmnb import progress as bars_of
from llmnb.engine import collector
from llmnb.engine.request_log import requests_log
from llmnb.engine.run import Run
from llmnb.errors import ConfigurationError
from llmnb.generation.asked import asking_for, options_in
from llmnb.generation.lines import Line
from llmnb.generation.logs import told
from llmnb.generation.window import Fitter, Side
from llmnb.models.response_rows import ResponseRow, response_row
from llmnb.options import checked
from llmnb.progress import Bars
from llmnb.rates import Rate
from llmnb.records import secret
from llmnb.running.asking import Asking
from llmnb.running.start import start

MAX_ATTEMPTS = 5
"""Attempts for a request that was unsent or surely unbilled, the first included."""

COOLDOWN_SECONDS = 15.0
"""Pause after a refusal that does not say how long to wait."""


async def openai_parallel_generate(
    requests: Iterable[Mapping[str, Any]],
    max_requests_per_minute: Rate | None = 10_000,
    max_tokens_per_minute: Rate | None = 30_000_000,
    request_url: str | None = None,
    api_key: str | None = None,
    *,
    max_attempts: int = MAX_ATTEMPTS,
    token_encoding_name: str = "cl100k_base",
    logging_level: int | str = 30,
    truncate: Side | None = "end",
    progress: Bars = "auto",
    **options: Any,
) -> list[list[Any]]:
    """Await a row for every request, in the order of the requests.

    Args:
        requests: Bodies with ``model`` and ``messages`` or ``prompt``; ``metadata`` is not sent
            and stands behind the answer. Never changed.
        max_requests_per_minute: Requests a minute, never scaled; None: what the provider allows.
        max_tokens_per_minute: Tokens a minute, prompt and answer together; likewise.
        request_url: A base or a full endpoint; None: `requests_url_dict`, else the provider's
            own, as the first request's model says.
        api_key: Key for that address; else looked for as ever.
        max_attempts: Attempts for a request that was unsent or surely unbilled.
        token_encoding_name: Encoding that counts tokens.
        logging_level: 40 tells of failures after all attempts, 30 of refusals and errors on the
            way too, 20 of every start and end, 10 of the details.
        truncate: Which end of a prompt longer than its model takes is left out, ``"end"`` or
            ``"start"``; the log says what was. None: nothing is cut.
        progress: Whether to show bars.
        **options: `max_concurrent_requests`, `burst` (``"announced"``: what the provider says is
            left of its limits is spent at once; ``"smooth"``: evenly), `cooldown` (seconds of
            pause after a refusal that does not say how long: 15), `duplicates` (``"merge"`` or
            ``"sample"``), `project_name`, `cache_dir`, `use_cache`, `share`, `api_provider`,
            `gen_type`, `max_wait` (seconds that a model may refuse without one success: 600),
            `budget_usd`, `time_limit`, `good_finish` (finish reasons that are good though llmnb
            does not know them); ``max_tokens``, ``temperature`` and their like for requests that
            do not say it.

    Returns:
        ``[request, response]``, or ``[request, response, metadata]``, the request as it was sent.
        The response is the provider's JSON, or a list of error texts, one for each attempt,
        where the request failed.

    Raises:
        ConfigurationError: Before anything is sent.
        CancelledError: After an interrupt, in scripts; `llmnb.last_run()` has what there is.

    Example:
        >>> import asyncio
        >>> asked = [{"model": "sim/m", "messages": [{"role": "user", "content": "Hi"}]}]
        >>> rows = asyncio.run(openai_parallel_generate(asked, progress=False))
        >>> rows[0][1]["object"]
        'chat.completion'
    """
    api_key = secret(api_key)
    checked({"progress": progress, "truncate": truncate})
    batch = _Batch(requests, request_url, api_key, token_encoding_name, truncate, options)
    limits = (max_requests_per_minute, max_tokens_per_minute)
    with batch.running(limits, max_attempts, logging_level) as run:
        if run is not None:
            await bars_of.aattend(run, bars=progress)
    return batch.rows(run)


def openai_parallel_generate_sync(
    requests: Iterable[Mapping[str, Any]],
    max_requests_per_minute: Rate | None = 10_000,
    max_tokens_per_minute: Rate | None = 30_000_000,
    request_url: str | None = None,
    api_key: str | None = None,
    *,
    max_attempts: int = MAX_ATTEMPTS,
    token_encoding_name: str = "cl100k_base",
    logging_level: int | str = 30,
    truncate: Side | None = "end",
    progress: Bars = "auto",
    **options: Any,
) -> list[list[Any]]:
    """Block for what `openai_parallel_generate` returns; works in a notebook's cell, too."""
    api_key = secret(api_key)
    checked({"progress": progress, "truncate": truncate})
    batch = _Batch(requests, request_url, api_key, token_encoding_name, truncate, options)
    limits = (max_requests_per_minute, max_tokens_per_minute)
    with batch.running(limits, max_attempts, logging_level) as run:
        if run is not None:
            bars_of.attend(run, bars=progress)
    return batch.rows(run)


class Cuts:
    """Requests on their way to a run, each cut to its model's window, with words about it.

    Args:
        requests: Requests, and what could not be read as one.
        asking: Who is asked where a request does not say.
        side: Which end of a text is left out; None leaves them as they are.
        encoding: Encoding that counts tokens of models it has no better one for.
    """

    def __init__(self, requests: Any, asking: Asking, side: Side | None, encoding: str) -> None:
        self._requests = requests
        self._fitter = None if side is None else Fitter(asking, side, encoding=encoding)
        self.count = 0
        """Requests that were cut."""

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[Any]:
        for number, request in enumerate(self._requests):
            if self._fitter is None or not isinstance(request, Mapping):
                yield request
                continue
            fitted = self._fitter.fit(request)
            if fitted.words is None:
                yield request
                continue
            self.count += 1
            requests_log.warning("Request #%d is cut. %s", number, fitted.words)
            yield Line(dict(fitted.request)) if isinstance(request, Line) else fitted.request


def started(
    cuts: Cuts,
    asking: Asking,
    limits: tuple[Rate | None, Rate | None],
    max_attempts: int,
    options: dict[str, Any],
) -> Run:
    """Start a run with the pauses that batches want.

    Args:
        cuts: Requests.
        asking: Who is asked where a request does not say.
        limits: Requests and tokens a minute.
        max_attempts: Attempts for a request that was unsent or surely unbilled.
        options: Further options of the run.
    """
    return start(
        cuts,
        asking,
        max_requests_per_minute=limits[0],
        max_tokens_per_minute=limits[1],
        max_attempts=max_attempts,
        **{"cooldown": COOLDOWN_SECONDS, **options},
    )


class _Batch:
    """One list on its way."""

    def __init__(
        self,
        requests: Iterable[Mapping[str, Any]],
        request_url: str | None,
        api_key: str | None,
        encoding: str,
        side: Side | None,
        options: dict[str, Any],
    ) -> None:
        if isinstance(requests, (str, bytes, Mapping)):
            raise ConfigurationError(
                "openai_parallel_generate() takes a list of requests, such as "
                "[{'model': '…', 'messages': [{'role': 'user', 'content': '…'}]}]."
            )
        asked, self._options = options_in(options, "openai_parallel_generate()")
        self._requests = list(requests)
        if not self._requests:
            return  # there is nobody to ask, and no key to be missed
        mappings = (one for one in self._requests if isinstance(one, Mapping))
        self._asking = asking_for(
            next(mappings, None),
            request_url=request_url,
            api_key=api_key,
            token_encoding_name=encoding,
            **asked,
        )
        self._cuts = Cuts(self._requests, self._asking, side, encoding)

    @contextlib.contextmanager
    def running(
        self, limits: tuple[Rate | None, Rate | None], max_attempts: int, level: int | str
    ) -> Iterator[Run | None]:
        """Start, where there is anything to ask; the log is heard while the block lasts."""
        if not self._requests:
            yield None
            return
        with told(level):
            yield started(self._cuts, self._asking, limits, max_attempts, self._options)

    def rows(self, run: Run | None) -> list[ResponseRow]:
        """Return what came of it."""
        if run is None:
            return []
        pairs = zip(self._requests, run.result(), strict=True)
        with collector.calmed():
            return [
                response_row(request if outcome.tag is None else outcome.tag, outcome)
                for request, outcome in pairs
            ]
