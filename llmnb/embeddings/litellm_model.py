"""`LiteLLMEmbeddingModel`: a model behind HTTP, under LMI's name, on llmnb's own engine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from llmnb.embeddings.model import EmbeddingModel
from llmnb.embeddings.order import BATCH_SIZE, EMBEDS, Order
from llmnb.embeddings.run import EmbeddingRun
from llmnb.engine.row_errors import copy_of
from llmnb.errors import ConfigurationError, LLMNBError
from llmnb.models.litellm_model import (
    ADDRESS,
    ATTEMPTS,
    config_fields,
    is_connection,
    litellm_endpoint,
    provider_and_model,
)
from llmnb.options import OPTIONS, RETRIES, checked
from llmnb.records import secret
from llmnb.running.asking import Asking, Model, endpoints_of
from llmnb.targets.endpoint import Endpoint
from llmnb.user_code import warn
from llmnb.wire.catalog import load_catalog

DEFAULT = "text-embedding-3-small"


class LiteLLMEmbeddingModel(EmbeddingModel):
    """Vectors from any provider of the catalog that has them, the embedded model included.

    A provider whose vectors the catalog does not know, and what is named ``litellm/…``, is
    reached through LiteLLM (extra ``litellm``), on the same engine. Each text is kept and never
    bought twice, whatever batch it was in. Requests are retried, held to the limits and priced
    as those of everything else.

    Args:
        name: ``"provider/model"`` as LiteLLM spells it, or a bare name such as
            ``"text-embedding-3-small"``; or a model as an object, such as an `LLM` or a
            `LocalModel`.
        batch_size: Texts of one request; it may stand in `config` too, this one counts.
        config: ``kwargs`` (``api_key``, ``api_base``, ``dimensions`` and other fields of the
            request), ``rate_limit`` (tokens) and ``request_limit`` such as ``"100/minute"``,
            ``batch_size``, ``max_tokens`` (of one text; longer ones are cut, with a warning),
            ``document_prefix``, ``query_prefix``, ``document_kwargs``, ``query_kwargs``; limits and
            patience under their own names, too: ``max_concurrent_requests``, ``burst``,
            ``max_attempts``, ``max_wait``, ``budget_usd``.
        project_name: Project that keeps the vectors.

    Raises:
        ConfigurationError: If the config says what nobody understands.

    Example:
        >>> from llmnb.testing import SimulatedProvider
        >>> with SimulatedProvider() as sim:
        ...     config = {"kwargs": {"api_base": sim.base_url, "api_key": "k", "dimensions": 4}}
        ...     model = LiteLLMEmbeddingModel(config=config)
        ...     len(model.embed_documents_sync(["a", "", "b"])), model.ndim
        (3, 4)
    """

    def __init__(
        self,
        name: Model = DEFAULT,
        batch_size: int | None = None,
        config: Mapping[str, Any] | None = None,
        *,
        project_name: str | None = None,
    ) -> None:
        shown = name if isinstance(name, str) else endpoints_of(name)[0]
        super().__init__(shown.model if isinstance(shown, Endpoint) else str(shown))
        self.config = settings = _checked_settings(config)
        self.project_name = project_name
        fields = dict(settings.get("kwargs") or {})
        self._limits = _limits(settings, fields)
        endpoint = _endpoint(name if isinstance(name, str) else None, fields)
        self._model: Model = endpoint or name
        self._params = {name: value for name, value in fields.items() if name not in _IGNORED}
        sizes = (batch_size, settings.get("batch_size"), BATCH_SIZE)
        self.batch_size = next(size for size in sizes if size is not None)
        self.order()  # wrong settings are an error here

    @property
    def ndim(self) -> int | None:
        """Numbers in a vector; None for a model that nobody knows, until it has made one."""
        return self._ndim or self.order().ndim

    def start(self, texts: Sequence[str | None]) -> EmbeddingRun:
        """Start embedding in the background and return at once.

        Args:
            texts: The texts; None gets nothing.

        Raises:
            ConfigurationError: If there is no such model, or no key for it.
        """
        return EmbeddingRun(texts, self.order())

    async def packed_vectors(self, texts: Sequence[str]) -> list[bytes]:
        """Return one vector for each text: little-endian numbers of 32 bits."""
        if not texts:
            return []
        run = self.start(texts)
        try:
            vectors = await run
        except asyncio.CancelledError:
            run.stop()
            raise
        warn_of_truncated(run, len(texts))
        if run.errors:
            raise _first_error(run.errors, len(texts))
        self._ndim = run.ndim
        return [vector for vector in vectors if vector is not None]

    def order(self) -> Order:
        """Return the order under which texts are embedded now: model, batches and limits."""
        settings, mode = self.config, self.mode.value
        return Order(
            asking=Asking(
                model=self._model,
                gen_type=EMBEDS,
                params={**self._params, **(settings.get(f"{mode}_kwargs") or {})},
            ),
            batch_size=self.batch_size,
            most_tokens=settings.get("max_tokens"),
            prefix=str(settings.get(f"{mode}_prefix") or ""),
            project_name=self.project_name,
            options=self._limits,
        )


def warn_of_truncated(run: EmbeddingRun, texts: int) -> None:
    """Warn of texts of which only the beginning was embedded."""
    if not (cut := run.truncated):
        return
    position, had = next(iter(cut.items()))
    warn(
        f"{len(cut):,} of {texts:,} texts are longer than {run.asked} reads: only the beginning "
        f"of each was embedded. The first is text {position:,} with {had:,} tokens. Split them, "
        "or name a model that reads more."
    )


def _first_error(errors: Mapping[int, LLMNBError], texts: int) -> LLMNBError:
    position, error = next(iter(errors.items()))
    first = copy_of(error)
    kept = "" if len(errors) == texts else " The vectors of the others are kept."
    first.args = (
        f"{len(errors):,} of {texts:,} texts failed; the first is text {position:,}. "
        f"{error.message}{kept}",
    )
    return first


# ----------------------------------------------------------------------------- its config

_KNOWN = (
    *("kwargs", "batch_size", "rate_limit", "request_limit", "max_tokens", "document_prefix"),
    *("query_prefix", "document_kwargs", "query_kwargs"),
)
_OPTIONS = (
    *("max_requests_per_minute", "max_tokens_per_minute", "max_concurrent_requests"),
    *("burst", "max_attempts", "max_wait", "budget_usd"),
)
_RATES = {
    "rate_limit": "max_tokens_per_minute",
    "request_limit": "max_requests_per_minute",
}
_PROVIDER = ("api_provider", "custom_llm_provider")
_IGNORED = frozenset(("caching", "timeout"))
"""LiteLLM's own switches, which mean nothing to a request that llmnb sends."""


