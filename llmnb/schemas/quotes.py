"""Answers that bring, with each field, the words of the text that it was taken from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmnb.errors import ConfigurationError
from llmnb.schemas import finding, parts
from llmnb.schemas.faults import Misfit
from llmnb.schemas.output import Output, Reader
from llmnb.schemas.parts import WRAPPER, Schema

INSTRUCTIONS = (
    "Before each field there is one more, whose name ends in _quote: the words of the text that "
    "say what the field says, copied exactly and without a change; of a list one quote for each "
    "item, in their order. It is null where the text says nothing of it. Every quote is looked up "
    "in the text."
)
"""What models are told of quotes."""


def quote_name(name: str) -> str:
    """Return the name of the field that has a field's quote."""
    return f"{name}_quote"


def supported_name(name: str) -> str:
    """Return the name of the column that tells whether a field's quote was found."""
    return f"{name}_supported"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class QuotedOutput(Output):
    """A form of answers with a quote for each field; `quoted` makes them."""

    plain: Output
    """The form without quotes."""

    quoted_fields: Sequence[str]
    """Columns that have a quote: all that the model itself writes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return quoted, (self.plain,)

    def field_of(self, quote: str) -> str | None:
        """Return the column whose quote a column holds; None where it holds none."""
        return next((name for name in self.quoted_fields if quote_name(name) == quote), None)

    def _candidates(self, text: str) -> Iterator[Any]:
        for document in finding.documents(text):
            yield (
                parts.without_filler_nulls(document, self.json_schema)
                if "null" in text
                else document
            )


def quoted(output: Output) -> QuotedOutput:
    """Return a form of answers in which each field has the words that it was taken from.

    A field `x` gets another one before it, `x_quote`: a text or null, or of a list or an object a
    list of texts. Its value is a dict. What is no object with named fields stands in one field,
    `value`. Fields that are computed from others have no quote.

    Raises:
        ConfigurationError: If a field has such a name already.

    Example:
        >>> from llmnb.schemas import output_of
        >>> output = quoted(output_of(int))
        >>> output.validate('{"value_quote": "seven apples", "value": 7}')
        {'value': 7, 'value_quote': 'seven apples'}
        >>> output.fields
        (('value', 'Int64'), ('value_quote', 'string'))
    """
    is_single = output.is_wrapped or not output.has_fields
    root = output.json_schema
    if is_single and not output.is_wrapped:
        root = parts.wrap(root)
    names = {WRAPPER: WRAPPER} if is_single else _columns(output, root["properties"])
    _refuse_taken(names, root["properties"], [name for name, _ in output.fields])
    properties: Schema = {}
    for name, schema in root["properties"].items():
        if name in names:
            properties[quote_name(name)] = _quote_schema(schema, root)
        properties[name] = schema
    schema = {
        **root,
        "properties": properties,
        "required": [*root.get("required", ()), *map(quote_name, names)],
    }
    lists = {name for name in names if _is_list(properties[quote_name(name)])}
    value_schema = parts.wrap(output.value_schema) if is_single else dict(output.value_schema)
    value_schema["properties"] = columns = dict[str, Any]()
    for column, _ in output.fields:
        columns[column] = output.column_schema(column)
        for name in [name for name, of in names.items() if of == column]:
            columns[quote_name(column)] = properties[quote_name(name)]
    return QuotedOutput(
        kind=output.kind,
        name=output.name,
        json_schema=schema,
        is_wrapped=is_single,
        value_schema=value_schema,
        reader=_QuotedReader(output.reader, names, lists, is_single=is_single),
        plain=output,
        quoted_fields=tuple(names.values()),
    )


def _columns(output: Output, properties: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields that a model writes, each with the column that it fills."""
    columns = {name for name, _ in output.fields}
    names = {name: name for name in properties if name in columns}
    # A field of pydantic's is written under its alias, and fills a column of its own name.
    known = getattr(output.kind, "__pydantic_fields__", {})
    for column, field in known.items():
        aliases = [field.alias, *getattr(field.validation_alias, "choices", ())]
        for name in properties:
            if (name in aliases or name == field.validation_alias) and column in columns:
                names.setdefault(name, column)
    return {name: names[name] for name in properties if name in names}


def _refuse_taken(
    names: Mapping[str, str], properties: Mapping[str, Any], columns: Sequence[str]
) -> None:
    taken = {*properties, *columns}
    for name, column in names.items():
        for own in (quote_name(name), quote_name(column), supported_name(column)):
            if own in taken:
                raise ConfigurationError(
                    f"quotes=True makes {own!r} for the field {column!r}, and the schema has a "
                    "field of that name: rename it, or leave it out. Nothing was sent."
                )


def _quote_schema(schema: Any, root: Mapping[str, Any]) -> Schema:
    has_parts = any(
        kind in ("array", "object")
        for branch in parts.alternatives([schema], root)
        for kind in parts.types_of(branch)
    )
    text: Schema = {"type": "string"}
    return {"anyOf": [{"type": "array", "items": text} if has_parts else text, {"type": "null"}]}


class _QuotedReader:
    """Reads the quotes apart from the rest, which the form's own reader reads."""

    def __init__(
        self, plain: Reader, names: Mapping[str, str], lists: set[str], *, is_single: bool
    ) -> None:
        self._plain = plain
        self.schema, self.plain_schema = self._plain.schema, self._plain.plain_schema
        self.has_code = self._plain.has_code
        self._names = names
        self._lists = lists
        self._is_single = is_single

    def read(self, document: Any) -> dict[str, Any]:
        """Return the fields and their quotes by the names of their columns.

        Raises:
            Misfit: If a field does not fit, or a quote is no text.
        """
        quotes = dict.fromkeys(map(quote_name, self._names.values()))
        if isinstance(document, dict) and (not self._is_single or WRAPPER in document):
            rest = dict(document)
            for name, column in self._names.items():
                quotes[quote_name(column)] = self._quote(name, rest.pop(quote_name(name), None))
            document = rest[WRAPPER] if self._is_single else rest
        value = self._plain.plain(self._plain.read(document))
        if self._is_single:
            return {WRAPPER: value, **quotes}
        if not isinstance(value, dict):  # a schema may name properties and allow other values
            raise Misfit(["the whole: is no object"])
        return {**value, **quotes}

    def _quote(self, name: str, quote: Any) -> Any:
        if name in self._lists and isinstance(quote, str):
            quote = [quote]
        texts = quote if name in self._lists and isinstance(quote, list) else [quote]
        if not all(isinstance(text, str | None) for text in texts):
            raise Misfit([f"{quote_name(name)}: is no text"])
        return quote

    def plain(self, value: Any) -> Any:
        """Return the value: it is JSON already."""
        return value


def _is_list(quote: Schema) -> bool:
    return bool(quote["anyOf"][0]["type"] == "array")
