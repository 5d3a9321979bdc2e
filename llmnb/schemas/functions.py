"""Python functions as tools: the schema a model is shown, and the reading of its calls."""

from __future__ import annotations

import functools
import inspect
import json
import re
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmnb.errors import ConfigurationError
from llmnb.schemas import finding, shape
from llmnb.schemas.docstrings import described
from llmnb.schemas.faults import Misfit, mismatch
from llmnb.schemas.nulls import taken_back
from llmnb.schemas.output import MAX_ANSWER
from llmnb.schemas.typed_dicts import readable

if TYPE_CHECKING:
    from llmnb.schemas.typed import Typed

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def function_schema(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a function as a tool in the words of OpenAI's protocol.

    Name, description and arguments come from its signature, its type hints and
    its docstring (Google's, numpy's or Sphinx's way).

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
    made: dict[str, Any] = {"name": _name(function)}
    if text := described(_docstring(function)).text:
        made["description"] = text
    parameters = shape.at_root(_reader(function).schema)
    made["parameters"] = {name: part for name, part in parameters.items() if name != "title"}
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
    name, reader = _name(function), _reader(function)
    text = text.strip() or "{}"
    if len(text) > MAX_ANSWER:
        long = f"they have {len(text):,} characters; more than {MAX_ANSWER:,} are not read"
        raise mismatch(name, text, [long])
    faults: tuple[str, ...] = ()
    for document in finding.documents(text):
        try:
            return dict(reader.read(taken_back(document, shape.at_root(reader.schema))))
        except Misfit as misfit:
            faults = faults or misfit.faults
    raise mismatch(name, text, faults or [finding.why_none(text)])


def _name(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None) or type(function).__name__
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"A tool needs a name of letters and digits, and {name[:80]!r} is none: define it "
            "with def. Nothing was sent."
        )
    return str(name)


def _docstring(function: Any) -> str | None:
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function):
        return inspect.getdoc(function)
    # Their own words: of a base class or of `object` they would describe something else.
    if inspect.isclass(function):
        own = function.__dict__.get("__doc__")
    else:
        own = type(function).__call__.__doc__ or type(function).__dict__.get("__doc__")
    return inspect.cleandoc(own) if isinstance(own, str) else None


def _reader(function: Callable[..., Any]) -> Typed:
    from llmnb.schemas.typed import Typed

    return Typed(_as_typed_dict(function))


def _as_typed_dict(function: Callable[..., Any]) -> Any:
    """Return a TypedDict with a field for each parameter.

    Not a model: the names of its methods would be forbidden to parameters.
    """
    import typing_extensions
    from pydantic import ConfigDict, Field

    name = _name(function)
    hints = _hints(function, name)
    words = {**described(_docstring(function)).arguments, **_field_words(function)}
    fields = {}
    for one in _parameters(function, name):
        is_required = one.default is one.empty
        about: dict[str, Any] = {}
        if words.get(one.name):  # else a description among the hints would be lost
            about["description"] = words[one.name]
        if not is_required and _is_plain(one.default):
            about["json_schema_extra"] = {"default": one.default}
        hint = readable(hints.get(one.name, Any))
        kind: Any = typing.Annotated[(hint, Field(**about))]
        fields[one.name] = kind if is_required else typing_extensions.NotRequired[kind]
    make: Any = typing_extensions.TypedDict
    made = make(name, fields)
    made.__pydantic_config__ = ConfigDict(extra="forbid")
    return made


def _parameters(function: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"{name} does not tell which arguments it takes. Wrap it in a function of your own. "
            "Nothing was sent."
        ) from None
    for one in found:
        if one.kind not in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY):
            raise ConfigurationError(
                f"{name} takes {str(one)[:60]!r}"
                f"{' by position only' if one.kind is one.POSITIONAL_ONLY else ''}, and a model "
                "can only give arguments by name. Wrap it in a function that names each "
                "argument. Nothing was sent."
            )
    return found


def _hints(function: Any, name: str) -> dict[str, Any]:
    while isinstance(function, functools.partial):
        function = function.func
    if found := _fields_of(function):
        # Bounds that stand in the field are part of its hint.
        return {
            one: typing.Annotated[(field.annotation, *field.metadata)]
            if field.metadata
            else field.annotation
            for one, field in found.items()
        }
    if inspect.isclass(function):
        function = function.__init__
    elif not inspect.isroutine(function):
        function = type(function).__call__
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise ConfigurationError(
            f"The type hints of {name} cannot be read: {error}. Use types that stand at the top "
            "of its module. Nothing was sent."
        ) from error


def _fields_of(function: Any) -> dict[str, Any]:
    """Return the fields of a pydantic model by the names that it is called with."""
    if not inspect.isclass(function):
        return {}
    fields = getattr(function, "__pydantic_fields__", {})
    return {field.alias or name: field for name, field in fields.items()}


def _field_words(function: Any) -> dict[str, str]:
    fields = _fields_of(function)
    return {name: one.description for name, one in fields.items() if one.description}


def _is_plain(value: Any) -> bool:
    if not isinstance(value, (str, int, float, bool, list, dict, type(None))):
        return False
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
