"""The one table of options: what each is called, which values it takes, and at which doors.

Every door hands what it was given to `checked` before anything is sent, so that a wrong value
is refused with one sentence wherever it is given, and a right one means the same everywhere.
Fields of a request's body, such as ``temperature``, are not options; those that may stand
beside ``params`` are in `PARAMS`.
"""

from __future__ import annotations

import difflib
import math
import numbers
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_args

from llmnb.display.texts import cut
from llmnb.errors import ConfigurationError
from llmnb.rates import ACCEPTED, per_minute
from llmnb.records import Burst

Door = Literal[
    "call",
    "run_tools",
    "AsyncLLM",
    "frames",
    "embed",
    "generation",
    "GenerationMaster",
    "configure",
    "magics",
]
"""Where options are given: the methods of models (`LLM.call`, a `LiteLLMModel`'s config),
their `run_tools` (beside those of a call), `AsyncLLM` and its methods, ``df.llm`` and its verbs,
``df.llm.embed``, the functions of `llmnb.generation`, `GenerationMaster`, `configure`, ``%%llm``.
"""

_LONGEST_SHOWN = 60


class _Unfit(ValueError):
    """A value is none that an option takes."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Values of one type and range."""

    words: str
    """What such a value is, behind "is"; empty where the option's own meaning says it."""

    read: Callable[[Any], Any]
    """Returns the value as the engine takes it, or raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option: its meaning and its values."""

    meaning: str
    """What it is, in words that follow "is"."""

    kind: Kind
    doors: frozenset[Door]
    is_optional: bool = True
    """Whether None leaves it out."""

    def checked(self, name: str, value: Any) -> Any:
        """Return a value as the engine takes it.

        Raises:
            ConfigurationError: If it is none; nothing was sent.
        """
        if value is None and self.is_optional:
            return None
        try:
            return self.kind.read(value)
        except _Unfit as unfit:
            words = f"{self.meaning}: {self.kind.words}" if self.kind.words else self.meaning
            more = f" {unfit}" if str(unfit) else _as_number(self.kind, name, value)
            raise ConfigurationError(
                f"{name} is {words}, not {_shown(value)}.{more} Nothing was sent."
            ) from None


# ------------------------------------------------------------------------------- kinds


def _whole(least: int | None = None, most: int | None = None) -> Kind:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise _Unfit
        number = int(value)
        if (least is not None and number < least) or (most is not None and number > most):
            raise _Unfit
        return number

    return Kind(f"a whole number{_range(least, most)}", read)


def _number(least: float | None = None, most: float | None = None, *, above: bool = False) -> Kind:
    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise _Unfit
        try:
            number = float(value)
        except OverflowError:
            raise _Unfit from None
        if not math.isfinite(number) or (most is not None and number > most):
            raise _Unfit
        if least is not None and (number < least or (above and number == least)):
            raise _Unfit
        return int(value) if isinstance(value, numbers.Integral) else number

    return Kind(f"a number{' above 0' if above else _range(least, most)}", read)


def _range(least: float | None, most: float | None) -> str:
    if least is None:
        return ""
    return f", at least {least:g}" if most is None else f" from {least:g} to {most:g}"


def _choice(*values: Any) -> Kind:
    def read(value: Any) -> Any:
        # Of the same type too: 1 is not True.
        if not any(type(value) is type(one) and value == one for one in values):
            raise _Unfit
        return value

    *most, last = map(repr, values)
    return Kind(f"{', '.join(most)} or {last}", read)


def _read_seconds_or_p95(value: Any) -> Any:
    return value if isinstance(value, str) and value == "p95" else _SECONDS.read(value)


def _read_rate(value: Any) -> float | None:
    try:
        return per_minute(value)
    except ConfigurationError:
        raise _Unfit(ACCEPTED) from None


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Unfit
    return value


def _read_path(value: Any) -> Any:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise _Unfit
    return value


