"""Which columns an answer fills, and of which kind each is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from llmnb.schemas import parts, shape

Kind = Literal["string", "Int64", "Float64", "boolean", "category", "object"]
"""Name of a pandas dtype that can hold a missing value."""

Field = tuple[str, Kind]

_KINDS: Mapping[str, Kind] = {
    "string": "string",
    "integer": "Int64",
    "number": "Float64",
    "boolean": "boolean",
}


def columns_of(schema: Mapping[str, Any]) -> tuple[Field, ...]:
    """Return the columns of answers that fit a schema, in its order.

    Objects with named fields fill a column a field; everything else fills one
    column called ``value``.

    Example:
        >>> columns_of({"properties": {"title": {"type": "string"}, "tags": {"type": "array"}}})
        (('title', 'string'), ('tags', 'object'))
        >>> columns_of({"enum": ["good", "bad"]})
        (('value', 'category'),)
    """
    if has_fields(schema):
        return tuple((name, kind_of(one, schema)) for name, one in schema["properties"].items())
    return ((shape.WRAPPER, kind_of(schema, schema)),)


def has_fields(schema: Mapping[str, Any]) -> bool:
    """Whether answers that fit a schema fill a column a field.

    Example:
        >>> has_fields({"type": "object"})
        False
    """
    return shape.is_object(schema) and bool(schema.get("properties"))


def kind_of(schema: Any, root: Mapping[str, Any]) -> Kind:
    """Return the kind of column that holds what a schema describes.

    Example:
        >>> kind_of({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {})
        'Int64'
    """
    kinds = {kind for face in parts.alternatives([schema], root) for kind in _kinds(face)}
    if len(kinds) == 1:
        return kinds.pop()
    if kinds == {"Int64", "Float64"}:
        return "Float64"
    return "string" if kinds == {"string", "category"} else "object"


def _kinds(face: Mapping[str, Any]) -> set[Kind]:
    if "enum" in face or "const" in face:
        values = face["enum"] if "enum" in face else [face["const"]]
        return {_kind_of_value(value) for value in values if value is not None}
    types = [one for one in parts.types_of(face) if one != "null"]
    if not types:
        # A bare {"type": "null"} adds nothing; a schema without any type admits anything.
        return set() if parts.types_of(face) else {"object"}
    return {_KINDS.get(one, "object") for one in types}


def _kind_of_value(value: Any) -> Kind:
    if isinstance(value, str):
        return "category"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "Int64"
    return "Float64" if isinstance(value, float) else "object"
