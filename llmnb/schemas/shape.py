"""Brings a schema into the shape that providers want: an object at the root.

What is no object is wrapped: the schema of a number becomes that of
``{"value": …}``, and the answer is unwrapped when it is read.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from llmnb.errors import ConfigurationError
from llmnb.schemas import parts
from llmnb.schemas.parts import Schema

WRAPPER = "value"
"""Name of the one field around a value that is no object."""

_SHARED = ("$defs", "definitions")


def at_root(schema: Mapping[str, Any]) -> Schema:
    """Return a copy whose root is no mere reference.

    Raises:
        ConfigurationError: If the root refers to nothing but itself.

    Example:
        >>> at_root({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}})
        {'type': 'object', '$defs': {'A': {'type': 'object'}}}
    """
    found = copy.deepcopy(dict(schema))
    met = set()
    while isinstance(found.get("$ref"), str):
        reference = found["$ref"]
        inner = parts.target(reference, schema)
        if reference in met or not isinstance(inner, dict):
            raise ConfigurationError(
                f"The schema's root refers to {reference[:80]!r}, which "
                f"{'leads back to itself' if reference in met else 'is not in it'}. "
                "Nothing was sent."
            )
        met.add(reference)
        beside = {name: value for name, value in found.items() if name != "$ref"}
        found = {**copy.deepcopy(inner), **beside}
    found.pop("$schema", None)
    return found


def is_object(schema: Mapping[str, Any]) -> bool:
    """Whether everything that fits is an object.

    Example:
        >>> is_object({"type": "object"}), is_object({"type": ["object", "null"]})
        (True, False)
    """
    return parts.types_of(schema) == ("object",)


def wrapped(schema: Mapping[str, Any]) -> Schema:
    """Return the schema of an object whose one field holds what `schema` describes.

    Example:
        >>> wrapped({"type": "integer"})["properties"]
        {'value': {'type': 'integer'}}
    """
    inner = copy.deepcopy(dict(schema))
    shared = {name: inner.pop(name) for name in _SHARED if name in inner}
    for node in parts.every({"allOf": [inner], **shared}):
        if "$ref" in node:
            node["$ref"] = _moved(node["$ref"])
    return {
        "type": "object",
        "properties": {WRAPPER: inner},
        "required": [WRAPPER],
        "additionalProperties": False,
        **shared,
    }


def _moved(reference: str) -> str:
    stays = any(reference.startswith(f"#/{name}/") for name in _SHARED)
    if stays or not (reference == "#" or reference.startswith("#/")):
        return reference
    return f"#/properties/{WRAPPER}{reference[1:]}"
