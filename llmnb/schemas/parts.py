"""JSON Schemas taken apart: what stands in them, what they refer to, what they admit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Schema = dict[str, Any]

_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTED = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_SINGLE = (
    *("items", "additionalProperties", "not", "if", "then", "else", "contains"),
    *("propertyNames", "unevaluatedItems", "unevaluatedProperties", "additionalItems"),
)

ALTERNATIVES = ("anyOf", "oneOf", "allOf")
"""Keywords whose branches describe the same value."""


def every(schema: Any) -> Iterator[Schema]:
    """Yield a schema and all that stand in it; values such as those of ``enum`` are none.

    Example:
        >>> [one.get("type") for one in every({"properties": {"a": {"type": "string"}}})]
        [None, 'string']
    """
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, dict):
            continue
        yield node
        for name in _NAMED:
            if isinstance(node.get(name), dict):
                waiting.extend(node[name].values())
        for name in _LISTED:
            if isinstance(node.get(name), list):
                waiting.extend(node[name])
        waiting.extend(node.get(name) for name in _SINGLE)


def target(reference: Any, root: Mapping[str, Any]) -> Any:
    """Return what a reference inside the schema leads to; None where it leads nowhere.

    Source: RFC 6901, "JavaScript Object Notation (JSON) Pointer".

    Example:
        >>> target("#/$defs/a~1b", {"$defs": {"a/b": {"type": "null"}}})
        {'type': 'null'}
    """
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    if reference[1:] and not reference.startswith("#/"):
        anchors = (node for node in every(root) if node.get("$anchor") == reference[1:])
        return next(anchors, None)
    found: Any = root
    for step in reference.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            found = found[int(step)] if step.isdecimal() and int(step) < len(found) else None
        else:
            found = found.get(step) if isinstance(found, dict) else None
    return found


def alternatives(schemas: Iterable[Any], root: Mapping[str, Any]) -> list[Schema]:
    """Return the plain schemas behind references and branches, each once.

    Example:
        >>> schema = {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}
        >>> alternatives([schema], {"$defs": {"A": {"type": "string"}}})
        [{'type': 'string'}, {'type': 'null'}]
    """
    waiting = list(schemas)[::-1]
    seen: set[int] = set()
    found: list[Schema] = []
    while waiting:
        node = waiting.pop()
        if node is True:
            node = _ANYTHING
        if not isinstance(node, dict) or id(node) in seen:
            continue
        seen.add(id(node))
        inner = [one for name in ALTERNATIVES for one in node.get(name) or ()]
        if "$ref" in node:
            inner.append(target(node["$ref"], root))
        if not inner or not node.keys().isdisjoint(_OF_ITS_OWN):
            found.append(node)
        waiting.extend(inner[::-1])
    return found


_ANYTHING: Schema = {}
_OF_ITS_OWN = frozenset(("type", "properties", "items", "enum", "const"))


def types_of(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the types that a schema names itself.

    Example:
        >>> types_of({"type": ["string", "null"]}), types_of({"properties": {}})
        (('string', 'null'), ('object',))
    """
    named = schema.get("type")
    if isinstance(named, str):
        return (named,)
    if isinstance(named, list):
        return tuple(one for one in named if isinstance(one, str))
    if "properties" in schema:
        return ("object",)
    return ("array",) if "items" in schema else ()


def admits_null(schema: Any, root: Mapping[str, Any]) -> bool:
    """Whether a schema lets null be the value.

    Example:
        >>> admits_null({"type": ["string", "null"]}, {}), admits_null({"enum": ["a"]}, {})
        (True, False)
    """
    return _admits_null(schema, root, {})


def _admits_null(schema: Any, root: Mapping[str, Any], known: dict[int, bool]) -> bool:
    if not isinstance(schema, dict):
        return schema is True
    if id(schema) in known:
        return known[id(schema)]
    known[id(schema)] = False  # for those that lead back here
    checks = []
    if "type" in schema:
        checks.append("null" in types_of(schema))
    if "enum" in schema:
        checks.append(None in schema["enum"])
    if "const" in schema:
        checks.append(schema["const"] is None)
    if "$ref" in schema:
        checks.append(_admits_null(target(schema["$ref"], root), root, known))
    for name, combined in (("anyOf", any), ("oneOf", any), ("allOf", all)):
        if name in schema:
            checks.append(combined([_admits_null(one, root, known) for one in schema[name]]))
    known[id(schema)] = all(checks)
    return known[id(schema)]
