"""`LocalModel` and `VLLMModel`: models that run inside this process."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from llmnb.adapters import llamacpp, vllm
from llmnb.adapters.llamacpp import LoadSettings, Pooling
from llmnb.adapters.vllm_engine import Engine
from llmnb.keywords import RequestParams
from llmnb.models.llm import LLM, LLMParams
from llmnb.option_kinds import PATH
from llmnb.options import PARAMS, Option, with_params
from llmnb.records import UnchosenLength
from llmnb.signatures import full_signature
from llmnb.targets.endpoint import Endpoint, register_model
from llmnb.targets.local import EMBEDS, LocalTarget, local_target
from llmnb.targets.vllm_target import VLLMTarget

_MODEL = Option("a name or the path of a GGUF file", PATH, is_optional=False)


@full_signature
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
        self.source = os.fspath(_MODEL.checked("model", model or "smollm2")).removeprefix("local/")
        self.load = LoadSettings(n_parallel=n_parallel, n_ctx=n_ctx, n_threads=n_threads)
        llamacpp.check(dataclasses.replace(self.load, pooling=pooling))
        self.pooling = pooling
        name = self.source
        if (self.load, pooling) != (LoadSettings(), "mean"):
            # With other load settings it is another model, with a name of its own.
            threads = f", {n_threads} threads" if n_threads else ""
            name += f" ({n_parallel} x {n_ctx}{threads}, {pooling})"
            register_model("local", name, self)
        super().__init__(
            model=f"local/{name}", llm_params=llm_params, project_name=project_name, **params
        )

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The one endpoint that is asked: this object."""
        return (Endpoint(model=self.model, params=self.params, owner=self),)

    def target(self, gen_type: str = "chat") -> LocalTarget:
        """Return the target that answers; the engine looks no name up.

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
        # The file's name alone: folders are private, and an address may hold a key.
        name = self.source.partition("?")[0].replace("\\", "/").rpartition("/")[2]
        slots = f"{self.load.n_parallel} slots of {self.load.n_ctx} tokens"
        return f"<LocalModel local/{name.removesuffix('.gguf')}, {slots}>"


class VLLMModel(LLM):
    """A model that vLLM runs inside this process, asked like any other.

    It is loaded when the object is made, which takes a minute, and is found by its name
    as long as the object lives: ``%%llm -m vllm/tiny`` asks it, and so does
    ``AsyncLLM(model="vllm/tiny")``. Requests of all runs are written together.

    For a vLLM server no such object is needed: ``model="vllm/NAME"`` with
    ``url="http://HOST:8000/v1"``, or with `LLMNB_VLLM_BASE_URL` set.

    Args:
        model: A folder with a model, its name on the hub, an engine that is loaded (such as
            `ModelGenerator.engine`), or an ``LLM`` of vLLM's own.
        name: What follows ``vllm/``; None: the folder's name, or the name on the hub.
        tokenizer: None: the model's own.
        seed: Seed of the engine.
        hf_token: Token for private models of the hub.
        cache_dir: Where files from the hub are kept.
        gpu_memory_utilization: Share of the GPU's memory that the engine may take.
        tensor_parallel_size: GPUs that share the model.
        max_model_len: Tokens that prompt and answer may have together.
        llm_params: An `LLMParams` or a mapping of body fields.
        project_name: Project that keeps the answers.
        **engine_options: ``max_tokens``, ``temperature`` and their like, beside `llm_params`;
            further arguments of vLLM's ``LLM``, such as ``dtype``.

    Raises:
        MissingExtra: If vLLM is not installed.
        ConfigurationError: If vLLM cannot load the model so.

    Example:
        >>> model = VLLMModel("models/tiny", name="tiny")  # doctest: +SKIP
        >>> model.generate("Say hello.")  # doctest: +SKIP
        'Hello.'
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Engine | Any,
        *,
        name: str | None = None,
        tokenizer: str | None = None,
        seed: int = 0,
        hf_token: str | None = None,
        cache_dir: str | None = None,
        gpu_memory_utilization: float = vllm.UnchosenShare(0.9),
        tensor_parallel_size: int = 1,
        max_model_len: int | None = UnchosenLength(2048),
        llm_params: LLMParams | Mapping[str, Any] | None = None,
        project_name: str | None = None,
        **engine_options: Any,
    ) -> None:
        beside = {name: engine_options.pop(name) for name in PARAMS if name in engine_options}
        llm_params = with_params(llm_params, beside, "llm_params")
        if isinstance(model, Engine):
            self.engine = model
        elif isinstance(model, (str, os.PathLike)):
            self.engine = vllm.load(
                os.fspath(model),
                tokenizer=tokenizer,
                seed=seed,
                hf_token=hf_token,
                cache_dir=cache_dir,
                gpu_memory_utilization=gpu_memory_utilization,
                tensor_parallel_size=tensor_parallel_size,
                max_model_len=max_model_len,
                **engine_options,
            )
        else:
            self.engine = vllm.wrap(model)
        if not name:  # the folder's own, without those above it; names on the hub stay whole
            path = Path(self.engine.name)
            name = path.resolve().name if path.exists() else self.engine.name
        super().__init__(model=f"vllm/{name}", llm_params=llm_params, project_name=project_name)
        self._targets: dict[str, VLLMTarget] = {}
        register_model("vllm", name, self)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The one endpoint that is asked: this object."""
        return (Endpoint(model=self.model, params=self.params, owner=self),)

    def target(self, gen_type: str = "chat") -> VLLMTarget:
        """Return the target that answers; the engine of llmnb looks no name up.

        Args:
            gen_type: ``"chat"`` or ``"text"``.

        Raises:
            ConfigurationError: If it is another kind.
        """
        if gen_type not in self._targets:
            name = self.model.removeprefix("vllm/")
            self._targets[gen_type] = VLLMTarget(self.engine, name, gen_type, self.params)
        return self._targets[gen_type]

    def close(self) -> None:
        """Let go of the model and its memory."""
        self.engine.close()

    def __repr__(self) -> str:
        return f"<VLLMModel {self.model}>"
