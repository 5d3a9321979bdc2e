"""Questions about JSON Schemas: their parts, references and types, and what they admit.

And what follows from that: the shape that providers want, an object at the root; the columns that
an answer fills; and which nulls of an answer only stand for a missing field.
"""

from __future__ import annotations

import copy
import datetime
import decimal
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from llmnb.errors import ConfigurationError

Schema = dict[str, Any]

Kind = Literal[
    "string",
    "Int64",
    "Float64",
    "boolean",
    "category",
    "object",
    "date",
    "time",
    "datetime64[us]",
    "datetime64[us, UTC]",
    "timedelta64[us]",
    "decimal",
]
"""What a column holds: the name of a pandas dtype that has a missing value, else a plain word."""

AWARE = "x-aware"
"""Keyword beside a ``date-time`` whose values all tell their time zone."""

Field = tuple[str, Kind]
"""A column: its name and its kind."""

WRAPPER = "value"
"""Name of the one field around a value that is no object."""

SHARED = ("$defs", "definitions")
"""Where a schema keeps what it refers to."""

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
        >>> [part.get("type") for part in every({"properties": {"a": {"type": "string"}}})]
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
        anchors = (part for part in every(root) if part.get("$anchor") == reference[1:])
        return next(anchors, None)
    node: Any = root
    for step in reference.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list):
            node = node[int(step)] if step.isdecimal() and int(step) < len(node) else None
        else:
            node = node.get(step) if isinstance(node, dict) else None
    return node


def alternatives(schemas: Iterable[Any], root: Mapping[str, Any]) -> list[Schema]:
    """Return the plain schemas behind references and branches, each once.

    Example:
        >>> schema = {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}
        >>> alternatives([schema], {"$defs": {"A": {"type": "string"}}})
        [{'type': 'string'}, {'type': 'null'}]
    """
    waiting = list(schemas)[::-1]
    met: set[int] = set()
    plain: list[Schema] = []
    while waiting:
        node = waiting.pop()
        if node is True:
            node = _ANYTHING
        if not isinstance(node, dict) or id(node) in met:
            continue
        met.add(id(node))
        inner = [branch for name in ALTERNATIVES for branch in node.get(name) or ()]
        if "$ref" in node:
            inner.append(target(node["$ref"], root))
        if not inner or not node.keys().isdisjoint(_OF_ITS_OWN):
            plain.append(node)
        waiting.extend(inner[::-1])
    return plain


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
        return tuple(name for name in named if isinstance(name, str))
    if "properties" in schema:
        return ("object",)
    return ("array",) if "items" in schema else ()


def admits_null(schema: Any, root: Mapping[str, Any], known: dict[int, bool] | None = None) -> bool:
    """Whether a schema lets null be the value.

    Args:
        schema: What is asked about.
        root: The schema that it stands in.
        known: What is known already, by the `id` of a schema.

    Example:
        >>> admits_null({"type": ["string", "null"]}, {}), admits_null({"enum": ["a"]}, {})
        (True, False)
    """
    known = {} if known is None else known
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
        checks.append(admits_null(target(schema["$ref"], root), root, known))
    for name, combined in (("anyOf", any), ("oneOf", any), ("allOf", all)):
        if name in schema:
            checks.append(combined([admits_null(branch, root, known) for branch in schema[name]]))
    known[id(schema)] = all(checks)
    return known[id(schema)]


# ---------------------------------------------------------------- an object at the root


def at_root(schema: Mapping[str, Any]) -> Schema:
    """Return a copy of a schema whose root is not a reference.

    Raises:
        ConfigurationError: If the root refers to nothing but itself.

    Example:
        >>> at_root({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}})
        {'type': 'object', '$defs': {'A': {'type': 'object'}}}
    """
    root = copy.deepcopy(dict(schema))
    met = set()
    while isinstance(root.get("$ref"), str):
        reference = root["$ref"]
        inner = target(reference, schema)
        if reference in met or not isinstance(inner, dict):
            raise ConfigurationError(
                f"The schema's root refers to {reference[:80]!r}, which "
                f"{'leads back to itself' if reference in met else 'is not in it'}. "
                "Nothing was sent."
            )
        met.add(reference)
        beside = {name: value for name, value in root.items() if name != "$ref"}
        root = {**copy.deepcopy(inner), **beside}
    root.pop("$schema", None)
    return root


