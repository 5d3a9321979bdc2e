"""Resolve names to a target: provider, model, address and key.

| model | url | who is asked |
|---|---|---|
| ``provider/name`` | | that provider |
| ``name`` | | the one provider that is known to have it |
| ``local/name`` | | a model inside this process |
| ``sim/name`` | | the simulated provider of `llmnb.testing` |
| a name that an object has registered | | that object |
| any | given | the server there; its provider is told by the model, else by the address |
| none | | `configure(model=…)`, else ``LLMNB_MODEL``, else the default model of the first
  provider whose key is found, else the small model inside this process |

A choice that was made for the person is announced in one line.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from llmnb import settings
from llmnb.adapters import egress, prices
from llmnb.display.texts import near_names
from llmnb.errors import ConfigurationError, LLMNBError, MissingKey, UnknownModel, UnknownProvider
from llmnb.records import secret, secret_url
from llmnb.targets.endpoint import check_texts, registered_model
from llmnb.targets.target import HTTPTarget
from llmnb.user_code import has_magic, key_offer
from llmnb.wire.api_keys import check_key
from llmnb.wire.catalog import (
    AZURE_VERSION_ENV,
    Provider,
    azure_endpoint,
    dialect_at,
    endpoint,
    in_dialect,
    load_catalog,
    owner_of,
    provider,
    provider_of_url,
    providers_with_model,
)
from llmnb.wire.dialect import dialect, is_spoken

LOCAL_DEFAULT = "smollm2"

_NOT_CLOUD = ("local", "litellm", "sim")
"""Providers that are never chosen because of a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """A provider and a model of it, by name."""

    provider: str
    model: str
    announcement: str | None = None
    """One line for the person, where the choice was made for them."""


def choose(
    model: str | None = None, *, api_provider: str | None = None, gen_type: str = "chat"
) -> ModelChoice:
    """Return provider and model for what the caller named, which may be nothing.

    Args:
        model: ``"provider/model"``, a bare model name, or nothing.
        api_provider: Catalog name of the provider; then `model` is the provider's own name.
        gen_type: ``"chat"``, ``"text"`` or another kind of generation the catalog names.

    Raises:
        UnknownProvider: If the catalog has no such provider.
        UnknownModel: If a bare name belongs to no provider, or to several.

    Example:
        >>> choose("openai/gpt-4o-mini").provider
        'openai'
    """
    try:
        (model or "").encode()
    except UnicodeEncodeError:
        raise UnknownModel(
            f"The model's name {model!r} holds half a character, which no provider can be sent. "
            "Nothing was sent for it."
        ) from None
    if api_provider:
        row = provider(api_provider)
        if model and model.startswith(row.name + "/"):
            _need_a_name(model)
            model = model[len(row.name) + 1 :]
        return ModelChoice(provider=row.name, model=model or default_model(row, gen_type))
    model = settings.model(model)
    if not model:
        return _choose_for_the_person(gen_type)
    head, slash, rest = model.partition("/")
    if names_provider(model):
        _need_a_name(model)
        return ModelChoice(provider=head.lower(), model=rest)
    if slash and not providers_with_model(model):
        _refuse_provider(head, model)
    return ModelChoice(provider=_only_provider(model), model=model)


def _refuse_provider(name: str, model: str) -> None:
    """Refuse a name that no provider has; a model's own name may have a slash, too."""
    if near_names(name, catalog := load_catalog()):
        provider(name)  # raises, with suggestions
    raise UnknownProvider(
        f"There is no provider {name[:60]!r}. One stands before the whole name of a model, such as "
        f"together/{model[:80]}; a server of your own is llmnb.LLM(model=…, url=…) as the model. "
        f"Known are: {', '.join(catalog)}. Nothing was sent."
    )


def names_provider(model: str) -> bool:
    """Return whether a model's name begins with that of a provider.

    Example:
        >>> names_provider("groq/llama-3"), names_provider("meta-llama/llama-3")
        (True, False)
    """
    head, slash, _ = model.partition("/")
    return bool(slash) and (head == "sim" or head.lower() in load_catalog())


