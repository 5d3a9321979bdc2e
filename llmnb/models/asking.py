"""Request dictionaries as rows of a run, and the one way every door starts a run.

A request is a dictionary with ``messages``, ``prompt`` or ``input``. A few
fields say who is asked (``model``, ``api_provider``, ``url``, ``api_key``) or
belong to the caller (``metadata``); everything else is part of the body.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections import Counter
from collections.abc import AsyncIterable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import orjson

from llmnb import settings
from llmnb.adapters import prices
from llmnb.decide.retry import RetryPolicy
from llmnb.engine.options import RunOptions
from llmnb.engine.run import Run
from llmnb.engine.target import Row
from llmnb.errors import InputError, LLMNBError
from llmnb.models.resolve import resolve
from llmnb.models.target import HTTPTarget
from llmnb.records import Limits
from llmnb.store.project import open_project

_WHO = ("model", "api_provider", "url", "api_key")
_SAYS_WHO = frozenset(_WHO)
_NOT_BODY = frozenset((*_WHO, "metadata"))
_QUESTIONS = ("messages", "prompt", "input")

Duplicates = Literal["merge", "sample"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asking:
    """Who is asked, and how, where a request does not say otherwise."""

    model: str | None = None
    api_provider: str | None = None
    api_key: str | None = dataclasses.field(default=None, repr=False)
    url: str | None = None
    gen_type: str = "chat"
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of the body for every request, in the seeds' or the provider's names."""

    cache_vars: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Further values that tell answers apart in the store."""

    duplicates: Duplicates = "merge"
    """Identical requests are sent once, or each for itself as the k-th sample."""

    allow_http: bool = False
    encoding: str = "cl100k_base"


class Preparer:
    """Turns requests into rows; one for each run.

    Args:
        asking: Who is asked. A wrong default is an error here, before any request.

    Raises:
        ConfigurationError: If the default model, provider, key or address is wrong.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._extra = _extra(asking.cache_vars)
        self._targets: dict[tuple[Any, ...], HTTPTarget | LLMNBError] = {}
        self._samples: Counter[str] = Counter()
        self._default: HTTPTarget | None = None

    @property
    def default(self) -> HTTPTarget:
        """The target of requests that do not name their own."""
        if self._default is None:
            asking = self._asking
            self._default = resolve(
                asking.model,
                api_provider=asking.api_provider,
                api_key=asking.api_key,
                url=asking.url,
                gen_type=asking.gen_type,
                allow_http=asking.allow_http,
                encoding=asking.encoding,
            )
        return self._default

    def __call__(self, request: Any, number: int) -> Row:
        """Return the row for the request at position `number`; never raises for bad input."""
        if type(request) is not dict and not isinstance(request, Mapping):
            return Row(call=None, error=_not_a_request(request, number), tag=request)
        metadata = request.get("metadata")
        try:
            target = self._target(request)
            question = (
                {name: value for name, value in request.items() if name not in _NOT_BODY}
                if not _NOT_BODY.isdisjoint(request)
                else request
            )
            call = target.call(question, self._asking.params, extra=self._extra)
            if self._asking.duplicates == "sample":
                earlier = self._samples[call.key]
                self._samples[call.key] += 1
                if earlier:
                    call = target.call(
                        question, self._asking.params, sample=earlier, extra=self._extra
                    )
        except LLMNBError as error:
            return Row(call=None, error=error, metadata=metadata, tag=request)
        return Row(call=call, metadata=metadata, tag=request)

    def _target(self, request: Mapping[str, Any]) -> HTTPTarget:
        if _SAYS_WHO.isdisjoint(request):
            return self._default or self.default
        named = tuple(request.get(name) or None for name in _WHO)
        if not any(named):
            return self.default
        known = self._targets.get(named)
        if known is None:
            known = self._targets[named] = self._resolved(*named)
        if isinstance(known, LLMNBError):
            raise type(known)(known.message)
        return known

    def _resolved(
        self, model: str | None, api_provider: str | None, url: str | None, api_key: str | None
    ) -> HTTPTarget | LLMNBError:
        asking = self._asking
        names_other = bool(api_provider or (model and "/" in model and not asking.api_provider))
        same = not names_other or api_provider == asking.api_provider
        try:
            return resolve(
                model or (asking.model if same else None),
                api_provider=api_provider or (None if names_other else asking.api_provider),
                # A key or an address given for one provider never goes to another.
                api_key=api_key or (asking.api_key if same and not url else None),
                url=url or (asking.url if same else None),
                gen_type=asking.gen_type,
                allow_http=asking.allow_http,
                encoding=asking.encoding,
            )
        except LLMNBError as error:
            return error


