"""Answers described by Python types: pydantic writes the schema and reads the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from llmnb.errors import ConfigurationError
from llmnb.schemas.faults import MAX_FAULTS, Misfit, one_line
from llmnb.schemas.parts import Schema
from llmnb.schemas.typed_dicts import readable


class _WithoutNoise(GenerateJsonSchema):
    """Leaves out titles that only repeat the field's name: they cost tokens in every request."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Tell that no field needs one."""
        return False

    def emit_warning(self, kind: Any, detail: str) -> None:
        """Say nothing of defaults that JSON cannot hold: the schema does without them."""


class Typed:
    """What one Python type makes of answers."""

    __slots__ = ("_adapter", "has_code", "plain_schema", "schema")

    def __init__(self, kind: Any) -> None:
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(readable(kind))
            self.schema = self._schema("validation", by_alias=True)
            self.plain_schema = self._schema("serialization", by_alias=False)
            self.has_code = _has_code(self._adapter.core_schema)
        except RecursionError:
            raise ConfigurationError(
                f"{_named(kind)} is nested too deeply to be a schema. Nothing was sent."
            ) from None
        except Exception as error:  # whatever a foreign class does when it is looked into
            raise ConfigurationError(
                f"{_named(kind)} cannot be the form of an answer: {one_line(str(error), 300)} "
                "Give a pydantic model, a dataclass, a TypedDict, a plain type such as "
                "list[str], a tuple of labels or a JSON schema. Nothing was sent."
            ) from error

    def _schema(self, mode: Any, *, by_alias: bool) -> Schema:
        return self._adapter.json_schema(
            by_alias=by_alias, schema_generator=_WithoutNoise, mode=mode
        )

    def read(self, document: Any) -> Any:
        """Return the value that a JSON document means.

        Raises:
            Misfit: If it does not fit.
        """
        # As JSON again: only then are dates, tuples and enums read by strict models too.
        text = json.dumps(document, ensure_ascii=False)
        try:
            return self._adapter.validate_json(text)
        except ValidationError as error:
            faults = _faults(error)
        except Exception as error:  # a validator of the caller's own; one row must not end a run
            faults = [f"its check failed: {type(error).__name__}: {one_line(str(error), 100)}"]
        raise Misfit(faults)

    def plain(self, value: Any) -> Any:
        """Return a value as JSON has it: dicts, lists, texts, numbers."""
        return self._adapter.dump_python(value, mode="json", by_alias=False, warnings=False)


def _has_code(part: Any) -> bool:
    """Whether a part of pydantic's plan for a type calls a function that is not pydantic's own."""
    if isinstance(part, Mapping):
        if part.get("post_init") or part.get("custom_init"):
            return True
        if part.get("type") == "enum" and _missing_of(part["cls"]) is not _missing_of(Enum):
            return True
        return any(_has_code(one) for one in part.values())
    if isinstance(part, list | tuple | set):
        return any(_has_code(one) for one in part)
    if isinstance(part, type) or not callable(part):
        return False
    home = getattr(part, "__module__", None) or ""
    return home.partition(".")[0] not in ("pydantic", "pydantic_core")


def _missing_of(kind: type[Enum]) -> Any:
    return getattr(kind._missing_, "__func__", None)


def _named(kind: Any) -> str:
    return one_line(getattr(kind, "__qualname__", None) or repr(kind), 80)


def _faults(error: ValidationError) -> list[str]:
    every = error.errors(include_url=False, include_context=False)
    faults = []
    for one in every[:MAX_FAULTS]:
        place, given = _place(one["loc"]), one["input"]
        shown = one["type"] != "missing" and isinstance(given, (str, int, float, type(None)))
        got = f" (it is {one_line(json.dumps(given, ensure_ascii=False), 60)})" if shown else ""
        faults.append(f"{place}: {_lowered(one['msg'])}{got}")
    return faults + ["…"] * (len(every) - len(faults))


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _place(steps: tuple[int | str, ...]) -> str:
    """Return where in the document a fault is.

    Example:
        >>> _place(("items", 2, "price"))
        'items[2].price'
    """
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".") or "the whole"
