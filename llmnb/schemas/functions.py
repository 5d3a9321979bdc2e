"""Python functions as tools: the schema a model is shown, and the reading of its calls.

What a function and its arguments mean stands in its docstring, in Google's, numpy's or Sphinx's
style; one in none of them is a description only.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import json
import re
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmnb.errors import ConfigurationError
from llmnb.schemas import finding, parts
from llmnb.schemas.faults import Misfit, mismatch
from llmnb.schemas.output import MAX_ANSWER

if TYPE_CHECKING:
    from llmnb.schemas.typed import Typed

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_BY_POSITION = inspect.Parameter.POSITIONAL_ONLY


def function_schema(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a function as a tool in the words of OpenAI's protocol.

    Name, description and arguments come from its signature, its type hints and
    its docstring (Google's, numpy's or Sphinx's style).

    Raises:
        ConfigurationError: If a model could not call it: it has no name, or
            takes ``*args``, ``**kwargs`` or arguments without a name.

    Example:
        >>> def weather(city: str, days: int = 1) -> str:
        ...     '''Look up the weather.
        ...
        ...     Args:
        ...         city: Where.
        ...     '''
        >>> tool = function_schema(weather)["function"]
        >>> tool["parameters"]["properties"]["city"], tool["parameters"]["required"]
        ({'description': 'Where.', 'type': 'string'}, ['city'])
    """
    tool = _Tool(function)
    made: dict[str, Any] = {"name": tool.name}
    if tool.docstring.text:
        made["description"] = tool.docstring.text
    schema = parts.at_root(tool.reader().schema)
    made["parameters"] = {name: part for name, part in schema.items() if name != "title"}
    return {"type": "function", "function": made}


def arguments(function: Callable[..., Any], text: str) -> dict[str, Any]:
    """Return the arguments of a call that a model wants made.

    Args:
        function: The one to be called.
        text: The arguments as the model wrote them; empty text means none.

    Returns:
        What to call it with, in the types of its hints. Arguments that the model
        left out are left out, so that the function's own defaults hold.

    Raises:
        SchemaMismatch: If they do not fit; the faults are named for the model.
        ConfigurationError: As `function_schema`.

    Example:
        >>> def weather(city: str, days: int = 1) -> str: ...
        >>> arguments(weather, '{"city": "Kyiv"}')
        {'city': 'Kyiv'}
    """
    tool = _Tool(function)
    reader = tool.reader()
    text = text.strip() or "{}"
    if len(text) > MAX_ANSWER:
        fault = f"they have {len(text):,} characters; more than {MAX_ANSWER:,} are not read"
        raise mismatch(tool.name, text, [fault])
    root = parts.at_root(reader.schema)
    documents = (parts.without_filler_nulls(each, root) for each in finding.documents(text))
    try:
        return dict(finding.fitting(text, documents, reader.read))
    except Misfit as misfit:
        raise mismatch(tool.name, text, misfit.faults) from None


class _Tool:
    """A function with its name, docstring, parameters and type hints.

    Args:
        function: The one that a model calls; what a `functools.partial` calls tells for it.
    """

    def __init__(self, function: Any) -> None:
        self.function = function
        while isinstance(function, functools.partial):
            function = function.func
        self._inner = function
        name = getattr(function, "__name__", None) or type(function).__name__
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"A tool needs a name of letters and digits, and {name[:80]!r} is none: define it "
                "with def. Nothing was sent."
            )
        self.name = str(name)
        self.docstring = parse_docstring(self._docstring())
        fields = getattr(function, "__pydantic_fields__", {}) if inspect.isclass(function) else {}
        self.fields: dict[str, Any] = {field.alias or name: field for name, field in fields.items()}
        """The fields of a pydantic model by the names that it is called with."""

    def _docstring(self) -> str | None:
        function = self._inner
        if inspect.isroutine(function):
            return inspect.getdoc(function)
        # Their own words: of a base class or of `object` they would describe something else.
        if inspect.isclass(function):
            own = function.__dict__.get("__doc__")
        else:
            own = type(function).__call__.__doc__ or type(function).__dict__.get("__doc__")
        return inspect.cleandoc(own) if isinstance(own, str) else None

    def reader(self) -> Typed:
        """Return what reads the arguments: a TypedDict with a field for each parameter.

        Not a model: the names of its methods would be forbidden to parameters.
        """
        import typing_extensions
        from pydantic import ConfigDict, Field

        from llmnb.schemas.typed import Typed, readable

        hints = self._hints()
        descriptions = self.docstring.arguments | {
            name: field.description for name, field in self.fields.items() if field.description
        }
        fields = {}
        for parameter in self._parameters():
            name, default = parameter.name, parameter.default
            is_required = default is parameter.empty
            about: dict[str, Any] = {}
            if descriptions.get(name):  # else a description among the hints would be lost
                about["description"] = descriptions[name]
            if not is_required and _is_plain(default):
                about["json_schema_extra"] = {"default": default}
            kind: Any = typing.Annotated[(readable(hints.get(name, Any)), Field(**about))]
            fields[name] = kind if is_required else typing_extensions.NotRequired[kind]
        make: Any = typing_extensions.TypedDict
        made = make(self.name, fields)
        made.__pydantic_config__ = ConfigDict(extra="forbid")
        return Typed(made)

    def _parameters(self) -> list[inspect.Parameter]:
        try:
            parameters = list(inspect.signature(self.function).parameters.values())
        except (TypeError, ValueError):
            raise ConfigurationError(
                f"{self.name} does not tell which arguments it takes. Wrap it in a function of "
                "your own. Nothing was sent."
            ) from None
        for parameter in parameters:
            if parameter.kind not in _BY_NAME:
                raise ConfigurationError(
                    f"{self.name} takes {str(parameter)[:60]!r}"
                    f"{' by position only' if parameter.kind is _BY_POSITION else ''}, and a "
                    "model can only give arguments by name. Wrap it in a function that names each "
                    "argument. Nothing was sent."
                )
        return parameters

    def _hints(self) -> dict[str, Any]:
        if self.fields:
            # Bounds that stand in the field are part of its hint.
            return {
                name: typing.Annotated[(field.annotation, *field.metadata)]
                if field.metadata
                else field.annotation
                for name, field in self.fields.items()
            }
        function = self._inner
        if inspect.isclass(function):
            function = function.__init__
        elif not inspect.isroutine(function):
            function = type(function).__call__
        try:
            return typing.get_type_hints(function, include_extras=True)
        except (NameError, TypeError, AttributeError, SyntaxError) as error:
            raise ConfigurationError(
                f"The type hints of {self.name} cannot be read: {error}. Use types that stand at "
                "the top of its module. Nothing was sent."
            ) from error


