"""Refuse to overwrite columns that came with the table, and find answers that are out of date.

What llmnb wrote itself is written anew in silence, so that a cell can be run again. A frame of
pandas carries the names in its `attrs`; other tables have no such place, so for them this
process remembers.

Columns that one call wrote belong together, such as answers and their errors. When a call of the
same ``into=`` writes one of them anew, the others would stand beside answers that they do not
belong to: they go. Columns of another call, or of whom nobody knows who wrote them, stay.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from llmnb.errors import InputError

_LONGEST_VALUE = 300

_remembered: set[str] = set()
"""Names of columns that this process wrote into tables without `attrs`."""

_frames: dict[int, Mapping[str, str]] = {}
"""The calls that wrote columns of such tables as llmnb returned them, by the tables' `id`."""


class VerbCall(NamedTuple):
    """A caller's call; its text is the same call with ``overwrite=True``.

    Example:
        >>> print(VerbCall("generate", ["Say {a}"], {"into": "b", "schema": dict}))
        df.llm.generate('Say {a}', into='b', schema=dict, overwrite=True)
    """

    verb: str
    arguments: Sequence[Any]
    """What was given by position."""

    options: Mapping[str, Any]
    """Keywords; what is no plain value is shown by its own name."""

    def __str__(self) -> str:
        names = ("prompt", "labels" if self.verb == "classify" else "schema")
        shown = [
            _shown(argument, name)
            for name, argument in zip(names, self.arguments, strict=False)
            if argument is not None or (self.verb == "generate" and "messages" not in self.options)
        ]
        options = {**self.options, "overwrite": True}
        shown += [f"{name}={_shown(value, name)}" for name, value in options.items()]
        return f"df.llm.{self.verb}({', '.join(shown)})"


def _shown(value: Any, name: str) -> str:
    """Return a plain, short value as code, any other by its keyword's name."""
    if isinstance(value, type):
        return value.__name__
    simple = (str, int, float, bool)
    is_plain_list = isinstance(value, (list, tuple)) and all(
        isinstance(item, simple) for item in value
    )
    text = repr(value) if value is None or isinstance(value, simple) or is_plain_list else name
    return text if len(text) <= _LONGEST_VALUE else name


def check_names(names: Sequence[Hashable]) -> None:
    """Refuse names of which two are the same.

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


def would_replace(taken: Sequence[Hashable], call: object, into: str = "into=…") -> InputError:
    """Return the error that refuses to replace columns.

    Args:
        taken: Their names.
        call: The call that replaces them, or its text.
        into: How another name is given.
    """
    shown = ", ".join(map(repr, taken))[:300]
    columns, them = ("columns", "them") if len(taken) > 1 else ("a column", "it")
    return InputError(
        f"The table has {columns} {shown} already, and answers would replace {them}. Give "
        f"another {into}, or replace {them} with\n    {call}\nNothing was sent."
    )


def call_name(run_id: str, into: Hashable) -> str:
    """Return what tells a call's columns from those of others; empty where the run has no name."""
    return f"{run_id} {noted(into)}" if run_id else ""


def outdated(
    written: Mapping[str, str], present: Iterable[Hashable], names: Iterable[Hashable], call: str
) -> set[str]:
    """Return the columns of earlier calls of the same ``into=`` that a call leaves without theirs.

    Args:
        written: The calls that wrote columns, by the columns' names.
        present: The table's columns: whoever has renamed, dropped or doubled one has made others.
        names: The columns that are written now.
        call: The call that writes them.

    Example:
        >>> written, columns = {"mood": "1 mood", "mood_error": "1 mood"}, ["mood", "mood_error"]
        >>> outdated(written, columns, ["mood"], "2 mood")
        {'mood_error'}
        >>> outdated(written, columns, ["mood_error"], "2 mood_error")
        set()
    """
    count = Counter(map(noted, present))
    written = {name: known for name, known in written.items() if count[name] == 1}
    renewed = set(map(noted, names))
    into = call.partition(" ")[2]
    calls = {written.get(name, "") for name in renewed}
    earlier = {known for known in calls if known and known.partition(" ")[2] == into}
    return {name for name, known in written.items() if known in earlier} - renewed


def remember(names: Iterable[Hashable]) -> None:
    """Note that this process writes columns into tables without `attrs`."""
    _remembered.update(map(noted, names))


def remember_calls(frame: object, calls: Mapping[str, str]) -> None:
    """Note which calls wrote columns of a table without `attrs`, for as long as there is one."""
    _frames[id(frame)] = calls
    weakref.finalize(frame, _frames.pop, id(frame), None)


def calls_of(frame: object) -> Mapping[str, str]:
    """Return what `remember_calls` was told of this very table."""
    return _frames.get(id(frame), {})


def unknown(names: Iterable[Hashable], present: Iterable[Hashable]) -> list[Hashable]:
    """Return those names that a table has and this process has not written."""
    known = set(present)
    return [name for name in names if name in known and noted(name) not in _remembered]


def noted(label: Hashable) -> str:
    """Return a column's label as `attrs` can hold it and Parquet write it."""
    return label if isinstance(label, str) else repr(label)
