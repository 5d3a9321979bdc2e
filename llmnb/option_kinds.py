"""The kinds of values that options take: which ones, and how they are read."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llmnb.errors import ConfigurationError
from llmnb.rates import ACCEPTED, per_minute


class Unfit(ValueError):
    """A value is none that an option takes."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Values of one type and range."""

    description: str
    """What such a value is, behind "is"; empty where the option's own meaning says it."""

    type: str
    """How type checkers write it."""

    read: Callable[[Any], Any]
    """Returns the value as the engine takes it, or raises."""

    typed: Callable[[str], Any] = str
    """Returns the value that a person typed as a word of a command, or raises a `ValueError`."""

    choices: tuple[Any, ...] | None = None
    """All values, where they can be listed."""


def whole_number(least: int | None = None, most: int | None = None) -> Kind:
    """Return the kind of whole numbers, within a range where one is given."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise Unfit
        number = int(value)
        if (least is not None and number < least) or (most is not None and number > most):
            raise Unfit
        return number

    return Kind(f"a whole number{_range(least, most)}", "int", read, int)


def any_number(
    least: float | None = None, most: float | None = None, *, above: bool = False
) -> Kind:
    """Return the kind of finite numbers, within a range where one is given.

    Args:
        least: The smallest that fits.
        most: The largest that fits.
        above: Whether the smallest itself does not fit.
    """

    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise Unfit
        try:
            number = float(value)
        except OverflowError:
            raise Unfit from None
        low, high = -math.inf if least is None else least, math.inf if most is None else most
        if not low <= number <= high or math.isinf(number) or (above and number == least):
            raise Unfit
        return int(value) if isinstance(value, numbers.Integral) else number

    description = f"a number{' above 0' if above else _range(least, most)}"
    return Kind(description, "float", read, float)


def _range(least: float | None, most: float | None) -> str:
    if least is None:
        return ""
    return f", at least {least:g}" if most is None else f" from {least:g} to {most:g}"


def choice(*values: Any) -> Kind:
    """Return the kind that has these values only."""
    typed = [(type(value), value) for value in values]  # of the same type too: 1 is not True

    def read(value: Any) -> Any:
        if (type(value), value) not in typed:
            raise Unfit
        return value

    *most, last = map(repr, values)
    texts = [f'"{value}"' for value in values if isinstance(value, str)]
    types = [f"Literal[{', '.join(texts)}]"] if texts else []
    if True in values:
        types = ["bool", *types]
    return Kind(f"{', '.join(most)} or {last}", " | ".join(types), read, choices=values)


def _read_seconds_or_p95(value: Any) -> Any:
    return value if isinstance(value, str) and value == "p95" else SECONDS.read(value)


def _read_rate(value: Any) -> float | None:
    try:
        return per_minute(value)
    except ConfigurationError:
        raise Unfit(ACCEPTED) from None


def _number_or_text(typed: str) -> float | str:
    try:
        return float(typed)
    except ValueError:
        return typed  # such as "5 per second"


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unfit
    return value


def _read_path(value: Any) -> Any:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise Unfit
    return value


def _read_texts(value: Any) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else value
    is_list = isinstance(texts, (list, tuple, set, frozenset))
    if not is_list or not all(isinstance(text, str) and text for text in texts):
        raise Unfit
    return tuple(texts)


def _read_projects(value: Any) -> bool | list[str]:
    return value if isinstance(value, bool) else list(_read_texts(value))


YES_OR_NO = choice(True, False)
SECONDS = any_number(0, above=True)
TEXT = Kind("a text", "str", _read_text)
PATH = Kind("a text or a pathlib.Path", "str | os.PathLike[str]", _read_path)
TEXTS = Kind("a text or a list of them", "str | Sequence[str]", _read_texts)
RATE = Kind("a rate above 0", "Rate", _read_rate, _number_or_text)
SHARE = Kind("True, False, or the projects' names", "bool | str | list[str]", _read_projects)
SECONDS_OR_P95 = Kind("a number above 0, or 'p95'", 'float | Literal["p95"]', _read_seconds_or_p95)