def _read_words(value: Any) -> tuple[str, ...]:
    words = (value,) if isinstance(value, str) else value
    if not isinstance(words, (list, tuple, set, frozenset)) or not all(
        isinstance(word, str) and word for word in words
    ):
        raise _Unfit
    return tuple(words)


def _read_projects(value: Any) -> bool | list[str]:
    return value if isinstance(value, bool) else list(_read_words(value))


_YES_OR_NO = _choice(True, False)
_SECONDS = _number(0, above=True)
_TEXT = Kind("a text", _read_text)
_PATH = Kind("a text or a pathlib.Path", _read_path)
_WORDS = Kind("a text or a list of them", _read_words)
_RATE = Kind("", _read_rate)


# ------------------------------------------------------------------------------ options


def _option(meaning: str, kind: Kind, *doors: Door, required: bool = False) -> Option:
    return Option(meaning=meaning, kind=kind, doors=frozenset(doors), is_optional=not required)


_RUNS: tuple[Door, ...] = ("call", "AsyncLLM", "frames", "generation", "GenerationMaster")
"""Doors that start a run of questions."""

_ALL: tuple[Door, ...] = (*_RUNS, "magics", "embed", "configure")

_COUNTED = tuple(door for door in _ALL if door != "GenerationMaster")
"""Doors that count requests in flight and attempts; `GenerationMaster` counts workers, retries."""

OPTIONS: Mapping[str, Option] = {
    "model": _option("the model to ask, as provider/model", _TEXT, "configure"),
    "project_name": _option("the project that keeps the answers", _TEXT, *_ALL),
    "cache_dir": _option(
        "the folder of all projects", _PATH, "call", "AsyncLLM", "generation", "configure"
    ),
    "share": _option(
        "whether other projects' answers are used",
        Kind("True, False, or the projects' names", _read_projects),
        *_RUNS,
        "embed",
        required=True,
    ),
    "use_cache": _option(
        "whether answers that are kept are used",
        _YES_OR_NO,
        *(*_RUNS, "embed", "magics"),
        required=True,
    ),
    "max_requests_per_minute": _option("a rate above 0", _RATE, *_ALL),
    "max_tokens_per_minute": _option("a rate above 0", _RATE, *_ALL),
    "burst": _option(
        "how what a server says is left of a limit is spent",
        _choice(*get_args(Burst)),
        *_ALL,
    ),
    "max_concurrent_requests": _option(
        "the number of requests in flight at once", _whole(1), *_COUNTED
    ),
    "max_rps": _option(
        "whether requests are evenly spaced",
        _YES_OR_NO,
        *("call", "AsyncLLM", "generation"),
        required=True,
    ),
    "max_attempts": _option(
        "the number of attempts for a row",
        _whole(1),
        *("call", "AsyncLLM", "frames", "generation", "embed"),
        required=True,
    ),
    "max_wait": _option(
        "how many seconds a model may refuse without one success", _number(0), *_ALL
    ),
    "cooldown": _option(
        "how many seconds to pause after a refusal that does not say how long",
        _number(0),
        *("call", "AsyncLLM", "generation"),
    ),
    "time_limit": _option(
        "how many seconds a row may take from its first request", _SECONDS, *_RUNS
    ),
    "hedge_after": _option(
        "how many seconds without a first token pass before another request is sent",
        Kind("a number above 0, or 'p95'", _read_seconds_or_p95),
        *_RUNS,
    ),
    "budget_usd": _option("the dollars that may be spent", _number(0), *_ALL),
    "good_finish": _option(
        "the finish reasons that are good though llmnb does not know them, such as ['done']",
        _WORDS,
        *(*_RUNS, "magics", "configure"),
    ),
    "n": _option(
        "the number of answers to every row", _whole(1, 1024), "call", "frames", required=True
    ),
    "duplicates": _option(
        "what becomes of identical rows",
        _choice("merge", "sample"),
        *("AsyncLLM", "frames", "generation"),
        required=True,
    ),
    "mode": _option(
        "how rows are asked, now or for half the price within a day",
        _choice("live", "batch"),
        *("AsyncLLM", "frames"),
        required=True,
    ),
    "on_error": _option(
        "what becomes of rows that fail",
        _choice("null", "column", "raise"),
        *("frames", "embed"),
        required=True,
    ),
    "details": _option(
        "whether a frame tells model, tokens, dollars and more",
        _YES_OR_NO,
        "frames",
        required=True,
    ),
    "overwrite": _option(
        "whether columns that came with the table may be replaced",
        _YES_OR_NO,
        *("frames", "embed"),
        required=True,
    ),
    "files_root": _option("the folder below which texts in cells may name files", _PATH, "frames"),
    "fetch_files": _option(
        "whether pictures that cells name by their address are fetched here", _YES_OR_NO, "frames"
    ),
    "batch_size": _option("the number of texts of one request", _whole(1), "embed"),
    "progress": _option(
        "whether bars are shown",
        _choice(True, False, "auto"),
        *("AsyncLLM", "frames", "embed", "generation"),
        required=True,
    ),
    "truncate": _option(
        "which end of a prompt longer than its model takes is left out",
        _choice("end", "start"),
        "generation",
    ),
    "allow_urls": _option(
        "whether lines are asked at the URL that they name themselves",
        _YES_OR_NO,
        "generation",
        required=True,
    ),
    "max_rounds": _option("the number of requests", _whole(1), "run_tools", required=True),
    "max_calls": _option(
        "the number of calls of one round that are made", _whole(1), "run_tools", required=True
    ),
    "max_result_characters": _option(
        "the longest result of a tool", _whole(1), "run_tools", required=True
    ),
    "tool_timeout": _option("how many seconds a tool may take", _SECONDS, "run_tools"),
    "allow_http": _option(
        "whether a key may travel over plain http to another machine",
        _YES_OR_NO,
        *("call", "configure"),
    ),
}
"""Every option of the product by name."""

