"""What the quiet line of the workbench opens: the settings of a question, as fields of a page."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Mapping
from typing import Any

from llmnb import user_code
from llmnb.display.escape import visible
from llmnb.errors import ConfigurationError, InputError
from llmnb.frames.template import cell_text
from llmnb.frames.workbench import Workbench

_LONGEST = 2_000
"""Characters of an example that a page gets."""

_CLASSES_SHOWN = 8

PARAMS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "temperature": ("a number such as 0.2", float),
    "max_tokens": ("a whole number such as 200", int),
    "top_p": ("a number from 0 to 1", float),
    "reasoning_effort": ("low, medium or high", str),
    "seed": ("a whole number", int),
}
"""The request's fields that have one on the page: what they take, and how that is read."""

TYPES: Mapping[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "number": {"type": "number"},
    "whole number": {"type": "integer"},
    "yes or no": {"type": "boolean"},
    "list of texts": {"type": "array", "items": {"type": "string"}},
}
"""Types that a field of the schema may have, by what the page calls them."""


# ------------------------------------------------------------------------------- read


def fields(bench: Workbench) -> dict[str, Any]:
    """Return what the fields hold, as text."""
    question = bench.question
    params = {name: question.params.get(name) for name in PARAMS}
    if params["max_tokens"] is None:
        params["max_tokens"] = question.params.get("max_completion_tokens")
    return {
        "model": models_text(question.model),
        **{name: "" if value is None else str(value) for name, value in params.items()},
        "budget_usd": f"{bench.budget_usd:g}",
        "system": question.system or "",
        "examples": _examples(bench),
        "labels": int(bool(bench.labelled) and not question.pairs),
        "pairs": int(not question.examples),
        "note": _examples_note(bench),
        "schema": [list(row) for row in _schema_rows(bench)],
        "types": [*TYPES, "one of…"],
        "classes": list(classes())[:_CLASSES_SHOWN],
    }


def models_text(model: Any) -> str:
    """Return the names of the models that are asked, as they are typed."""
    several = model if isinstance(model, list | tuple) else [] if model is None else [model]
    return ", ".join(str(getattr(model, "model", model)) for model in several)


def _examples(bench: Workbench) -> list[list[Any]]:
    """Return row, input and answer of each example, with what drops it."""
    question = bench.question
    if question.pairs:
        return [
            [place, f"{place + 1}", _shown(told), _shown(answer)]
            for place, (told, answer) in enumerate(question.pairs)
        ]
    rows = list(question.examples)
    names, texts = bench.row_labels(rows), bench.texts(rows) if rows else []
    return [
        [row, name, _shown(text), _shown(question.examples[row])]
        for row, name, text in zip(rows, names, texts, strict=True)
    ]


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        value = ", ".join(f"{name}: {cell_text(cell) or ''}" for name, cell in value.items())
    return visible(cell_text(value) or "", longest=_LONGEST)


def _examples_note(bench: Workbench) -> str:
    question = bench.question
    labels = len(bench.truth)
    if question.examples and labels:
        shown = sum(bench.truth.of(row) is not None for row in question.examples)
        return (
            f"{shown} of the {labels} labels are examples: scores use the other {labels - shown}."
        )
    if question.pairs:
        return "They stand before every question."
    return "An example shows the model an input and the answer to it."


def _schema_rows(bench: Workbench) -> list[tuple[str, str, str]]:
    output = bench.question.output
    if output is None:
        return []
    properties = output.json_schema.get("properties", {})
    if output.is_wrapped:
        return [("", _type_words(properties["value"]), "")]
    return [
        (name, _type_words(part), visible(str(part.get("description", "")), longest=200))
        for name, part in properties.items()
    ]


def _type_words(part: Mapping[str, Any]) -> str:
    if values := part.get("enum"):
        return f"one of {len(values)}"
    own = {name for name, schema in TYPES.items() if schema.get("type") == part.get("type")}
    return next(iter(own), str(part.get("type", "any")))


def classes() -> dict[str, type]:
    """Return the classes of this notebook that describe an answer, by name."""
    shell = user_code.shell()
    space = {} if shell is None else dict(shell.user_ns)
    return {
        name: value
        for name, value in space.items()
        if isinstance(value, type)
        and not name.startswith("_")
        and value.__module__ == "__main__"
        and (hasattr(value, "model_json_schema") or dataclasses.is_dataclass(value))
    }


# ------------------------------------------------------------------------------ write


