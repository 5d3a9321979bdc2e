"""Answers of the simulated provider to requests with a JSON schema: documents that fit it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llmnb.schemas.parts import target
from llmnb.testing.request import mix

_DEEPEST = 6
"""A schema that holds itself is followed so far."""


def asked_schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema that a request of OpenAI's chat completions asks for; None without one.

    Example:
        >>> form = {"type": "json_schema", "json_schema": {"schema": {"type": "null"}}}
        >>> asked_schema({"response_format": form}), asked_schema({})
        ({'type': 'null'}, None)
    """
    schema: Any = body
    for name in ("response_format", "json_schema", "schema"):
        schema = schema.get(name) if isinstance(schema, Mapping) else None
    return schema if isinstance(schema, Mapping) else None


def document(schema: Mapping[str, Any], bits: int, text_of: Callable[[int], str]) -> Any:
    """Return a value for a schema; patterns and lengths of texts are not kept.

    Args:
        schema: The schema.
        bits: What decides between values that fit.
        text_of: Makes a text of bits.

    Example:
        >>> rated = {"mood": {"enum": ["kind", "unkind"]}, "stars": {"type": "integer"}}
        >>> document({"type": "object", "properties": rated}, 1, str)
        {'mood': 'unkind', 'stars': 6}
    """

    def value(part: Any, bits: int, depth: int) -> Any:
        if not isinstance(part, Mapping):  # ``true``: anything fits
            return text_of(bits)
        if (path := part.get("$ref")) is not None:
            return value(target(path, schema), bits, depth)
        if "const" in part:
            return part["const"]
        if choices := part.get("enum"):
            return choices[bits % len(choices)]
        if options := part.get("anyOf") or part.get("oneOf"):
            return value(options[-1 if depth >= _DEEPEST else 0], bits, depth + 1)
        kind = part.get("type")
        match kind[0] if isinstance(kind, list) else kind:
            case "object":
                fields = enumerate(part.get("properties", {}).items())
                return {name: value(own, mix(bits + at), depth + 1) for at, (name, own) in fields}
            case "array":
                least = max(part.get("minItems", 0), 0 if depth >= _DEEPEST else 1)
                items = part.get("items", {})
                return [value(items, mix(bits + at), depth + 1) for at in range(least)]
            case "integer" | "number":
                low = part.get("minimum", part.get("exclusiveMinimum", -1) + 1)
                return low + bits % int(max(1, part.get("maximum", low + 10) - low + 1))
            case "boolean":
                return bits % 2 == 1
            case "null":
                return None
        return text_of(bits)

    return value(schema, bits, 0)
