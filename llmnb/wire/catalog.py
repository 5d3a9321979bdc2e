"""The providers: who they are, where they answer, which key they want. A data table, read once.

The table is `catalog.toml`; its head says how a provider is added.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from llmnb.display.texts import near_names
from llmnb.errors import ConfigurationError, UnknownProvider

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One row of the catalog."""

    name: str

    base_url: str | None = None
    """Address under which its paths lie, such as ``"https://api.openai.com/v1"``.

    None where the person must say: a cloud resource of their own, or a model in this process.
    """

    hosts: tuple[str, ...] = ()
    """Further hosts that are its own; ``*`` matches anything."""

    key_env: tuple[str, ...] = ()
    """Variables that may hold its key, best first; empty where it needs none."""

    base_url_env: tuple[str, ...] = ()
    """Variables that override `base_url`, ``LLMNB_<PROVIDER>_BASE_URL`` first."""

    dialects: Mapping[str, str] = field(default_factory=dict)
    """Kind of generation to the name of its dialect."""

    paths: Mapping[str, str] = field(default_factory=dict)
    """Kind of generation to the path of its endpoint; ``{model}`` stands for the model's name."""

    default_models: Mapping[str, str] = field(default_factory=dict)
    """Kind of generation to the model that is asked when none is named."""

    known_models: tuple[str, ...] = ()
    """For bare names and suggestions; ``*`` matches anything."""

    key_header: str = "authorization"
    """Header that carries the key; ``"authorization"`` carries it behind the word Bearer."""

    extra_headers: Mapping[str, str] = field(default_factory=dict)
    """Headers that every request has."""

    charge: str = "actual"
    """How the token limit counts a request: ``"estimate"`` before it is answered, the larger of
    `max_tokens` and the characters; ``"actual"`` by what it used."""

    limit_headers: str = "none"
    """Which names its limit headers have; see `llmnb.wire.limits`."""

    is_local: bool = False
    """Whether it runs on the person's own machine, at no price."""

    start_command: str = ""
    """Command that starts it, where it is a server on the person's own machine."""

    tells_price: bool = False
    """Whether its replies tell what they cost, so that a price of 0 is one."""

    has_schemas: bool = True
    """Whether it takes a JSON schema for the answer; else the prompt asks for the form."""

    fetches: bool = True
    """Whether it fetches a picture whose address it is given."""

    even_pace: bool = False
    """Whether it wants evenly spaced requests."""


@functools.cache
def load_catalog() -> Mapping[str, Provider]:
    """Return all providers by name, in the order of the table.

    Example:
        >>> load_catalog()["openai"].key_env
        ('OPENAI_API_KEY',)
    """
    text = resources.files("llmnb.wire").joinpath("catalog.toml").read_text(encoding="utf-8")
    catalog = {}
    for name, fields in tomllib.loads(text).items():
        row: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()
        }
        row["base_url_env"] = (f"LLMNB_{name.upper()}_BASE_URL", *row.get("base_url_env", ()))
        catalog[name] = Provider(name=name, **row)
    return catalog


def provider(name: str) -> Provider:
    """Return a provider by name.

    Raises:
        UnknownProvider: With the names that are nearest.

    Example:
        >>> provider("Groq").base_url
        'https://api.groq.com/openai/v1'
    """
    catalog = load_catalog()
    wanted = name.strip().lower()
    if wanted in catalog:
        return catalog[wanted]
    meant = near_names(wanted, catalog)
    hint = f"Did you mean {' or '.join(meant)}? " if meant else ""
    raise UnknownProvider(
        f"There is no provider {name[:60]!r}. {hint}Known are: {', '.join(catalog)}."
    )


def providers_with_model(model: str) -> list[str]:
    """Return the providers that are known to have a model.

    Example:
        >>> providers_with_model("gpt-4o-mini")
        ['openai']
    """
    return [
        row.name
        for row in load_catalog().values()
        if any(fnmatchcase(model, known) for known in row.known_models)
        or model in row.default_models.values()
    ]


def provider_of_url(url: str) -> str | None:
    """Return the name of the provider that answers at an address; None if it is not in the catalog.

    Example:
        >>> provider_of_url("https://api.groq.com/openai/v1/chat/completions")
        'groq'
        >>> provider_of_url("https://mine.openai.azure.com/openai/v1")
        'azure'
    """
    origin = _origin(url)
    if origin is None:
        return None
    for row in load_catalog().values():
        if row.base_url is not None and _origin(row.base_url) == origin:
            return row.name
        for host in row.hosts:
            if fnmatchcase(origin[1], host):
                return row.name
    return None


