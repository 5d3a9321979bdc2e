"""What `%llm_config` sets: names as a person types them, values as the settings want them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from llmnb.errors import ConfigurationError
from llmnb.options import OPTIONS, checked, names

LIMITS = ("max_requests_per_minute", "max_tokens_per_minute", "max_concurrent_requests")

_SHORT = {option.short: name for name, option in OPTIONS.items() if option.short}

SETTINGS = tuple(name for name in names("configure") if name != "allow_http")
"""Settings of the whole kernel, as `llmnb.configure` has them."""

OF_MAGICS = ("system", "format", "stream")
"""Options of the magics alone."""

NAMES = (*SETTINGS, *OF_MAGICS)

_NOTHING = ("", "none", "null")


def full_name(name: str) -> str:
    """Return the name of a setting for what was typed.

    Raises:
        ConfigurationError: If there is none; with the nearest.

    Example:
        >>> full_name("rpm"), full_name("model")
        ('max_requests_per_minute', 'model')
    """
    found = _SHORT.get(name, name)
    if found in NAMES:
        return found
    near = difflib.get_close_matches(name, (*NAMES, *_SHORT), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ConfigurationError(
        f"There is no setting {name!r}.{hint}\nSettings are: {', '.join(NAMES)}; "
        f"in short {', '.join(_SHORT)}."
    )


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
    if name in ("model", "stream", "show_answers"):
        return _model if name == "model" else _truth
    option = OPTIONS.get(name)
    if option is None:
        return str
    if option.default == ():
        return _words
    return number if option.kind.typed in (int, float) else str
