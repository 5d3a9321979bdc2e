"""What `%llm_config` sets: names as a person types them, values as the settings want them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from llmnb.errors import ConfigurationError
from llmnb.options import checked

LIMITS = ("max_requests_per_minute", "max_tokens_per_minute", "max_concurrent_requests")

_SHORT = {
    "project": "project_name",
    "rpm": "max_requests_per_minute",
    "tpm": "max_tokens_per_minute",
    "concurrency": "max_concurrent_requests",
    "budget": "budget_usd",
}

SETTINGS = (
    *("model", "project_name", "cache_dir", *LIMITS, "burst"),
    *("budget_usd", "max_wait", "good_finish"),
)
"""Settings of the whole kernel, as `llmnb.configure` has them."""

OPTIONS = ("system", "format", "stream")
"""Options of the magics alone."""

NAMES = (*SETTINGS, *OPTIONS)

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
    value = _READ.get(name, str)(text)
    return checked({name: value})[name]


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


_READ: Mapping[str, Callable[[str], Any]] = {
    "model": _model,
    "max_concurrent_requests": number,
    "budget_usd": number,
    "max_wait": number,
    "good_finish": _words,
    "stream": _truth,
}
