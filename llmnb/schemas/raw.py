"""Answers described by a JSON schema: the door to the package jsonschema.

Nothing is ever fetched: references that lead out of the schema are refused
before anything is sent. Two keywords are checked by means of our own, so that
no answer can take for ever: ``pattern`` by an engine that does not backtrack
where it knows the pattern, ``uniqueItems`` in one pass.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import orjson
import referencing
from jsonschema import exceptions, validators
from pydantic import StringConstraints, TypeAdapter, ValidationError

from llmnb.errors import ConfigurationError
from llmnb.schemas import parts
from llmnb.schemas.faults import Misfit, single_line
from llmnb.schemas.finding import MAX_DEPTH, is_deeper
from llmnb.schemas.parts import Schema

_MOST_LOOKED_AT = 50
"""Faults after which an answer is not looked through any further."""

_Search = Callable[[str], bool]


class Raw:
    """Checks answers against one JSON schema."""

    __slots__ = ("_validator", "plain_schema", "schema")

    has_code = False

    def __init__(self, schema: Mapping[str, Any]) -> None:
        copied = _copy_of(schema)
        kind: Any = validators.validator_for(copied, default=validators.Draft202012Validator)
        _check(kind, copied)
        patterns = {node["pattern"] for node in parts.every(copied) if "pattern" in node}
        searches = {pattern: _pattern_search(pattern) for pattern in patterns}

        def pattern(_: Any, text: str, instance: Any, __: Any) -> Iterator[Any]:
            if isinstance(instance, str) and not searches[text](instance):
                yield exceptions.ValidationError(f"it does not match the pattern {text!r}")

        extend: Any = validators.extend
        checking = extend(kind, {"pattern": pattern, "uniqueItems": _check_unique})
        self._validator = checking(copied, registry=referencing.Registry())
        self.schema = parts.at_root(copied)
        self.plain_schema = self.schema

    def read(self, document: Any) -> Any:
        """Return the document itself.

        Raises:
            Misfit: If it does not fit.
        """
        try:
            errors = itertools.islice(self._validator.iter_errors(document), _MOST_LOOKED_AT)
            faults = [_fault(exceptions.best_match([error]) or error) for error in errors]
        except BaseException as error:
            # A schema that leads to itself: at the end of the stack the checking package's Rust
            # may meet it first, whose panics are a BaseException that cannot be imported.
            if isinstance(error, RecursionError) or type(error).__name__ == "PanicException":
                faults = ["the whole: is nested too deeply to be checked"]
            elif isinstance(error, Exception):  # a keyword the check itself stumbles over
                kind = type(error).__name__
                faults = [f"its check failed: {kind}: {single_line(str(error), 100)}"]
            else:
                raise
        if faults:
            raise Misfit(faults)
        return document

    def plain(self, value: Any) -> Any:
        """Return the value: it is JSON already."""
        return value


def _copy_of(schema: Mapping[str, Any]) -> Schema:
    try:
        text = json.dumps(dict(schema), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        cause = single_line(str(error), 120)
    else:
        copied: Schema = json.loads(text)
        if not is_deeper(copied, MAX_DEPTH):
            return copied
        cause = f"nested more than {MAX_DEPTH} levels deep"
    raise ConfigurationError(
        f"The dict given as schema is no JSON schema ({cause}). A dict of types such as "
        "{'name': str} is written as a TypedDict, a dataclass or a pydantic model. "
        "Nothing was sent."
    )


def _check(kind: Any, schema: Schema) -> None:
    try:
        fault = exceptions.best_match(kind(kind.META_SCHEMA).iter_errors(schema))
    except RecursionError:
        raise ConfigurationError(
            "The JSON schema is nested too deeply to be checked. Nothing was sent."
        ) from None
    if fault is not None:
        raise ConfigurationError(
            f"The dict given as schema is no JSON schema: {_fault(fault)}. Nothing was sent."
        )
    if schema and not schema.keys() & kind.VALIDATORS.keys():
        first = single_line(next(iter(schema)), 40)
        meant = {"type": "object", "properties": {first: {"type": "string"}}}
        how = f"Fields are written as {meant}, or as a TypedDict, a dataclass or a pydantic model."
        if isinstance(schema.get("schema"), dict):  # as OpenAI's response_format has it
            how = "Give what stands under its 'schema'."
        raise ConfigurationError(
            f"The dict given as schema says nothing of the answer: {first!r} is no keyword of JSON "
            f"Schema that does. {how} Nothing was sent."
        )
    for node in parts.every(schema):
        for name in ("$ref", "$dynamicRef", "$recursiveRef"):
            if name in node and parts.target(node[name], schema) is None:
                # An anchor for $dynamicRef is found by the checking package itself.
                if name == "$dynamicRef" and str(node[name]).startswith("#"):
                    continue
                raise ConfigurationError(
                    f"The schema refers to {single_line(str(node[name]), 80)!r}, which is not in "
                    "it; nothing is ever fetched. Put what is meant under $defs. Nothing was sent."
                )


def _pattern_search(pattern: str) -> _Search:
    try:
        adapter: TypeAdapter[str] = TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
    except Exception:  # it looks around or back, which only the other engine can
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise ConfigurationError(
                f"The schema's pattern {single_line(pattern, 80)!r} cannot be read: {error}. "
                "Nothing was sent."
            ) from None
        return lambda text: compiled.search(text) is not None

    def matches(text: str) -> bool:
        try:
            adapter.validate_python(text)
        except ValidationError:
            return False
        return True

    return matches


def _check_unique(_: Any, is_wanted: bool, instance: Any, __: Any) -> Iterator[Any]:
    if not is_wanted or not isinstance(instance, list):
        return
    met = set()
    for value in instance:
        try:
            mark = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:
            mark = json.dumps(value, sort_keys=True).encode()
        if mark in met:
            yield exceptions.ValidationError(f"its items repeat {single_line(mark.decode(), 60)}")
            return
        met.add(mark)


def _fault(error: Any) -> str:
    path = str(error.json_path).removeprefix("$").removeprefix(".") or "the whole"
    return f"{single_line(path, 80)}: {single_line(error.message, 110)}"
