"""Reading and writing JSON: by orjson, and what orjson refuses by the standard library."""

from __future__ import annotations

import json
from typing import Any

import orjson

from llmnb.display.texts import mended_value


class NotJSON(ValueError):
    """Bytes that are no JSON document, or a value that cannot be written as JSON."""


_LONGEST_INTEGER = 300
"""Digits; a longer integer is not a meant number and is read as infinite."""


def read(raw: bytes, *, mend: bool = True) -> Any:
    r"""Return the value that bytes hold.

    What the fast reader refuses and the standard library understands is read
    too: a byte order mark, NaN, halves of surrogate pairs.

    Args:
        raw: A whole document.
        mend: Whether a lone half of a surrogate pair becomes U+FFFD. Pieces of
            a stream are left as they are: the other half may be in the next.

    Raises:
        NotJSON: If it cannot be read, is nested too deeply, or is not UTF-8.

    Example:
        >>> read(b'{"a": "\\ud83d!"}')
        {'a': '\ufffd!'}
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        cause = str(error)
    try:
        text = raw.decode("utf-8-sig")
        value = json.loads(text, parse_int=_integer)
        return mended_value(value) if mend and "\\u" in text else value
    except (ValueError, RecursionError):
        raise NotJSON(cause) from None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float("inf")


def read_with_bytes(raw: bytes) -> tuple[Any, bytes]:
    """Return the value that bytes hold, and bytes of it that any reader of JSON understands.

    These are the same bytes nearly always. Where patience was needed, they
    are written anew.

    Raises:
        NotJSON: If they cannot be read.

    Example:
        >>> read_with_bytes(b'{"logprob": NaN}')[1]
        b'{"logprob":null}'
    """
    try:
        return orjson.loads(raw), raw
    except orjson.JSONDecodeError:
        value = read(raw)
        return value, write(value, is_strict=False)


def write(value: Any, *, is_strict: bool = True) -> bytes:
    r"""Return a value as a compact document.

    Args:
        value: Anything the fast writer knows; else plain dicts, lists, texts and
            numbers, among them integers of any size and lone surrogates, which
            are then written as ASCII with escapes.
        is_strict: Whether NaN and infinities, which are no JSON, are refused.

    Raises:
        NotJSON: If it cannot be written.

    Example:
        >>> write({"n": 2**70, "lone": "\ud800"})
        b'{"n":1180591620717411303424,"lone":"\\ud800"}'
    """
    try:
        raw = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        cause = str(error)
        try:
            text = json.dumps(value, separators=(",", ":"), allow_nan=not is_strict)
        except (TypeError, ValueError, RecursionError):
            raise NotJSON(cause) from None
        return text.encode("ascii")
    # The fast writer turns NaN into null without a word. Few bodies hold a null at all.
    if is_strict and b"null" in raw and _has_odd_number(value):
        raise NotJSON("NaN and infinite numbers are not JSON")
    return raw


def arguments_text(arguments: Any) -> str:
    """Return the arguments of a call as text; where they came parsed, that is their JSON.

    Example:
        >>> arguments_text('{"a": 1}'), arguments_text({"a": 1}), arguments_text(None)
        ('{"a": 1}', '{"a":1}', '{}')
    """
    if isinstance(arguments, str):
        return arguments
    return write(arguments or {}, is_strict=False).decode()


def _has_odd_number(value: Any) -> bool:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, float):
            if value - value != 0.0:  # only NaN and the infinities differ from themselves
                return True
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, (list, tuple)):
            waiting.extend(value)
    return False
