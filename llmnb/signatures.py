"""Whole signatures and documentation for functions that take their options as ``**options``.

Such a function names its list in the annotation, ``**options: Unpack[GenerateOptions]``. Type
checkers read the lists in `keywords.pyi`; `full_signature` shows them to `inspect.signature`,
`help()`, Shift-Tab and completion. Both are written from the one table in `llmnb.options`.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import inspect
import re
import textwrap
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from llmnb.options import (
    ARGUMENTS,
    EMBED_PARAMS,
    OPTIONS,
    OWN,
    PARAMS,
    SHORT,
    UNCHANGED,
    Option,
    names,
)

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_LINE = 100
"""Characters of a line of documentation."""

_TABLE = {**ARGUMENTS, **OPTIONS, **ARGUMENTS, **PARAMS, **EMBED_PARAMS}
"""Arguments, which win over options of their name, then the rest."""


def _listed(
    *included: Iterable[str], without: Iterable[str] = (), defaults: Mapping[str, Any] | None = None
) -> dict[str, Option]:
    """Return options by name, in the order of the table."""
    wanted = {name for group in included for name in group} - {*without}
    return {
        name: dataclasses.replace(option, default=(defaults or {}).get(name, option.default))
        for name, option in _TABLE.items()
        if name in wanted
    }


def _changes(changed: Iterable[str]) -> dict[str, Option]:
    """Return options that stay as they are where they are left out; None takes one back."""
    known = "that of `llmnb.configure`, else "
    return {
        name: dataclasses.replace(
            OPTIONS[name],
            default=UNCHANGED,
            is_optional=True,
            note=OPTIONS[name].note.replace(known, ""),
        )
        for name in changed
    }


def _in_short(name: str) -> Option:
    option = OPTIONS[SHORT[name]]
    kind = dataclasses.replace(option.kind, description="")
    return Option(f"`{SHORT[name]}` in short", kind, is_optional=True, default=UNCHANGED)


_LIMITS = ("max_requests_per_minute", "max_tokens_per_minute", "max_concurrent_requests")
_FRAMES = (
    *("model", "into", "messages", "system", "examples", "params", "schema", "images"),
    *names("frames"),
    *PARAMS,
)
_CALLS = (*names("AsyncLLM"), "clear_project_cache", "cache_vars", *PARAMS)
_CONSTRUCTOR = (
    *(*_LIMITS, "max_rps", "max_attempts", "project_name", "cache_dir"),
    *("use_cache", "mode", "progress", "cooldown"),
)
_AS_MADE = dict.fromkeys({*names("AsyncLLM")} - {"use_cache", "progress", "mode", "cooldown"}, OWN)
_BATCH = (*names("generation"), "api_provider", "gen_type", *PARAMS)
_POSITIONAL = ("max_requests_per_minute", "max_tokens_per_minute", "max_attempts")

FRAME_KEYWORDS: Mapping[str, Mapping[str, Option]] = {
    "GenerateOptions": _listed(_FRAMES),
    "ExtractOptions": _listed(_FRAMES, without=("messages", "schema")),
    "PreviewOptions": _listed(_FRAMES, without=("messages", "n", "into", "details")),
    "CompareOptions": _listed(
        _FRAMES,
        without=("messages", "n", "into", "details", "model", "mode", "params", "quotes"),
    ),
    "JudgeOptions": _listed(_FRAMES, without=("messages", "schema", "quotes")),
    "EmbedOptions": _listed(("params", "dimensions", "max_tokens"), names("embed")),
    "NearestOptions": _listed(
        ("params", "dimensions", "max_tokens", "project_name", "into", "overwrite"),
        defaults={"into": "similarity"},
    ),
}
"""Lists of keywords by the name of their type in `llmnb.frames.keywords`."""

KEYWORDS: Mapping[str, Mapping[str, Option]] = {
    "RequestParams": PARAMS,
    "ConfigureOptions": {
        **_changes(names("configure")),
        **{short: _in_short(short) for short, name in SHORT.items() if name in names("configure")},
    },
    "RunLimits": _changes(_LIMITS),
    "StartOptions": _listed(names("start")),
    "PlanOptions": _listed(names("plan")),
    "BatchOptions": _listed(names("batch")),
    "CallOptions": _listed(names("call"), PARAMS, ("cache_vars",)),
    "SingleCallOptions": _listed(names("call"), PARAMS, ("cache_vars",), without=("n",)),
    "AsyncLLMOptions": _listed(names("AsyncLLM"), PARAMS, without=_CONSTRUCTOR),
    "ListOptions": _listed(_CALLS, without=("cache_dir", "progress"), defaults=_AS_MADE),
    "StreamOptions": _listed(
        _CALLS,
        without=("cache_dir", "progress", "mode", "clear_project_cache"),
        defaults=_AS_MADE,
    ),
    "MasterOptions": _listed(
        names("GenerationMaster"), PARAMS, without=("time_limit", "hedge_after")
    ),
    "FileOptions": _listed(_BATCH, without=_POSITIONAL, defaults={"cooldown": 15.0}),
    "ParallelOptions": _listed(
        _BATCH, without=(*_POSITIONAL, "allow_urls"), defaults={"cooldown": 15.0}
    ),
    **FRAME_KEYWORDS,
}
"""All lists of keywords by the name of their type; those of no table in `llmnb.keywords`."""


class _Readable(str):
    """A type as a signature shows it: without the quotation marks of a text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def readable_signatures(kind: T) -> T:
    """Show the types of a class's public methods as they are written, without quotation marks.

    Args:
        kind: The class; its module reads annotations late, so that they are texts.

    Example:
        >>> @readable_signatures
        ... class Asker:
        ...     def ask(self, prompt: str, n: int = 1) -> str: ...
        >>> inspect.signature(Asker.ask)
        <Signature (self, prompt: str, n: int = 1) -> str>
    """
    for name, method in vars(kind).items():
        is_shown = hasattr(method, "__signature__")  # by `full_signature`, or as its twin's
        if inspect.isfunction(method) and not name.startswith("_") and not is_shown:
            _show(method, inspect.signature(method))
    return kind


