"""`LiteLLMModel`: a model by its LiteLLM name and config, asked by llmnb's own engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.chat.results import without_keys
from llmnb.models.config_forms import read_config
from llmnb.models.engine_model import EngineModel
from llmnb.running.asking import Endpoint

DEFAULT_NAME = "gpt-4o-mini"
"""The model where neither `name` nor `config` says one."""


class LiteLLMModel(EngineModel):
    """A model by name, with parameters, limits and fallbacks in one `config`.

    Providers that llmnb knows are asked directly; every other one is reached through the
    package LiteLLM (extra ``litellm``), as is what is named ``litellm/…``. Limits, retries,
    store and cost are the engine's in both cases: LiteLLM's own retries are off.

    Wherever a model is named by a string, such an object is accepted too.

    Args:
        name: As LiteLLM spells it: ``"gpt-4o"``, ``"anthropic/claude-…"``, ``"bedrock/…"``;
            None: the config's, else ``"gpt-4o-mini"``.
        config: Parameters and more, in any of these forms (see `config_forms.read_config`):
            ``{"model_list": [{"model_name": …, "litellm_params": {…}}], "fallbacks": …}``;
            ``{"name": …, "temperature": …, "max_tokens": …, "n": …}``;
            either with ``rate_limit`` (tokens) and ``request_limit`` (requests), each a text
            such as ``"100/minute"``, a `limits.RateLimitItem`, or a mapping from models to these.
            They bind this model's calls; with ``REDIS_URL`` set, those of every process that
            shares the Redis, unless `GLOBAL_LIMITER.rate_config` says otherwise.

    Raises:
        ConfigurationError: If the config cannot be read.

    Example:
        >>> from llmnb.testing import SimulatedProvider
        >>> with SimulatedProvider(reply="42") as sim:
        ...     llm = LiteLLMModel("gpt-4o", {"api_base": sim.base_url, "api_key": "k"})
        ...     llm.call_single_sync("What is the meaning of life?").text
        '42'
    """

    def __init__(self, name: str | None = None, config: Mapping[str, Any] | None = None) -> None:
        self._settings = read_config(name, config, default=DEFAULT_NAME)
        self._given = without_keys(config or {})

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._settings.name

    @property
    def config(self) -> Mapping[str, Any]:
        """The config as it was given, without keys."""
        return dict(self._given)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Who is asked, in the order of fallback."""
        return self._settings.deployments

    # What a door needs that takes one endpoint: the first choice.

    @property
    def url(self) -> str:
        """Address of the first choice; empty: the provider's own."""
        return self.endpoints[0].url

    @property
    def api_key(self) -> str | None:
        """Key of the first choice, where the config holds one."""
        return self.endpoints[0].api_key

    @property
    def model(self) -> str:
        """The first choice as ``"provider/model"``."""
        return self.endpoints[0].model

    @property
    def api_provider(self) -> str | None:
        """None: the provider stands in `model`."""
        return self.endpoints[0].api_provider

    @property
    def params(self) -> Mapping[str, Any]:
        """Fields of requests that belong to the first choice."""
        return self.endpoints[0].params

    def _defaults(self) -> Mapping[str, Any]:
        n = {} if self._settings.n is None else {"n": self._settings.n}
        return {**self._settings.options, **n}

    def __repr__(self) -> str:
        further = len(self.endpoints) - 1
        return f"<LiteLLMModel {self.name}{f', then {further} more' if further else ''}>"
