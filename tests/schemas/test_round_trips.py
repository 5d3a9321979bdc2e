"""Promises about all forms and all answers, tried at random."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from pydantic import TypeAdapter

from llmnb.errors import SchemaMismatch
from llmnb.schemas import Output, function_schema, output_of, parts, repair_messages
from llmnb.schemas.functions import parse_docstring

tried = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

VALUES = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats(allow_nan=False, allow_infinity=False)
    | some.text(some.characters(exclude_categories=["Cs"])),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=5), inner),
    max_leaves=12,
)
PROSE = some.text(some.characters(codec="ascii", exclude_characters="{}[]`<"), max_size=30)

NAMES = some.text("abcdefghij", min_size=1, max_size=3)
LEAVES = some.sampled_from(
    [
        {"type": "string"},
        {"type": "integer"},
        {"type": "boolean"},
        {"type": ["integer", "null"]},
        {"enum": ["a", "b"]},
        {"$ref": "#/$defs/Shared"},
    ]
)


def _object(fields: dict[str, Any], required: set[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": fields,
        "required": sorted(required & set(fields)),
    }


SCHEMAS = some.recursive(
    LEAVES,
    lambda inner: (
        some.builds(_object, some.dictionaries(NAMES, inner, max_size=3), some.sets(NAMES))
        | some.builds(lambda items: {"type": "array", "items": items}, inner)
        | some.builds(lambda part: {"anyOf": [part, {"type": "null"}]}, inner)
    ),
    max_leaves=8,
)
SHARED = {"type": "object", "properties": {"s": {"type": "string"}, "n": {"type": "null"}}}


def whole(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with what it refers to."""
    return {**schema, "$defs": {"Shared": SHARED}}


@some.composite
def schema_and_answer(draw):
    """Draw a schema, a document that fits, and the document a strict server would give."""
    schema = draw(SCHEMAS)
    document = draw(_fitting(schema))
    return whole(schema), document, _with_nulls(document, schema)


def _fitting(schema: dict[str, Any]) -> some.SearchStrategy[Any]:
    if "$ref" in schema:
        return _fitting(SHARED)
    if "anyOf" in schema:
        return some.one_of([_fitting(part) for part in schema["anyOf"]])
    if "enum" in schema:
        return some.sampled_from(schema["enum"])
    kind = schema["type"]
    if kind == "array":
        return some.lists(_fitting(schema["items"]), max_size=3)
    if kind == "object":
        fields = {name: _fitting(part) for name, part in schema["properties"].items()}
        required = set(schema.get("required", ()))
        return some.fixed_dictionaries(
            {name: part for name, part in fields.items() if name in required},
            optional={name: part for name, part in fields.items() if name not in required},
        )
    plain = {
        "string": some.text(some.characters(exclude_categories=["Cs"]), max_size=5),
        "integer": some.integers(),
        "boolean": some.booleans(),
        "null": some.none(),
    }
    kinds = kind if isinstance(kind, list) else [kind]
    return some.one_of([plain[part] for part in kinds])


def _with_nulls(document: Any, schema: dict[str, Any]) -> Any:
    """Put null where a strict server would, for fields that are missing and may not be null."""
    root = whole(schema)
    if "$ref" in schema:
        schema = SHARED
    if "anyOf" in schema:
        schema = {} if document is None else schema["anyOf"][0]
        return _with_nulls(document, schema)
    if isinstance(document, list) and "items" in schema:
        return [_with_nulls(part, schema["items"]) for part in document]
    if not isinstance(document, dict) or "properties" not in schema:
        return document
    fields = schema["properties"]
    made = {name: _with_nulls(part, fields[name]) for name, part in document.items()}
    missing = [name for name in fields if name not in made]
    return made | {name: None for name in missing if not parts.admits_null(fields[name], root)}


@tried
@given(VALUES, PROSE, PROSE, some.booleans(), some.booleans())
def test_whatever_json_is_written_is_read_back(value, before, after, is_fenced, is_ascii):
    """
    In a fence or between words, escaped or not.
    """
    text = json.dumps({"value": value}, ensure_ascii=is_ascii)
    text = f"{before}\n```json\n{text}\n```\n{after}" if is_fenced else text
    output = output_of({"type": "object", "required": ["value"]})

    assert output.validate(text) == {"value": value}