RETRIES = _option("the number of attempts after the first", _whole(0), required=True)
"""`max_attempts` under the names that others count retries with."""

_NUMBER = _number()

PARAMS: Mapping[str, Option] = {
    "max_tokens": _option("the longest answer in tokens", _whole(1)),
    "temperature": _option("how freely a model chooses its words", _number(0)),
    "top_p": _option("the share of likely words that are chosen from", _number(0, 1)),
    "top_k": _option("the number of likely words that are chosen from", _whole()),
    "stop_tokens": _option("at which texts an answer ends", _WORDS),
    "stop": _option("at which texts an answer ends", _WORDS),
    "frequency_penalty": _option("the penalty on frequent words", _NUMBER),
    "presence_penalty": _option("the penalty on words that are there already", _NUMBER),
    "seed": _option("the seed of the model's choices", _whole()),
}
"""Fields of the request that may stand beside ``params`` wherever there are any."""


EMBED_PARAMS: Mapping[str, Option] = {
    "dimensions": _option("the length of a vector", _whole(1)),
}
"""The same for requests of vectors."""


class RequestParams(TypedDict, total=False):
    """The fields of `PARAMS`, for type checkers."""

    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    stop_tokens: str | list[str] | tuple[str, ...] | None
    stop: str | list[str] | tuple[str, ...] | None
    frequency_penalty: float | None
    presence_penalty: float | None
    seed: int | None


def names(door: Door) -> tuple[str, ...]:
    """Return the names of the options that are accepted at a door.

    Example:
        >>> "max_wait" in names("configure"), "mode" in names("configure")
        (True, False)
    """
    return tuple(name for name, option in OPTIONS.items() if door in option.doors)


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as the engine takes them: rates a minute, lists of words, plain numbers.

    Args:
        given: Options by name; what is not in the table is returned as it is.

    Raises:
        ConfigurationError: If one has a value that it does not take; nothing was sent.

    Example:
        >>> checked({"share": "Maths", "max_requests_per_minute": "5 per second"})
        {'share': ['Maths'], 'max_requests_per_minute': 300.0}
        >>> checked({"max_attempts": "20"})
        Traceback (most recent call last):
        llmnb.errors.ConfigurationError: max_attempts is the number of attempts for a row: a whole \
