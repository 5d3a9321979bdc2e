"""Any value as JSON text: whole, exact, and the same whatever library it came from."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import json
import math
from collections.abc import Iterable, Mapping, Set
from typing import Any

import orjson

from llmnb.errors import InputError


def json_text(value: Any) -> str:
    """Return a value as JSON text, nothing of it left out.

    Whole numbers have all their digits, decimals theirs; arrays are lists, sets are lists in
    order, bytes base64, dates and times ISO 8601; what is missing or no number is null. Whatever
    else there is becomes its `str`.

    Raises:
        InputError: If it is nested without an end, or too deeply to be read again.

    Example:
        >>> json_text({"a": (1, 2**70), "when": datetime.date(2026, 1, 2), "raw": b"hi"})
        '{"a":[1,1180591620717411303424],"when":"2026-01-02","raw":"aGk="}'
    """
    try:
        return orjson.dumps(value).decode()  # most values, and fast
    except TypeError:
        pass
    try:
        return _text(value)
    except RecursionError:
        raise InputError(
            "A value is nested too deeply, or holds itself: it cannot be written as JSON."
        ) from None


def is_container(value: Any) -> bool:
    """Whether a value holds others, and is therefore shown as JSON.

    Example:
        >>> is_container((1, 2)), is_container("text"), is_container(b"bytes")
        (True, False, False)
    """
    if isinstance(value, (dict, list, tuple, Set, Mapping)):
        return True
    return not isinstance(value, (str, bytes)) and bool(getattr(value, "shape", None))


def duration_text(value: datetime.timedelta) -> str:
    """Return a span of time as pandas writes it.

    Example:
        >>> duration_text(datetime.timedelta(hours=-1))
        '-1 days +23:00:00'
    """
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    sign = "+" if value.days < 0 else ""
    text = f"{value.days} days {sign}{hours:02}:{minutes:02}:{seconds:02}"
    nanoseconds = getattr(value, "nanoseconds", 0)  # of pandas'
    if nanoseconds:
        return f"{text}.{value.microseconds:06}{nanoseconds:03}"
    return f"{text}.{value.microseconds:06}" if value.microseconds else text


def _text(value: Any) -> str:
    """Return any value as JSON text."""
    if isinstance(value, enum.Enum):
        return _text(value.value)
    if isinstance(value, Mapping):
        inside = (f"{_key(name)}:{_text(inner)}" for name, inner in value.items())
        return "{" + ",".join(inside) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, Set):
        return "[" + ",".join(sorted(map(_text, value))) + "]"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _text(
            {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        )
    return _leaf(value)


def _leaf(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return orjson.dumps(float(value)).decode()
    if isinstance(value, decimal.Decimal):
        return str(value) if value.is_finite() else "null"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f'"{base64.b64encode(value).decode()}"'
    if type(value).__name__ in ("NAType", "NaTType"):
        return "null"
    if isinstance(value, (datetime.date, datetime.time)):
        return f'"{value.isoformat()}"'
    if isinstance(value, datetime.timedelta):
        return f'"{duration_text(value)}"'
    return _other(value)


def _other(value: Any) -> str:
    """Return what a library's own array, column or number is in JSON."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind in ("M", "m") and hasattr(value, "astype"):
        return _times(value)
    for name in ("tolist", "to_list", "as_py", "item"):
        read = getattr(value, name, None)
        if callable(read):
            plain = read()
            if plain is not value:
                return _text(plain)
    if isinstance(value, Iterable) and hasattr(value, "__len__"):
        return "[" + ",".join(map(_text, value)) + "]"
    return _string(str(value))


def _times(value: Any) -> str:
    """Return NumPy's times or spans, of which `tolist` would make whole numbers."""
    if getattr(value, "shape", ()):
        return "[" + ",".join(map(_text, value)) + "]"
    if str(value) == "NaT":
        return "null"
    plain = value.item()
    if isinstance(plain, int):  # nanoseconds, or years that Python has not
        short = value.astype(f"{value.dtype.kind}8[us]")
        plain = short.item()
        if short != value or isinstance(plain, int):
            return _string(str(value))
    return _text(plain)


def _key(name: Any) -> str:
    if isinstance(name, str):
        return _string(name)
    text = _text(name)
    return text if text.startswith('"') else _string(text)


def _string(text: str) -> str:
    try:
        return orjson.dumps(str(text)).decode()
    except TypeError:  # half a character, which JSON can only name
        return json.dumps(text)


def exact_json(data: bytes | str) -> Any:
    """Return JSON as values, its numbers exact: none becomes a float that has more digits.

    ``NaN`` and its like, which are no JSON, are read as Python writes them.

    Raises:
        ValueError: If it is no JSON.

    Example:
        >>> exact_json(b'[1, 0.5, 123456789012345678901234567890]')
        [1, 0.5, 123456789012345678901234567890]
    """
    try:
        return json.loads(data, parse_float=_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _number(digits: str) -> float | decimal.Decimal:
    rounded, exact = float(digits), decimal.Decimal(digits)
    is_same = math.isfinite(rounded) and decimal.Decimal(repr(rounded)) == exact
    return rounded if is_same else exact
