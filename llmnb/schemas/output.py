"""A form of answers: how it is asked for, and how an answer is read into it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import orjson

from llmnb.errors import ConfigurationError
from llmnb.schemas import finding, parts
from llmnb.schemas.faults import Misfit, faults_in, mismatch
from llmnb.schemas.parts import WRAPPER, Field, Schema
from llmnb.schemas.strict import strict_schema

MAX_ANSWER = 1_000_000
"""Characters beyond which an answer is not read: some 250,000 tokens."""

REPAIR = "That answer cannot be used:"
"""How the turn begins that asks to mend an answer; the answer stands before it, and before that
what was asked."""

MAX_BAD_ANSWER = 4000
"""Characters of a bad answer that are shown to the model again."""

_WRAPPED = {WRAPPER}
_STARTS_JSON = ("{", "[", '"', "```")
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")


class Reader(Protocol):
    """Knows one schema and reads what fits it."""

    schema: Schema
    """The schema of what models are to write."""

    plain_schema: Schema
    """The schema of what `plain` returns, in which the fields have the names of columns."""

    has_code: bool
    """Whether `read` runs code of the caller's."""

    def read(self, document: Any) -> Any:
        """Return the value that a JSON document means; raises `Misfit`."""

    def plain(self, value: Any) -> Any:
        """Return a value as JSON has it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Output:
    """One form of answers. `output_of` makes them."""

    kind: Any
    """What it was made from."""

    name: str
    """A name that providers accept as a function's: letters, digits, ``_`` and ``-``."""

    json_schema: Schema
    """JSON Schema of what the model is to write; its root is an object."""

    is_wrapped: bool
    """Whether the value stands in ``{"value": …}``, being no object itself."""

    value_schema: Schema
    """JSON Schema of what fills the columns; fields that are computed stand in it, too."""

    reader: Reader
    """Reads what fits."""

    @cached_property
    def strict_schema(self) -> Schema | None:
        """`json_schema` in the part of JSON Schema that OpenAI enforces; None where it has none."""
        return strict_schema(self.json_schema)

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """Columns that an answer fills, each with what it holds."""
        return parts.columns_of(self.value_schema)

    @cached_property
    def has_fields(self) -> bool:
        """Whether each field fills a column; else the whole value fills one."""
        return parts.has_fields(self.value_schema)

    @property
    def has_code(self) -> bool:
        """Whether reading an answer runs code of the caller's, such as a validator."""
        return self.reader.has_code

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}: {kind}" for name, kind in self.fields)
        return f"<Output {self.name} ({inner})>"

    def __reduce__(self) -> tuple[Any, ...]:
        return output_of, (self.kind,)

    def validate(self, text: str) -> Any:
        """Return the value that an answer means.

        The JSON may stand in a fence or between words, and may lack its wrapper.

        Raises:
            SchemaMismatch: If there is none in it, or none that fits. Its text
                is kept and the faults are named so that a model can mend them.

        Example:
            >>> output_of(list[int]).validate('Sure: {"value": [1, 2]}')
            [1, 2]
        """
        if len(text) > MAX_ANSWER:
            long = f"it has {len(text):,} characters; more than {MAX_ANSWER:,} are not read"
            raise mismatch(self.name, text, [long])
        try:
            return finding.fitting(text, self._candidates(text), self.reader.read)
        except Misfit as misfit:
            faults = misfit.faults
        bare = finding.without_thoughts(text)
        if self.is_wrapped and bare and not bare.startswith(_STARTS_JSON):
            # A label, a date or a sentence needs no JSON to be understood.
            try:
                return self.reader.read(bare)
            except Misfit:
                pass  # what was wrong with the JSON is said below
        raise mismatch(self.name, text, faults) from None

    def _candidates(self, text: str) -> Iterator[Any]:
        for document in finding.documents(text):
            if self.is_wrapped and isinstance(document, dict) and document.keys() == _WRAPPED:
                yield self._without_filler_nulls(document[WRAPPER], text)
            yield self._without_filler_nulls(document, text)

    def _without_filler_nulls(self, document: Any, text: str) -> Any:
        if "null" not in text:
            return document
        root = self.json_schema
        return parts.without_filler_nulls(
            document, root, root["properties"][WRAPPER] if self.is_wrapped else root
        )

    def column_schema(self, name: str) -> Any:
        """Return the JSON schema of a column's values; it refers to parts of `value_schema`."""
        return self.value_schema["properties"][name] if self.has_fields else self.value_schema

    def as_mapping(self, value: Any) -> dict[str, Any]:
        """Return what each column of `fields` holds for a value, None where it is missing.

        Example:
            >>> output_of(("good", "bad")).as_mapping("good")
            {'value': 'good'}
        """
        plain = self.reader.plain(value)
        if not self.has_fields or not isinstance(plain, dict):
            return {WRAPPER: plain}
        return {name: plain.get(name) for name, _ in self.fields}


