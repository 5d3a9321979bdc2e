"""Request dictionaries as rows of a run, and the one way every door starts a run.

A request is a dictionary with ``messages``, ``prompt`` or ``input``. A few
fields say who is asked (``model``, ``api_provider``, ``url``, ``api_key``) or
belong to the caller (``metadata``); everything else is part of the body.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, TypeGuard, cast, runtime_checkable

import orjson

from llmnb import bridge, settings
from llmnb.adapters import prices
from llmnb.adapters.http import tls
from llmnb.adapters.rates import Rate, per_minute
from llmnb.decide.retry import RetryPolicy
from llmnb.engine.options import RunOptions, Store
from llmnb.engine.run import Run
from llmnb.engine.target import Call, Row
from llmnb.errors import ConfigurationError, InputError, LLMNBError
from llmnb.models.guests import Guest
from llmnb.models.llm_model import LLMModel
from llmnb.models.resolve import resolve
from llmnb.models.structured import structured_call
from llmnb.models.target import HTTPTarget
from llmnb.rate_limiter import GLOBAL_LIMITER, Key
from llmnb.records import Delta, Limits, Outcome, Usage
from llmnb.schemas import Output
from llmnb.store.project import open_project

_WHO = ("model", "api_provider", "url", "api_key")
_SAYS_WHO = frozenset(_WHO)
_NOT_BODY = frozenset((*_WHO, "metadata"))
_QUESTIONS = ("messages", "prompt", "input")

Duplicates = Literal["merge", "sample"]


@runtime_checkable
class Endpoint(Protocol):
    """A model as an object that knows where it is, such as `LLM`."""

    @property
    def url(self) -> str:
        """Base or full endpoint; empty: the provider's own."""

    @property
    def api_key(self) -> str | None:
        """Key, where it brings its own."""

    @property
    def model(self) -> str:
        """The provider's name for it, or ``"provider/model"``."""

    @property
    def api_provider(self) -> str | None:
        """Catalog name, where neither model nor address tells."""

    @property
    def params(self) -> Mapping[str, Any]:
        """Fields of the body that belong to it."""


Named: TypeAlias = str | Endpoint
"""How a model may be named whose place is known."""

Model: TypeAlias = Named | LLMModel
"""How a model may be named: by a text, or as an object, one's own included."""


class Limited(Protocol):
    """A model as an object that brings limits of its own."""

    @property
    def limits(self) -> Limits:
        """What binds every request to it, beside the limits of the run."""

    @property
    def rates(self) -> Mapping[Key, Rate]:
        """The part of them that is shared where a Redis shares limits, in the limiter's keys."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asking:
    """Who is asked, and how, where a request does not say otherwise."""

    model: Model | Sequence[Model] | None = None
    """One model, or several: the order of fallback."""

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
    output: Output | None = None
    """The form that answers must have; None: any text."""

    takes_several: bool = False
    """Whether the caller gets whole replies, and so the several answers in one that ``n`` among a
    model's own parameters asks for. Elsewhere all but the first would be bought for nothing."""

    @property
    def models(self) -> tuple[Named | None, ...]:
        """The models in order; one None where none is named."""
        given = self.model
        if given is None or is_model(given):
            return endpoints_of(given)
        listed = cast("Sequence[Model]", given)
        return tuple(one for model in listed for one in endpoints_of(model))


def is_model(given: Any) -> TypeGuard[Model]:
    """Return whether something names one model, and not a list of them."""
    return isinstance(given, str | LLMModel | Endpoint)


