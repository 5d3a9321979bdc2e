"""`LocalModel`: any GGUF file as a model inside this process, loaded as its owner wants it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, Unpack

from llmnb.adapters import llamacpp
from llmnb.adapters.llamacpp import LoadSettings, Pooling
from llmnb.keywords import RequestParams
from llmnb.models.llm import LLM, LLMParams
from llmnb.targets import owned
from llmnb.targets.local import EMBEDS, LocalTarget, local_target


class LocalModel(LLM):
    """A model that llama.cpp runs inside this process, asked like any other.

    Wherever a model is named by a string such an object is accepted too. It does
    log-probabilities (``logprobs=True``), JSON schemas, several requests at once and
    embeddings. The first request loads it; answers that are stored need no loading.

    Args:
        model: ``"smollm2"``, or the path of a GGUF file; ``local/`` before it is understood.
        n_parallel: Requests answered at once, each in a slot of its own.
        n_ctx: Tokens that prompt and answer may have together, for each slot.
        n_threads: Threads; None: every core this process may use.
        pooling: How the vectors of a text's tokens become one, where it embeds.
        llm_params: An `LLMParams` or a mapping of body fields.
        project_name: Project that keeps the answers.
        **params: ``max_tokens``, ``temperature`` and their like, beside `llm_params`.

    Raises:
        ConfigurationError: If the load settings make no sense.

    Example:
        >>> LocalModel("models/tiny.gguf", n_parallel=2)
        <LocalModel local/tiny, 2 slots of 2048 tokens>
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "smollm2",
        *,
        n_parallel: int = 4,
        n_ctx: int = 2048,
        n_threads: int | None = None,
        pooling: Pooling = "mean",
        llm_params: LLMParams | Mapping[str, Any] | None = None,
        project_name: str | None = None,
        **params: Unpack[RequestParams],
    ) -> None:
        self.source = os.fspath(model).removeprefix("local/")
        self.load = LoadSettings(n_parallel=n_parallel, n_ctx=n_ctx, n_threads=n_threads)
        llamacpp.check(dataclasses.replace(self.load, pooling=pooling))
        self.pooling = pooling
        name = self.source
        if (self.load, pooling) != (LoadSettings(), "mean"):
            # Loaded otherwise it is another model, and has another name by which it is found.
            threads = f", {n_threads} threads" if n_threads else ""
            name += f" ({n_parallel} x {n_ctx}{threads}, {pooling})"
            owned.register("local", name, self)
        super().__init__(
            model=f"local/{name}", llm_params=llm_params, project_name=project_name, **params
        )

    def target(self, gen_type: str = "chat") -> LocalTarget:
        """Return who answers: the engine asks here instead of looking a name up.

        Args:
            gen_type: ``"chat"``, ``"text"`` or ``"embedding"``.

        Raises:
            MissingExtra: If the extra ``local`` is not installed.
            ConfigurationError: If there is no such file, or it cannot be fetched.
        """
        load = self.load
        if gen_type == EMBEDS:
            load = dataclasses.replace(load, pooling=self.pooling)
        return local_target(self.source, gen_type, load)

    def close(self) -> None:
        """Free the memory; requests in flight lose their connection, the next one loads anew."""
        for gen_type in ("chat", EMBEDS):
            self.target(gen_type).close()

    def __repr__(self) -> str:
        slots = f"{self.load.n_parallel} slots of {self.load.n_ctx} tokens"
        return f"<LocalModel local/{_shown(self.source)}, {slots}>"


def _shown(source: str) -> str:
    """Return a model's name without somebody's folders or the key in an address."""
    tail = source.partition("?")[0].replace("\\", "/").rpartition("/")[2]
    return tail.removesuffix(".gguf")