def _checked_settings(config: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a config as a dictionary; refuse names that it does not have."""
    settings = config_fields(config or {}, "config")
    for name in ("kwargs", "document_kwargs", "query_kwargs"):
        config_fields(settings.get(name) or {}, name)
    if unknown := sorted(set(settings) - {*_KNOWN, *_OPTIONS}):
        raise ConfigurationError(
            f"An embedding model's config has no {', '.join(map(repr, unknown))}; it has: "
            f"{', '.join((*_KNOWN, *_OPTIONS))}. Fields of the request go into 'kwargs'."
        )
    return settings


def _limits(settings: Mapping[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """Return the limits and the patience that a config sets, by the names of `start`'s options.

    Args:
        settings: The config.
        fields: Fields of the request; those that mean a limit are removed.
    """
    limits: dict[str, Any] = {}
    for rate, option in _RATES.items():
        if settings.get(rate) is not None:
            OPTIONS[option].checked(rate, settings[rate])  # here, not at the first request
            limits[option] = settings[rate]
    if (retries := _taken(fields, ATTEMPTS)) is not None:
        limits["max_attempts"] = RETRIES.checked("max_retries", retries) + 1
    own = {name: settings[name] for name in _OPTIONS if settings.get(name) is not None}
    return limits | checked(own)


def _endpoint(name: str | None, fields: dict[str, Any]) -> Endpoint | None:
    """Return the endpoint of a model's name: a provider of the catalog, or LiteLLM.

    Args:
        name: The name; None for a model that is an object, which has its endpoint.
        fields: Fields of the request; those that say where the model is are removed.
    """
    provider_name = _taken(fields, _PROVIDER)
    connection = {name: fields.pop(name) for name in list(fields) if is_connection(name)}
    key, url = secret(_taken(fields, ("api_key",))), _taken(fields, ADDRESS)
    if name is None:
        return None
    provider, _ = provider_and_model(name, provider_name=provider_name, has_url=bool(url))
    row = load_catalog().get(provider)
    has_none = row is not None and "embedding" not in row.paths
    return litellm_endpoint(
        f"litellm/{name}" if has_none else name,
        url=url or "",
        api_key=key,
        provider_name=None if has_none else provider_name,
        connection=connection,
    )


def _taken(fields: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Remove a field under all of its names; return the first value."""
    values = [fields.pop(name, None) for name in names]
    return next((value for value in values if value is not None), None)
