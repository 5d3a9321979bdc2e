"""API keys: whether one can travel in a header, in which header, and how it is hidden in texts."""

from __future__ import annotations

import re
from urllib.parse import quote

from llmnb.errors import InvalidKey
from llmnb.wire.catalog import Provider

_LOOKS_LIKE_A_KEY = re.compile(r"(?i)(bearer\s+)[\w.~+/=-]{6,}|\b(?:sk|gsk|xai|key)-[\w-]{8,}")


def check_key(key: str, provider: str) -> str:
    """Return the key if it can be sent.

    Raises:
        InvalidKey: Naming what is wrong and where, never the value.

    Example:
        >>> check_key("abc", "openai")
        'abc'
    """
    if key[:7].lower() == "bearer ":
        raise InvalidKey(
            f"The key for {provider} begins with 'Bearer ': leave that word out, llmnb adds it."
        )
    for position, character in enumerate(key, start=1):
        if "!" <= character <= "~" and character not in "\"'":
            continue
        raise InvalidKey(
            f"The key for {provider} has {_name_of(character)} at position {position} of {len(key)}. "
            "Nothing was sent: copy the key again, without quotes and line ends."
        )
    return key


def _name_of(character: str) -> str:
    if character in "\r\n":
        return "a line end"
    if character in "\"'":
        return "a quote"
    if character in " \t":
        return "a space"
    return "a character that is not plain ASCII"


def auth_headers(row: Provider, key: str | None) -> dict[str, str]:
    """Return the headers that carry a key to a provider, and those it always wants."""
    found = dict(row.extra_headers)
    if key is not None:
        found[row.key_header] = f"Bearer {key}" if row.key_header == "authorization" else key
    return found


def mask(text: str, secret: str | None) -> str:
    """Return a text in which no key can be read.

    Example:
        >>> mask("Incorrect API key provided: sk-abcdefghij", None)
        'Incorrect API key provided: ***'
    """
    if secret:
        for form in {secret, quote(secret, safe="")}:
            text = text.replace(form, "***")
    return _LOOKS_LIKE_A_KEY.sub(lambda match: f"{match[1] or ''}***", text)