_ENDPOINTS = (
    ("/chat/completions", "chat", "openai.chat"),
    ("/completions", "text", "openai.text"),
    ("/responses", "responses", "openai.responses"),
    ("/embeddings", "embedding", "openai.embeddings"),
    ("/messages", "chat", "anthropic.messages"),
    (":generateContent", "chat", "gemini.generate"),
    (":streamGenerateContent", "chat", "gemini.generate"),
)
_OPENAI_BASES = ("/openai", "/openai/v1")
"""Ends of bases under which others than OpenAI speak its protocol, such as Gemini's."""


def dialect_at(url: str, gen_type: str = "chat") -> tuple[str, str] | None:
    """Return the kind of generation and the dialect that an endpoint's path shows; None for a base.

    Args:
        url: A base or a full endpoint.
        gen_type: Kind of generation that is wanted, for a base that tells the protocol alone.

    Example:
        >>> dialect_at("https://host/v1/responses"), dialect_at("https://host/v1") is None
        (('responses', 'openai.responses'), True)
        >>> dialect_at("https://generativelanguage.googleapis.com/v1beta/openai/")
        ('chat', 'openai.chat')
    """
    path = url.strip().partition("?")[0].rstrip("/")
    for end, kind, dialect in _ENDPOINTS:
        if path.endswith(end):
            return kind, dialect
    if path.endswith(_OPENAI_BASES) and gen_type in (row := provider("openai")).dialects:
        return gen_type, row.dialects[gen_type]
    return None


def in_dialect(row: Provider, gen_type: str, dialect: str) -> Provider:
    """Return a provider's row for requests in another dialect; the same row where it is its own.

    In another's dialect it gets its key as that one does: as who takes Anthropic's requests
    beside OpenAI's expects it.

    Example:
        >>> in_dialect(provider("deepseek"), "chat", "anthropic.messages").key_header
        'x-api-key'
    """
    if row.dialects.get(gen_type) == dialect:
        return row
    owner = provider(owner_of(dialect))
    is_kin = any(owner_of(own) == owner.name for own in row.dialects.values())
    return dataclasses.replace(
        row,
        dialects={**row.dialects, gen_type: dialect},
        paths={**row.paths, gen_type: owner.paths[gen_type]},
        key_header=row.key_header if is_kin else owner.key_header,
        extra_headers={**({} if is_kin else owner.extra_headers), **row.extra_headers},
    )


def owner_of(dialect: str) -> str:
    """Return the name of the provider that defines a dialect.

    Example:
        >>> owner_of("anthropic.messages")
        'anthropic'
    """
    return dialect.partition(".")[0]


def endpoint(row: Provider, base: str, gen_type: str, model: str = "") -> str:
    """Return the full address of an endpoint.

    Args:
        row: The provider.
        base: An address under which its paths lie, one that already holds the
            beginning of the path, or a full endpoint; a query stays at the end.
        gen_type: Kind of generation; the row must have a path for it.
        model: Model, for providers that have it in the path.

    Example:
        >>> endpoint(provider("openai"), "http://127.0.0.1:8000/v1/", "chat")
        'http://127.0.0.1:8000/v1/chat/completions'
        >>> endpoint(provider("azure"), "https://mine.openai.azure.com/openai/v1", "chat")
        'https://mine.openai.azure.com/openai/v1/chat/completions'
        >>> endpoint(provider("gemini"), "http://127.0.0.1:8000/v1beta", "chat", "gemini-x")
        'http://127.0.0.1:8000/v1beta/models/gemini-x:generateContent'
    """
    address, mark, query = base.strip().partition("?")
    if address.endswith(_STREAM_VERB):  # pasted from where the same is streamed
        address = address.removesuffix(_STREAM_VERB) + _WHOLE_VERB
        query = "&".join(part for part in query.split("&") if part not in ("", _STREAM_MARK))
        mark = "?" if query else ""
    there = address.rstrip("/").split("/")
    # Google lists its models with their folder before the name.
    name = quote(model.removeprefix("models/"), safe="")
    wanted = row.paths[gen_type].replace(_MODEL, name).strip("/").split("/")
    for path in row.paths.values():
        end = path.rpartition("/")[2]
        if there[-1] == end or (_MODEL in end and there[-1].endswith(end.removeprefix(_MODEL))):
            return "/".join(there) + mark + query
    shared = len(wanted) - 1
    while shared and there[-shared:] != wanted[:shared]:
        shared -= 1
    return "/".join((*there, *wanted[shared:])) + mark + query


_MODEL = "{model}"
_WHOLE_VERB, _STREAM_VERB, _STREAM_MARK = ":generateContent", ":streamGenerateContent", "alt=sse"


