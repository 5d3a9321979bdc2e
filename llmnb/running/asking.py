"""Who is asked: how a model may be named, and what holds for every request of a call."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypeGuard, runtime_checkable

from llmnb.chat.llm_model import LLMModel
from llmnb.errors import ConfigurationError
from llmnb.rate_limiter import Key
from llmnb.rates import Rate
from llmnb.records import Limits, secret, secret_url
from llmnb.schemas import Output
from llmnb.targets.guests import Guest

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
    allow_urls: bool = True
    """Whether a request may name a URL or a key of its own; files may not unless told so."""

    encoding: str = "cl100k_base"
    output: Output | None = None
    """The form that answers must have; None: any text."""

    takes_several: bool = False
    """Whether the caller gets whole replies, and so the several answers in one that ``n`` among a
    model's own parameters asks for. Elsewhere all but the first would be bought for nothing."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "api_key", secret(self.api_key))
        object.__setattr__(self, "url", secret_url(self.url))

    @property
    def models(self) -> tuple[Named | None, ...]:
        """The models in order; one None where none is named."""
        given = self.model
        if given is None or is_model(given):
            return endpoints_of(given)
        if not isinstance(given, Iterable):
            raise _no_model(given)
        return tuple(one for model in given for one in endpoints_of(model))


def given_url(model: Endpoint) -> str:
    """Return the address that a model as an object was given; empty: the provider's own."""
    given: str | None = getattr(model, "given_url", None)
    return model.url if given is None else given


def gen_type_for(model: Endpoint, asked: str) -> str:
    """Return the kind of generation to ask a model for: the call's, else its own.

    Example:
        >>> from llmnb.models.llm import LLM
        >>> gen_type_for(LLM(gen_type="responses"), "chat"), gen_type_for(LLM(), "embedding")
        ('responses', 'embedding')
    """
    own: str | None = getattr(model, "gen_type", None)
    return own if own and asked == "chat" else asked


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
        raise _no_model(model)
    return (model,)


def _no_model(given: object) -> ConfigurationError:
    return ConfigurationError(
        f"A model is named by a text or an object such as LLM, not {type(given).__name__}. "
        "Nothing was sent."
    )
