"""Promises of forms with quotes: what they ask for, and what they read."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from pydantic import AliasChoices, BaseModel, Field, computed_field

from llmnb.errors import ConfigurationError, SchemaMismatch
from llmnb.schemas import output_of, quoted


class Item(BaseModel):
    """A line of an order."""

    name: str
    price: float | None = None


class Order(BaseModel):
    """A field with an alias, an optional one, a list of objects, a computed one."""

    buyer: str = Field(alias="Buyer")
    day: str | None = None
    items: list[Item] = []

    @computed_field  # type: ignore[prop-decorator]
    @property
    def size(self) -> int:
        """The number of items."""
        return len(self.items)


def test_each_field_that_a_model_writes_has_its_quote_before_it():
    """
    Under its alias in the schema, under its own name among the columns; a list has several.
    """
    output = quoted(output_of(Order))
    assert list(output.json_schema["properties"]) == [
        *("Buyer_quote", "Buyer", "day_quote", "day", "items_quote", "items"),
    ]
    assert output.strict_schema is not None
    assert output.strict_schema["required"] == list(output.json_schema["properties"])
    assert output.fields == (
        ("buyer", "string"),
        ("buyer_quote", "string"),
        ("day", "string"),
        ("day_quote", "string"),
        ("items", "object"),
        ("items_quote", "object"),
        ("size", "Int64"),
    )


def test_an_answer_is_read_with_its_quotes():
    """
    One that lacks them is read, too: a field without a quote is no error.
    """
    output = quoted(output_of(Order))
    read = output.validate(
        '{"Buyer_quote": "for Ann", "Buyer": "Ann", "items_quote": "a pear", '
        '"items": [{"name": "pear", "price": null}], "day_quote": null, "day": null}'
    )
    assert output.as_mapping(read) == {
        "buyer": "Ann",
        "buyer_quote": "for Ann",
        "day": None,
        "day_quote": None,
        "items": [{"name": "pear", "price": None}],
        "items_quote": ["a pear"],
        "size": 1,
    }
    assert output.validate('{"Buyer": "Ann"}')["buyer_quote"] is None
    with pytest.raises(SchemaMismatch, match="day_quote: is no text"):
        output.validate('{"Buyer": "Ann", "day_quote": {"a": 1}}')
    with pytest.raises(SchemaMismatch, match="Buyer"):
        output.validate('{"Buyer_quote": "for Ann"}')


@pytest.mark.parametrize(
    ("kind", "text", "value", "quote"),
    [
        (int, '{"value_quote": "seven", "value": 7}', 7, "seven"),
        (int, "7", 7, None),
        (("good", "bad"), 'Good, {"value": "good", "value_quote": "so"}', "good", "so"),
        (("good", "bad"), "good", "good", None),
        (int | None, '{"value": null, "value_quote": null}', None, None),
        (list[str], '{"value": ["a"], "value_quote": ["b"]}', ["a"], ["b"]),
        (dict[str, int], '{"value": {"a": 1}, "value_quote": ["b"]}', {"a": 1}, ["b"]),
        (Any, '{"value": true, "value_quote": "b"}', True, "b"),
    ],
    ids=str,
)
def test_what_is_no_object_with_fields_has_a_single_quote(kind, text, value, quote):
    """
    A number, labels, a list, an object with free keys; bare answers are understood.
    """
    output = quoted(output_of(kind))
    assert output.validate(text) == {"value": value, "value_quote": quote}


@pytest.mark.parametrize("text", ["[]", "null", "3", '"x"', '[{"a": 1}]'])
def test_an_answer_without_fields_does_not_fit_a_schema_of_named_fields(text):
    """
    Though a schema that names properties without a type allows it.
    """
    with pytest.raises(SchemaMismatch, match="is no object"):
        quoted(output_of({"properties": {"a": {}}})).validate(text)


@pytest.mark.parametrize("taken", ["a_quote", "a_supported"])
def test_a_field_that_is_called_like_a_quote_is_an_error_that_names_it(taken):
    """
    Before anything is sent; one that stands alone is a field like any other.
    """
    text = {"type": "string"}
    schema = {"type": "object", "properties": {"a": text, taken: text}}
    with pytest.raises(ConfigurationError, match=f"{taken}.*Nothing was sent"):
        quoted(output_of(schema))
    alone = quoted(output_of({"type": "object", "properties": {taken: text}}))
    assert alone.quoted_fields == (taken,)


def test_a_form_with_quotes_travels():
    """
    It is the same after a pickle.
    """
    output = quoted(output_of(("good", "bad")))
    assert pickle.loads(pickle.dumps(output)).json_schema == output.json_schema


def test_a_field_with_several_aliases_has_its_quote():
    """
    The model is asked by the first of them.
    """

    class Sale(BaseModel):
        price: int = Field(validation_alias=AliasChoices("Price", "cost"))

    output = quoted(output_of(Sale))

    assert [name for name, _ in output.fields] == ["price", "price_quote"]
    assert list(output.json_schema["properties"]) == ["Price_quote", "Price"]