def start(
    requests: Iterable[Any] | AsyncIterable[Any],
    asking: Asking,
    *,
    project_name: str | None = None,
    cache_dir: str | Path | None = None,
    share: bool | list[str] = True,
    use_cache: bool = True,
    max_requests_per_minute: float | None = None,
    max_tokens_per_minute: float | None = None,
    max_concurrent_requests: int | None = None,
    max_rps: bool = False,
    max_attempts: int = 3,
    max_wait: float = 600.0,
    time_limit: float | None = None,
    streams: bool = False,
    window: int | None = None,
) -> Run:
    """Start a run over request dictionaries and return it at once.

    Args:
        requests: Any iterable or async iterable of request dictionaries, read lazily.
        asking: Who is asked.
        project_name: Project that keeps the answers; None: `LLMNB_PROJECT`, else ``default``.
        cache_dir: Folder of all projects; None: `LLMNB_CACHE_DIR`, else ``.cache/llmnb``.
        share: Whether other projects' answers are used: True, False, or the projects' names.
        use_cache: False skips reading what is stored; answers are stored all the same.
        max_requests_per_minute: Requests a minute for each target.
        max_tokens_per_minute: Tokens a minute for each target.
        max_concurrent_requests: Requests in flight at once for each target.
        max_rps: A burst of one: requests evenly spaced.
        max_attempts: Attempts for a row that were unsent or surely unbilled.
        max_wait: Seconds a target may refuse for pace without one success.
        time_limit: Seconds for one request.
        streams: Hand outcomes over in order and forget them (`Run.outcomes`).
        window: Rows between being pulled and being handed over.

    Raises:
        ConfigurationError: Before anything is sent.
    """
    preparer = Preparer(asking)
    is_elsewhere = (
        isinstance(requests, list)
        and bool(requests)
        and all(
            isinstance(one, Mapping) and any(one.get(name) for name in _WHO) for one in requests
        )
    )
    if not is_elsewhere:
        _know_the_price(preparer.default)
    options = settings.current()
    return Run(
        requests,
        preparer,
        open_project(
            settings.project_name(project_name), settings.cache_dir(cache_dir), share=share
        ),
        RunOptions(
            policy=RetryPolicy(max_attempts=max(1, max_attempts), max_wait=max_wait),
            limits=Limits(
                requests_per_minute=max_requests_per_minute or options.max_requests_per_minute,
                tokens_per_minute=max_tokens_per_minute or options.max_tokens_per_minute,
                concurrency=max_concurrent_requests or options.max_concurrent_requests,
                even=max_rps,
            ),
            use_cache=use_cache,
            time_limit=time_limit,
            streams=streams,
            window=window,
        ),
    )


def _know_the_price(target: HTTPTarget) -> None:
    """Read the price table while the first requests are on their way, not when they come back."""
    if not target.row.is_local:
        look_up = functools.partial(prices.rates, target.provider, target.model)
        threading.Thread(target=look_up, name="llmnb-prices", daemon=True).start()


def _extra(cache_vars: Mapping[str, Any]) -> bytes:
    if not cache_vars:
        return b""
    try:
        return orjson.dumps(dict(cache_vars), option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise InputError(f"cache_vars must be JSON values: {error}.") from None


def _not_a_request(request: Any, number: int) -> InputError:
    return InputError(
        f"Input {number} is a {type(request).__name__}, not a request: "
        f"give a dictionary with one of {', '.join(_QUESTIONS)}.",
        row=number,
    )
