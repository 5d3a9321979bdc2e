"""What `%llm_config` sets: names as a person types them, values as the settings want them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llmnb.errors import ConfigurationError
from llmnb.options import OPTIONS, checked
from llmnb.settings import full_name
from llmnb.signatures import KEYWORDS

LIMITS = tuple(KEYWORDS["RunLimits"])

WORDS = tuple(KEYWORDS["ConfigureOptions"])
"""What `%llm_config` and `llmnb.configure` take."""

_NOTHING = ("", "none", "null")


def value_of(name: str, text: str) -> Any:
    """Return the value of a setting, None where it is taken back.

    Args:
        name: Full name of the setting.
        text: As it was typed; ``none`` or nothing takes it back.

    Raises:
        ConfigurationError: If the text is no such value.

    Example:
        >>> value_of("max_requests_per_minute", "5 per second"), value_of("model", "none")
        (300.0, None)
    """
    if text.strip().lower() in _NOTHING:
        return None
    return checked({name: _reader(name)(text)})[name]


def check_limits(limits: Mapping[str, Any]) -> dict[str, Any]:
    """Return limits under their full names.

    Raises:
        ConfigurationError: If one is unknown or is no rate.
    """
    checked: dict[str, Any] = {}
    for name, value in limits.items():
        full = full_name(str(name))
        if full not in LIMITS:
            raise ConfigurationError(f"{name!r} is no limit. Limits are: {', '.join(LIMITS)}.")
        if value is not None:
            checked[full] = value_of(full, str(value))
    return checked


def number(text: str) -> float | str:
    """Return a number as a person types it; what is none is returned for the table to refuse.

    Example:
        >>> number("1,000"), number("$2.50"), number("many")
        (1000, 2.5, 'many')
    """
    plain = text.strip().lstrip("$").replace(",", "")
    for kind in (int, float):
        try:
            return kind(plain)
        except ValueError:
            continue
    return text


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _truth(text: str) -> bool:
    truths = {"true": True, "yes": True, "on": True, "1": True}
    truths |= {"false": False, "no": False, "off": False, "0": False}
    try:
        return truths[text.strip().lower()]
    except KeyError:
        raise ConfigurationError(f"{text!r} is neither on nor off.") from None


def _model(text: str) -> str:
    from llmnb.targets.resolve import choose

    choose(text)  # raises, with suggestions
    return text


def _reader(name: str) -> Callable[[str], Any]:
    """Return what reads the text of a setting."""
    if name == "model":
        return _model
    option = OPTIONS[name]
    if option.default == ():
        return _words
    if option.kind.choices == (True, False):
        return _truth
    return str if option.kind.typed is str else number