def _need_a_name(model: str) -> None:
    """Refuse a model of which only the provider is named."""
    head, _, rest = model.partition("/")
    if not rest.strip():
        raise ConfigurationError(
            f"{model!r} names a provider and no model: write {head}/NAME, or leave the model out. "
            "Nothing was sent."
        )


def default_model(row: Provider, gen_type: str) -> str:
    """Return the model that a provider answers with when none is named."""
    try:
        return row.default_models[gen_type]
    except KeyError:
        raise ConfigurationError(
            f"{row.name} has no default model for gen_type={gen_type!r}; name one with model=…"
            if gen_type in row.paths
            else f"{row.name} has no endpoint for gen_type={gen_type!r}. "
            f"It has: {', '.join(sorted(row.paths)) or 'none'}."
        ) from None


def _only_provider(model: str) -> str:
    owners = providers_with_model(model)
    if len(owners) == 1:
        return owners[0]
    if owners:
        names = ", ".join(f"{owner}/{model}" for owner in owners[:6])
        raise UnknownModel(f"Several providers have a model {model!r}. Say which: {names}.")
    known = [
        name for row in load_catalog().values() for name in row.known_models if "*" not in name
    ]
    meant = near_names(model, known)
    hint = f" Did you mean {' or '.join(meant)}?" if meant else ""
    raise UnknownModel(
        f"No provider is known to have a model {model!r}.{hint} "
        "Name it as provider/model, such as openai/gpt-4o-mini; "
        f"{'%llm_models' if has_magic('llm_models') else '`llmnb models`'} lists providers. "
        "Nothing was sent."
    )


def provider_with_key(gen_type: str) -> Provider | None:
    """Return the first provider with a default model for which a key is found; None without one.

    Args:
        gen_type: The kind of generation that the model is for.
    """
    for row in load_catalog().values():
        has_model = gen_type in row.default_models and is_spoken(row.dialects[gen_type])
        is_cloud = row.name not in _NOT_CLOUD and bool(row.key_env)
        if has_model and is_cloud and settings.find_key(row.name, row.key_env):
            return row
    return None


def _choose_for_the_person(gen_type: str) -> ModelChoice:
    if (row := provider_with_key(gen_type)) is not None:
        model = row.default_models[gen_type]
        rates = prices.rates(row.name, model)
        price = (
            "price unknown"
            if rates is None
            else f"${rates.input:g} in, ${rates.output:g} out per million tokens"
        )
        return ModelChoice(
            provider=row.name,
            model=model,
            announcement=f"No model named: asking {row.name}/{model} ({price}), because a "
            f"key for {row.name} was found. Choose with model=… or LLMNB_MODEL.",
        )
    return ModelChoice(
        provider="local",
        model=LOCAL_DEFAULT,
        announcement=f"No model named and no key found: asking local/{LOCAL_DEFAULT}, "
        "a toy of 135M parameters that runs on this machine for nothing. "
        "Set a key, such as OPENAI_API_KEY, for real answers.",
    )


