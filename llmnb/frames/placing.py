"""Where answers may be written: never over a column that came with the table, unless told to.

What llmnb wrote itself is written anew in silence, so that a cell can be run again. A frame of
pandas carries the names in its `attrs`; other tables have no such place, so for them this
process remembers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmnb.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

MARK = "llmnb"
"""The key under which `attrs` tells which run wrote which columns."""

_LONGEST_VALUE = 300

_remembered: set[str] = set()
"""Names of columns that this process wrote into tables without `attrs`."""


def label(frame: pd.DataFrame, name: Hashable) -> Any:
    """Return the label under which a frame takes a new column of that name."""
    levels = frame.columns.nlevels
    if levels == 1:
        return name
    given = name if isinstance(name, tuple) else (name,)
    return (*given, *[""] * (levels - len(given)))


def check_names(names: Sequence[Hashable]) -> None:
    """Refuse names of which one would be written over another.

    Raises:
        InputError: If two are the same; nothing was sent.
    """
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(
                f"{count} columns of answers would be called {name!r}, so one would replace the "
                "other: name the schema's field otherwise, or give another into=… or on_error=…. "
                "Nothing was sent."
            )


def check_frame(
    frame: pd.DataFrame, names: Sequence[Hashable], *, overwrite: bool, call: Callable[[], str]
) -> None:
    """Refuse to replace columns that came with a frame.

    Args:
        frame: The frame.
        names: Columns that are to be written.
        overwrite: Whether those that came with it may be replaced.
        call: Returns the call that replaces them.

    Raises:
        InputError: If one came with it, or stands there twice; nothing was sent.
    """
    check_names(names)
    wanted = [label(frame, name) for name in names]
    for name, one in zip(names, wanted, strict=True):
        twice = sum(1 for known in frame.columns if known == one)
        if twice > 1:
            raise InputError(
                f"The frame has {twice} columns named {name!r}, so the answers cannot go into "
                "one: choose another name for into=…. Nothing was sent."
            )
    if overwrite:
        return
    own = written(frame)
    there = set(frame.columns)
    refuse([one for one in wanted if one in there and _noted(one) not in own], call)


def refuse(taken: Sequence[Hashable], call: Callable[[], str], into: str = "into=…") -> None:
    """Refuse to replace columns.

    Args:
        taken: Their names.
        call: Returns the call that replaces them.
        into: How another name is given.

    Raises:
        InputError: If there are any; nothing was sent.
    """
    if taken:
        shown = ", ".join(map(repr, taken))[:300]
        several = len(taken) > 1
        raise InputError(
            f"The table has {'columns' if several else 'a column'} {shown} already, and answers "
            f"would replace {'them' if several else 'it'}. Give another {into}, or replace "
            f"{'them' if several else 'it'} with\n    {call()}\nNothing was sent."
        )


def written(frame: pd.DataFrame) -> set[str]:
    """Return the names of the columns of a frame that llmnb wrote."""
    mark = frame.attrs.get(MARK)
    names = mark.get("columns") if isinstance(mark, Mapping) else None
    return {one for one in names if isinstance(one, str)} if isinstance(names, list) else set()


def sign(frame: pd.DataFrame, names: Iterable[Hashable], run: str) -> None:
    """Note in a frame's `attrs` which columns a run wrote; a copy of them, small and plain.

    Args:
        frame: The frame, which is changed.
        names: Labels of the columns.
        run: The run's id.
    """
    there = {_noted(one) for one in frame.columns}
    names = [*map(_noted, names), *written(frame)]
    columns = [one for one in dict.fromkeys(names) if one in there]
    frame.attrs[MARK] = {"run": run, "columns": columns}


def remember(names: Iterable[Hashable]) -> None:
    """Note that this process writes columns into tables without `attrs`."""
    _remembered.update(map(_noted, names))


def unknown(names: Iterable[Hashable], there: Iterable[Hashable]) -> list[Hashable]:
    """Return those names that a table has and this process has not written."""
    found = set(there)
    return [one for one in names if one in found and _noted(one) not in _remembered]


def call_text(verb: str, arguments: Sequence[Any], given: Mapping[str, Any]) -> str:
    """Return a call that replaces columns, to be pasted.

    Args:
        verb: The method.
        arguments: What was given by position.
        given: Keywords; what is no plain value stands there by its own name.

    Example:
        >>> call_text("generate", ["Say {a}"], {"into": "b", "schema": dict})
        "df.llm.generate('Say {a}', into='b', schema=dict, overwrite=True)"
    """
    names = ("prompt", "labels" if verb == "classify" else "schema")
    shown = [
        _shown(one, name)
        for name, one in zip(names, arguments, strict=False)
        if one is not None or (verb == "generate" and "messages" not in given)
    ]
    named = {**given, "overwrite": True}
    shown += [f"{name}={_shown(value, name)}" for name, value in named.items()]
    return f"df.llm.{verb}({', '.join(shown)})"


def _shown(value: Any, name: str) -> str:
    """Return a value as it is written; what is long or no plain value by its name."""
    if isinstance(value, type):
        return value.__name__
    simple = (str, int, float, bool)
    several = isinstance(value, (list, tuple)) and all(isinstance(one, simple) for one in value)
    text = repr(value) if value is None or isinstance(value, simple) or several else name
    return text if len(text) <= _LONGEST_VALUE else name


def _noted(name: Hashable) -> str:
    """Return a column's label as `attrs` can hold it and Parquet write it."""
    return name if isinstance(name, str) else repr(name)
