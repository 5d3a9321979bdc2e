"""The code that does what a workbench does: a cell that runs as it is."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from llmnb import user_code
from llmnb.errors import InputError
from llmnb.frames.table_source import TableSource
from llmnb.frames.workbench_version import Question

_WIDTH = 88


def code(
    question: Question,
    *,
    table: Any,
    source: TableSource,
    into: Hashable,
    project_name: str | None,
) -> str:
    """Return lines that assign the answers to a question to a column of the table.

    Args:
        question: What is asked.
        table: The table as the person has it, whose variable is looked for.
        source: The same as verbs read it.
        into: The column.
        project_name: Project that keeps the answers.
    """
    is_pandas = isinstance(table, pd.DataFrame)
    own = table if is_pandas else table.table
    name = variable(own) or "df"
    arguments = [text_literal(question.prompt)]
    further: dict[str, str] = {}
    if question.model is not None:
        further["model"] = _model(question.model)
    if question.params:
        further["params"] = _literal(dict(question.params))
    if question.system:
        further["system"] = text_literal(question.system)
    if question.schema is not None:
        further["schema"] = _schema(question)
    if question.pairs:
        further["examples"] = _literal([tuple(pair) for pair in question.pairs])
    elif question.examples:
        further["examples"] = _examples(question.examples, source)
    if project_name is not None:
        further["project_name"] = text_literal(project_name)
    has_fields = question.has_fields
    if has_fields or not is_pandas:
        further["into"] = _literal(into)
    arguments += [f"{name}={value}" for name, value in further.items()]
    left = name if has_fields or not is_pandas else f"{name}[{_literal(into)}]"
    call = f"{left} = {name}.llm.generate({', '.join(arguments)})"
    if len(call) > _WIDTH or "\n" in call:
        call = "\n".join(
            [
                f"{left} = {name}.llm.generate(",
                *(f"    {argument}," for argument in arguments),
                ")",
            ]
        )
    return call


def variable(value: Any) -> str | None:
    """Return a name that this notebook has for a value; None where it has none."""
    if value is None or (shell := user_code.shell()) is None:
        return None
    names = [
        name
        for name, known in list(shell.user_ns.items())
        if known is value and name.isidentifier() and not name.startswith("_")
    ]
    return next(iter(names), None)


def text_literal(text: str) -> str:
    """Return a text as Python writes it: over several lines where it has such, nothing hidden.

    Example:
        >>> text_literal("one line"), text_literal("red" + chr(27)).isprintable()
        ('"one line"', True)
        >>> text_literal("two" + chr(10) + "lines").count(chr(10))
        1
    """
    if all(line.isprintable() for line in text.split("\n")):
        body = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
        if body.endswith('"'):
            body = body[:-1] + '\\"'
        literal = f'"""{body}"""' if "\n" in text else '"' + body.replace('"', '\\"') + '"'
        if '"' in text and "\n" not in text:
            literal = repr(text)
        with contextlib.suppress(SyntaxError, ValueError):
            if ast.literal_eval(literal) == text:
                return literal
    return ascii(text)


def _literal(value: Any) -> str:
    """Return a value as Python writes it, texts with nothing hidden."""
    if isinstance(value, str):
        return text_literal(value) if "\n" not in value else ascii(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, tuple):
        inner = ", ".join(map(_literal, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if hasattr(value, "item") and not isinstance(value, bool | int | float):
        return _literal(value.item())  # a number of numpy's
    return repr(value)


def _model(model: Any) -> str:
    if isinstance(model, str):
        return _literal(model)
    if isinstance(model, list | tuple):
        return "[" + ", ".join(map(_model, model)) + "]"
    if (name := variable(model)) is not None:
        return name
    provider, own = getattr(model, "api_provider", None), str(getattr(model, "model", model))
    return _literal(f"{provider}/{own}" if provider else own)


def _schema(question: Question) -> str:
    schema = question.schema
    if isinstance(schema, list | tuple):
        return _literal(tuple(schema))
    if isinstance(schema, Mapping):
        return variable(schema) or _literal(schema)
    if schema in (int, float, str, bool):
        return str(schema.__name__)
    if (name := variable(schema)) is not None:
        return name
    output = question.output
    assert output is not None
    root = output.json_schema
    return _literal(root["properties"]["value"] if output.is_wrapped else root)


def _examples(examples: Mapping[int, Any], source: TableSource) -> str:
    rows = list(examples)
    frame = source.own_rows(rows)
    labels = frame.index.tolist() if isinstance(frame, pd.DataFrame) else rows
    if not all(isinstance(label, int | str) for label in labels):
        raise InputError(
            "Examples are named by the rows' labels in the index, and these are neither numbers "
            "nor texts: give the examples as a series to generate(…)."
        )
    return _literal(dict(zip(labels, examples.values(), strict=True)))