def resolve(
    model: str | None = None,
    *,
    api_provider: str | None = None,
    api_key: str | None = None,
    key_owner: str | None = None,
    url: str | None = None,
    is_url_from_data: bool = False,
    trusted_url: str | None = None,
    gen_type: str = "chat",
    allow_http: bool = False,
    needs_key: bool = True,
) -> HTTPTarget:
    """Return the target for what the caller named.

    Args:
        model: As for `choose`.
        api_provider: As for `choose`; with a `url` it may be left out.
        api_key: Key; else `set_key`, the environment, ``.env``, Colab's secrets.
        key_owner: The provider that `api_key` was given for, so that another is not sent it; None:
            whichever this is.
        url: A base (``https://host/v1``) or a full endpoint; else environment, else catalog. Where
            it belongs to no provider of the catalog and none is named, it is asked as OpenAI's
            protocol says, with the key given here or with none.
        is_url_from_data: Whether `url` stood in a request, a line or a cell, and not in the
            program. At another origin than the provider's own it gets no key but `api_key`.
        trusted_url: The URL that the program itself gave for this provider; its origin counts
            as the provider's own.
        gen_type: Kind of generation; the path of a full endpoint wins over it.
        allow_http: Whether a key may travel over plain http to another machine.
        needs_key: False looks for no key: nothing will be sent.

    Raises:
        ConfigurationError: With what to do about it, before anything is sent.
    """
    choice, gen_type, is_stranger = _choice_at(url, model, api_provider, gen_type)
    if not url and (owner := registered_model(choice.provider, choice.model)) is not None:
        return owner.target(gen_type)
    if choice.provider == "local" and not url:
        from llmnb.targets.local import local_target

        return local_target(choice.model, gen_type)
    if choice.provider == "sim":
        return _simulated_target(choice.model, gen_type)
    row, gen_type, address = _reached(choice, url, gen_type)
    address = secret_url(address)
    egress.proxy_for(egress.destination(address))  # a proxy that cannot be asked is an error here
    if url and is_url_from_data and not _is_trusted(url, row, trusted_url):
        is_stranger = True
    key = api_key = secret(api_key) if key_owner in (None, row.name) else None
    # A key found for a provider goes to that provider; to a stranger's address only one that
    # was given with it.
    if needs_key and not is_stranger:
        key = settings.find_key(row.name, row.key_env, api_key)
        if key is None and row.key_env:
            raise MissingKey(_missing_key(row, choice.model))
    if key is not None:
        check_key(key, row.name)
    return HTTPTarget(
        row,
        choice.model,
        address,
        key,
        dialect(row.dialects[gen_type]),
        allow_http=allow_http or settings.current().allow_http,
    )


def _choice_at(
    url: str | None, model: str | None, api_provider: str | None, gen_type: str
) -> tuple[ModelChoice, str, bool]:
    """Return the choice, the kind of generation, and whether no provider has the address."""
    is_stranger = False
    if url:
        check_address(url, "url")
        gen_type, spoken = _kind_at(url, gen_type)
        if not api_provider and not (model and "/" in model):
            api_provider = provider_of_url(url)
            is_stranger = api_provider is None
            api_provider = api_provider or (owner_of(spoken[1]) if spoken else "openai")
    return choose(model, api_provider=api_provider, gen_type=gen_type), gen_type, is_stranger


def _simulated_target(model: str, gen_type: str) -> HTTPTarget:
    """Return a target that this process itself answers, with invented texts."""
    from llmnb.testing import shared_provider

    row = dataclasses.replace(provider("openai"), is_local=True)  # invented texts cost nothing
    if gen_type not in row.paths:
        gen_type = "chat"
    target = HTTPTarget(
        row,
        model,
        shared_provider().base_url + row.paths[gen_type],
        None,
        dialect(row.dialects[gen_type]),
        endpoint="llmnb://sim",  # the port changes with every process
    )
    target.provider = "sim"
    return target


def _is_trusted(url: str, row: Provider, trusted_url: str | None) -> bool:
    """Return whether a URL from data has the origin of the provider or of the program's URL.

    A host that a provider rents out to its customers, such as Azure's, is not its own.
    """
    trusted = (row.base_url, _base_from_environment(row), trusted_url)
    return egress.origin_of(url) in {egress.origin_of(base) for base in trusted if base}


def endpoint_url(row: Provider, url: str | None, gen_type: str, model: str = "") -> str:
    """Return the full address of an endpoint; `url` may be a base or already an endpoint.

    Example:
        >>> endpoint_url(provider("openai"), "http://127.0.0.1:8000/v1", "chat")
        'http://127.0.0.1:8000/v1/chat/completions'
    """
    if gen_type not in row.paths:
        default_model(row, gen_type)
    base = url or _base_from_environment(row) or row.base_url
    if base is None:
        names = " or ".join(row.base_url_env)
        raise ConfigurationError(
            f"{row.name} has no fixed address: give LLM(model=…, url=…) as the model, or set "
            f"{names}."
        )
    egress.check_characters(base)
    if row.name == "azure" and row.dialects[gen_type].startswith("openai."):
        version = settings.environment(AZURE_VERSION_ENV)
        return azure_endpoint(row, base, gen_type, model, version)
    return endpoint(row, base, gen_type, model)


