"""`LLM`: a model at an address, with a key and parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Unpack

from llmnb.chat.llm_model import wants_single_answer
from llmnb.chat.messages import Conversation, messages_of
from llmnb.engine.run import Run
from llmnb.errors import ConfigurationError, LLMNBError
from llmnb.keywords import RequestParams
from llmnb.models.engine_model import EngineModel, options_in
from llmnb.options import PARAMS, body_of, refuse_unknown, with_params
from llmnb.records import Outcome, secret, secret_url, shown_url
from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.signatures import full_signature, with_keywords
from llmnb.targets.endpoint import Endpoint, check_texts
from llmnb.targets.resolve import expected_address
from llmnb.wire.catalog import dialect_at


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LLMParams:
    """Parameters of a model's sampling; None is the provider's own default.

    Example:
        >>> LLMParams(max_tokens=8, stop_tokens=["."], extra={"seed": 1}).body()
        {'max_tokens': 8, 'stop_tokens': ['.'], 'seed': 1}
    """

    max_tokens: int | None = None
    """Longest answer."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_tokens: Sequence[str] | None = None
    """Texts at which the answer ends; each dialect has its own name for it."""

    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    n: int | None = None
    """Answers to one request."""

    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Further fields of the body, handed through."""

    def body(self) -> dict[str, Any]:
        """Return those that are set, as fields of a request."""
        named = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        extra = named.pop("extra")
        return {name: value for name, value in named.items() if value is not None} | dict(extra)


@full_signature
class LLM(EngineModel):
    """One model at one address under one key.

    `generate` gives texts; `call`, `call_single` and the other methods of `LLMModel` give
    results with their figures. Wherever a model is named by a string, such an object is
    accepted too, also in a list of fallbacks.

    Args:
        url: Base (``https://host/v1``) or full endpoint; empty: the provider's own.
        api_key: Key; else `llmnb.set_key`, the environment, ``.env``, Colab's secrets.
        model: The provider's name for it, or ``"provider/model"``.
        llm_params: An `LLMParams` or a mapping of body fields.
        session: A session whose loop is the caller's: with one, `generate` returns an
            awaitable. The requests go through llmnb's own session all the same.
        api_provider: Catalog name, where neither `model` nor `url` tells.
        project_name: Project that keeps the answers.
        gen_type: ``"chat"``, ``"responses"``, ``"text"``, or another kind of generation that the
            provider has; None: the kind that the path of `url` implies, else chat.
        **params: ``max_tokens``, ``temperature`` and their like, beside `llm_params`.

    Raises:
        ConfigurationError: If a parameter has no such value, or is given twice and differently.

    Example:
        >>> from llmnb.testing import SimulatedProvider
        >>> with SimulatedProvider(reply="42") as sim:
        ...     LLM(url=sim.base_url, api_key="k", model="m").generate("6 times 7?")
        '42'
    """

    def __init__(
        self,
        url: str = "",
        api_key: str | None = None,
        model: str = "",
        llm_params: LLMParams | Mapping[str, Any] | None = None,
        session: Any = None,
        *,
        api_provider: str | None = None,
        project_name: str | None = None,
        gen_type: str | None = None,
        **params: Unpack[RequestParams],
    ) -> None:
        api_key, url = secret(api_key), secret_url(url)
        refuse_unknown(params, PARAMS, f"{type(self).__name__}()")
        check_texts(url=url, model=model, api_provider=api_provider, gen_type=gen_type)
        self.configured_url = url
        self.api_key = api_key
        self.model = model
        self.llm_params = with_params(llm_params, params, "llm_params") if params else llm_params
        self.session = session
        self.api_provider = api_provider
        self.project_name = project_name
        self.gen_type = gen_type

    @property
    def url(self) -> str:
        """The address that is asked; empty where it is decided only when it is asked."""
        address = expected_address(
            self.configured_url, self.model or None, self.api_provider, self.gen_type or "chat"
        )
        return secret_url(address)

    @url.setter
    def url(self, url: str) -> None:
        self.configured_url = secret_url(url)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The one endpoint that is asked."""
        return (
            Endpoint(
                model=self.model,
                url=self.configured_url,
                api_key=self.api_key,
                api_provider=self.api_provider,
                params=self.params,
                gen_type=self.gen_type,
            ),
        )

    @property
    def api_key(self) -> str | None:
        """The key that was given with it; never shown, and in no pickle."""
        return self._api_key

    @api_key.setter
    def api_key(self, key: str | None) -> None:
        self._api_key = secret(key)

    @property
    def params(self) -> dict[str, Any]:
        """The parameters as fields of a request."""
        return body_of(self.llm_params, "llm_params")

    @property
    def name(self) -> str:
        """Name of the model, as it was given."""
        return self.model

    @property
    def config(self) -> Mapping[str, Any]:
        """The parameters; never the key."""
        return self.params

    def _defaults(self) -> Mapping[str, Any]:
        own = {"n": self.params.get("n"), "project_name": self.project_name}
        return {name: value for name, value in own.items() if value is not None}

    def set_session(self, session: Any) -> None:
        """Take a session, or None to block again."""
        self.session = session

    def generate(self, prompt: Conversation, **params: Any) -> str | Awaitable[str]:
        """Return the answer to one prompt, or with a session an awaitable of it.

        Args:
            prompt: A text or turns, as for `call`.
            **params: Further fields of the body for this call.

        Raises:
            LLMNBError: What the answer failed with, once retries are used up.
        """
        if self.session is None:
            return self._generate(prompt, **params)
        return self._agenerate(prompt, **params)

    generate = with_keywords(generate, "SingleCallOptions")

    def _generate(self, prompt: Conversation, **params: Any) -> str:
        return _text(self._start(prompt, params).result()[0])

    async def _agenerate(self, prompt: Conversation, **params: Any) -> str:
        (outcome,) = await self._start(prompt, params)
        return _text(outcome)

    def _start(self, prompt: Conversation, params: Mapping[str, Any]) -> Run:
        if not wants_single_answer(params):
            raise ConfigurationError("generate gives one text; call gives n. Nothing was sent.")
        kind_at_url = (dialect_at(self.configured_url) or ("",))[0]
        if "embedding" in (self.gen_type, kind_at_url):
            raise ConfigurationError(
                f"{self!r} makes vectors, and a text is asked for. Nothing was sent."
            )
        options, fields = options_in({"project_name": self.project_name, **params})
        return start([request_of(prompt)], Asking(model=self, params=fields), **options)

    def __repr__(self) -> str:
        made = vars(self)  # not all of it where a traceback shows one that could not be made
        where = f" at {shown_url(made['configured_url'])}" if made.get("configured_url") else ""
        return f"<LLM {made.get('model') or 'default model'}{where}>"


def request_of(prompt: Conversation) -> dict[str, Any]:
    """Return the request dictionary of a text or a conversation.

    Raises:
        ConfigurationError: If it is neither.

    Example:
        >>> request_of("Hi"), request_of(["Hi"])
        ({'prompt': 'Hi'}, {'messages': [{'role': 'user', 'content': 'Hi'}]})
    """
    if isinstance(prompt, str):
        return {"prompt": prompt}
    return {"messages": [turn.body() for turn in messages_of(prompt)]}


def _text(outcome: Outcome) -> str:
    if outcome.error is not None:
        raise outcome.error
    if outcome.text is None:
        raise LLMNBError("The row has neither an answer nor an error; please report this.")
    return outcome.text


def redundant_llms(
    *, llm_params: LLMParams | Mapping[str, Any] | None = None, session: Any = None
) -> list[LLM]:
    """Return two providers with two models each, alternating, for `GenerationMaster`.

    Mixtral and Llama at Together, GPT-3.5 and GPT-4 at OpenAI; the keys are looked for
    as ever. A failing provider is passed over by the next in the list.

    Example:
        >>> [llm.model for llm in redundant_llms()][:2]
        ['together/mistralai/Mixtral-8x7B-Instruct-v0.1', 'openai/gpt-3.5-turbo']
    """
    names = (
        "together/mistralai/Mixtral-8x7B-Instruct-v0.1",
        "openai/gpt-3.5-turbo",
        "together/meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "openai/gpt-4",
    )
    return [LLM(model=name, llm_params=llm_params, session=session) for name in names]
