"""Where a model of Azure OpenAI answers: its newer addresses, and its older ones with a date.

Azure has two interfaces. The newer one (``/openai/v1``) is OpenAI's own under
another host: the deployment stands in the body as the model. In the older one
the deployment stands in the path, and every request names the interface's date
(``api-version``), which the variable ``OPENAI_API_VERSION`` holds.

Source: Azure OpenAI REST API reference, "API version lifecycle".
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, quote

from llmnb.errors import ConfigurationError
from llmnb.wire import catalog
from llmnb.wire.catalog import Provider

VERSION_ENV = "OPENAI_API_VERSION"
"""Variable that names the date of the older interface."""

_NEWER = "/openai/v1"
_OLDER = "/openai/deployments/"
_DATE = re.compile(r"20\d\d-\d\d-\d\d(-preview)?\Z")
_ONLY_NEWER = ("responses",)
"""Kinds of generation that the older interface has under no deployment."""


def endpoint(row: Provider, base: str, gen_type: str, model: str, version: str | None) -> str:
    """Return the full address of a deployment's endpoint.

    Args:
        row: Azure's row of the catalog.
        base: Address of the resource, of either interface, of a deployment, or
            a full endpoint; a date in its query wins over `version`.
        gen_type: Kind of generation.
        model: Name of the deployment.
        version: Date of the older interface; None for the newer one.

    Raises:
        ConfigurationError: If the address is one of the older interface and nothing says its date.

    Example:
        >>> row, base = catalog.provider("azure"), "https://mine.openai.azure.com"
        >>> endpoint(row, base, "chat", "d", None)
        'https://mine.openai.azure.com/openai/v1/chat/completions'
        >>> endpoint(row, base, "chat", "d", "2024-10-21")[29:]
        '/openai/deployments/d/chat/completions?api-version=2024-10-21'
    """
    address, _, query = base.strip().partition("?")
    said = (parse_qs(query).get("api-version") or [""])[0]
    date = next((one for one in (said, (version or "").strip()) if _DATE.match(one)), "")
    is_older = _OLDER in address
    if not is_older and date and _NEWER not in address and gen_type not in _ONLY_NEWER:
        root = address.rstrip("/").removesuffix("/openai")
        address, is_older = f"{root}{_OLDER}{quote(model, safe='')}", True
    if not is_older:
        return catalog.endpoint(row, base, gen_type, model)
    if not said and not date:
        raise ConfigurationError(
            "An address of Azure with /openai/deployments/ in it needs a date: set "
            f"{VERSION_ENV} (such as 2024-10-21), or end the address with ?api-version=…. "
            f"Without deployments in it ({address.partition(_OLDER)[0]}) it needs none."
        )
    query = query if said else "&".join(one for one in (query, f"api-version={date}") if one)
    path = row.paths[gen_type].removeprefix(_NEWER)
    return f"{_whole(address, path)}?{query}"


def _whole(address: str, path: str) -> str:
    """Return an address of a deployment with its endpoint, unless it has one already."""
    root, mark, rest = address.rstrip("/").partition(_OLDER)
    deployment, _, there = rest.partition("/")
    return address.rstrip("/") if there else f"{root}{mark}{deployment}{path}"