@tried
@given(VALUES, some.text(max_size=40), some.integers(0, 60))
def test_no_text_breaks_the_reading(value, noise, place):
    """
    Every text is an answer or an error that keeps it.
    """
    text = json.dumps(value)
    text = text[:place] + noise + text[place:]

    for kind in (dict[str, int], list[str], int, str, Any, {"type": "array"}):
        error = _error_of(output_of(kind), text)
        if error is not None:
            assert error.raw == text.encode("utf-8", "replace")
            assert len(str(error).splitlines()) <= 10
            assert repair_messages([], text, error)


def _error_of(output: Output, text: str) -> SchemaMismatch | None:
    try:
        output.validate(text)
    except SchemaMismatch as error:
        return error
    return None


@tried
@given(schema_and_answer())
def test_what_fits_a_schema_comes_back_as_it_is(drawn):
    """
    Wrapped or not, whole or with the nulls of strict mode.
    """
    schema, document, strict_document = drawn
    output = output_of(schema)

    for part in (document, strict_document):
        asked = {"value": part} if output.is_wrapped else part
        assert output.validate(json.dumps(asked)) == document
    assert output.as_mapping(document).keys() == {name for name, _ in output.fields}


@tried
@given(schema_and_answer())
def test_a_strict_schema_admits_every_answer_with_its_nulls(drawn):
    """
    Whoever is held to it can say everything that was meant.
    """
    schema, document, strict_document = drawn
    output = output_of(schema)
    asked = {"value": strict_document} if output.is_wrapped else strict_document

    assert output.strict_schema is not None
    for node in parts.every(output.strict_schema):
        if node.get("type") == "object":
            assert node["required"] == list(node["properties"])
            assert node["additionalProperties"] is False
    if not _lacks_nullable(document, schema, schema):
        assert output_of(output.strict_schema).validate(json.dumps(asked)) == asked


def _lacks_nullable(document: Any, schema: Any, root: dict[str, Any]) -> bool:
    """Whether a field that may be null is missing: a strict server would say null there."""
    faces = parts.alternatives([schema], root)
    if isinstance(document, list):
        return any(
            _lacks_nullable(part, face.get("items"), root) for part in document for face in faces
        )
    if not isinstance(document, dict):
        return False
    fields = {name: part for face in faces for name, part in face.get("properties", {}).items()}
    return any(
        name not in document or _lacks_nullable(document[name], part, root)
        for name, part in fields.items()
        if name in document or parts.admits_null(part, root)
    )


TYPES = some.recursive(
    some.sampled_from([int, str, bool, float, type(None)]),
    lambda inner: inner.map(lambda part: list[part]) | inner.map(lambda part: dict[str, part]),
    max_leaves=3,
)


@tried
@given(TYPES, some.data())
def test_values_of_any_type_come_back(kind, data):
    """
    What Python writes as JSON for a type is read into the same value.
    """
    value = data.draw(_of_type(kind))
    output = output_of(kind)
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    plain = adapter.dump_python(value, mode="json")

    text = json.dumps({"value": plain} if output.is_wrapped else plain)

    assert output.validate(text) == value


def _of_type(kind: Any) -> some.SearchStrategy[Any]:
    plain = {
        int: some.integers(-(10**18), 10**18),
        str: some.text(some.characters(exclude_categories=["Cs"]), max_size=8),
        bool: some.booleans(),
        float: some.floats(allow_nan=False, allow_infinity=False),
        type(None): some.none(),
    }
    if kind in plain:
        return plain[kind]
    inner = _of_type(kind.__args__[-1])
    if kind.__origin__ is list:
        return some.lists(inner, max_size=3)
    return some.dictionaries(some.text("abc", max_size=3), inner, max_size=3)


@tried
@given(some.text())
def test_no_docstring_breaks_the_reading(text):
    """
    It is a description at worst.
    """

    def tool(a: int) -> None: ...

    tool.__doc__ = text

    assert function_schema(tool)["function"]["name"] == "tool"
    assert isinstance(parse_docstring(text).text, str)
