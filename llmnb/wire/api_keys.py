"""API keys: checking that one can be sent, the header that carries it, and masking it in texts."""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from urllib.parse import quote

from llmnb.errors import InvalidKey, LLMNBError
from llmnb.records import Secret
from llmnb.wire.catalog import Provider

HIDDEN = "***"
"""What replaces a key in a text."""

_SHORTEST_SECRET = 4
"""Shorter keys are stand-ins such as "x"; masking them would only garble texts."""

_SHORTEST_IN_ANSWER = 20
"""Shorter keys, such as those of servers at home, could be words of a good answer."""

_SHORTEST_PART = 8
"""Consecutive characters of a key from which on they are masked."""

_LOOKS_LIKE_A_KEY = re.compile(
    r"""(?ix)
    (?P<name> \b bearer \s+ | \b api[-_]key ["']? \s* [:=] \s* ["']? )
        (?=[\w.~+/=-]{0,200}\d) [\w.~+/=-]{6,}
    | \b(?:sk|gsk|xai|csk|fw|hf|pplx|tgp|nvapi|r8) [-_] (?=[\w-]{0,200}\d) [\w-]{8,}
    | \bAIza[\w-]{16,}
    """
)


def check_key(key: str, provider: str) -> str:
    """Return the key if it can be sent.

    Args:
        key: As the person gave it; nothing is cut off or repaired in silence.
        provider: Whose key it is, for the message.

    Raises:
        InvalidKey: Naming what is wrong and where, never the value.

    Example:
        >>> check_key("abc", "openai")
        'abc'
    """
    if not isinstance(key, str):
        raise InvalidKey(f"The key for {provider} is {type(key).__name__}, not text.")
    if not key.strip():
        raise InvalidKey(f"The key for {provider} is empty. Nothing was sent.")
    if re.match(r"\s*[\"']?(?:authorization:\s*)?bearer\s", key, re.IGNORECASE):
        raise InvalidKey(
            f"The key for {provider} has the word 'Bearer' at its start (position 1): "
            "leave it out, llmnb adds it. Nothing was sent."
        )
    for position, character in enumerate(key, start=1):
        if "!" <= character <= "~" and character not in "\"'`":
            continue
        raise InvalidKey(
            f"The key for {provider} has {name_of(character)} at position {position} of "
            f"{len(key)}. Nothing was sent: copy the key again, without quotes, spaces and line "
            "ends."
        )
    return key


def name_of(character: str) -> str:
    """Name a character without showing it."""
    if character in "\r\n":
        return "a line end"
    if character in "\"'`":
        return "a quote"
    if character in " \t":
        return "a space"
    code = f"U+{ord(character):04X}"
    if unicodedata.category(character) in ("Cc", "Cf", "Zs", "Zl", "Zp"):
        return f"an invisible character ({code})"
    # A visible one may be a part of the secret, so its code is not told.
    return "a character that is not plain ASCII"


def auth_headers(row: Provider, key: str | None) -> dict[str, str]:
    """Return the headers that carry a key to a provider, and those it always wants.

    Example:
        >>> from llmnb.wire.catalog import provider
        >>> auth_headers(provider("openai"), "abc")
        {'authorization': ***}
    """
    headers = dict(row.extra_headers)
    if key is not None:
        value = f"Bearer {key}" if row.key_header == "authorization" else key
        headers[row.key_header] = Secret(value)
    return headers


def mask(text: str, secret: str | None) -> str:
    """Return a text in which no key can be read.

    Args:
        text: Anything a provider has sent.
        secret: The key that was sent; hidden as it is, quoted for URLs or for
            JSON, in any case, and so is every part of it of eight characters or more.
            Whatever else looks like a key is hidden too.

    Example:
        >>> mask("Incorrect API key provided: sk-abcdefgh1j", None)
        'Incorrect API key provided: ***'
        >>> mask("no such user: hunter42", "hunter42")
        'no such user: ***'
        >>> mask("ends in ...90abcdefgh", "1234567890abcdefgh")
        'ends in ...***'
    """
    if secret and len(secret) >= _SHORTEST_SECRET:
        sent = text.encode("utf-8", "surrogatepass")
        text = _mask_bytes(sent, secret).decode("utf-8", "replace")  # a part may end in a character
    return _LOOKS_LIKE_A_KEY.sub(lambda match: f"{match['name'] or ''}{HIDDEN}", text)


def mask_error(error: LLMNBError, secret: str | None) -> LLMNBError:
    """Mask a key that a reply has repeated in an error's texts and bytes; return the same error.

    Args:
        error: What a reply that could not be used has given.
        secret: The key that was sent.

    Example:
        >>> mask_error(LLMNBError("no such user: hunter42", raw=b"hunter42"), "hunter42").raw
        b'***'
    """
    if not secret or len(secret) < _SHORTEST_SECRET:
        return error
    raw, body = error.details.raw, error.details.body
    error.args = (mask(error.message, secret),)
    return error.with_details(
        raw=None if raw is None else _mask_bytes(raw, secret),
        body=None if body is None else mask(body, secret),
    )


def without_key(reply: bytes, secret: str | None) -> bytes:
    """Return a reply of whatever status without the key that was sent, where it repeats all of it.

    Example:
        >>> without_key(b"You sent sk-0123456789abcdef0123.", "sk-0123456789abcdef0123")
        b'You sent ***.'
    """
    if secret is None or len(secret) < _SHORTEST_IN_ANSWER:
        return reply
    spelled = secret.encode("utf-8", "replace")
    for spelling in {spelled, spelled.replace(b"/", b"\\/")}:  # as some servers write a slash
        reply = reply.replace(spelling, HIDDEN.encode())
    return reply


def _mask_bytes(text: bytes, secret: str) -> bytes:
    """Replace a key, and every part of it of eight characters or more, by `HIDDEN`."""
    lower = text.lower()  # of ASCII only, so that places stay what they are
    spans = []
    for part in _parts_of(secret):
        start = lower.find(part)
        while start >= 0:
            spans.append((start, start + len(part)))
            start = lower.find(part, start + 1)
    if not spans:
        return text
    fragments: list[bytes] = []
    end = 0
    for first, last in sorted(spans):
        if first > end or not fragments:
            fragments += [text[end:first], HIDDEN.encode()]
        end = max(end, last)
    return b"".join((*fragments, text[end:]))


@functools.lru_cache(maxsize=32)
def _parts_of(secret: str) -> frozenset[bytes]:
    """Return every part of eight characters of a key, in each way in which texts spell it.

    A longer part contains one of these, so nothing else need be searched for.
    """
    spellings = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}
    spellings |= {spelling.replace("/", "\\/") for spelling in spellings}
    parts = set()
    for spelling in (spelling.encode("utf-8", "surrogatepass").lower() for spelling in spellings):
        length = min(_SHORTEST_PART, len(spelling))
        parts |= {spelling[start : start + length] for start in range(len(spelling) - length + 1)}
    return frozenset(parts)
