"""Answers described by Python types: pydantic writes the schema and reads the answer."""

from __future__ import annotations

import functools
import json
import operator
import sys
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from llmnb.errors import ConfigurationError
from llmnb.schemas import parts
from llmnb.schemas.faults import MAX_FAULTS, Misfit, single_line
from llmnb.schemas.parts import Schema


class _WithoutNoise(GenerateJsonSchema):
    """Leaves out titles that only repeat the field's name: they cost tokens in every request."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Tell that no field needs one."""
        return False

    def emit_warning(self, kind: Any, detail: str) -> None:
        """Say nothing of defaults that JSON cannot hold: the schema does without them."""


class _OfValues(_WithoutNoise):
    """Tells of values what only their columns need: models never see it."""

    def decimal_schema(self, schema: Any) -> Schema:
        """Mark a decimal, which is a text."""
        return {**super().decimal_schema(schema), "format": "decimal"}

    def datetime_schema(self, schema: Any) -> Schema:
        """Mark a moment that always tells its time zone."""
        is_aware = schema.get("tz_constraint") == "aware"
        return {**super().datetime_schema(schema), **({parts.AWARE: True} if is_aware else {})}


class Typed:
    """Reads answers as values of a Python type."""

    __slots__ = ("_adapter", "has_code", "plain_schema", "schema")

    def __init__(self, kind: Any) -> None:
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(readable(kind))
            self.schema = self._adapter.json_schema(schema_generator=_WithoutNoise)
            self.plain_schema = self._adapter.json_schema(
                schema_generator=_OfValues, mode="serialization", by_alias=False
            )
            self.has_code = _has_code(self._adapter.core_schema)
        except RecursionError:
            raise ConfigurationError(
                f"{_type_name(kind)} is nested too deeply to be a schema. Nothing was sent."
            ) from None
        except Exception as error:  # whatever a foreign class does when it is looked into
            raise ConfigurationError(
                f"{_type_name(kind)} cannot be the form of an answer: "
                f"{single_line(str(error), 300)} "
                "Give a pydantic model, a dataclass, a TypedDict, a plain type such as list[str], "
                "a tuple of labels or a JSON schema. Nothing was sent."
            ) from error

    def read(self, document: Any) -> Any:
        """Return the value that a JSON document means.

        Raises:
            Misfit: If it does not fit.
        """
        # As JSON again: only then are dates, tuples and enums read by strict models too.
        text = json.dumps(document, ensure_ascii=False)
        try:
            value = self._adapter.validate_json(text)
            if self.has_code:
                self.plain(value)  # what fails there fails now, and not when the table is made
            return value
        except ValidationError as error:
            faults = _faults(error)
        except Exception as error:  # a validator of the caller's own; one row must not end a run
            faults = [f"its check failed: {type(error).__name__}: {single_line(str(error), 100)}"]
        raise Misfit(faults)

    def plain(self, value: Any) -> Any:
        """Return a value as JSON has it: dicts, lists, texts, numbers."""
        return self._adapter.dump_python(value, mode="json", by_alias=False, warnings=False)


def _has_code(part: Any) -> bool:
    """Whether a part of pydantic's plan for a type calls a function that is not pydantic's own."""
    if isinstance(part, Mapping):
        if part.get("post_init") or part.get("custom_init") or part.get("computed_fields"):
            return True
        if part.get("type") == "enum" and _missing_of(part["cls"]) is not _missing_of(Enum):
            return True
        return any(_has_code(inner) for inner in part.values())
    if isinstance(part, list | tuple | set):
        return any(_has_code(inner) for inner in part)
    if isinstance(part, type) or not callable(part):
        return False
    home = getattr(part, "__module__", None) or ""
    return home.partition(".")[0] not in ("pydantic", "pydantic_core")


def _missing_of(kind: type[Enum]) -> Any:
    return getattr(kind._missing_, "__func__", None)


def _type_name(kind: Any) -> str:
    return single_line(getattr(kind, "__qualname__", None) or repr(kind), 80)


def _faults(error: ValidationError) -> list[str]:
    every = error.errors(include_url=False, include_context=False)
    faults = []
    for fault in every[:MAX_FAULTS]:
        where, value = _where(fault["loc"]), fault["input"]
        shown = fault["type"] != "missing" and isinstance(value, (str, int, float, type(None)))
        got = f" (it is {single_line(json.dumps(value, ensure_ascii=False), 60)})" if shown else ""
        message = fault["msg"]
        faults.append(f"{where}: {message[:1].lower()}{message[1:]}{got}")
    return faults + ["…"] * (len(every) - len(faults))


def _where(steps: tuple[int | str, ...]) -> str:
    """Return where in the document a fault is.

    Example:
        >>> _where(("items", 2, "price"))
        'items[2].price'
    """
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".") or "the whole"


# ------------------------------------------------------------- TypedDicts on Python 3.11

IS_NEEDED = sys.version_info < (3, 12)
"""Whether this Python's own TypedDicts must be rebuilt for pydantic."""


def readable(kind: Any) -> Any:
    """Return a type in which pydantic can read every TypedDict.

    Before Python 3.12 the standard library's own do not tell inherited optional fields apart well
    enough for pydantic, which accepts those of typing_extensions only. A twin of each is built,
    with the same name, fields and documentation.

    Source: pydantic's usage error ``typed-dict-version``.

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
        [_readable(part, twins) for part in argument]
        if isinstance(argument, list)
        else _readable(argument, twins)
        for argument in inner
    )
    return kind if all(map(_is_same, made, inner)) else _rebuilt(kind, made)


def _is_same(kind: Any, other: Any) -> bool:
    return kind is other or (isinstance(kind, list) and kind == other)


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
    made.__annotations__ = {name: _readable(hint, twins) for name, hint in hints.items()}
    made.__required_keys__ = kind.__required_keys__
    made.__optional_keys__ = kind.__optional_keys__
    made.__total__ = kind.__total__
    made.__doc__ = kind.__doc__
    made.__module__ = kind.__module__
    if hasattr(kind, "__pydantic_config__"):
        made.__pydantic_config__ = kind.__pydantic_config__
    return made
