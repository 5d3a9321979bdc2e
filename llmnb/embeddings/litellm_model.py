"""`LiteLLMEmbeddingModel`: a model behind HTTP, under LMI's name, on llmnb's own engine."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from llmnb.embeddings.model import EmbeddingModel
from llmnb.embeddings.order import BATCH_SIZE, EMBEDS, Order
from llmnb.embeddings.run import EmbeddingRun
from llmnb.engine.row_errors import copy_of
from llmnb.errors import ConfigurationError, LLMNBError
from llmnb.models.litellm_model import config_fields, read_config
from llmnb.running.asking import Asking, Model, endpoints_of
from llmnb.targets.endpoint import Endpoint
from llmnb.user_code import warn

DEFAULT = "text-embedding-3-small"

_OWN = (
    *("batch_size", "max_tokens", "document_prefix", "query_prefix"),
    *("document_kwargs", "query_kwargs"),
)
_OF_MODELS = (
    *("kwargs", "rate_limit", "request_limit", "max_requests_per_minute", "max_tokens_per_minute"),
    *("max_concurrent_requests", "burst", "max_attempts", "max_wait", "budget_usd"),
)
"""Fields of the config that mean what they mean in `LiteLLMModel`'s."""


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
        self.config = settings = config_fields(config or {}, "config")
        if unknown := sorted(settings.keys() - {*_OWN, *_OF_MODELS}):
            raise ConfigurationError(
                f"An embedding model's config has no {', '.join(map(repr, unknown))}; it has: "
                f"{', '.join((*_OWN, *_OF_MODELS))}. Fields of the request go into 'kwargs'."
            )
        for part in ("document_kwargs", "query_kwargs"):
            config_fields(settings.get(part) or {}, part)
        of_models = {name: settings[name] for name in _OF_MODELS if name in settings}
        read = read_config(self.name, of_models, gen_type=EMBEDS)
        self._options, self._params = read.options, read.endpoints[0].params
        self._models: Sequence[Model] = read.endpoints
        if not isinstance(name, str):  # of its own address
            limits = read.endpoints[0].limits
            self._models = [
                dataclasses.replace(model, limits=limits) if isinstance(model, Endpoint) else name
                for model in endpoints_of(name)
            ]
        self.project_name = project_name
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
                model=self._models,
                gen_type=EMBEDS,
                params={**self._params, **(settings.get(f"{mode}_kwargs") or {})},
            ),
            batch_size=self.batch_size,
            most_tokens=settings.get("max_tokens"),
            prefix=str(settings.get(f"{mode}_prefix") or ""),
            project_name=self.project_name,
            options=self._options,
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