def put(bench: Workbench, name: str, text: str) -> None:
    """Take what was typed into a field.

    Raises:
        ConfigurationError: If it cannot be taken; nothing is changed.
    """
    text = text.strip()
    if name == "model":
        names = [name.strip() for name in text.split(",") if name.strip()]
        if text == models_text(bench.question.model):
            return  # an object may stand behind the name
        bench.change(model=None if not names else names[0] if len(names) == 1 else names)
    elif name == "system":
        bench.change(system=text or None)
    elif name == "budget_usd":
        bench.budget_usd = _number(name, text.lstrip("$"), "dollars such as 0.50", float)
    elif name in PARAMS:
        described, read = PARAMS[name]
        params = {other: value for other, value in bench.question.params.items() if other != name}
        if name == "max_tokens":
            params.pop("max_completion_tokens", None)
        if text:
            params[name] = _number(name, text, described, read)
        bench.change(params=params)


def _number(name: str, text: str, described: str, read: Callable[[str], Any]) -> Any:
    try:
        value = read(text)
    except ValueError:
        value = None
    if value is None or value != value or value in (float("inf"), float("-inf")):
        typed = visible(text, longest=40)
        raise ConfigurationError(f"{name.replace('_', ' ')}: “{typed}” is not {described}.")
    return value


def drop_example(bench: Workbench, which: int) -> None:
    """Leave an example out: a row of the table, or one of the pairs by its place."""
    question = bench.question
    if question.pairs:
        bench.change(examples=[pair for place, pair in enumerate(question.pairs) if place != which])
    else:
        bench.show_examples(
            {row: label for row, label in question.examples.items() if row != which}
        )


def add_label(bench: Workbench) -> None:
    """Take one labelled row more as an example: a wrong one where some version is scored.

    Raises:
        InputError: If no label is left for scoring then.
    """
    rows = bench.labelled
    if len(rows) < 2 or bench.question.pairs:
        raise InputError("No label is left for another example.")
    scored = bench.last_scored
    wrong = [row for row in rows if scored is not None and scored.is_right(row) is False]
    examples = bench.question.examples
    chosen = random.Random(len(examples)).choice(wrong or rows)
    bench.show_examples(dict(sorted([*examples.items(), (chosen, bench.truth.of(chosen))])))


def add_pair(bench: Workbench, told: str, answer: str) -> None:
    """Take an example that was written by hand.

    Raises:
        InputError: If a side is empty, or examples are rows.
    """
    if not told.strip() or not answer.strip() or bench.question.examples:
        raise InputError("An example has an input and an answer.")
    bench.change(examples=[*bench.question.pairs, (told, answer)])


def take_class(bench: Workbench, name: str) -> None:
    """Have answers fit a class of the notebook.

    Raises:
        ConfigurationError: If there is none of that name.
    """
    if (kind := classes().get(name)) is None:
        raise ConfigurationError(f"This notebook has no class {visible(name, longest=60)}.")
    bench.change(schema=kind)


def _properties(bench: Workbench) -> dict[str, Any]:
    question = bench.question
    if question.output is None or not question.has_fields:
        return {}
    return dict(question.output.json_schema.get("properties", {}))


def _put_properties(bench: Workbench, properties: dict[str, Any]) -> None:
    output = bench.question.output
    known = {} if output is None else output.json_schema
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **{name: known[name] for name in ("$defs",) if name in known},
    }
    bench.change(schema=schema if properties else None)


def add_field(bench: Workbench, name: str, kind: str, about: str) -> None:
    """Ask for one field more.

    Args:
        bench: The workbench.
        name: What the field is called.
        kind: One of `TYPES`, or values separated by commas.
        about: What it is, for the model; may be empty.

    Raises:
        ConfigurationError: If the name is empty or there already.
    """
    name, properties = name.strip(), _properties(bench)
    if not name or name in properties:
        raise ConfigurationError("A field needs a name that no other has.")
    values = [value.strip() for value in kind.split(",") if value.strip()]
    part = dict(TYPES.get(kind.strip(), {"type": "string", "enum": values}))
    if not values:
        raise ConfigurationError("A field needs a type, or the values that it may have.")
    if about.strip():
        part["description"] = about.strip()
    _put_properties(bench, {**properties, name: part})


def drop_field(bench: Workbench, name: str) -> None:
    """Ask for a field no more; without a field answers are text again."""
    properties = _properties(bench)
    properties.pop(name, None)
    _put_properties(bench, properties)
