"""Promises about strict schemas and the nulls they make models write."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pydantic
import pytest

from llmnb.errors import SchemaMismatch
from llmnb.schemas import output_of, parts


class Leaf(pydantic.BaseModel):
    """A leaf."""

    size: int = 1


class Tree(pydantic.BaseModel):
    left: Tree | None = None
    right: Leaf = pydantic.Field(default=Leaf(), description="Never missing.")
    name: str = pydantic.Field(default="x", min_length=1, max_length=9, pattern="^[a-z]+$")
    day: datetime.date | None = None


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    tail: int | None = 7


Pet = Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]

ALLOWED = {
    *("type", "description", "properties", "required", "additionalProperties", "items", "enum"),
    *("anyOf", "$ref", "$defs", "pattern", "format", "multipleOf", "minimum", "maximum"),
    *("exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems"),
}


def complaints(schema: dict[str, Any]) -> Iterator[str]:
    """Yield what OpenAI's strict mode would refuse."""
    if schema.get("type") != "object":
        yield "the root is no object"
    for node in parts.every(schema):
        if not ALLOWED.issuperset(node):
            yield f"unknown keywords: {node}"
        if "$ref" in node and (len(node) > 1 or parts.target(node["$ref"], schema) is None):
            yield f"a reference that has company or leads nowhere: {node}"
        if node.get("type") == "object":
            if node.get("additionalProperties") is not False:
                yield f"open: {node}"
            if list(node["properties"]) != node["required"]:
                yield f"not all required: {node}"
        if not node.keys() & {"type", "anyOf", "$ref"}:
            yield f"without a type: {node}"


@pytest.mark.parametrize(
    "kind",
    [
        Tree,
        Leaf,
        list[Tree],
        Pet,
        list[Pet],
        int,
        str | None,
        ("a", "b"),
        Literal[1, "a", None],
        {"type": "object", "properties": {"a": {"const": 1}, "b": {"enum": ["x", None]}}},
        {"type": "object", "properties": {"me": {"$ref": "#"}}},
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/definitions/A", "description": "It."}},
            "definitions": {"A": {"type": ["integer", "null"]}, "Unused": {"not": {}}},
        },
        {"type": "object", "properties": {"a": {"allOf": [{"type": "string"}]}}},
        {"type": "object", "properties": {}},
    ],
)
def test_a_strict_schema_keeps_to_the_subset(kind):
    """
    Closed objects, every field required, no keyword that strict mode refuses.
    """
    schema = output_of(kind).strict_schema

    assert schema is not None
    assert list(complaints(schema)) == []


@pytest.mark.parametrize(
    "kind",
    [
        dict[str, int],
        list[dict[str, int]],
        Any,
        tuple[int, str],
        {"type": "object"},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {"type": "array"}}},
        {"type": "object", "properties": {"a": {"type": "object"}}, "additionalProperties": True},
        {"type": "object", "properties": {}, "required": ["b"]},
        {"type": "object", "properties": {"a": {"not": {"type": "null"}}}},
        {"type": "object", "properties": {}, "anyOf": [{"required": []}]},
        {"type": "object", "properties": {"a": {"allOf": [{"type": "string"}, {"minLength": 1}]}}},
        {"type": "object", "properties": {"a": {"$ref": "#/properties/b"}, "b": {"type": "null"}}},
        {"type": "object", "properties": {f"f{i}": {"type": "null"} for i in range(5001)}},
        {"enum": [f"f{i}" for i in range(1001)]},
    ],
)
def test_what_cannot_be_said_strictly_has_no_strict_schema(kind):
    """
    Free keys, tuples, conditions, and more than the limits allow.
    """
    assert output_of(kind).strict_schema is None


def test_descriptions_and_bounds_survive():
    """
    They help the model; what strict mode refuses is checked afterwards.
    """
    output = output_of(Tree)
    fields = output.strict_schema["properties"]

    assert fields["right"]["description"] == "Never missing."
    assert fields["name"]["anyOf"][0] == {"type": "string", "pattern": "^[a-z]+$"}
    with pytest.raises(SchemaMismatch, match="at most 9"):
        output.validate('{"name": "abcdefghijkl"}')


def test_a_null_that_only_strictness_demanded_is_a_missing_field():
    """
    The defaults of the caller's own class hold.
    """
    text = (
        '{"left": {"left": null, "right": null, "name": null, "day": null}, '
        '"right": {"size": null}, "name": null, "day": "2026-01-02"}'
    )

    tree = output_of(Tree).validate(text)

    assert tree == Tree(left=Tree(), day=datetime.date(2026, 1, 2))


@pytest.mark.parametrize("text", ['{"value": [{"size": null}]}', '[{"size": null}]'])
def test_nulls_are_taken_back_with_and_without_the_wrapper(text):
    """
    What needs no wrapper to be read is read like what has one.
    """
    assert output_of(list[Leaf]).validate(text) == [Leaf()]


def test_a_null_that_was_meant_stays():
    """
    Where a field may be null, null is an answer; where it must not be missing, a fault.
    """
    dogs = output_of(list[Pet]).validate('{"value": [{"kind": "dog", "tail": null}]}')
    assert dogs == [Dog(kind="dog", tail=None)]

    with pytest.raises(SchemaMismatch, match="kind"):
        output_of(list[Pet]).validate('{"value": [{"kind": null}]}')

    raw = {"type": "object", "properties": {"a": {}, "b": {"type": "string"}}}
    assert output_of(raw).validate('{"a": null, "b": null, "c": null}') == {"a": None, "c": None}


def test_branches_that_meet_again_and_again_cost_no_more():
    """
    A hundred levels of two ways each are not 2 to the power of a hundred.
    """
    both = {"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]}
    node = {"type": "object", "properties": {"next": both, "n": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"next": both}, "$defs": {"A": node, "B": node}}
    text = '{"next": {"n": null}}'
    for _ in range(12):
        text = '{"next": ' + text + "}"

    output = output_of(schema)

    assert output.strict_schema is not None
    assert "null" not in repr(output.validate(text))
