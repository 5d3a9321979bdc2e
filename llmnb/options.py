"""The one table of options: what each is called, which values it takes, and at which doors.

Signatures and documentation are written from this table, and every door hands what it was given
to `checked` before anything is sent, so that a wrong value is refused with one sentence wherever
it is given, and a right one means the same everywhere. Fields of a request's body, such as
``temperature``, are not options; those that may stand beside ``params`` are in `PARAMS`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from llmnb.display.texts import cut, near_names
from llmnb.errors import ConfigurationError, UnknownOption
from llmnb.option_kinds import (
    PATH,
    RATE,
    SECONDS,
    SECONDS_OR_P95,
    SHARE,
    TEXT,
    TEXTS,
    YES_OR_NO,
    Kind,
    Unfit,
    any_number,
    choice,
    whole_number,
)
from llmnb.rates import Burst

Door = (
    Literal["call", "run_tools", "AsyncLLM", "frames", "embed", "generation", "GenerationMaster"]
    | Literal["configure", "magics"]
    | Literal["start", "plan", "batch"]
)
"""Where options are given: the methods of models (`LLM.call`, a `LiteLLMModel`'s config),
their `run_tools` (beside those of a call), `AsyncLLM` and its methods, ``df.llm`` and its verbs,
``df.llm.embed``, the functions of `llmnb.generation`, `GenerationMaster`, `configure`, ``%%llm``.
Behind them the engine's own: `start`, `plan` and `start_batch`.
"""

FORMATS = ("markdown", "text", "json", "code", "table")
"""Forms in which `%llm` asks for answers."""

_LONGEST_SHOWN = 60


class Unset:
    """A default that no value can stand for, such as "as it is"; signatures show its text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return f"<{self._text}>"


OWN = Unset("as made")
"""The default of an option that an object was made with already."""

UNCHANGED = Unset("unchanged")
"""The default of a setting that stays as it is where it is left out."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its meaning and its values."""

    meaning: str
    """What it is, in words that follow "is"."""

    kind: Kind
    doors: tuple[Door, ...] = ()
    is_optional: bool = None  # type: ignore[assignment]
    """Whether None leaves it out; where that is not said, it does where it is the default."""

    default: Any = None
    note: str = ""
    """What its documentation says behind the meaning, with the sign that parts the two."""

    short: str = ""
    """What it is called on command lines and by `%llm_config`, where that is shorter."""

    def __post_init__(self) -> None:
        if self.is_optional is None:
            object.__setattr__(self, "is_optional", self.default is None)

    @property
    def type(self) -> str:
        """The type as a signature writes it."""
        is_unset = isinstance(self.default, Unset)
        takes_none = self.default is None or (is_unset and self.is_optional)
        return (
            f"{self.kind.type} | None" if takes_none and self.kind.type != "Any" else self.kind.type
        )

    @property
    def documentation(self) -> str:
        """The sentence that signatures' documentation has about it."""
        is_shown = self.kind.description and self.kind is not YES_OR_NO
        kind = f": {self.kind.description}" if is_shown else ""
        return f"{self.meaning[:1].upper()}{self.meaning[1:]}{kind}{self.note}."

    def checked(self, name: str, value: Any) -> Any:
        """Return a value as the engine takes it.

        Raises:
            ConfigurationError: If it is none; nothing was sent.
        """
        if value is None and self.is_optional:
            return None
        try:
            return self.kind.read(value)
        except Unfit as unfit:
            description = ": ".join(filter(None, (self.meaning, self.kind.description)))
            more = f" {unfit}" if str(unfit) else _as_number(self.kind, name, value)
            raise ConfigurationError(
                f"{name} is {description}, not {_shown(value)}.{more} Nothing was sent."
            ) from None


# ------------------------------------------------------------------------------ options


_RUNS: tuple[Door, ...] = (
    *("call", "AsyncLLM", "frames", "generation", "GenerationMaster", "start"),
)
"""Doors that start a run of questions."""

_ALL: tuple[Door, ...] = (*_RUNS, "magics", "embed", "configure")

_PLANNED: tuple[Door, ...] = (*_ALL, "plan")

_COUNTED = tuple(door for door in _PLANNED if door != "GenerationMaster")
"""Doors that count requests in flight and attempts; `GenerationMaster` counts workers, retries."""

OPTIONS: Mapping[str, Option] = {
    "model": Option(
        "the model to ask where none is named, as provider/model", TEXT, ("configure",)
    ),
    "system": Option(
        "the system message of every prompt of `%llm`", TEXT, ("configure",), is_optional=True
    ),
    "format": Option(
        "the form in which `%llm` asks for answers and shows them",
        choice(*FORMATS),
        ("configure",),
        is_optional=True,
        default="markdown",
    ),
    "stream": Option(
        "whether `%llm` shows answers while they come",
        YES_OR_NO,
        ("configure",),
        is_optional=True,
        default=True,
    ),
    "overwrite": Option(
        "whether columns that came with the table may be replaced",
        YES_OR_NO,
        ("frames", "embed"),
        default=False,
        note="; those that an earlier call wrote are written anew without it",
    ),
    "files_root": Option(
        "the folder below which texts in cells may name files",
        PATH,
        ("frames",),
        note="; None: the working folder. A `pathlib.Path` may lie anywhere",
    ),
    "fetch_files": Option(
        "whether pictures that cells name by their address are fetched here",
        YES_OR_NO,
        ("frames",),
        is_optional=True,
        default=False,
        note="; False: their addresses are passed on to providers that take them",
    ),
    "quotes": Option(
        "whether each field of a schema comes with the words of the text that say so",
        YES_OR_NO,
        ("frames",),
        default=False,
        note="; in ``<field>_quote``. ``<field>_supported`` is False where they are not in the "
        "row's cells (capitals, white space and typography folded) or there are none, and missing "
        "where the field itself is missing or empty",
    ),
    "n": Option(
        "the number of answers to every row",
        whole_number(1, 1024),
        ("call", "frames"),
        default=1,
        note="; above 1 a cell holds the list of them",
    ),
    "batch_size": Option("the number of texts of one request", whole_number(1), ("embed",)),
    "project_name": Option(
        "the project that keeps the answers",
        TEXT,
        (*_PLANNED, "batch"),
        note="; None: ``LLMNB_PROJECT``, else ``default``",
        short="project",
    ),
    "cache_dir": Option(
        "the folder of all projects",
        PATH,
        ("call", "AsyncLLM", "generation", "configure", "start", "plan", "batch"),
        note="; None: ``LLMNB_CACHE_DIR``, else ``.cache/llmnb``",
    ),
    "use_cache": Option(
        "whether answers that are kept are used",
        YES_OR_NO,
        (*_RUNS, "plan", "batch", "embed", "magics"),
        default=True,
        note="; False: all is asked anew, and the answers are kept all the same",
    ),
    "share": Option(
        "whether other projects' answers are used",
        SHARE,
        (*_RUNS, "plan", "batch", "embed"),
        default=True,
    ),
    "duplicates": Option(
        "what becomes of identical rows",
        choice("merge", "sample"),
        ("AsyncLLM", "frames", "generation"),
        default="merge",
        note="; asked once, or each for itself",
    ),
    "details": Option(
        "whether a frame tells model, tokens, dollars and more, and what each row asked",
        choice(True, False, "full"),
        ("frames",),
        default=False,
        note="; its columns are response, error, model, provider, finish_reason, prompt_tokens, "
        "completion_tokens, usd, seconds, first_token_seconds, attempts, hedged, cached, key; "
        '"full" puts the rendered prompt before them',
    ),
    "on_error": Option(
        "what becomes of rows that fail",
        choice("null", "column", "raise"),
        ("frames", "embed"),
        default="null",
        note="; missing with one warning, told in a further column, or an error when every row "
        "is done, which carries the partial result",
    ),
    "max_requests_per_minute": Option(
        "the number of requests a minute",
        RATE,
        _PLANNED,
        note=', as a number, ``"100/minute"``, ``"5 per second"`` or a '
        "`limits.RateLimitItem`; None: what the provider allows",
        short="rpm",
    ),
    "max_tokens_per_minute": Option(
        "the number of tokens a minute, prompt and answer together",
        RATE,
        _PLANNED,
        note=", in the same forms",
        short="tpm",
    ),
    "max_concurrent_requests": Option(
        "the number of requests in flight at once",
        whole_number(1),
        _COUNTED,
        note="; None: found by trying",
        short="concurrency",
    ),
    "max_rps": Option(
        "whether requests are evenly spaced",
        YES_OR_NO,
        ("call", "AsyncLLM", "generation", "start"),
        default=False,
    ),
    "max_attempts": Option(
        "the number of attempts for a row",
        whole_number(1),
        ("call", "AsyncLLM", "frames", "generation", "embed", "start"),
        default=3,
        note="; those that were unsent or surely unbilled count, the first included",
    ),
    "max_wait": Option(
        "how many seconds a model may refuse without one success",
        any_number(0),
        _ALL,
        note="; None: that of `llmnb.configure`, else 600. A server that asks to wait for more "
        "than two minutes is waited for only where this covers it",
    ),
    "cooldown": Option(
        "how many seconds to pause after a refusal that does not say how long",
        any_number(0),
        ("call", "AsyncLLM", "generation", "start"),
    ),
    "budget_usd": Option(
        "the dollars that may be spent",
        any_number(0),
        (*_PLANNED, "batch"),
        note="; the most that a request may cost is reserved before it is sent, and what does not "
        "fit is not sent",
        short="budget",
    ),
    "time_limit": Option("how many seconds a row may take from its first request", SECONDS, _RUNS),
    "hedge_after": Option(
        "how many seconds without a first token pass before another request is sent",
        SECONDS_OR_P95,
        _RUNS,
        note="; it goes to the next model",
    ),
    "burst": Option(
        "how what a server says is left of a limit is spent",
        choice(*get_args(Burst)),
        _ALL,
        note="; at once, or at an even rate. None: that of `llmnb.configure`, else "
        '``"announced"``. Limits that are given here are always smooth',
    ),
    "good_finish": Option(
        "the finish reasons that are good though llmnb does not know them, such as ['done']",
        TEXTS,
        (*_RUNS, "batch", "magics", "configure"),
        is_optional=True,
        default=(),
        note="; answers that are kept under them are read again for nothing",
    ),
    "mode": Option(
        "how rows are asked, now or for half the price within a day",
        choice("live", "batch"),
        ("AsyncLLM", "frames"),
        default="live",
    ),
    "truncate": Option(
        "which end of a prompt longer than its model takes is left out",
        choice("end", "start"),
        ("generation",),
        is_optional=True,
        default="end",
        note="; None: nothing is cut",
    ),
    "allow_urls": Option(
        "whether lines are asked at the URL that they name themselves",
        YES_OR_NO,
        ("generation",),
        default=False,
        note=", with the key beside it or with none; False: such a line is an error row and sent "
        "nowhere",
    ),
    "progress": Option(
        "whether bars are shown",
        choice(True, False, "auto"),
        ("AsyncLLM", "frames", "embed", "generation"),
        default="auto",
        note='; ``"auto"``: on a terminal and in a notebook',
    ),
    "max_rounds": Option("the number of requests", whole_number(1), ("run_tools",), default=8),
    "max_calls": Option(
        "the number of calls of one round that are made",
        whole_number(1),
        ("run_tools",),
        is_optional=False,
    ),
    "max_result_characters": Option(
        "the longest result of a tool", whole_number(1), ("run_tools",), is_optional=False
    ),
    "tool_timeout": Option("how many seconds a tool may take", SECONDS, ("run_tools",)),
    "show_answers": Option(
        "whether receipts in notebooks show the first prompts and answers",
        YES_OR_NO,
        ("configure",),
        is_optional=True,
        default=True,
        note="; False keeps the texts of a table out of the saved notebook",
    ),
    "allow_http": Option(
        "whether a key may travel over plain http to another machine",
        YES_OR_NO,
        ("call", "configure"),
    ),
}
"""Every option of the product by name."""

RETRIES = Option("the number of attempts after the first", whole_number(0), default=3)
"""`max_attempts` under the names that others count retries with."""

ROWS = Option("the number of rows", whole_number(0))
"""How many of a table's first rows are taken."""


def _argument(meaning: str, type: str) -> Option:
    return Option(meaning, Kind("", type, lambda value: value))


ARGUMENTS: Mapping[str, Option] = {
    "model": _argument(
        'the model, as ``"provider/model"`` or an `LLM`, or a list of them in the order of '
        "fallback; None: the configured one",
        "Model | Sequence[Model]",
    ),
    "into": _argument(
        "the column for the answers: then a copy of the frame with it is returned", "Hashable"
    ),
    "messages": _argument(
        "the column of whole conversations in place of a prompt: lists of mappings with role and "
        "content, or JSON text of them",
        "Hashable",
    ),
    "system": Option(
        "the system message before every question",
        TEXT,
        note="; columns' names in braces are filled in",
    ),
    "examples": _argument(
        "pairs of an input and its answer, shown before every question; an input that is a mapping "
        "fills the prompt's own fields. A series of labels makes examples of the rows that it "
        "labels, matched by the index, for all rows but themselves",
        "Any",
    ),
    "params": _argument(
        'fields of the request, such as ``{"temperature": 0, "max_tokens": 50}``, or an '
        "`LLMParams`",
        "Any",
    ),
    "schema": _argument(
        "the form of the answers: a pydantic model, a dataclass, a TypedDict, a type, a tuple of "
        "labels or a JSON schema; typed columns come back, one for each field",
        "Any",
    ),
    "images": _argument(
        "the column of pictures: paths, addresses, bytes, or lists of them", "Hashable"
    ),
    "clear_project_cache": Option(
        "the project or projects to empty first", TEXTS, note='; ``"full"``: all of them'
    ),
    "cache_vars": _argument(
        "further values that tell answers apart in the store", "Mapping[str, Any]"
    ),
    "api_provider": _argument("the provider's name in the catalog, such as ``groq``", "str"),
    "gen_type": _argument(
        "the kind of request: ``chat``, ``text`` or ``embedding``; None: as the address says", "str"
    ),
}
"""Arguments that several doors take and check for themselves."""

_NUMBER = any_number()

PARAMS: Mapping[str, Option] = {
    "max_tokens": Option("the longest answer in tokens", whole_number(1)),
    "temperature": Option("how freely a model chooses its words", any_number(0)),
    "top_p": Option("the share of likely words that are chosen from", any_number(0, 1)),
    "top_k": Option("the number of likely words that are chosen from", whole_number()),
    "stop_tokens": Option("at which texts an answer ends", TEXTS),
    "stop": Option("at which texts an answer ends", TEXTS),
    "frequency_penalty": Option("the penalty on frequent words", _NUMBER),
    "presence_penalty": Option("the penalty on words that are there already", _NUMBER),
    "seed": Option("the seed of the model's choices", whole_number()),
}
"""Fields of the request that may stand beside ``params`` wherever there are any."""


EMBED_PARAMS: Mapping[str, Option] = {
    "dimensions": Option("the length of a vector", whole_number(1)),
}
"""The same for requests of vectors."""


SHORT: Mapping[str, str] = {option.short: name for name, option in OPTIONS.items() if option.short}
"""Names of options by their short ones."""


@functools.cache
def names(*doors: Door) -> tuple[str, ...]:
    """Return the names of the options that are accepted at every one of some doors.

    Example:
        >>> "max_wait" in names("configure"), "mode" in names("configure")
        (True, False)
    """
    return tuple(name for name, option in OPTIONS.items() if {*doors} <= {*option.doors})


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as the engine takes them: rates a minute, lists of words, plain numbers.

    Args:
        options: By name; what is not in the table is returned as it is.

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
        for name, value in options.items()
    }