def is_object(schema: Mapping[str, Any]) -> bool:
    """Whether everything that fits is an object.

    Example:
        >>> is_object({"type": "object"}), is_object({"type": ["object", "null"]})
        (True, False)
    """
    return types_of(schema) == ("object",)


def wrap(schema: Mapping[str, Any]) -> Schema:
    """Return the schema of an object whose one field holds what `schema` describes.

    Example:
        >>> wrap({"type": "integer"})["properties"]
        {'value': {'type': 'integer'}}
    """
    inner = copy.deepcopy(dict(schema))
    shared = {name: inner.pop(name) for name in SHARED if name in inner}
    stays = tuple(f"#/{name}/" for name in SHARED)
    for node in every({"allOf": [inner], **shared}):
        reference = node.get("$ref", "")
        if reference == "#" or (reference.startswith("#/") and not reference.startswith(stays)):
            node["$ref"] = f"#/properties/{WRAPPER}{reference[1:]}"
    return {
        "type": "object",
        "properties": {WRAPPER: inner},
        "required": [WRAPPER],
        "additionalProperties": False,
        **shared,
    }


# ----------------------------------------------------------------------------- columns


_KINDS: Mapping[str, Kind] = {
    "string": "string",
    "integer": "Int64",
    "number": "Float64",
    "boolean": "boolean",
}
_KIND_OF_FORMAT: Mapping[Any, Kind] = {
    "date": "date",
    "time": "time",
    "date-time": "datetime64[us]",
    "duration": "timedelta64[us]",
    "decimal": "decimal",
}
_KIND_OF_VALUE: Mapping[type, Kind] = {
    str: "category",
    bool: "boolean",
    int: "Int64",
    float: "Float64",
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
        return tuple((name, kind_of(part, schema)) for name, part in schema["properties"].items())
    return ((WRAPPER, kind_of(schema, schema)),)


def has_fields(schema: Mapping[str, Any]) -> bool:
    """Whether answers that fit a schema fill a column a field.

    Example:
        >>> has_fields({"type": "object"})
        False
    """
    return is_object(schema) and bool(schema.get("properties"))


def kind_of(schema: Any, root: Mapping[str, Any]) -> Kind:
    """Return the kind of column that holds what a schema describes.

    Example:
        >>> kind_of({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {})
        'Int64'
        >>> kind_of({"type": "string", "format": "date"}, {})
        'date'
    """
    kinds = {kind for branch in alternatives([schema], root) for kind in _kinds(branch)}
    if len(kinds) == 1:
        return kinds.pop()
    if kinds == {"Int64", "Float64"}:
        return "Float64"
    if kinds == {"date", "datetime64[us]"}:
        return "datetime64[us]"
    return "string" if kinds and kinds <= _TEXTUAL else "object"


def _kinds(branch: Mapping[str, Any]) -> set[Kind]:
    if "enum" in branch or "const" in branch:
        return {_KIND_OF_VALUE.get(type(value), "object") for value in _listed(branch)}
    # A bare {"type": "null"} adds nothing; a schema without any type admits anything.
    types = types_of(branch) or ("object",)
    kinds = {_KINDS.get(name, "object") for name in types if name != "null"}
    if kinds == {"string"} and branch.get("format") in _KIND_OF_FORMAT:
        is_aware = branch["format"] == "date-time" and branch.get(AWARE) is True
        return {"datetime64[us, UTC]" if is_aware else _KIND_OF_FORMAT[branch["format"]]}
    return kinds


def values_of(schema: Any, root: Mapping[str, Any]) -> list[Any]:
    """Return the values that a schema lists, null left out; empty where it admits others.

    Example:
        >>> values_of({"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]}, {})
        ['a', 'b']
    """
    branches = [branch for branch in alternatives([schema], root) if types_of(branch) != ("null",)]
    if not all("enum" in branch or "const" in branch for branch in branches):
        return []
    return [value for branch in branches for value in _listed(branch)]


def _listed(branch: Mapping[str, Any]) -> list[Any]:
    values = branch["enum"] if "enum" in branch else [branch["const"]]
    return [value for value in values if value is not None]


# ------------------------------------------------------------- times and decimals in texts


def read_texts(values: Sequence[Any], kind: str) -> Sequence[Any]:
    """Return values of JSON as what a kind of column holds: its texts as times or decimals.

    A moment is in UTC where it tells its time zone; ``datetime64[us]`` leaves the zone out.

    Args:
        values: Texts, lists of texts, and None where there is none.
        kind: The column's; values of other kinds are returned as they are.

    Raises:
        ValueError: If a text is none of that kind.

    Example:
        >>> read_texts(["2026-01-02", None], "date")
        [datetime.date(2026, 1, 2), None]
        >>> read_texts(["2026-01-02T10:00:00+02:00"], "datetime64[us]")
        [datetime.datetime(2026, 1, 2, 8, 0)]
    """
    read = _READERS.get(kind)
    return values if read is None else [_read(value, read) for value in values]


def _read(value: Any, read: Callable[[str], Any]) -> Any:
    if isinstance(value, list):
        return [_read(inner, read) for inner in value]
    return None if value is None else read(value)


def _moment(text: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text)
    zone = datetime.UTC
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)


