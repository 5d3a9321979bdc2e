"""The question that is sent to Dask's workers, with its limits and never with a key."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import pickle
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Literal

import cloudpickle

from llmnb import settings
from llmnb.errors import ConfigurationError
from llmnb.rate_limiter.rules import Rule
from llmnb.running.asking import endpoints_of
from llmnb.targets.custom import CustomModel
from llmnb.targets.endpoint import Endpoint
from llmnb.targets.resolve import choose
from llmnb.wire.catalog import load_catalog

Verb = Literal["generate", "extract", "classify", "embed"]

_SHORTEST_KEY = 8
"""Characters of a key at least; a shorter text would occur in any question."""

_WHERE_KEYS_BELONG = (
    "Workers read keys themselves: set the variable (such as OPENAI_API_KEY) in their "
    "environment or in a .env file where they run, or give it to those that are there with "
    'client.run(llmnb.set_key, "openai", …). Nothing was sent.'
)

_KEY_FIELDS = frozenset(("api_key", "authorization", "x-api-key", "api-key"))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A verb's call, as it is sent to the worker of every partition."""

    verb: Verb
    prompt: Hashable | None
    argument: Any = None
    """The schema of `extract`, the labels of `classify`, or ``into`` of `embed`."""

    options: Mapping[str, Any]
    """Keywords, models by name or address, and projects by name; without the limits."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Limits of the call, for the whole cluster."""

    rules: tuple[Rule, ...] = ()
    """The rules of `GLOBAL_LIMITER` when the verb was called."""

    cache_dir: str
    """Folder of all projects, as the client knows it."""

    is_cache_dir_chosen: bool = False
    """Whether `configure()` named it: then it wins over a worker's own setting."""

    allow_http: bool = False
    meta: Any = None
    """The form of the result: an empty table of pandas."""


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """A question, pickled for the graph."""

    payload: bytes
    partitions: int

    @property
    def id(self) -> str:
        """The question's name, the same on client and workers."""
        return hashlib.sha256(self.payload).hexdigest()[:16]

    @property
    def question(self) -> Question:
        """The question itself."""
        return _unpack(self.payload)

    def __dask_tokenize__(self) -> tuple[str, bytes]:
        return "llmnb", self.payload

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"


@functools.lru_cache(maxsize=64)
def _unpack(payload: bytes) -> Question:
    question: Question = pickle.loads(payload)
    return question


def pack(question: Question, partitions: int) -> Work:
    """Pickle a question for the graph.

    Raises:
        ConfigurationError: If something in it cannot travel, or a key would.
    """
    try:
        payload: bytes = cloudpickle.dumps(question)
    except Exception as error:  # pickling calls methods of the objects, which may raise anything
        raise ConfigurationError(
            f"Something in the question cannot travel to Dask's workers "
            f"({type(error).__name__}): name models by text, and give schemas and params of plain "
            "values. Nothing was sent."
        ) from None
    for name, key in _known_keys():
        if key.encode() in payload:
            raise ConfigurationError(
                f"The question holds the value of {name}, and what is asked on Dask travels to "
                f"scheduler and workers: leave it out. {_WHERE_KEYS_BELONG}"
            )
    return Work(payload, partitions)


def _known_keys() -> Iterator[tuple[str, str]]:
    """Yield the secrets that this process knows."""
    for row in load_catalog().values():
        for variable in row.key_env:
            if len(key := settings.environment(variable) or "") >= _SHORTEST_KEY:
                yield variable, key
        if len(key := settings.find_key(row.name, ()) or "") >= _SHORTEST_KEY:
            yield f"{row.name}'s key", key
    url = settings.environment("REDIS_URL") or ""
    if "@" in url:
        yield "REDIS_URL", url


def without_key(fields: Any, where: str) -> None:
    """Refuse fields that hold a key.

    Raises:
        ConfigurationError: If there is one.
    """
    fields = fields.body() if hasattr(fields, "body") else fields
    if not isinstance(fields, Mapping):
        return
    for name, value in fields.items():
        if str(name).lower() in _KEY_FIELDS and value:
            raise ConfigurationError(
                f"{where} holds {name!r}, and what is asked on Dask travels to scheduler and "
                f"workers: leave it out. {_WHERE_KEYS_BELONG}"
            )
        without_key(value, where)


def models_to_send(model: Any, gen_type: str = "chat") -> list[Any]:
    """Return models as they may be sent to workers: by full name or address, without keys.

    Args:
        model: One model or a list of them; None: the configured one.
        gen_type: Kind of generation.

    Raises:
        ConfigurationError: If there is no such model, or one brings a key along.

    Example:
        >>> models_to_send(["openai/gpt-4o-mini", "sim/any"])
        ['openai/gpt-4o-mini', 'sim/any']
    """
    is_list = isinstance(model, Sequence) and not isinstance(model, str)
    models: Sequence[Any] = model if is_list else [model]
    return [
        _model_to_send(endpoint, gen_type) for model in models for endpoint in endpoints_of(model)
    ]


def _model_to_send(model: Any, gen_type: str) -> Any:
    if model is None or isinstance(model, str):
        return _full_name(model, None, gen_type)
    if not isinstance(model, Endpoint):
        raise ConfigurationError(
            f"model is of type {type(model).__name__}; it is a name such as 'openai/gpt-4o-mini', "
            "an LLM, or a list of them. Nothing was sent."
        )
    if isinstance(model.owner, CustomModel):
        raise ConfigurationError(
            "A model of your own code is not asked on Dask: it would travel to scheduler and "
            "workers with all it holds, keys too. Name a model, or compute the frame and ask there."
        )
    if model.api_key:
        raise ConfigurationError(
            f"{model!r} brings its key along, and what is asked on Dask travels to scheduler and "
            f"workers: make it without api_key. {_WHERE_KEYS_BELONG}"
        )
    without_key(model.params, "The model")
    without_key(getattr(model.owner, "fields", None), "The model")
    if model.owner is not None:  # the owner makes the target in whatever process it is
        return model
    name, provider = model.model, model.api_provider
    if not model.url:
        name, provider = _full_name(name or None, provider, gen_type), None
    return dataclasses.replace(
        model,
        model=name,
        api_provider=provider,
        params=dict(model.params),
        limits=None,  # the question holds them
        rates={},
    )


def _full_name(name: str | None, provider: str | None, gen_type: str) -> str:
    chosen = choose(name, api_provider=provider, gen_type=gen_type)
    return f"{chosen.provider}/{chosen.model}"
