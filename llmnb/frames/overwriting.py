"""Refuse to overwrite columns that came with the table.

What llmnb wrote itself is written anew in silence, so that a cell can be run again. A frame of
pandas carries the names in its `attrs`; other tables have no such place, so for them this
process remembers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from llmnb.errors import InputError

_LONGEST_VALUE = 300

_remembered: set[str] = set()
"""Names of columns that this process wrote into tables without `attrs`."""


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


def remember(names: Iterable[Hashable]) -> None:
    """Note that this process writes columns into tables without `attrs`."""
    _remembered.update(map(noted, names))


def unknown(names: Iterable[Hashable], present: Iterable[Hashable]) -> list[Hashable]:
    """Return those names that a table has and this process has not written."""
    known = set(present)
    return [name for name in names if name in known and noted(name) not in _remembered]


def noted(label: Hashable) -> str:
    """Return a column's label as `attrs` can hold it and Parquet write it."""
    return label if isinstance(label, str) else repr(label)
