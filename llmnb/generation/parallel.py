"""Answer a list of requests, in order, with more attempts and longer pauses than elsewhere."""

from __future__ import annotations

import contextlib
import inspect
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Unpack

from llmnb import progress
from llmnb.engine import gc_thresholds
from llmnb.engine.request_log import SILENT, level_of, requests_log
from llmnb.engine.run import Run
from llmnb.generation.lines import RequestLine
from llmnb.generation.recipients import asking_for
from llmnb.generation.window import Fitter
from llmnb.keywords import ParallelOptions
from llmnb.models.response_rows import ResponseRow, requests_in, response_row
from llmnb.options import checked, names, read_keywords, with_params
from llmnb.progress import Bars, aattend, attended
from llmnb.rates import Rate
from llmnb.records import secret
from llmnb.running.start import start
from llmnb.signatures import described_as, full_signature

MAX_ATTEMPTS = 5
"""Attempts for a request that was unsent or surely unbilled, the first included."""

COOLDOWN_SECONDS = 15.0
"""Pause after a refusal that does not say how long to wait."""


@full_signature
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
    **options: Unpack[ParallelOptions],
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
        **options: See `llmnb.options`.

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
    api_key = secret(api_key)  # no variable of a traceback shows it
    batch = _batch(requests, request_url, api_key, token_encoding_name, options)
    if batch is None:
        return []
    limits = max_requests_per_minute, max_tokens_per_minute
    with batch.running(limits, max_attempts, logging_level) as run:
        return await aattend(run, lambda: _rows(batch, run), bars=batch.bars)


@described_as(openai_parallel_generate)
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
    **options: Unpack[ParallelOptions],
) -> list[list[Any]]:
    """Block for what `openai_parallel_generate` returns; works in a notebook's cell, too.

    Example:
        >>> from llmnb.testing import SimulatedProvider
        >>> with SimulatedProvider(reply="Four.") as sim:
        ...     rows = openai_parallel_generate_sync(
        ...         [{"model": "any", "prompt": "2 + 2?"}],
        ...         request_url=f"{sim.base_url}/completions",
        ...         api_key="key",
        ...         progress=False,
        ...     )
        >>> rows[0][1]["choices"][0]["text"]
        'Four.'
    """
    api_key = secret(api_key)  # no variable of a traceback shows it
    batch = _batch(requests, request_url, api_key, token_encoding_name, options)
    if batch is None:
        return []
    limits = max_requests_per_minute, max_tokens_per_minute
    with batch.running(limits, max_attempts, logging_level) as run, attended(run, bars=batch.bars):
        return _rows(batch, run)


class Batch:
    """A list of requests with their models and options, ready to be started as a run.

    Args:
        requests: Requests, and errors in place of lines that are none.
        first: The first request, whose model stands for those that name none.
        request_url: A base or a full endpoint for requests that name none.
        api_key: Key for that address.
        encoding: Encoding that counts tokens of models there is no better one for.
        options: Options by name, as `KEYWORDS` lists them; they have been checked.
        params: Fields of the request.

    Raises:
        ConfigurationError: If an option has a value that it does not take; nothing was sent.
    """

    def __init__(
        self,
        requests: Any,
        first: Mapping[str, Any] | None,
        request_url: str | None,
        api_key: str | None,
        encoding: str,
        options: Mapping[str, Any],
        params: Mapping[str, Any],
    ) -> None:
        self.bars: Bars = options.get("progress", "auto")
        of_asking = ("api_provider", "gen_type", "duplicates", "allow_urls")
        self._asking = asking_for(
            first,
            request_url=request_url,
            api_key=api_key,
            params=with_params(None, params),
            **{name: options[name] for name in of_asking if name in options},
        )
        self._options = {
            "cooldown": COOLDOWN_SECONDS,
            **{name: options[name] for name in names("start") if name in options},
        }
        self.requests = requests
        side = options.get("truncate", "end")
        self._fitter = None if side is None else Fitter(self._asking, side, encoding=encoding)
        self.cut = 0
        """Requests that were cut to their model's window."""

    @contextlib.contextmanager
    def running(
        self,
        limits: tuple[Rate | None, Rate | None],
        max_attempts: int,
        level: int | str,
        **further: Any,
    ) -> Iterator[Run]:
        """Start the run, and show the log of its requests until the block ends.

        Args:
            limits: Requests and tokens a minute.
            max_attempts: Attempts for a request that was unsent or surely unbilled.
            level: How much the log says; see `openai_parallel_generate`.
            **further: Options of the run that the caller does not choose.
        """
        own = {
            "max_requests_per_minute": limits[0],
            "max_tokens_per_minute": limits[1],
            "max_attempts": max_attempts,
        }
        with _request_log(level):
            yield start(self, self._asking, **checked(own), **self._options, **further)

    def __len__(self) -> int:
        return len(self.requests)

    def __iter__(self) -> Iterator[Any]:
        """Yield the requests, each cut to its model's window; the log says which were cut."""
        for number, request in enumerate(self.requests):
            fitted = request
            if self._fitter is not None and isinstance(request, Mapping):
                fitted, warning = self._fitter.fit(request)
                if warning:
                    self.cut += 1
                    requests_log.warning("Request #%d is cut. %s", number, warning)
                    if isinstance(request, RequestLine):
                        fitted = RequestLine(dict(fitted))
            yield fitted


def _batch(
    requests: Iterable[Mapping[str, Any]],
    request_url: str | None,
    api_key: str | None,
    encoding: str,
    options: Mapping[str, Any],
) -> Batch | None:
    """Return the batch of a list; None for an empty one, for which no model or key is looked for.

    Raises:
        ConfigurationError: If something else is given, or an option has no such value.
    """
    known = inspect.signature(openai_parallel_generate).parameters
    named, params = read_keywords(options, known, "openai_parallel_generate()")
    if not (listed := requests_in(requests, "openai_parallel_generate()")):
        return None
    first = next((request for request in listed if isinstance(request, Mapping)), None)
    return Batch(listed, first, request_url, api_key, encoding, named, params)


def _rows(batch: Batch, run: Run) -> list[ResponseRow]:
    with gc_thresholds.raised():
        return [
            response_row(request if outcome.tag is None else outcome.tag, outcome)
            for request, outcome in zip(batch.requests, run.result(), strict=True)
        ]


# ----------------------------------------------------------------------- the log

_lock = threading.Lock()
_levels: list[int] = []
"""Log levels of the runs under way; the lowest is set for all."""


@contextlib.contextmanager
def _request_log(level: int | str) -> Iterator[None]:
    """Show the engine's log of requests while the block lasts.

    Where the program has set up logging, its handlers get the lines; else they are
    printed above the bars.
    """
    number = level_of(level)
    handler = None if requests_log.hasHandlers() else _AboveTheBars()
    if handler is not None:
        requests_log.addHandler(handler)
    with _lock:
        _levels.append(number)
        requests_log.setLevel(min(_levels))
    try:
        yield
    finally:
        with _lock:
            _levels.remove(number)
            requests_log.setLevel(min(_levels, default=SILENT))
        if handler is not None:
            requests_log.removeHandler(handler)


class _AboveTheBars(logging.Handler):
    """Prints lines to where the bars are, without breaking them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        try:
            progress.print_line(f"{record.levelname}: {record.getMessage()}")
        except Exception:
            self.handleError(record)
