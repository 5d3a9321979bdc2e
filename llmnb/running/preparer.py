"""Turn request dictionaries into rows of a run.

A request is a dictionary with ``messages``, ``prompt`` or ``input``. A few
fields say who is asked (``model``, ``api_provider``, ``url``, ``api_key``) or
belong to the caller (``metadata``); everything else is part of the body.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import orjson

from llmnb.engine.source import Slow
from llmnb.engine.target import Call, Row
from llmnb.errors import AddressInFile, ConfigurationError, InputError, LLMNBError
from llmnb.records import Limits
from llmnb.running.asking import Asking, endpoints_of, is_model
from llmnb.running.structured import QUESTIONS, structured_call
from llmnb.targets.endpoint import Endpoint, check_texts
from llmnb.targets.resolve import resolve
from llmnb.targets.target import HTTPTarget

_WHO = ("model", "api_provider", "url", "api_key")
_SAYS_WHO = frozenset(_WHO)
_NOT_BODY = frozenset((*_WHO, "metadata"))


def names_its_model(request: Any) -> bool:
    """Return whether a request names its own model, provider, address or key."""
    return isinstance(request, Mapping) and any(request.get(name) for name in _WHO)


@dataclasses.dataclass(frozen=True, slots=True)
class _Recipient:
    """A target, and the function that makes a call to it of a question."""

    target: HTTPTarget
    call: Callable[..., Call]


@dataclasses.dataclass(frozen=True, slots=True)
class Sampled:
    """The k-th of several samples of one request."""

    request: Mapping[str, Any]
    k: int


class SlowSample(Sampled, Slow):
    """The k-th of several samples of a request that must get ready."""

    __slots__ = ()

    async def get_ready(self) -> None:
        """Have the request get ready, for all of its samples."""
        if isinstance(self.request, Slow):
            await self.request.get_ready()


def sample(request: Mapping[str, Any], k: int) -> Sampled:
    """Return the k-th sample of a request."""
    return SlowSample(request, k) if isinstance(request, Slow) else Sampled(request, k)


class Preparer:
    """Turns requests into rows; one for each run.

    Args:
        asking: Who is asked. A wrong default is an error here, before any request.
        needs_keys: False looks for no keys: nothing will be sent.

    Raises:
        ConfigurationError: If the default model, provider, key or address is wrong.
    """

    def __init__(self, asking: Asking, *, needs_keys: bool = True) -> None:
        self._asking = asking
        self._resolve = functools.partial(
            resolve, allow_http=asking.allow_http, needs_key=needs_keys
        )
        self.models = asking.models
        """The models of the call, in the order of fallback."""

        self._key_owner: str | None = None
        """The provider that the call's key is for: the one that is asked first."""

        self._extra = b""
        if asking.cache_vars:
            try:
                self._extra = orjson.dumps(dict(asking.cache_vars), option=orjson.OPT_SORT_KEYS)
            except TypeError as error:
                raise InputError(f"cache_vars must be JSON values: {error}.") from None
        self._by_name: dict[tuple[Any, ...], tuple[_Recipient, ...] | LLMNBError] = {}
        self._objects: list[Any] = []
        """Models that requests named as objects, kept alive so that their ids stay theirs."""

        self._samples: Counter[str] = Counter()
        self.limits: dict[str, Limits] = {}
        """The limits that models given as objects bring along, by pool."""

    @property
    def default(self) -> HTTPTarget:
        """The first target of requests that do not name their own."""
        return self.defaults[0]

    @functools.cached_property
    def defaults(self) -> tuple[HTTPTarget, ...]:
        """The targets of requests that do not name their own, in the order of fallback."""
        return tuple(map(attrgetter("target"), self._default_recipients))

    @functools.cached_property
    def _default_recipients(self) -> tuple[_Recipient, ...]:
        if not self.models:
            raise ConfigurationError("The list of models is empty: name at least one.")
        return tuple(map(self._recipient_of, self.models))

    def _recipient_of(self, model: str | Endpoint | None, **address: Any) -> _Recipient:
        """Return the target of a model, asked with the fields of the body that belong to it.

        Args:
            model: The model.
            **address: What `resolve` is to know of where an endpoint's address stood.
        """
        asking = self._asking
        if not isinstance(model, Endpoint):
            # Among several models the address and the key of a provider are for its own.
            is_elsewhere = (
                len(self.models) > 1
                and asking.api_provider
                and model is not None
                and "/" in model
                and model.partition("/")[0] != asking.api_provider
            )
            target = (
                self._resolve(model, gen_type=asking.gen_type)
                if is_elsewhere
                else self._resolve_at_home(model, asking.api_provider)
            )
            return self._recipient(target, asking.params)
        if model.owner is not None:
            target = model.owner.target(asking.gen_type)
        else:
            own_type = model.gen_type if asking.gen_type == "chat" else None
            target = self._resolve(
                model.model or None,
                api_provider=model.api_provider,
                url=model.url or None,
                api_key=model.api_key,
                gen_type=own_type or asking.gen_type,
                **address,
            )
        if model.limits is not None:
            known = self.limits.get(target.pool, model.limits)
            self.limits[target.pool] = model.limits.intersect(known)
        # What belongs to the model gives way to what belongs to the call.
        params = {**model.params, **asking.params}
        if not asking.takes_several and "n" not in asking.params:
            params.pop("n", None)
        return self._recipient(target, params)

    def _resolve_at_home(self, model: str | None, api_provider: str | None) -> HTTPTarget:
        """Return the target of a model at the call's own address, and with its key.

        Without an address the key is for one provider only: a bare name may mean another.
        """
        asking = self._asking
        target = self._resolve(
            model,
            api_provider=api_provider,
            url=asking.url,
            api_key=asking.api_key,
            key_owner=None if asking.url else self._key_owner,
            gen_type=asking.gen_type,
        )
        self._key_owner = self._key_owner or target.row.name
        return target

    def _recipient(self, target: HTTPTarget, params: Mapping[str, Any]) -> _Recipient:
        output = self._asking.output
        if output is None:
            call = functools.partial(target.call, params=params, extra=self._extra)
        else:
            call = functools.partial(
                structured_call, target, params=params, output=output, extra=self._extra
            )
        return _Recipient(target, call)

    def __call__(self, request: Any, number: int) -> Row:
        """Return the row for the request at position `number`; never raises for bad input."""
        tag, sample = request, 0
        if isinstance(request, Sampled):
            request, sample = request.request, request.k
        if type(request) is not dict and not isinstance(request, Mapping):
            if isinstance(request, LLMNBError):  # the caller could not make a request of its input
                return Row(call=None, error=request, tag=tag)
            error = InputError(
                f"Input {number} is a {type(request).__name__}, not a request: "
                f"give a dictionary with one of {', '.join(QUESTIONS)}.",
                row=number,
            )
            return Row(call=None, error=error, tag=tag)
        metadata, question = None, request
        try:
            if _NOT_BODY.isdisjoint(request):
                recipients = self._default_recipients
            else:
                metadata = request.get("metadata")
                recipients = self._recipients_of(request)
                question = {name: value for name, value in request.items() if name not in _NOT_BODY}
            call = recipients[0].call(question, sample=sample)
            if self._asking.duplicates == "sample":
                earlier = self._samples[call.key]
                self._samples[call.key] += 1
                if earlier:
                    sample += earlier
                    call = recipients[0].call(question, sample=sample)
            further = (
                tuple(other.call(question, sample=sample) for other in recipients[1:])
                if len(recipients) > 1
                else ()
            )
        except LLMNBError as error:
            return Row(call=None, error=error, metadata=metadata, tag=tag)
        return Row(call=call, metadata=metadata, tag=tag, further=further)

    def target_of(self, request: Mapping[str, Any]) -> HTTPTarget:
        """Return the first target of a request.

        Raises:
            LLMNBError: If the request names a model or an address that cannot be asked.
        """
        return self._recipients_of(request)[0].target

    def _recipients_of(self, request: Mapping[str, Any]) -> tuple[_Recipient, ...]:
        if _SAYS_WHO.isdisjoint(request):
            return self._default_recipients
        named = tuple(request.get(name) or None for name in _WHO)
        if named == (None,) * len(_WHO):
            return self._default_recipients
        model, *texts = named
        check_texts(**dict(zip(_WHO[1:], texts, strict=True)))
        if model is not None and not isinstance(model, str):
            named = (id(model),)
        if not self._asking.allow_urls:
            for name in ("url", "api_key"):
                if request.get(name):
                    raise AddressInFile(
                        f"The line has a field {name!r} of its own, and a file does not decide "
                        "where a request goes. Nothing was sent for it. If you trust the file, "
                        "allow it with allow_urls=True (on the command line --allow-urls); keys "
                        "of yours are not sent there."
                    )
        known = self._by_name.get(named)
        if known is None:
            known = self._by_name[named] = self._recipients_named_in(request)
            self._objects.append(model)
        if isinstance(known, LLMNBError):
            raise type(known)(known.message)
        return known

    def _recipients_named_in(
        self, request: Mapping[str, Any]
    ) -> tuple[_Recipient, ...] | LLMNBError:
        """Return the targets of a request that names its model, or the error it gets instead."""
        asking = self._asking
        model, api_provider, url, api_key = (request.get(name) or None for name in _WHO)
        if model is not None and not is_model(model):
            return InputError(
                f"model is a {type(model).__name__}; name it by a text, or give an object such as "
                "LLM. Nothing was sent for it."
            )
        try:
            if model is not None and not isinstance(model, str):
                return tuple(self._recipient_of(endpoint) for endpoint in endpoints_of(model))
            default = self.models[0] if self.models else None
            if isinstance(default, Endpoint) and not model and not api_provider:
                own = {"url": url, "owner": None} if url else {}
                key = api_key or (None if url else default.api_key)
                endpoint = dataclasses.replace(default, api_key=key, **own)
                address = {"is_url_from_data": url is not None, "trusted_url": default.url or None}
                return (self._recipient_of(endpoint, **address),)
            names_other = bool(api_provider or (model and "/" in model and not asking.api_provider))
            same = not names_other or api_provider == asking.api_provider
            default = default if same else None
            model = model or (default.model if isinstance(default, Endpoint) else default)
            api_provider = api_provider or (None if names_other else asking.api_provider)
            if same and not (url or api_key):
                if asking.api_key and self._key_owner is None and self.models != (None,):
                    with contextlib.suppress(LLMNBError):
                        _ = self._default_recipients
                    self._key_owner = self._key_owner or ""  # nobody's: no model was at home
                target = self._resolve_at_home(model, api_provider)
            else:
                # A key or an address given for one provider never goes to another.
                target = self._resolve(
                    model,
                    api_provider=api_provider,
                    url=url or (asking.url if same else None),
                    api_key=api_key,
                    gen_type=asking.gen_type,
                    is_url_from_data=url is not None,
                    trusted_url=asking.url if same else None,
                )
        except LLMNBError as error:
            return error
        return (self._recipient(target, asking.params),)