number, at least 1, not '20'. It is a text: write max_attempts=20. Nothing was sent.
    """
    return {
        name: OPTIONS[name].checked(name, value) if name in OPTIONS else value
        for name, value in given.items()
    }


def refuse_unknown(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse names that are not there, and tell which are near.

    Raises:
        TypeError: If there is one.

    Example:
        >>> refuse_unknown(["max_attempt"], ["max_attempts"], "f()")
        Traceback (most recent call last):
        TypeError: f() has no keyword 'max_attempt'; did you mean max_attempts?
    """
    there = tuple(known)
    for name in given:
        if name not in there:
            near = difflib.get_close_matches(name, there, n=2, cutoff=0.5)
            hint = (
                f"; did you mean {' or '.join(near)}?" if near else f". It has: {', '.join(there)}"
            )
            raise TypeError(f"{where} has no keyword {name!r}{hint}")


# ------------------------------------------------------------------------------- params


def body_of(params: Any, name: str = "params") -> dict[str, Any]:
    """Return parameters as fields of a request's body.

    Args:
        params: A mapping, an `LLMParams`, or None.
        name: What the argument is called.

    Raises:
        ConfigurationError: If it is something else; nothing was sent.
    """
    if params is None:
        return {}
    given = params.body() if hasattr(params, "body") else params
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"{name} is {type(given).__name__}; it is a mapping such as {{'max_tokens': 100}}, "
            "or an LLMParams. Nothing was sent."
        )
    return dict(given)


def with_params(
    params: Any,
    beside: Mapping[str, Any],
    name: str = "params",
    fields: Mapping[str, Option] = PARAMS,
) -> dict[str, Any]:
    """Return the fields of a body, those included that were given beside it.

    Args:
        params: A mapping, an `LLMParams`, or None.
        beside: Fields by name; None is not given.
        name: What the first argument is called.
        fields: The table that they are in.

    Raises:
        ConfigurationError: If a field has no such value, or is given twice and differently.

    Example:
        >>> with_params({"temperature": 0}, {"temperature": 0.0, "max_tokens": 9})
        {'temperature': 0, 'max_tokens': 9}
    """
    body = body_of(params, name)
    for field, value in beside.items():
        if value is None:
            continue
        wanted = fields[field].checked(field, value)
        if isinstance(wanted, tuple):
            wanted = value if isinstance(value, str) else list(wanted)
        known = body.get(field)
        if known is not None and (list(known) if isinstance(known, tuple) else known) != wanted:
            raise ConfigurationError(
                f"{field} is given twice, as {_shown(value)} and in {name} as {_shown(known)}: "
                "leave one of them out. Nothing was sent."
            )
        if known is None:
            body[field] = wanted
    return body


def params_in(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide keywords into fields of `PARAMS` and the rest.

    Example:
        >>> params_in({"max_tokens": 9, "share": True})
        ({'max_tokens': 9}, {'share': True})
    """
    fields = {name: value for name, value in given.items() if name in PARAMS}
    return fields, {name: value for name, value in given.items() if name not in PARAMS}


# ------------------------------------------------------------------------------- words


def _as_number(kind: Kind, name: str, value: Any) -> str:
    """Say how a number is written that was given as a text."""
    if not isinstance(value, str):
        return ""
    for number in (int, float):
        try:
            found = kind.read(number(value))
        except (ValueError, OverflowError):
            continue
        return f" It is a text: write {name}={found!r}."
    return ""


def _shown(value: Any) -> str:
    return cut(repr(value), _LONGEST_SHOWN)