def _show(function: Any, signature: inspect.Signature) -> None:
    """Show a function with a signature, its types without quotation marks."""

    def readable(kind: Any) -> Any:
        return _Readable(kind) if isinstance(kind, str) else kind

    function.__signature__ = signature.replace(
        parameters=[
            parameter.replace(annotation=readable(parameter.annotation))
            for parameter in signature.parameters.values()
        ],
        return_annotation=readable(signature.return_annotation),
    )


def full_signature(function: F) -> F:
    """Show the options that a function or a class takes one by one.

    Args:
        function: It takes ``**options: Unpack[LIST]``, and its documentation has a line
            ``**options: …`` among its arguments, in whose place they stand.

    Example:
        >>> @full_signature
        ... def ask(prompt: str, **options: Unpack[RequestParams]) -> str: ...
        >>> inspect.signature(ask).parameters["seed"]
        <Parameter "seed: int | None = None">
    """
    *_, rest = inspect.signature(function).parameters.values()
    (keywords,) = re.findall(r"Unpack\[(\w+)\]", str(rest.annotation))
    _describe(function, keywords)
    return function


def described_as(original: Callable[..., Any]) -> Callable[[F], F]:
    """Show a function with the signature and the arguments of another, which awaits the same."""

    def describe(function: F) -> F:
        shown: Any = function
        shown.__signature__ = inspect.signature(original)
        text = inspect.getdoc(original) or ""
        arguments = text[text.find("\n\nArgs:") :].partition("\n\nRaises:")[0]
        first, _, rest = (inspect.getdoc(function) or "").partition("\n\n")
        function.__doc__ = f"{first}{arguments}\n\n{rest}".rstrip()
        return function

    return describe


def with_keywords(function: F, keywords: str) -> F:
    """Return a copy of a function that takes anything as ``**kw``, and shows a list before that.

    Args:
        function: Its documentation has a line ``**kw: …`` among its arguments.
        keywords: The name of the list in `KEYWORDS`.
    """
    given: Any = function
    code, scope, name = given.__code__, given.__globals__, given.__name__
    copy: Any = types.FunctionType(code, scope, name, given.__defaults__, given.__closure__)
    functools.update_wrapper(copy, given)
    del copy.__wrapped__
    copy.__kwdefaults__ = given.__kwdefaults__
    _describe(copy, keywords, keeps_rest=True)
    result: F = copy
    return result


def _describe(function: Any, keywords: str, *, keeps_rest: bool = False) -> None:
    """Show a list of keywords in a function's signature, and in its documentation a line of each.

    They stand in the place of its ``**options``, or before these.
    """
    options = KEYWORDS[keywords]
    kind = inspect.Parameter.KEYWORD_ONLY
    shown = (
        inspect.Parameter(name, kind, default=option.default, annotation=option.type)
        for name, option in options.items()
    )
    show_keywords(function, shown, keeps_rest=keeps_rest)
    text = function.__doc__ or ""
    line = re.search(r"^( *)\*\*\w+:.*\n?(?:\1 +.*\n?)*", text, re.MULTILINE)
    if line is not None:
        lines = [_argument(name, each.documentation, line[1]) for name, each in options.items()]
        if keeps_rest:
            lines.append(line[0].rstrip())
        described = "\n".join(lines)
        function.__doc__ = f"{text[: line.start()]}{described}\n{text[line.end() :]}"


def show_keywords(
    function: Any, keywords: Iterable[inspect.Parameter], *, keeps_rest: bool = False
) -> None:
    """Show keywords in the place of the last parameter of a function or a class, or before it."""
    carrier: Any = function.__init__ if inspect.isclass(function) else function
    bare = inspect.signature(carrier)
    *shown, rest = bare.parameters.values()
    shown += [keyword for keyword in keywords if keyword.name not in bare.parameters]
    if keeps_rest:
        shown.append(rest)
    _show(carrier, bare.replace(parameters=shown))


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
