"""JSON Schemas as Anthropic's structured outputs admit them.

What only narrows a value, such as ``maximum``, is refused there: it goes into
the description, where the model can read it, and whoever asked checks the
answer against the schema that was meant.

Source: Anthropic API guide, "Structured outputs", section "JSON Schema limitations".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NARROWING = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
)
_NAMED = ("properties", "$defs", "definitions")
_LISTED = ("anyOf", "allOf", "oneOf")
_DEEPEST = 100
"""A schema deeper than this is left to the provider to refuse."""


def fitted(schema: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return a schema that Anthropic admits, as far as it can be had; its order stays.

    Objects whose fields are named are closed. An object with free keys cannot
    be had; it stays as it is, and the API says so.

    Example:
        >>> fitted({"type": "integer", "minimum": 1, "description": "How many"})
        {'type': 'integer', 'description': 'How many (minimum: 1)'}
    """
    made = dict(schema)
    if depth > _DEEPEST:
        return made
    for name in _NAMED:
        if isinstance(inner := made.get(name), Mapping):
            made[name] = {key: _inside(one, depth) for key, one in inner.items()}
    for name in _LISTED:
        if isinstance(branches := made.get(name), (list, tuple)):
            made[name] = [_inside(one, depth) for one in branches]
    if "items" in made:
        made["items"] = _inside(made["items"], depth)
    if "oneOf" in made and "anyOf" not in made:
        made["anyOf"] = made.pop("oneOf")
    if isinstance(made.get("properties"), Mapping):
        made.setdefault("additionalProperties", False)
    said = {name: made.pop(name) for name in _NARROWING if name in made}
    least = made.get("minItems")
    if isinstance(least, int) and least > 1:
        said["minItems"] = made.pop("minItems")
    if said:
        words = ", ".join(f"{name}: {value}" for name, value in said.items())
        made["description"] = f"{made.get('description') or ''} ({words})".strip()
    return made


def _inside(schema: Any, depth: int) -> Any:
    return fitted(schema, depth + 1) if isinstance(schema, Mapping) else schema
