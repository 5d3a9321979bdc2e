"""`llmnb score` and `llmnb compare`: how right the answers in a table are, and who is right."""

from __future__ import annotations

import argparse
from typing import Any

from llmnb.cli.table_questions import add_table_arguments
from llmnb.frames.accessors import DataFrameLLM
from llmnb.frames.pandas_source import frame_of
from llmnb.frames.tables import error_of, open_table
from llmnb.options import ROWS
from llmnb.signatures import add_options

_ASKED = (
    *("system", "max_tokens", "temperature", "project_name", "budget_usd"),
    *("max_requests_per_minute", "max_tokens_per_minute", "max_concurrent_requests"),
)
"""Options of `compare` that the verb takes under the same names."""


def add_score_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of `score`."""
    add = parser.add_argument
    add_table_arguments(parser)
    add("--column", required=True, help="the column of answers")
    add("--truth", required=True, metavar="COLUMN", help="the column of true labels")
    add("--examples", metavar="COLUMN", help="labels of rows that the prompt has shown: left out")
    add(
        "--kind",
        choices=["label", "number"],
        help="compare as labels or as numbers; default: numbers where truth is numbers",
    )


def add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of `compare`."""
    add = parser.add_argument
    add_table_arguments(parser)
    add(
        "--prompt",
        action="append",
        required=True,
        metavar="TEXT",
        help="a text with columns' names in braces; once for each",
    )
    add("--model", action="append", help="provider/model; once for each; default: as configured")
    add("--truth", metavar="COLUMN", help="column of true labels: asks only rows that have one")
    add("--system", metavar="TEXT", help="a system message before every question")
    add("--limit", type=int, metavar="N", help="the first N rows only")
    add("--quiet", action="store_true", help="no bars")
    add_options(parser, _ASKED[1:])


def score(options: argparse.Namespace) -> int:
    """Print how often a column is right; nothing is sent."""
    print(
        DataFrameLLM(_read(options)).score(
            options.column, options.truth, examples=options.examples, kind=options.kind
        )
    )
    return 0


def compare(options: argparse.Namespace) -> int:
    """Ask every prompt of every model, and print who is right, or where they part."""
    limit = ROWS.checked("--limit", options.limit)
    table = _read(options).iloc[:limit]
    chosen = {name: value for name in _ASKED if (value := getattr(options, name)) is not None}
    compared = DataFrameLLM(table).compare(
        options.prompt,
        options.model,
        truth=options.truth,
        on_error="column",
        progress=False if options.quiet else "auto",
        **chosen,
    )
    print(compared)
    return 1 if compared.models["failed"].sum() else 0


def _read(options: argparse.Namespace) -> Any:
    """Return a whole table.

    Raises:
        UnreadableFile: If a row cannot be read.
    """
    file = open_table(options.input, encoding=options.encoding, delimiter=options.delimiter)
    columns, rows = list(file.all_columns), []
    for row in file.rows():
        if (error := error_of(row)) is not None:
            raise error
        # An empty cell of a file is one without a label.
        rows.append([None if (cell := row.get(name)) == "" else cell for name in columns])
    return frame_of(columns, rows)