_OTHER_NAMES = {
    **SHORT,
    "retries": "max_attempts",
    "rate_limit": "max_requests_per_minute",
    "workers": "max_concurrent_requests",
    "timeout": "time_limit",
    "response_format": "schema",
}
"""Options by what `%llm_config` and other libraries call them, ``max_`` before it or not."""

_OF_THE_MODEL = ("api_key", "url")
"""Keywords of `LLM` that many a call has not."""


def refuse_unknown(options: Iterable[str], known: Collection[str], where: str) -> None:
    """Refuse names that are not there, and tell which are near.

    Raises:
        UnknownOption: If there is one; nothing was sent.

    Example:
        >>> refuse_unknown(["max_attempt"], ["max_attempts"], "f()")
        Traceback (most recent call last):
        llmnb.errors.UnknownOption: f() has no keyword 'max_attempt'. Did you mean max_attempts?...
    """
    for name in options:
        if name not in known:
            other = _OTHER_NAMES.get(name.removeprefix("max_"), "")
            meant = [other] if other in known else near_names(name, known)
            all_known = f"It has: {', '.join(known)}."
            hint = f"Did you mean {' or '.join(meant)}?" if meant else all_known
            if name in _OF_THE_MODEL:
                hint = f"Give it with the model: model=llmnb.LLM(model=…, {name}=…)."
            elif name in OPTIONS and "configure" in OPTIONS[name].doors:
                hint = f"Set it for all calls: llmnb.configure({name}=…)."
            raise UnknownOption(f"{where} has no keyword {name!r}. {hint} Nothing was sent.")


