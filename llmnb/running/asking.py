"""`Asking`: the models of a call, and the settings that hold for all of its requests."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeGuard

from llmnb.chat.llm_model import LLMModel
from llmnb.errors import ConfigurationError
from llmnb.records import secret, secret_url
from llmnb.schemas import Output
from llmnb.targets.custom import custom_endpoint
from llmnb.targets.endpoint import Endpoint

Duplicates = Literal["merge", "sample"]

Model: TypeAlias = str | LLMModel | Endpoint
"""A model as callers name it: a text or an object, also of a class of their own."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asking:
    """The models of a call, and the defaults of its requests."""

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

    output: Output | None = None
    """The form that answers must have; None: any text."""

    takes_several: bool = False
    """Whether the caller gets whole replies, and so the several answers in one that ``n`` among a
    model's own parameters asks for. Elsewhere all but the first would be bought for nothing."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "api_key", secret(self.api_key))
        object.__setattr__(self, "url", secret_url(self.url))

    @property
    def models(self) -> tuple[str | Endpoint | None, ...]:
        """The models in order; one None where none is named."""
        model = self.model
        if model is None or isinstance(model, str):
            return (model,)
        several = [model] if is_model(model) or not isinstance(model, Iterable) else model
        return tuple(itertools.chain.from_iterable(map(endpoints_of, several)))


def is_model(value: Any) -> TypeGuard[Model]:
    """Return whether something names one model, and not a list of them."""
    return isinstance(value, str | LLMModel | Endpoint)


def endpoints_of(model: Model | None) -> tuple[str | Endpoint | None, ...]:
    """Return the endpoints of a model: its name itself, or those of an object.

    Raises:
        ConfigurationError: If it names no model.
    """
    if model is None or isinstance(model, str | Endpoint):
        return (model,)
    if not isinstance(model, LLMModel):
        what = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise ConfigurationError(
            f"A model is a text, an object such as LLM, or one of your own class, a subclass of "
            f"LLMModel, not {what}. Nothing was sent."
        )
    if not model.is_asked_by_engine:
        return (custom_endpoint(model),)
    endpoints: tuple[Endpoint, ...] = getattr(model, "endpoints", ())
    return endpoints