def endpoints_of(model: Model | None) -> tuple[Named | None, ...]:
    """Return who is asked: the object itself, or the endpoints that it has of its own."""
    if model is None or isinstance(model, str):
        return (model,)
    if isinstance(model, LLMModel) and not model.is_asked_by_engine:
        return (Guest(model),)
    own: tuple[Endpoint, ...] = getattr(model, "endpoints", ())
    if own:
        return own
    if not isinstance(model, Endpoint):
        raise ConfigurationError(
            f"A model is named by a text or an object such as LLM, not {type(model).__name__}. "
            "Nothing was sent."
        )
    return (model,)


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    """One target, and the fields of the body for every request to it."""

    target: HTTPTarget
    params: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Sampled:
    """The k-th of several samples of one request."""

    request: Mapping[str, Any]
    k: int


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
        self._named: dict[tuple[Any, ...], tuple[_Asked, ...] | LLMNBError] = {}
        self._objects: list[Any] = []
        """Models that requests brought as objects, so that no other one gets their id."""

        self._samples: Counter[str] = Counter()
        self._chosen: tuple[_Asked, ...] = ()
        self.limits: dict[str, Limits] = {}
        """What models that were given as objects allow themselves, by pool."""

    @property
    def default(self) -> HTTPTarget:
        """The first target of requests that do not name their own."""
        return self.defaults[0]

    @property
    def defaults(self) -> tuple[HTTPTarget, ...]:
        """The targets of requests that do not name their own, in the order of fallback."""
        return tuple(one.target for one in self._default())

    def _default(self) -> tuple[_Asked, ...]:
        if not self._chosen:
            models = self._asking.models
            if not models:
                raise ConfigurationError("The list of models is empty: name at least one.")
            self._chosen = tuple(self._asked(model) for model in models)
        return self._chosen

    def _asked(self, model: Named | None) -> _Asked:
        if model is None or isinstance(model, str):
            return _Asked(self._by_name(model), self._asking.params)
        return self._endpoint(model)

    def _endpoint(self, model: Endpoint) -> _Asked:
        asking = self._asking
        # Some know themselves how they are reached, such as through LiteLLM.
        own = getattr(model, "target", None)
        target: HTTPTarget = (
            own(asking.gen_type)
            if own is not None
            else resolve(
                model.model or None,
                api_provider=model.api_provider,
                api_key=model.api_key,
                url=model.url or None,
                gen_type=asking.gen_type,
                allow_http=asking.allow_http,
                encoding=asking.encoding,
            )
        )
        limits: Limits | None = getattr(model, "limits", None)
        if limits is not None:
            known = self.limits.get(target.pool, limits)
            self.limits[target.pool] = limits.within(known)
        # What belongs to the model gives way to what belongs to the call.
        params = {**model.params, **asking.params}
        if not asking.takes_several and "n" not in asking.params:
            params.pop("n", None)
        return _Asked(target, params)

    def _by_name(self, model: str | None) -> HTTPTarget:
        asking = self._asking
        # Among several models an address and a key are for those of their own provider.
        is_elsewhere = (
            len(asking.models) > 1
            and model is not None
            and "/" in model
            and model.partition("/")[0] != asking.api_provider
            and not (asking.url and asking.api_provider is None)
        )
        return resolve(
            model,
            api_provider=None if is_elsewhere else asking.api_provider,
            api_key=None if is_elsewhere else asking.api_key,
            url=None if is_elsewhere else asking.url,
            gen_type=asking.gen_type,
            allow_http=asking.allow_http,
            encoding=asking.encoding,
        )

    def __call__(self, request: Any, number: int) -> Row:
        """Return the row for the request at position `number`; never raises for bad input."""
        tag, sample = request, 0
        if type(request) is Sampled:
            request, sample = request.request, request.k
        if type(request) is not dict and not isinstance(request, Mapping):
            if isinstance(request, LLMNBError):  # a door that could not make a request of it
                return Row(call=None, error=request, tag=tag)
            return Row(call=None, error=_not_a_request(request, number), tag=tag)
        metadata = request.get("metadata")
        try:
            asked = self._asked_of(request)
            question = (
                {name: value for name, value in request.items() if name not in _NOT_BODY}
                if not _NOT_BODY.isdisjoint(request)
                else request
            )
            call = self._call(asked[0], question, sample)
            if self._asking.duplicates == "sample":
                earlier = self._samples[call.key]
                self._samples[call.key] += 1
                if earlier:
                    sample += earlier
                    call = self._call(asked[0], question, sample)
            further = (
                tuple(self._call(one, question, sample) for one in asked[1:])
                if len(asked) > 1
                else ()
            )
        except LLMNBError as error:
            return Row(call=None, error=error, metadata=metadata, tag=tag)
        return Row(call=call, metadata=metadata, tag=tag, further=further)

    def _call(self, asked: _Asked, question: Mapping[str, Any], sample: int) -> Call:
        if self._asking.output is None:
            return asked.target.call(question, asked.params, sample=sample, extra=self._extra)
        return structured_call(
            asked.target,
            question,
            asked.params,
            self._asking.output,
            sample=sample,
            extra=self._extra,
        )

    def _asked_of(self, request: Mapping[str, Any]) -> tuple[_Asked, ...]:
        if _SAYS_WHO.isdisjoint(request):
            return self._chosen or self._default()
        named = tuple(request.get(name) or None for name in _WHO)
        if named == (None,) * len(_WHO):
            return self._default()
        model = named[0]
        if model is not None and not isinstance(model, str):
            named = (id(model),)
        known = self._named.get(named)
        if known is None:
            known = self._named[named] = self._found(request)
            self._objects.append(model)
        if isinstance(known, LLMNBError):
            raise type(known)(known.message)
        return known

    def _found(self, request: Mapping[str, Any]) -> tuple[_Asked, ...] | LLMNBError:
        """Return who is asked by a request that says so itself."""
        model, *rest = (request.get(name) or None for name in _WHO)
        try:
            if model is None or isinstance(model, str):
                return (_Asked(self._resolved(model, *rest), self._asking.params),)
            if is_model(model):
                return tuple(self._asked(one) for one in endpoints_of(model))
        except LLMNBError as error:
            return error
        return InputError(
            f"model is a {type(model).__name__}; name it by a text, or give an object such as LLM. "
            "Nothing was sent for it."
        )

    def _resolved(
        self, model: str | None, api_provider: str | None, url: str | None, api_key: str | None
    ) -> HTTPTarget:
        asking = self._asking
        names_other = bool(api_provider or (model and "/" in model and not asking.api_provider))
        same = not names_other or api_provider == asking.api_provider
        return resolve(
            model or (_name_of(asking.models[0]) if same else None),
            api_provider=api_provider or (None if names_other else asking.api_provider),
            # A key or an address given for one provider never goes to another.
            api_key=api_key or (asking.api_key if same and not url else None),
            url=url or (asking.url if same else None),
            gen_type=asking.gen_type,
            allow_http=asking.allow_http,
            encoding=asking.encoding,
        )