def read_keywords(
    keywords: Mapping[str, Any],
    known: Collection[str],
    where: str,
    table: Mapping[str, Option] = OPTIONS,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide what a function was given as ``**options``; return options, and fields of a request.

    Options are as the engine takes them; the fields go to `with_params`, which checks them.

    Args:
        keywords: What it was given.
        known: The names that it takes.
        where: What it is called in messages, such as ``"generate()"``.
        table: The options that are checked; what is in neither table is returned as it is.

    Raises:
        UnknownOption: If there is no such keyword; the message names the nearest.
        ConfigurationError: If an option has a value that it does not take; nothing was sent.

    Example:
        >>> read_keywords({"max_tokens": 9, "share": "A"}, ["max_tokens", "share"], "f()")
        ({'share': ['A']}, {'max_tokens': 9})
    """
    refuse_unknown(keywords, known, where)
    options, fields = {}, {}
    for name, value in keywords.items():
        if name in PARAMS:
            fields[name] = value
        else:
            options[name] = table[name].checked(name, value) if name in table else value
    return options, fields


def refuse_with_batch(options: Mapping[str, Any]) -> None:
    """Refuse what a batch cannot do, which takes up to a day.

    Raises:
        ConfigurationError: If there is such an option; nothing was sent.
    """
    for name in ("time_limit", "hedge_after", "iterate"):
        if options.get(name) is not None:
            raise ConfigurationError(
                f"{name} does not go with mode='batch', which takes up to a day: leave one "
                "of them out. Nothing was sent."
            )


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
    fields = params.body() if hasattr(params, "body") else params
    if not isinstance(fields, Mapping):
        raise ConfigurationError(
            f"{name} is {type(fields).__name__}; it is a mapping such as {{'max_tokens': 100}}, "
            "or an LLMParams. Nothing was sent."
        )
    return dict(fields)


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


# ------------------------------------------------------------------------------- words


def _as_number(kind: Kind, name: str, value: Any) -> str:
    """Say how a number is written that was given as a text."""
    for number in (int, float) if isinstance(value, str) else ():
        with contextlib.suppress(ValueError, OverflowError):
            return f" It is a text: write {name}={kind.read(number(value))!r}."
    return ""


def _shown(value: Any) -> str:
    return cut(repr(value), _LONGEST_SHOWN)