def stream_url(url: str) -> str:
    """Return the address at which the same request is answered by a stream.

    Nearly everybody streams from the same one; Gemini has the verb in the path.

    Example:
        >>> stream_url("https://api.openai.com/v1/chat/completions")
        'https://api.openai.com/v1/chat/completions'
        >>> stream_url("https://host/v1beta/models/gemini-x:generateContent")
        'https://host/v1beta/models/gemini-x:streamGenerateContent?alt=sse'
    """
    address, _, query = url.partition("?")
    if not address.endswith(_WHOLE_VERB):
        return url
    query = f"{query}&{_STREAM_MARK}" if query else _STREAM_MARK
    return f"{address.removesuffix(_WHOLE_VERB)}{_STREAM_VERB}?{query}"


def models_url(row: Provider, url: str) -> str:
    """Return where a provider lists its models, beside one of its endpoints.

    Example:
        >>> models_url(provider("openai"), "https://host/v1/chat/completions")
        'https://host/v1/models'
        >>> models_url(provider("gemini"), "https://host/v1beta/models/gemini-x:generateContent")
        'https://host/v1beta/models'
    """
    address, mark, query = url.partition("?")
    for path in row.paths.values():
        before, model, _ = path.partition(_MODEL)
        if not model:
            address = address.removesuffix(path)
        elif before in address:
            address = address[: address.rindex(before)]
    return f"{address.rstrip('/')}/models{mark}{query}"


def _origin(url: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port; every name of this machine gives the same host."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not host:
        return None
    host = _LOOPBACK[0] if host in _LOOPBACK else host
    return parts.scheme, host, _PORTS[parts.scheme] if port is None else port


# -------------------------------------------------------------------------------- Azure

AZURE_VERSION_ENV = "OPENAI_API_VERSION"
"""Variable that names the date of the older interface."""

_NEWER = "/openai/v1"
_OLDER = "/openai/deployments/"
_DATE = re.compile(r"20\d\d-\d\d-\d\d(-preview)?\Z")
_ONLY_NEWER = ("responses",)
"""Kinds of generation that the older interface does not offer."""


def azure_endpoint(row: Provider, base: str, gen_type: str, model: str, version: str | None) -> str:
    """Return the full address of a deployment's endpoint at Azure OpenAI.

    Azure has two interfaces. The newer one (``/openai/v1``) is OpenAI's own under
    another host: the deployment stands in the body as the model. In the older one
    the deployment stands in the path, and every request names the interface's date
    (``api-version``), which the variable ``OPENAI_API_VERSION`` holds.

    Args:
        row: Azure's row of the catalog.
        base: Address of the resource, of either interface, of a deployment, or
            a full endpoint; a date in its query wins over `version`.
        gen_type: Kind of generation.
        model: Name of the deployment.
        version: Date of the older interface; None for the newer one.

    Source:
        Azure OpenAI REST API reference, "API version lifecycle".

    Raises:
        ConfigurationError: If the address is one of the older interface and nothing says its date.

    Example:
        >>> row, base = provider("azure"), "https://mine.openai.azure.com"
        >>> azure_endpoint(row, base, "chat", "d", None)
        'https://mine.openai.azure.com/openai/v1/chat/completions'
        >>> azure_endpoint(row, base, "chat", "d", "2024-10-21")[29:]
        '/openai/deployments/d/chat/completions?api-version=2024-10-21'
    """
    address, _, query = base.strip().partition("?")
    stated = (parse_qs(query).get("api-version") or [""])[0]
    date = next((date for date in (stated, (version or "").strip()) if _DATE.match(date)), "")
    is_older = _OLDER in address
    if not is_older and date and _NEWER not in address and gen_type not in _ONLY_NEWER:
        root = address.rstrip("/").removesuffix("/openai")
        address, is_older = f"{root}{_OLDER}{quote(model, safe='')}", True
    if not is_older:
        return endpoint(row, base, gen_type, model)
    if not stated and not date:
        raise ConfigurationError(
            "An address of Azure with /openai/deployments/ in it needs a date: set "
            f"{AZURE_VERSION_ENV} (such as 2024-10-21), or end the address with ?api-version=…. "
            f"Without deployments in it ({address.partition(_OLDER)[0]}) it needs none."
        )
    if not stated:
        query = f"{query}&api-version={date}" if query else f"api-version={date}"
    address = address.rstrip("/")
    if "/" not in address.partition(_OLDER)[2]:  # it ends with the deployment
        address += row.paths[gen_type].removeprefix(_NEWER)
    return f"{address}?{query}"
