"""Tools in the words of OpenAI's protocol, from Python functions or from JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from llmnb.errors import ConfigurationError
from llmnb.schemas.functions import function_schema

Tool: TypeAlias = Callable[..., Any] | Mapping[str, Any]
"""A Python function, plain or async, or a tool as JSON."""

Tools: TypeAlias = Iterable[Tool]

ToolChoice: TypeAlias = str | Mapping[str, Any] | Callable[..., Any] | None
"""``"none"``, ``"auto"``, ``"required"``, or the one tool that must be called."""

_CHOICES = ("none", "auto", "required")


def tool_body(tool: Tool) -> dict[str, Any]:
    """Return a tool as a request carries it.

    Raises:
        ConfigurationError: If it is neither a function that a model can call nor a tool as JSON.

    Example:
        >>> def add(a: int, b: int) -> int:
        ...     '''Add two numbers.'''
        >>> tool_body(add)["function"]["name"]
        'add'
    """
    if isinstance(tool, Mapping):
        if "type" in tool or "function" in tool:
            return {"type": "function", **tool}
        if isinstance(tool.get("name"), str):  # the inner part alone
            return {"type": "function", "function": dict(tool)}
        raise ConfigurationError(
            "A tool as JSON looks like {'type': 'function', 'function': {'name': …, "
            f"'parameters': …}}}}; this one has only {', '.join(map(str, tool))[:200]}. "
            "Nothing was sent."
        )
    if not callable(tool):
        raise ConfigurationError(
            f"A tool is a Python function or a dictionary, not {type(tool).__name__}. "
            "Nothing was sent."
        )
    return function_schema(tool)


def listed(tools: Tools) -> list[Tool]:
    """Return tools as a list. Raises `ConfigurationError` where there is none."""
    if isinstance(tools, (str, bytes, Mapping)) or not isinstance(tools, Iterable):
        raise ConfigurationError("tools is a list of functions or dictionaries. Nothing was sent.")
    return list(tools)


def tool_bodies(tools: Tools) -> list[dict[str, Any]]:
    """Return tools as a request carries them.

    Raises:
        ConfigurationError: As `tool_body`, or if two have one name.
    """
    made = [tool_body(tool) for tool in listed(tools)]
    names = [name for body in made if (name := name_of(body)) is not None]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"Two tools are called {twice[0]!r}. Nothing was sent.")
    return made


def name_of(tool: Mapping[str, Any]) -> str | None:
    """Return the name of a tool as JSON; None for a provider's own tool without one."""
    inner = tool.get("function") or tool.get("custom")
    name = inner.get("name") if isinstance(inner, Mapping) else tool.get("name")
    return name if isinstance(name, str) else None


def choice_body(choice: ToolChoice, tools: list[dict[str, Any]]) -> Any:
    """Return which tools may or must be called, as a request states it.

    Args:
        choice: A word, a tool's name, a function, OpenAI's own dictionary, or None for the
            provider's own default.
        tools: As `tool_bodies` returns them.

    Raises:
        ConfigurationError: If it names a tool that is not there.

    Example:
        >>> choice_body("add", [{"type": "function", "function": {"name": "add"}}])
        {'type': 'function', 'function': {'name': 'add'}}
    """
    if choice is None or choice in _CHOICES:
        return choice
    if isinstance(choice, Mapping):
        inner = choice.get("function")
        if choice.get("type", "function") != "function" or not isinstance(inner, Mapping):
            return dict(choice)
        name: Any = inner.get("name")
    elif callable(choice):
        name = function_schema(choice)["function"]["name"]
    else:
        name = choice
    there = [one for tool in tools if (one := name_of(tool)) is not None]
    if name not in there:
        raise ConfigurationError(
            f"tool_choice is {str(name)[:80]!r}; it is one of none, auto, required, or a tool: "
            f"{', '.join(there) or 'there is none'}. Nothing was sent."
        )
    return {"type": "function", "function": {"name": name}}
