"""`LiteLLMEmbeddingModel`: a model behind HTTP, under LMI's name, on llmnb's own engine."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from llmnb.embeddings.config import EmbeddingConfig
from llmnb.embeddings.model import EmbeddingModel
from llmnb.embeddings.order import BATCH_SIZE, Order, asking_for
from llmnb.embeddings.run import EmbeddingRun
from llmnb.engine.row_errors import copied
from llmnb.errors import LLMNBError
from llmnb.running.asking import Model, endpoints_of
from llmnb.targets.endpoint import Endpoint

DEFAULT = "text-embedding-3-small"


class LiteLLMEmbeddingModel(EmbeddingModel):
    """Vectors from any provider of the catalog that has them, the embedded model included.

    A provider whose vectors the catalog does not know, and what is named ``litellm/…``, is
    reached through LiteLLM (extra ``litellm``), on the same engine. Each text is kept and never
    bought twice, whatever batch it was in. Requests are retried, held to the limits and priced
    as those of every other door.

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
        self.config = dict(config or {})
        self.project_name = project_name
        self._config = EmbeddingConfig.of(config)
        self._model = self._config.endpoint(name) if isinstance(name, str) else name
        self.batch_size = _first(batch_size, self._config.batch_size, BATCH_SIZE)
        self.order()  # what is wrong is an error now

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
            found = await run
        except asyncio.CancelledError:
            run.stop()
            raise
        warn_of_truncated(run, len(texts))
        if run.errors:
            raise _first_error(run.errors, len(texts))
        self._ndim = run.ndim
        return [one for one in found if one is not None]

    def order(self) -> Order:
        """Return what is ordered when texts are given now: who makes vectors, and how."""
        config, mode = self._config, self.mode.value
        return Order(
            asking=asking_for(
                self._model,
                params={**config.params, **config.mode_params[mode]},
            ),
            batch_size=self.batch_size,
            most_tokens=config.most_tokens,
            prefix=config.prefixes[mode],
            project_name=self.project_name,
            options=config.limits,
        )


def _first(*sizes: int | None) -> int:
    return next(size for size in sizes if size is not None)


def warn_of_truncated(run: EmbeddingRun, texts: int) -> None:
    """Say of how many texts only the beginning was embedded."""
    if not (cut := run.truncated):
        return
    position, had = next(iter(cut.items()))
    warnings.warn(
        f"{len(cut):,} of {texts:,} texts are longer than {run.asked} reads: only the beginning "
        f"of each was embedded. The first is text {position:,} with {had:,} tokens. Split them, "
        "or name a model that reads more.",
        stacklevel=2,
    )


def _first_error(errors: Mapping[int, LLMNBError], texts: int) -> LLMNBError:
    position, error = next(iter(errors.items()))
    first = copied(error)
    kept = "" if len(errors) == texts else " The vectors of the others are kept."
    first.args = (
        f"{len(errors):,} of {texts:,} texts failed; the first is text {position:,}. "
        f"{error.message}{kept}",
    )
    return first
