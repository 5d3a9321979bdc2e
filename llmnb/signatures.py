"""Whole signatures and documentation for functions that take their options as ``**options``.

Such a function names its list in the annotation, ``**options: Unpack[GenerateOptions]``. Type
checkers read the list in `keywords.pyi`; `full_signature` shows it to `inspect.signature`,
`help()`, Shift-Tab and completion. Both are written from the one table in `llmnb.options`.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from llmnb.options import ARGUMENTS, EMBED_PARAMS, OPTIONS, OWN, PARAMS, Option, names

F = TypeVar("F", bound=Callable[..., Any])

_LINE = 100
"""Characters of a line of documentation."""


def _listed(
    *included: Iterable[str], without: Iterable[str] = (), defaults: Mapping[str, Any] | None = None
) -> dict[str, Option]:
    """Return options by name: arguments, which win over options of their name, then the rest."""
    wanted = {name for group in included for name in group} - {*without}
    table = {**ARGUMENTS, **OPTIONS, **ARGUMENTS, **PARAMS, **EMBED_PARAMS}
    return {
        name: dataclasses.replace(option, default=(defaults or {}).get(name, option.default))
        for name, option in table.items()
        if name in wanted
    }


_FRAMES = (
    *("model", "into", "messages", "system", "examples", "params", "schema", "images"),
    *names("frames"),
    *PARAMS,
)
_CALLS = (*names("AsyncLLM"), "clear_project_cache", "cache_vars", *PARAMS)
_CONSTRUCTOR = (
    *("max_requests_per_minute", "max_tokens_per_minute", "max_concurrent_requests", "max_rps"),
    *("max_attempts", "project_name", "cache_dir", "use_cache", "mode", "progress", "cooldown"),
)
_AS_MADE = dict.fromkeys({*names("AsyncLLM")} - {"use_cache", "progress", "mode", "cooldown"}, OWN)
_BATCH = (*names("generation"), "api_provider", "gen_type", *PARAMS)
_GIVEN_BEFORE = ("max_requests_per_minute", "max_tokens_per_minute", "max_attempts")

KEYWORDS: Mapping[str, Mapping[str, Option]] = {
    "RequestParams": PARAMS,
    "GenerateOptions": _listed(_FRAMES),
    "ExtractOptions": _listed(_FRAMES, without=("messages", "schema")),
    "PreviewOptions": _listed(_FRAMES, without=("messages", "n", "into", "details")),
    "CompareOptions": _listed(
        _FRAMES, without=("messages", "n", "into", "details", "model", "mode")
    ),
    "EmbedOptions": _listed(("params", "dimensions", "max_tokens"), names("embed")),
    "NearestOptions": _listed(
        ("params", "dimensions", "max_tokens", "project_name", "into", "overwrite"),
        defaults={"into": "similarity"},
    ),
    "AsyncLLMOptions": _listed(names("AsyncLLM"), PARAMS, without=_CONSTRUCTOR),
    "CallOptions": _listed(_CALLS, without=("cache_dir", "progress"), defaults=_AS_MADE),
    "StreamOptions": _listed(
        _CALLS,
        without=("cache_dir", "progress", "mode", "clear_project_cache"),
        defaults=_AS_MADE,
    ),
    "MasterOptions": _listed(
        names("GenerationMaster"), PARAMS, without=("time_limit", "hedge_after")
    ),
    "FileOptions": _listed(_BATCH, without=_GIVEN_BEFORE, defaults={"cooldown": 15.0}),
    "ParallelOptions": _listed(
        _BATCH, without=(*_GIVEN_BEFORE, "allow_urls"), defaults={"cooldown": 15.0}
    ),
}
"""Lists of keywords by the name of their type in `llmnb.keywords`."""


def full_signature(function: F) -> F:
    """Show the options that a function or a class takes one by one.

    Args:
        function: It takes ``**options: Unpack[LIST]``, and its documentation has a line
            ``**options: …`` among its arguments, in whose place they stand.

    Example:
        >>> @full_signature
        ... def ask(prompt: str, **options: Unpack[RequestParams]) -> str: ...
        >>> inspect.signature(ask).parameters["seed"]
        <Parameter "seed: 'int | None' = None">
    """
    shown: Any = function.__init__ if inspect.isclass(function) else function
    bare = inspect.signature(shown)
    *own, rest = bare.parameters.values()
    options = KEYWORDS[re.findall(r"Unpack\[(\w+)\]", str(rest.annotation))[0]]
    names_of_own = {parameter.name for parameter in own}
    keywords = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=option.type
        )
        for name, option in options.items()
        if name not in names_of_own
    ]
    shown.__signature__ = bare.replace(parameters=[*own, *keywords])
    if function.__doc__:
        function.__doc__ = _with_arguments(function.__doc__, options)
    return function


def _with_arguments(documentation: str, options: Mapping[str, Option]) -> str:
    """Return documentation whose line ``**options: …`` is replaced by one for each option."""
    line = re.search(r"^( *)\*\*\w+:.*\n?(?:\1 +.*\n?)*", documentation, re.MULTILINE)
    if line is None:
        return documentation
    described = [_argument(name, each.documentation, line[1]) for name, each in options.items()]
    return "\n".join(
        [documentation[: line.start()] + "\n".join(described), documentation[line.end() :]]
    )


@functools.cache  # most methods share their options, and all are described at import
def _argument(name: str, documentation: str, indent: str) -> str:
    return textwrap.fill(
        f"{name}: {documentation}",
        width=_LINE,
        initial_indent=indent,
        subsequent_indent=f"{indent}    ",
    )


def add_options(
    parser: argparse.ArgumentParser, options: Iterable[str], *, both_spellings: bool = False
) -> None:
    """Describe options to a command's parser, which stores each under its full name.

    Args:
        parser: The parser.
        options: Names of the table, in the order of the help.
        both_spellings: Take ``--max_wait`` beside ``--max-wait``; else the short name, such as
            ``--rpm``, where there is one.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_options(parser, ["max_requests_per_minute", "good_finish"])
        >>> parser.parse_args(["--rpm", "60", "--good-finish", "done"])
        Namespace(max_requests_per_minute=60.0, good_finish=['done'])
    """
    table = {**OPTIONS, **PARAMS}
    for name in options:
        option = table[name]
        spelled = name if both_spellings else option.short or name
        flags = dict.fromkeys([f"--{spelled}", f"--{spelled.replace('_', '-')}"])
        described: dict[str, Any] = {"dest": name, "help": option.meaning}
        if option.default is False:
            described["action"] = "store_true"
        elif option.default == ():
            described |= {"action": "append", "default": [], "metavar": "WORD"}
        elif option.kind.choices:
            described |= {"choices": option.kind.choices, "default": option.default}
        else:
            metavar = "NAME" if option.kind.typed is str else "N"
            described |= {"type": option.kind.typed, "default": option.default, "metavar": metavar}
        parser.add_argument(*(flags if both_spellings else list(flags)[-1:]), **described)