def start(
    requests: Iterable[Any] | AsyncIterable[Any],
    asking: Asking,
    *,
    project_name: str | None = None,
    cache_dir: str | Path | None = None,
    share: bool | list[str] = True,
    use_cache: bool = True,
    max_requests_per_minute: Rate | None = None,
    max_tokens_per_minute: Rate | None = None,
    max_concurrent_requests: int | None = None,
    max_rps: bool = False,
    max_attempts: int = 3,
    max_wait: float = 600.0,
    cooldown: float | None = None,
    time_limit: float | None = None,
    hedge_after: float | Literal["p95"] | None = None,
    budget_usd: float | None = None,
    on_delta: Callable[[int, Delta], None] | None = None,
    streams: bool = False,
    in_order: bool = True,
    window: int | None = None,
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
        max_attempts: Attempts for a row that were unsent or surely unbilled.
        max_wait: Seconds a target may refuse for pace without one success.
        cooldown: Seconds of pause after a refusal that does not say how long; None: drawn, and
            growing with each.
        time_limit: Seconds for a row from its first dispatch; at half of it, without a first
            token, one request goes to each further model.
        hedge_after: Seconds without a first token, or ``"p95"``, after which one redundant
            request goes to the next model.
        budget_usd: Dollars that are not overshot beyond what is in flight.
        on_delta: Called on the loop thread with a row's position and each piece of its answer.
        streams: Hand outcomes over and forget them (`Run.outcomes`).
        in_order: Hand them over in the order of the requests, or else as they are ready.
        window: Rows between being pulled and being handed over.
        store: What keeps the answers, in place of the project's own store.
        on_outcome: Called on the loop thread with each outcome, before anybody else sees it.

    Raises:
        ConfigurationError: Before anything is sent.
    """
    preparer = Preparer(asking)
    GLOBAL_LIMITER.check()
    is_elsewhere = (
        isinstance(requests, list)
        and bool(requests)
        and all(
            isinstance(one, Mapping) and any(one.get(name) for name in _WHO) for one in requests
        )
    )
    options = settings.current()
    budget = budget_usd if budget_usd is not None else options.budget_usd
    targets = () if is_elsewhere else preparer.defaults
    _share_rates(asking)
    if budget is not None:
        for target in targets:
            _need_the_price(target)
    run = Run(
        requests,
        preparer,
        store
        or open_project(
            settings.project_name(project_name), settings.cache_dir(cache_dir), share=share
        ),
        RunOptions(
            policy=RetryPolicy(
                max_attempts=max(1, max_attempts), max_wait=max_wait, cooldown=cooldown
            ),
            pool_limits=preparer.limits,
            limits=Limits(
                requests_per_minute=per_minute(max_requests_per_minute)
                or options.max_requests_per_minute,
                tokens_per_minute=per_minute(max_tokens_per_minute)
                or options.max_tokens_per_minute,
                concurrency=max_concurrent_requests or options.max_concurrent_requests,
                even=max_rps,
            ),
            use_cache=use_cache,
            time_limit=time_limit,
            hedge_after=hedge_after,
            budget_usd=budget,
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


def _share_rates(asking: Asking) -> None:
    """Give the limits of models to everybody where a Redis shares limits; else they bind the run.

    What `GLOBAL_LIMITER` says already is not touched.
    """
    if GLOBAL_LIMITER.url:
        for model in asking.models:
            rates: Mapping[Key, Rate] = getattr(model, "rates", {})
            for key, rate in rates.items():
                GLOBAL_LIMITER.rate_config.setdefault(key, rate)


def _get_ready(targets: Sequence[HTTPTarget]) -> None:
    """Read certificates and prices before the first request is sent, and hear who sets limits.

    Reading the price table holds the whole process up for half a second. In the
    midst of a run that would delay requests that have left the gate, and a provider
    would get those of half a second at once.
    """
    tls()
    if GLOBAL_LIMITER.url:
        bridge.call(GLOBAL_LIMITER.hear())
    for target in targets:
        target.get_ready()
        if not target.row.is_local:
            prices.rates(target.provider, target.model)


def _need_the_price(target: HTTPTarget) -> None:
    if target.price(Usage(prompt=1, completion=1), target.model) is None:
        raise ConfigurationError(
            f"budget_usd cannot be kept: the price of {target.provider}/{target.model} is not "
            "known. Say it with llmnb.set_price(model, input_per_million, output_per_million), "
            "or leave the budget out. Nothing was sent."
        )


def _extra(cache_vars: Mapping[str, Any]) -> bytes:
    if not cache_vars:
        return b""
    try:
        return orjson.dumps(dict(cache_vars), option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise InputError(f"cache_vars must be JSON values: {error}.") from None


def _name_of(model: Named | None) -> str | None:
    return model if model is None or isinstance(model, str) else model.model


def _not_a_request(request: Any, number: int) -> InputError:
    return InputError(
        f"Input {number} is a {type(request).__name__}, not a request: "
        f"give a dictionary with one of {', '.join(_QUESTIONS)}.",
        row=number,
    )
