"""`VLLMModel`: a vLLM engine of this process as a model, wherever a model may be named."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmnb.adapters import vllm
from llmnb.adapters.vllm import EngineSettings
from llmnb.adapters.vllm_engine import Engine
from llmnb.models.llm import LLM, LLMParams
from llmnb.options import params_in, with_params
from llmnb.records import UnchosenLength
from llmnb.targets import owned
from llmnb.targets.vllm_target import VLLMTarget


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
        beside, engine_options = params_in(engine_options)
        llm_params = with_params(llm_params, beside, "llm_params")
        if isinstance(model, Engine):
            self.engine = model
        elif isinstance(model, (str, os.PathLike)):
            settings = EngineSettings(
                model=os.fspath(model),
                tokenizer=tokenizer,
                seed=seed,
                cache_dir=cache_dir,
                gpu_memory_utilization=gpu_memory_utilization,
                tensor_parallel_size=tensor_parallel_size,
                max_model_len=max_model_len,
                further=engine_options,
            )
            self.engine = vllm.load(settings, hf_token=hf_token)
        else:
            self.engine = vllm.around(model)
        name = name or _name_of(self.engine.name)
        super().__init__(model=f"vllm/{name}", llm_params=llm_params, project_name=project_name)
        self._targets: dict[str, VLLMTarget] = {}
        owned.register("vllm", name, self)

    def target(self, gen_type: str = "chat") -> VLLMTarget:
        """Return who answers: the engine of llmnb asks here instead of looking a name up.

        Args:
            gen_type: ``"chat"`` or ``"text"``.

        Raises:
            ConfigurationError: If it is another kind.
        """
        found = self._targets.get(gen_type)
        if found is None:
            name = self.model.removeprefix("vllm/")
            found = VLLMTarget(self.engine, name, gen_type, self.params)
            self._targets[gen_type] = found
        return found

    def close(self) -> None:
        """Let go of the model and its memory."""
        self.engine.close()

    def __repr__(self) -> str:
        return f"<VLLMModel {self.model}>"


def _name_of(model: str) -> str:
    """Return a name without somebody's folders; names on the hub stay whole."""
    path = Path(model)
    return path.resolve().name if path.exists() else model
