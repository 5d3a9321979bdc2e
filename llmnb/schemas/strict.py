"""Schemas in the subset of JSON Schema that providers enforce while a model writes.

Every object is closed and all its fields are required; one that was optional
may be null instead (`parts.without_filler_nulls` takes such nulls back). Keywords that
only narrow, such as ``minLength``, are left out: the answer is checked against
the schema that was meant in any case. What changes the shape and cannot be said
(free keys, tuples, conditions) makes the whole schema inexpressible.

Source: OpenAI's guide "Structured Outputs", section "Supported schemas".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.schemas import parts
from llmnb.schemas.parts import Schema

MAX_FIELDS = 5000
MAX_LEVELS = 10
MAX_CHOICES = 1000
"""Limits of the guide: fields in all, objects and lists in each other, values of enums in all."""

_KEPT = (
    *("multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("minItems", "maxItems"),
)
_FORMATS = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")
)
_BEYOND = frozenset(
    (
        *("not", "if", "then", "else", "patternProperties", "prefixItems", "dependentSchemas"),
        *("unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef"),
    )
)
_SHAPE = frozenset(("type", "properties", "items", "enum", "const", *parts.ALTERNATIVES))


class _Inexpressible(Exception):
    """The schema says something that a strict one cannot say."""


def strict_schema(root: Mapping[str, Any]) -> Schema | None:
    """Return the strict form of a schema whose root is an object; None where there is none.

    Example:
        >>> schema = {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}}
        >>> strict_schema(schema)["properties"]
        {'a': {'anyOf': [{'type': 'string'}, {'type': 'null'}]}}
        >>> strict_schema({"type": "object", "additionalProperties": {"type": "integer"}}) is None
        True
    """
    try:
        return _Strict(root).whole()
    except (_Inexpressible, RecursionError):
        return None


class _Strict:
    """Translates one schema, and counts what the limits count."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self.fields = 0
        self.choices = 0
        self.shared: dict[str, Schema] = {}
        self.wanted: list[str] = []

    def whole(self) -> Schema:
        made = self.node({k: v for k, v in self.root.items() if k not in parts.SHARED})
        if made.get("type") != "object":
            raise _Inexpressible
        shares = [self.root.get(keyword, {}) for keyword in parts.SHARED]
        while self.wanted:
            name = self.wanted.pop()
            schemas = [shared[name] for shared in shares if name in shared]
            if len(schemas) != 1:
                raise _Inexpressible
            self.shared[name] = self.node(schemas[0])
        if self.fields > MAX_FIELDS or self.choices > MAX_CHOICES:
            raise _Inexpressible
        return {**made, "$defs": dict(sorted(self.shared.items()))} if self.shared else made

    def node(self, schema: Any, level: int = 0) -> Schema:
        if not isinstance(schema, dict) or not _BEYOND.isdisjoint(schema) or level > MAX_LEVELS:
            raise _Inexpressible
        if len(schema.get("allOf", ())) == 1 and isinstance(schema["allOf"][0], dict):
            rest = {name: value for name, value in schema.items() if name != "allOf"}
            if not _SHAPE.isdisjoint(rest):
                raise _Inexpressible
            return self.node({**schema["allOf"][0], **rest}, level)
        made = self.body(schema, level)
        description = schema.get("description")
        if not isinstance(description, str):
            return made
        # Beside a reference nothing may stand.
        return {**({"anyOf": [made]} if "$ref" in made else made), "description": description}

    def body(self, schema: Schema, level: int) -> Schema:
        shape = _SHAPE.intersection(schema)
        if "$ref" in schema:
            if shape:
                raise _Inexpressible
            return {"$ref": self.reference(schema["$ref"])}
        if not shape.isdisjoint(parts.ALTERNATIVES):
            if shape not in ({"anyOf"}, {"oneOf"}):
                raise _Inexpressible
            branches = schema.get("anyOf") or schema.get("oneOf")
            return {"anyOf": [self.node(branch, level) for branch in branches or ()]}
        types = parts.types_of(schema) or _types_of_values(schema)
        if not types:
            raise _Inexpressible
        made: Schema = {"type": types[0] if len(types) == 1 else list(types)}
        if "enum" in schema or "const" in schema:
            made["enum"] = schema["enum"] if "enum" in schema else [schema["const"]]
            self.choices += len(made["enum"])
            return made
        if "object" in types:
            made.update(self.object(schema, level))
        if "array" in types:
            made["items"] = self.node(schema.get("items"), level + 1)
        made.update({name: schema[name] for name in _KEPT if name in schema})
        if schema.get("format") in _FORMATS:
            made["format"] = schema["format"]
        pattern = schema.get("pattern")
        if isinstance(pattern, str) and "(?" not in pattern:  # looking around is not supported
            made["pattern"] = pattern
        return made

    def reference(self, reference: Any) -> str:
        if reference == "#":
            return "#"
        keyword, _, name = str(reference).rpartition("/")
        if keyword not in ("#/$defs", "#/definitions") or "~" in name:
            raise _Inexpressible
        if name not in self.shared:
            self.shared[name] = {}  # filled when its turn comes
            self.wanted.append(name)
        return f"#/$defs/{name}"

    def object(self, schema: Schema, level: int) -> Schema:
        fields = schema.get("properties")
        required = schema.get("required", [])
        is_open = schema.get("additionalProperties", False) is not False
        if not isinstance(fields, dict) or is_open or not set(required) <= set(fields):
            raise _Inexpressible
        self.fields += len(fields)
        made = {name: self.node(field, level + 1) for name, field in fields.items()}
        for name in fields:
            if name not in required and not parts.admits_null(fields[name], self.root):
                made[name] = _nullable(made[name])
        return {"properties": made, "required": list(fields), "additionalProperties": False}


def _nullable(schema: Schema) -> Schema:
    described = {name: schema.pop(name) for name in ("description",) if name in schema}
    inner = schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]
    return {"anyOf": [*inner, {"type": "null"}], **described}


def _types_of_values(schema: Schema) -> tuple[str, ...]:
    values = schema["enum"] if "enum" in schema else [schema["const"]] if "const" in schema else []
    names = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    types = [names.get(type(value), "") for value in values]
    return () if "" in types else tuple(dict.fromkeys(types))
