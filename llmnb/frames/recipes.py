"""How the columns of a run are made, in values of JSON: enough to make them again another day."""

from __future__ import annotations

import ast
import sys
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import orjson

from llmnb.errors import ConfigurationError
from llmnb.frames.options import Options, options_of
from llmnb.schemas import Output, QuotedOutput, output_of, quoted

_PLAIN = {"bool": bool, "int": int, "float": float, "str": str}

_KEPT = ("details", "on_error", "n")
"""Options that decide which columns there are."""


def recipe_of(
    options: Options, output: Output | None, labels: Sequence[Any] | None, library: str
) -> dict[str, Any]:
    """Return in values of JSON how columns are made; empty where JSON cannot hold it.

    Args:
        options: The options of the run.
        output: The form of the answers.
        labels: Categories of the answers, in order.
        library: Whose tables they are.
    """
    plain = output.plain if isinstance(output, QuotedOutput) else output
    recipe = {
        "library": library,
        "into": repr(options.into),
        **{name: getattr(options, name) for name in _KEPT},
        "labels": labels,
        "quotes": isinstance(output, QuotedOutput),
        "schema": None if plain is None else _described(plain),
    }
    try:
        made: dict[str, Any] = orjson.loads(orjson.dumps(recipe))
        ast.literal_eval(recipe["into"])
    except (TypeError, ValueError, SyntaxError):
        return {}
    return made


def options_in(recipe: Mapping[str, Any]) -> Options:
    """Return the options that decide which columns there are; no row raises an error any more."""
    kept = {name: recipe[name] for name in _KEPT}
    if kept["on_error"] == "raise":
        kept["on_error"] = "null"
    into: Hashable = ast.literal_eval(recipe["into"])
    return options_of({"into": into, **kept})


def output_in(recipe: Mapping[str, Any], schema: Any = None) -> Output | None:
    """Return the form of the answers; None where they are texts.

    A class is what it was made from where the notebook has one of that name and form. Else what
    the class has asked for is read by its JSON schema.

    Args:
        recipe: How columns are made.
        schema: What it was made from, where the caller says so.

    Raises:
        ConfigurationError: If the caller's schema asks for something else.
    """
    described = recipe["schema"]
    if described is None:
        return None
    if schema is not None:
        output = output_of(schema)
        if _as_json(output.json_schema) != described["json"]:
            raise ConfigurationError(
                f"schema= is not what the run has asked for, which was {described['name']!r}."
            )
    else:
        output = output_of(_kind_in(described))
    return quoted(output) if recipe["quotes"] else output


def _described(output: Output) -> dict[str, Any]:
    """Return what a form was made from."""
    kind = output.kind
    described: dict[str, Any] = {
        "name": output.name,
        "json": output.json_schema,
        "own": output.reader.schema,
    }
    if isinstance(kind, tuple | list):
        return described | {"labels": list(kind)}
    if isinstance(kind, type):
        return described | {"class": f"{kind.__module__}:{kind.__qualname__}"}
    return described


def _as_json(schema: Any) -> Any:
    """Return a schema as it is when it was written and read."""
    return orjson.loads(orjson.dumps(schema))


def _kind_in(described: Mapping[str, Any]) -> Any:
    if "labels" in described:
        return described["labels"]
    module, _, name = described.get("class", "").partition(":")
    if module == "builtins" and name in _PLAIN:
        return _PLAIN[name]
    # Only what is there already: nothing is imported because a file names it.
    kind: Any = sys.modules.get(module)
    for part in name.split("."):
        kind = getattr(kind, part, None)
    if isinstance(kind, type):
        try:
            if _as_json(output_of(kind).json_schema) == described["json"]:
                return kind
        except ConfigurationError:
            pass  # it is something else today
    return described["own"]
