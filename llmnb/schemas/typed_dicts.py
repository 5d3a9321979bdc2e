"""Makes the standard library's TypedDicts readable for pydantic on Python 3.11.

Before Python 3.12 they do not tell inherited optional fields apart well enough
for pydantic, which accepts those of typing_extensions only. A twin of each is
built, with the same name, fields and documentation.

Source: pydantic's usage error ``typed-dict-version``.
"""

from __future__ import annotations

import functools
import operator
import sys
import typing
from typing import Any

IS_NEEDED = sys.version_info < (3, 12)
"""Whether this Python's own TypedDicts need a twin."""


def readable(kind: Any) -> Any:
    """Return a type in which pydantic can read every TypedDict.

    Args:
        kind: Any type; TypedDicts are found in it and in each other, those that
            stand in a class's fields are not.

    Example:
        >>> Point = typing.TypedDict("Point", {"x": int})
        >>> readable(list[Point]).__args__[0].__name__
        'Point'
    """
    return _readable(kind, {}) if IS_NEEDED else kind


def _readable(kind: Any, twins: dict[Any, Any]) -> Any:
    if typing.is_typeddict(kind):
        return _twin(kind, twins) if type(kind).__module__ == "typing" else kind
    inner = typing.get_args(kind)
    if not inner or typing.get_origin(kind) is typing.Literal:
        return kind
    made = tuple(
        [_readable(two, twins) for two in one] if isinstance(one, list) else _readable(one, twins)
        for one in inner
    )
    return kind if all(map(_is_same, made, inner)) else _rebuilt(kind, made)


def _is_same(one: Any, other: Any) -> bool:
    return one is other or (isinstance(one, list) and one == other)


def _rebuilt(kind: Any, inner: tuple[Any, ...]) -> Any:
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return typing.Annotated[(inner[0], *kind.__metadata__)]
    if hasattr(kind, "copy_with"):
        return kind.copy_with(inner)
    if hasattr(origin, "__class_getitem__"):
        return origin[inner]
    return functools.reduce(operator.or_, inner)  # int | Point: the one kind that has neither


def _twin(kind: Any, twins: dict[Any, Any]) -> Any:
    import typing_extensions  # slow, and not needed by newer Pythons

    if kind in twins:
        return twins[kind]
    make: Any = typing_extensions.TypedDict
    made = make(kind.__name__, {})
    twins[kind] = made  # before its fields: one of them may be of this very kind
    hints = typing_extensions.get_type_hints(kind, include_extras=True)
    made.__annotations__ = {name: _readable(one, twins) for name, one in hints.items()}
    made.__required_keys__ = kind.__required_keys__
    made.__optional_keys__ = kind.__optional_keys__
    made.__total__ = kind.__total__
    made.__doc__ = kind.__doc__
    made.__module__ = kind.__module__
    if hasattr(kind, "__pydantic_config__"):
        made.__pydantic_config__ = kind.__pydantic_config__
    return made