def expected_address(
    url: str, model: str | None, api_provider: str | None, gen_type: str = "chat"
) -> str:
    """Return the full address that would be asked, without looking for a key; never raises.

    Args:
        url: As it was given, or empty.
        model: As for `choose`.
        api_provider: As for `choose`.
        gen_type: Kind of generation.

    Returns:
        The address; `url` itself where it is none; empty where there is none, as for a model
        inside this process.

    Example:
        >>> expected_address("", "openai/gpt-4o-mini", None)
        'https://api.openai.com/v1/chat/completions'
    """
    if not (url or model or api_provider):
        return ""  # who answers is decided by what is configured when it is asked
    try:
        choice, gen_type, _ = _choice_at(url, model, api_provider, gen_type)
        has_no_address = choice.provider == "sim" or registered_model(choice.provider, choice.model)
        if not url and has_no_address:
            return ""
        return _reached(choice, url or None, gen_type)[2]
    except LLMNBError:
        return url


def _reached(choice: ModelChoice, url: str | None, gen_type: str) -> tuple[Provider, str, str]:
    """Return a provider as it is asked at its address, the kind of generation, and the address.

    The path of an address, given or from the environment, implies both; a base leaves them as they
    are.
    """
    row = provider(choice.provider)
    if base := url or _base_from_environment(row):
        gen_type, spoken = _kind_at(base, gen_type)
        row = row if spoken is None else in_dialect(row, *spoken)
    return row, gen_type, endpoint_url(row, base, gen_type, choice.model)


def _kind_at(url: str, gen_type: str) -> tuple[str, tuple[str, str] | None]:
    """Return the kind of generation at an address, and what its path implies: kind and dialect."""
    spoken = dialect_at(url, gen_type)
    if spoken is None:
        return gen_type, None
    if gen_type == "embedding" != spoken[0]:
        raise ConfigurationError(
            f"The address {url.strip()[:200]!r} gives answers in words, and vectors are asked "
            "for: give one that ends in /embeddings, or a base such as https://host/v1. Nothing "
            "was sent."
        )
    return spoken[0], spoken


_QUOTES = "\"'`“”‘’«»"


def check_address(url: str, where: str) -> None:
    """Refuse a text that is no address, before any row is asked.

    Args:
        url: As it was given.
        where: The argument or the variable that it was given by.

    Raises:
        ConfigurationError: If it is no text, blank, in quotes, or without a scheme.

    Example:
        >>> check_address("https://api.openai.com/v1", "url")
    """
    check_texts(**{where: url})
    text = url.strip()
    if not text:
        fault = "is blank: give an address such as https://host/v1, or leave it out"
    elif text[0] in _QUOTES or text[-1] in _QUOTES:
        fault = "stands in quotes that are part of it: take them out"
    elif "://" not in text and text.partition("/")[0] in (*load_catalog(), "sim"):
        fault = f"is a model's name: write model={text[:80]!r}"
    elif "://" not in text:
        shown = "" if "@" in text else f": {text[:80]!r}"
        near = text.startswith(("localhost", "127.", "[::1]", "0.0.0.0"))
        fault = f"has no scheme{shown}; write {'http' if near else 'https'}:// before it"
    else:
        return
    raise ConfigurationError(f"The address given by {where} {fault}. Nothing was sent.")


def _base_from_environment(row: Provider) -> str | None:
    for name in row.base_url_env:
        if value := settings.environment(name):
            check_address(value, name)
            return value
    return None


def _missing_key(row: Provider, model: str) -> str:
    offers = (
        (key_offer(row.name), "in memory only"),
        (f"{row.key_env[0]}=…", "in the environment, or in a .env file here or above"),
        (f"llmnb.LLM(model='{row.name}/{model}', api_key=…)", "as the model that is named"),
    )
    lines = [f"{row.name} needs an API key and none was found. Ways to give it:"]
    wide = max(len(code) for code, _ in offers)
    lines += [f"  {code:<{wide}}   {where}" for code, where in offers]
    return "\n".join([*lines, "Or name local/smollm2, which needs none. Nothing was sent."])