def _is_plain(value: Any) -> bool:
    if not isinstance(value, (str, int, float, bool, list, dict, type(None))):
        return False
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


# -------------------------------------------------------------------------- docstrings

_ARGUMENTS = frozenset(("args", "arguments", "parameters", "params", "other parameters"))
_SECTIONS = _ARGUMENTS | {
    *("returns", "return", "raises", "raise", "yields", "yield", "example", "examples", "note"),
    *("notes", "see also", "references", "attributes", "warns", "warnings", "keyword args"),
    *("keyword arguments", "todo", "source", "receives", "methods"),
}
_NAMED = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
"""``name: text`` or ``name (type): text``."""

_LISTED = re.compile(r"\*{0,2}(\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?()")
"""``name``, ``name : type`` or ``first, second : type``."""

_SPHINX = re.compile(r":(?:param|parameter|arg|argument)\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)")
_RULE = re.compile(r"-{3,}")
_FIELD, _AFTER = ":", "after"


@dataclass(slots=True)
class Docstring:
    """A parsed docstring."""

    text: str = ""
    arguments: dict[str, str] = field(default_factory=dict)


def parse_docstring(docstring: str | None) -> Docstring:
    r"""Parse a docstring in Google's, numpy's or Sphinx's style.

    Example:
        >>> parse_docstring("Look up.\n\nArgs:\n    city: Where to look.\n")
        Docstring(text='Look up.', arguments={'city': 'Where to look.'})
    """
    description = Docstring()
    for title, is_ruled, lines in _sections(inspect.cleandoc(docstring or "").splitlines()):
        if not title:
            description.text = "\n".join(lines).strip()
        elif title in _ARGUMENTS:
            description.arguments.update(_arguments(lines, is_ruled=is_ruled))
        elif title == _FIELD and (head := _SPHINX.fullmatch(lines[0])):
            more = itertools.takewhile(lambda line: line[:1].isspace(), lines[1:])
            description.arguments[head[1]] = _joined([head[2], *more])
    return description


def _sections(lines: list[str]) -> Iterator[tuple[str, bool, list[str]]]:
    """Yield the sections: title, whether it is underlined as numpy's are, and lines.

    What stands before the first has no title; each field of Sphinx's style is one of its own.
    """
    title, is_ruled, inside = "", False, list[str]()
    is_rule = False
    for line, following in itertools.zip_longest(lines, lines[1:], fillvalue=""):
        if is_rule:
            is_rule = False
            continue
        name = line.strip().removesuffix(":").lower()
        is_rule = bool(line.strip()) and bool(_RULE.fullmatch(following.strip()))
        has_colon = line.endswith(":") and not line[:1].isspace() and name in _SECTIONS
        if is_rule or has_colon:
            yield title, is_ruled, inside
            title, is_ruled, inside = name, is_rule, []
        elif line.startswith(":"):
            yield title, is_ruled, inside
            title, is_ruled, inside = _FIELD, False, [line]
        elif title and not is_ruled and line[:1].strip() and _depth(inside) > 0:
            yield title, is_ruled, inside
            title, inside = _AFTER, [line]
        else:
            inside.append(line)
    yield title, is_ruled, inside


def _arguments(lines: list[str], *, is_ruled: bool) -> dict[str, str]:
    """Return what arguments mean: beside and under names in Google's style, under in numpy's."""
    texts: dict[str, list[str]] = {}
    names: list[str] = []
    pattern, depth = (_LISTED, 0) if is_ruled else (_NAMED, _depth(lines))
    for line in lines:
        head = pattern.fullmatch(line.strip()) if _depth([line]) == depth else None
        if head is not None:
            names = [name.strip(" *") for name in head[1].split(",")]
            texts.update({name: [head[2]] for name in names})
        else:
            for name in names:
                texts[name].append(line)
    return {name: _joined(text) for name, text in texts.items()}


def _depth(lines: list[str]) -> int:
    """Return by how much the least indented line is indented; -1 where all are blank."""
    return min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=-1)


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())
