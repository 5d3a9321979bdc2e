"""Promises about forms of answers: what is asked for, and what comes of an answer."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import pickle
import typing
import uuid
from decimal import Decimal
from typing import Any, Literal

import pydantic
import pytest
import typing_extensions

from llmnb.errors import ConfigurationError, SchemaMismatch
from llmnb.schemas import Output, output_of


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Person(pydantic.BaseModel):
    name: str
    age: int | None = None


class Review(pydantic.BaseModel):
    """What a customer thinks."""

    title: str
    stars: int = pydantic.Field(ge=1, le=5, description="From one to five.")
    price: float | None = None
    is_angry: bool = False
    mood: Mood = Mood.GOOD
    tags: list[str] = []
    author: Person | None = None


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.0


class Song(typing.TypedDict):
    title: str
    year: typing.NotRequired[int]


class Album(typing.TypedDict, total=False):
    songs: list[Song]
    after: Album | None


class Newer(typing_extensions.TypedDict):
    title: str


class Node(pydantic.BaseModel):
    label: str
    children: list[Node] = []


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)

    day: datetime.date
    mood: Mood


RAW = {
    "title": "A review!",
    "type": "object",
    "properties": {"stars": {"type": "integer", "minimum": 1}, "note": {"type": "string"}},
    "required": ["stars"],
}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Review, '{"title": "A", "stars": 5}', Review(title="A", stars=5)),
        (Point, '{"x": 1, "y": 2}', Point(1, 2.0)),
        (Song, '{"title": "A"}', {"title": "A"}),
        (
            Album,
            '{"songs": [{"title": "A", "year": 1}], "after": {"songs": []}}',
            {"songs": [{"title": "A", "year": 1}], "after": {"songs": []}},
        ),
        (Newer, '{"title": "A"}', {"title": "A"}),
        (list[Song], '{"value": [{"title": "A"}]}', [{"title": "A"}]),
        (Song | None, '{"value": null}', None),
        (str, '{"value": "A"}', "A"),
        (int, '{"value": 3}', 3),
        (float, '{"value": 3}', 3.0),
        (bool, '{"value": true}', True),
        (list[int], '{"value": [1, 2]}', [1, 2]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (Literal["a", "b"], '{"value": "b"}', "b"),
        (Mood, '{"value": "bad"}', Mood.BAD),
        (int | None, '{"value": null}', None),
        (Person | Point, '{"value": {"x": 1}}', Point(1)),
        (("good", "bad"), '{"value": "good"}', "good"),
        ([1, 2], '{"value": 2}', 2),
        (tuple[int, str], '{"value": [1, "a"]}', (1, "a")),
        (datetime.date, '{"value": "2026-01-02"}', datetime.date(2026, 1, 2)),
        (Decimal, '{"value": "1.10"}', Decimal("1.10")),
        (Strict, '{"day": "2026-01-02", "mood": "good"}', Strict.model_validate_json(
            '{"day": "2026-01-02", "mood": "good"}')),
        (Node, '{"label": "a", "children": [{"label": "b"}]}', Node(
            label="a", children=[Node(label="b")])),
        (RAW, '{"stars": 1}', {"stars": 1}),
        ({"type": "array", "items": {"type": "integer"}}, '{"value": [1]}', [1]),
        ({"enum": ["a", None]}, '{"value": null}', None),
        ({}, '{"value": [1, {}]}', [1, {}]),
        (Any, '{"value": 1}', 1),
    ],
)  # fmt: skip
def test_an_answer_becomes_what_was_asked_for(kind, text, value):
    """
    Models, dataclasses, TypedDicts, plain and generic types, enums, labels and JSON schemas.
    """
    output = output_of(kind)

    result = output.validate(text)

    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize("kind", [Review, Point, Song, int, list[Song], ("a", "b"), RAW, Node, {}])
def test_every_schema_has_an_object_at_its_root(kind):
    """
    Providers accept nothing else; what is none is wrapped.
    """
    output = output_of(kind)

    assert output.json_schema["type"] == "object"
    if output.is_wrapped:
        assert output.json_schema["required"] == ["value"]


def test_references_of_a_wrapped_schema_still_lead_where_they_led():
    """
    Also those to the root of what was given, which has moved.
    """
    nested = {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#"}}]}
    output = output_of(nested)

    assert output.validate('{"value": [1, [2, [3]]]}') == [1, [2, [3]]]
    items = output.json_schema["properties"]["value"]["anyOf"][1]["items"]
    assert items == {"$ref": "#/properties/value"}


def test_descriptions_reach_the_model_and_repeated_names_do_not():
    """
    A title that only repeats the field's name would cost tokens in every request.
    """
    schema = output_of(Review).json_schema

    assert schema["description"] == "What a customer thinks."
    assert schema["properties"]["stars"]["description"] == "From one to five."
    assert "title" not in schema["properties"]["stars"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Review, "Review"),
        (list[Review], "answer"),
        (int, "answer"),
        (RAW, "A_review"),
        ({"title": "ж" * 90, "type": "object"}, "answer"),
        ({"title": "a b" * 90, "type": "object"}, ("a_b" * 90)[:64]),
        ({"title": 7, "type": "object"}, None),
    ],
)
def test_a_name_is_such_as_providers_accept(kind, name):
    """
    Letters, digits, underscores and dashes, at most 64 of them.
    """
    if name is None:
        with pytest.raises(ConfigurationError):
            output_of(kind)
    else:
        assert output_of(kind).name == name


# ------------------------------------------------------------------------------- columns


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (
            Review,
            (
                ("title", "string"),
                ("stars", "Int64"),
                ("price", "Float64"),
                ("is_angry", "boolean"),
                ("mood", "category"),
                ("tags", "object"),
                ("author", "object"),
            ),
        ),
        (Point, (("x", "Int64"), ("y", "Float64"))),
        (Song, (("title", "string"), ("year", "Int64"))),
        (RAW, (("stars", "Int64"), ("note", "string"))),
        (int | float, (("value", "Float64"),)),
        (int | str, (("value", "object"),)),
        (Literal["a"] | None, (("value", "category"),)),
        (Literal["a"] | str, (("value", "string"),)),
        (Literal[1, 2], (("value", "Int64"),)),
        (Literal[1, "a"], (("value", "object"),)),
        (Decimal, (("value", "decimal"),)),
        (datetime.date, (("value", "date"),)),
        (datetime.datetime | None, (("value", "datetime64[us]"),)),
        (pydantic.AwareDatetime, (("value", "datetime64[us, UTC]"),)),
        (datetime.date | datetime.datetime, (("value", "datetime64[us]"),)),
        (datetime.timedelta, (("value", "timedelta64[us]"),)),
        (datetime.time, (("value", "time"),)),
        (datetime.date | str, (("value", "string"),)),
        (uuid.UUID, (("value", "string"),)),
        ({"type": ["string", "null"], "format": "date"}, (("value", "date"),)),
        ({"type": "string", "format": "email"}, (("value", "string"),)),
        (dict[str, int], (("value", "object"),)),
        (Any, (("value", "object"),)),
        (("good", "bad"), (("value", "category"),)),
        ({"const": True}, (("value", "boolean"),)),
        (Node, (("label", "string"), ("children", "object"))),
    ],
)
def test_columns_have_the_kinds_that_pandas_holds_with_gaps(kind, fields):
    """
    One column a field; one called value where there are none.
    """
    assert output_of(kind).fields == fields


def test_columns_hold_plain_values_under_the_fields_own_names():
    """
    Aliases are for the model; enums, dates and models become what JSON has.
    """

    class Aliased(pydantic.BaseModel):
        first: str = pydantic.Field(alias="Given name")
        day: datetime.date
        mood: Mood
        who: Person

    output = output_of(Aliased)
    value = output.validate(
        '{"Given name": "A", "day": "2026-01-02", "mood": "bad", "who": {"name": "B"}}'
    )

    assert "Given name" in output.json_schema["properties"]
    assert [name for name, _ in output.fields] == ["first", "day", "mood", "who"]
    assert output.as_mapping(value) == {
        "first": "A",
        "day": "2026-01-02",
        "mood": "bad",
        "who": {"name": "B", "age": None},
    }


@pytest.mark.parametrize(
    ("kind", "text", "columns"),
    [
        (Song, '{"title": "A"}', {"title": "A", "year": None}),
        (RAW, '{"stars": 2, "more": 1}', {"stars": 2, "note": None}),
        (dict[str, int], '{"a": 1}', {"value": {"a": 1}}),
        (list[int], "[1]", {"value": [1]}),
        (Mood, '"bad"', {"value": "bad"}),
        (Person | None, "null", {"value": None}),
    ],
)
def test_every_column_is_filled(kind, text, columns):
    """
    What is missing is None, what has no column is left out.
    """
    output = output_of(kind)

    assert output.as_mapping(output.validate(text)) == columns


def test_computed_fields_are_columns_and_nothing_a_model_is_asked_for():
    """
    The schema of what is written and that of what is shown differ.
    """

    class Box(pydantic.BaseModel):
        side: int

        @pydantic.computed_field
        @property
        def area(self) -> int:
            return self.side**2

    output = output_of(Box)

    assert list(output.json_schema["properties"]) == ["side"]
    assert output.as_mapping(output.validate('{"side": 3}')) == {"side": 3, "area": 9}


# ------------------------------------------------------------------------------- faults


def test_faults_are_named_with_their_path_and_the_text_is_kept():
    """
    A model can mend what it is told; a person can read what was paid for.
    """
    text = '{"title": 3, "stars": 9, "author": {"age": "old"}}'

    with pytest.raises(SchemaMismatch) as caught:
        output_of(Review).validate(text)

    message = str(caught.value)
    assert "'Review'" in message
    assert "title: input should be a valid string (it is 3)" in message
    assert "stars: input should be less than or equal to 5" in message
    assert "author.name: field required" in message
    assert caught.value.raw == text.encode()
    assert caught.value.body == text
    assert caught.value.maybe_billed
    assert pickle.loads(pickle.dumps(caught.value)).raw == text.encode()


def test_faults_of_a_json_schema_are_named_with_their_path():
    """
    The same promise for schemas that no Python type stands for.
    """
    schema = {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": {"properties": {"price": {"type": "number"}}}}
        },
        "required": ["total"],
    }

    with pytest.raises(SchemaMismatch) as caught:
        output_of(schema).validate('{"items": [{"price": 1}, {"price": "cheap"}]}')

    assert "items[1].price: 'cheap' is not of type 'number'" in str(caught.value)
    assert "'total' is a required property" in str(caught.value)


@pytest.mark.parametrize("kind", [list[int], {"type": "array", "items": {"type": "integer"}}])
def test_a_thousand_faults_make_a_short_message(kind):
    """
    The first few are named, the rest counted.
    """
    text = '{"value": [' + ",".join(['"a\\n"'] * 1000) + "]}"

    with pytest.raises(SchemaMismatch) as caught:
        output_of(kind).validate(text)

    lines = str(caught.value).splitlines()
    assert len(lines) <= 10
    assert "more faults" in lines[-1]
    assert max(map(len, lines)) < 250


def test_a_validator_that_breaks_is_a_fault_of_the_row():
    """
    A caller's own code must not end a run.
    """

    class Odd(pydantic.BaseModel):
        name: str

        @pydantic.field_validator("name")
        @classmethod
        def look(cls, name: str) -> str:
            return {"known": name}[name]

    with pytest.raises(SchemaMismatch, match="KeyError"):
        output_of(Odd).validate('{"name": "x"}')


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "string",
        b"",
        3,
        (),
        [],
        ((1.5,)),
        {"name": str},
        {1: object()},
        {"type": "text"},
        {"properties": []},
        {"$ref": "#/$defs/Missing"},
        {"$ref": "#"},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"properties": {"a": {"$ref": "other.json#/a"}}},
        {"pattern": "("},
        lambda: None,
        print,
        open,
        type("Strange", (), {}),
        typing.Callable[[int], int],
        float("nan"),
    ],
)
def test_what_describes_no_answer_is_refused_before_anything_is_sent(kind):
    """
    The caller can fix it, and is told how; nothing is ever fetched.
    """
    with pytest.raises(ConfigurationError, match="Nothing was sent"):
        output_of(kind)


def test_a_schema_that_holds_itself_is_refused():
    """
    Python can tie such a knot; JSON cannot.
    """
    knot: dict[str, Any] = {"type": "object", "properties": {}}
    knot["properties"]["again"] = knot

    with pytest.raises(ConfigurationError):
        output_of(knot)


@pytest.mark.parametrize("levels", [90, 200, 5000, 100_000])
def test_deeply_nested_schemas_end_with_an_error(levels):
    """
    Neither a crash nor a RecursionError.
    """
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}

    if levels > 100:
        with pytest.raises(ConfigurationError):
            output_of(schema)
    else:
        assert output_of(schema).strict_schema is None
    while "items" in schema:  # taken apart by hand: so deep a knot is no fun for the interpreter
        schema = schema.pop("items")


def test_the_callers_schema_is_neither_changed_nor_kept():
    """
    What the caller does with it afterwards stays with the caller.
    """
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **RAW}
    before = repr(schema)

    output = output_of(schema)
    schema["properties"] = {}

    assert output.fields
    assert "$schema" not in output.json_schema
    assert before.startswith("{'$schema'")


def test_an_older_draft_is_checked_by_its_own_rules():
    """
    ``$schema`` says which.
    """
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"A": {"type": "integer"}},
        "type": "object",
        "properties": {"pair": {"items": [{"$ref": "#/definitions/A"}, {"type": "string"}]}},
    }
    output = output_of(schema)

    assert output.validate('{"pair": [1, "a"]}') == {"pair": [1, "a"]}
    with pytest.raises(SchemaMismatch):
        output.validate('{"pair": ["a", "a"]}')


def test_an_output_stays_itself():
    """
    Whoever has one may hand it on.
    """
    output = output_of(int)

    assert output_of(output) is output
    assert repr(output) == "<Output answer (value: Int64)>"


def test_an_output_travels_between_processes():
    """
    It is made anew from what it was made from.
    """
    output = pickle.loads(pickle.dumps(output_of(Review)))

    assert isinstance(output, Output)
    assert output.validate('{"title": "A", "stars": 1}').stars == 1


def test_a_large_integer_keeps_its_digits():
    """
    No float stands between the text and the value.
    """
    assert output_of(int).validate('{"value": 123456789012345678901}') == 123456789012345678901


def test_items_that_repeat_are_noticed_in_a_single_pass():
    """
    Also where they are objects, whose keys have no order.
    """
    output = output_of({"type": "array", "uniqueItems": True})

    with pytest.raises(SchemaMismatch, match="repeat"):
        output.validate('[{"a": 1, "b": 2}, {"b": 2, "a": 1}]')
    many = "[" + ",".join(f'{{"a":{i}}}' for i in range(20_000)) + "]"
    assert len(output.validate(many)) == 20_000


def test_a_pattern_that_backtracks_for_ever_elsewhere_ends():
    """
    The engine that reads patterns does not backtrack where it need not.
    """
    output = output_of({"type": "object", "properties": {"a": {"pattern": "^(a+)+$"}}})

    with pytest.raises(SchemaMismatch, match="pattern"):
        output.validate('{"a": "' + "a" * 100_000 + 'b"}')


def test_a_pattern_that_looks_ahead_is_understood():
    """
    What one engine cannot do the other does.
    """
    output = output_of({"type": "object", "properties": {"a": {"pattern": "^(?!b)"}}})

    assert output.validate('{"a": "c"}') == {"a": "c"}
    with pytest.raises(SchemaMismatch):
        output.validate('{"a": "b"}')