def _duration(text: str) -> datetime.timedelta:
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise ValueError(f"{text[:40]!r} is no duration")
    weeks, days, hours, minutes, seconds = (float(part or 0) for part in match.groups()[1:])
    span = datetime.timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    return -span if match[1] == "-" else span


_DURATION = re.compile(
    r"([-+]?)P(?:(\d{1,9})W)?(?:(\d{1,9})D)?"
    r"(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?"
)


def _decimal(text: str) -> decimal.Decimal:
    try:
        return decimal.Decimal(text)
    except decimal.InvalidOperation:
        raise ValueError(f"{text[:40]!r} is no decimal") from None


_READERS: Mapping[str, Callable[[str], Any]] = {
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "datetime64[us]": lambda text: _moment(text).replace(tzinfo=None),
    "datetime64[us, UTC]": _moment,
    "timedelta64[us]": _duration,
    "decimal": _decimal,
}
_TEXTUAL = frozenset(("string", "category", *_READERS))
"""Kinds whose values are texts in JSON."""


# ------------------------------------------------------------------------------- nulls


def without_filler_nulls(document: Any, root: Mapping[str, Any], schema: Any = None) -> Any:
    """Remove fields that are null but may only be missing; return the document.

    Strict schemas know no optional fields: a field that may be missing becomes one that may be
    null. Where null does not fit the schema that was meant, it can only mean that the field is
    missing.

    Args:
        document: What the model wrote; changed in place.
        root: Schema that was meant.
        schema: Schema of the document, where it is only a part of `root`.

    Example:
        >>> schema = {"properties": {"a": {"type": "string"}, "b": {"type": ["string", "null"]}}}
        >>> without_filler_nulls({"a": None, "b": None}, schema)
        {'b': None}
    """
    waiting: list[tuple[Any, list[Any]]] = [(document, [root if schema is None else schema])]
    while waiting:
        node, schemas = waiting.pop()
        branches = alternatives(schemas, root)
        if isinstance(node, dict):
            for name in [name for name, value in node.items() if value is None]:
                if _only_stands_for_missing(name, branches, root):
                    del node[name]
            inner = [(value, _of_field(name, branches)) for name, value in node.items()]
        elif isinstance(node, list):
            items = [branch["items"] for branch in branches if "items" in branch]
            inner = [(value, items) for value in node]
        else:
            continue
        waiting.extend(pair for pair in inner if isinstance(pair[0], (dict, list)))
    return document


def _only_stands_for_missing(name: str, branches: list[Schema], root: Mapping[str, Any]) -> bool:
    knowing = [branch for branch in branches if name in branch.get("properties", ())]
    if not knowing or any(name in branch.get("required", ()) for branch in knowing):
        return False
    return not any(admits_null(branch["properties"][name], root) for branch in knowing)


def _of_field(name: str, branches: list[Schema]) -> list[Any]:
    schemas = [
        branch["properties"][name] for branch in branches if name in branch.get("properties", ())
    ]
    return schemas or [branch.get("additionalProperties") for branch in branches]