def output_of(kind: Any) -> Output:
    """Return the form of answers that something describes.

    Args:
        kind: A pydantic model, a dataclass, a TypedDict, any type that pydantic
            knows (``int``, ``list[str]``, ``Literal[…]``, an enum, ``X | None``),
            a tuple or list of labels, or a JSON schema as a dict.

    Raises:
        ConfigurationError: If it describes none.

    Example:
        >>> output = output_of({"type": "object", "properties": {"stars": {"type": "integer"}}})
        >>> output.fields, output.validate('{"stars": 5}')
        ((('stars', 'Int64'),), {'stars': 5})
    """
    if isinstance(kind, Output):
        return kind
    reader = _reader(kind)
    root, plain = parts.at_root(reader.schema), parts.at_root(reader.plain_schema)
    is_wrapped = not parts.is_object(root)
    return Output(
        kind=kind,
        name=_name(kind, root),
        json_schema=parts.wrap(root) if is_wrapped else root,
        is_wrapped=is_wrapped,
        value_schema=plain,
        reader=reader,
    )


def _reader(kind: Any) -> Reader:
    # Both packages take a while to import, so each is met only when it is needed.
    if isinstance(kind, Mapping):
        from llmnb.schemas.raw import Raw

        return Raw(kind)
    from llmnb.schemas.typed import Typed

    if isinstance(kind, (tuple, list)):
        return Typed(_literal(kind))
    if kind is None or isinstance(kind, (str, bytes, int, float)) or inspect.isroutine(kind):
        raise ConfigurationError(
            f"schema is {type(kind).__name__}, which describes no answer. Give a pydantic model, "
            "a dataclass, a TypedDict, a type such as int or list[str], a tuple of labels or a "
            "JSON schema. Nothing was sent."
        )
    return Typed(kind)


def _literal(labels: tuple[Any, ...] | list[Any]) -> Any:
    if not labels or not all(isinstance(label, (str, int)) for label in labels):
        raise ConfigurationError(
            "Labels must be texts or whole numbers, at least one of them, such as "
            "('good', 'bad'). Nothing was sent."
        )
    return Literal[tuple(labels)]


def _name(kind: Any, root: Mapping[str, Any]) -> str:
    if isinstance(kind, Mapping):
        name = root.get("title")
    else:
        is_own = isinstance(kind, type) and kind.__module__ != "builtins"
        name = kind.__name__ if is_own else None
    text = _NO_NAME.sub("_", name if isinstance(name, str) else "").strip("_")
    return text[:64] or "answer"


# ------------------------------------------------------------------------------ asking


def response_format(output: Output) -> dict[str, Any]:
    """Return the field ``response_format`` of OpenAI's protocol.

    Where the schema cannot be enforced strictly it is sent as it is, not strict.

    Example:
        >>> wanted = response_format(output_of(int))
        >>> wanted["json_schema"]["name"], wanted["json_schema"]["strict"]
        ('answer', True)
    """
    is_strict = output.strict_schema is not None
    inner = {
        "name": output.name,
        "schema": output.strict_schema if is_strict else output.json_schema,
        "strict": is_strict,
    }
    return {"type": "json_schema", "json_schema": inner}


def instruction(output: Output) -> str:
    """Return the words that ask for an answer where a server has no schema mode.

    Example:
        >>> print(instruction(output_of(("good", "bad"))))
        Answer with JSON only: one JSON object, no words around it, no code fence.
        The object must fit this JSON Schema:
        {"type":"object","properties":{"value":{"enum":["good","bad"],"type":"string"}},...
    """
    schema = orjson.dumps(output.json_schema).decode()
    return (
        "Answer with JSON only: one JSON object, no words around it, no code fence.\n"
        f"The object must fit this JSON Schema:\n{schema}"
    )


def repair_messages(
    messages: Sequence[Mapping[str, Any]], bad_text: str, error: Exception | str
) -> list[dict[str, Any]]:
    """Return the conversation that asks a model to mend its answer.

    Args:
        messages: What was asked; not changed.
        bad_text: What the model answered; a long one is shown in part.
        error: What was wrong with it.

    Example:
        >>> [turn["role"] for turn in repair_messages([{"role": "user"}], "5 stars", "no JSON")]
        ['user', 'assistant', 'user']
    """
    faults = "\n".join(f"- {fault}" for fault in faults_in(error))
    request = (
        f"{REPAIR}\n{faults}\n"
        "Give the whole answer again with this put right: one JSON document that fits the "
        "schema, no words around it, no code fence."
    )
    return [
        *(dict(message) for message in messages),
        {"role": "assistant", "content": _excerpt(bad_text)},
        {"role": "user", "content": request},
    ]


def _excerpt(text: str) -> str:
    if not text.strip():
        return "(nothing)"  # some providers refuse a turn without text
    if len(text) <= MAX_BAD_ANSWER:
        return text
    half = MAX_BAD_ANSWER // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n[… {left_out:,} characters left out …]\n{text[-half:]}"
