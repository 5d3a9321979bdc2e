"""The options that `run` and `plan` share, and the rows of a table as requests."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from llmnb.errors import ConfigurationError, InputError, UnknownField
from llmnb.frames.table_files import Row, TableFile
from llmnb.frames.tables import JSONLTable, error_of, open_table
from llmnb.frames.template import Template, ambiguous_column, conversation, prompt_template
from llmnb.generation.lines import unwrap
from llmnb.options import ROWS, Door, checked, names, with_params
from llmnb.running.asking import Asking
from llmnb.signatures import add_options

_QUESTIONS = ("messages", "prompt", "input")
_LIMITS = (
    *("project_name", "max_requests_per_minute", "max_tokens_per_minute"),
    "max_concurrent_requests",
)


def add_table_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the table, and how a file of it is read."""
    add = parser.add_argument
    add("input", type=Path, help="table: CSV, TSV, JSONL, Parquet, Arrow or Excel")
    add("--encoding", metavar="NAME", help="of a CSV file; default: found by looking")
    add("--delimiter", metavar="SIGN", help="of a CSV file; default: found by looking")


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options that `run` and `plan` share."""
    add = parser.add_argument
    add_table_arguments(parser)
    add(
        "--prompt",
        metavar="TEXT",
        help="a column's name, or a text with columns' names in braces; may be left out where "
        "every line of a JSONL file is a request (messages, prompt or input)",
    )
    add("--model", help="provider/model, such as openai/gpt-4o-mini")
    add("--url", help="another address: a base or a full endpoint")
    add("--messages", metavar="COLUMN", help="column of whole conversations, in place of --prompt")
    add(
        "--system",
        metavar="TEXT",
        help="a system message before every question; columns' names in braces are filled in",
    )
    add_options(parser, ("max_tokens", "temperature", *_LIMITS))
    add("--limit", type=int, metavar="N", help="the first N rows only")
    add_options(parser, ["allow_urls"])
    add("--no-cache", dest="use_cache", action="store_false", help="ask anew what is already kept")


class TableQuestions:
    """The rows of a table as requests.

    Args:
        options: What the person typed.

    Raises:
        InputError: If the table or the template cannot be used; nothing was sent.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.table: TableFile = open_table(
            options.input, encoding=options.encoding, delimiter=options.delimiter
        )
        if self.table.note:
            print(f"llmnb: {self.table.note}", file=sys.stderr)
        self.limit: int | None = ROWS.checked("--limit", options.limit)
        self.template: Template | None = None
        self._messages: Template | None = None
        self._system = self._compile(options.system, Template) if options.system else None
        if options.prompt is not None and options.messages is not None:
            raise ConfigurationError(
                "--messages holds the whole question, so it does not go with --prompt: leave one "
                "of them out. Nothing was sent."
            )
        if options.messages is not None:
            self._messages = self._compile("{" + options.messages + "}", Template)
        elif options.prompt is not None:
            self.template = self._compile(options.prompt, prompt_template)
            if not self.template.fields:
                print(
                    "llmnb: --prompt names no column, so every row asks the same. A column stands "
                    f"in braces; there is: {', '.join(map(str, self.table.columns))[:500]}.",
                    file=sys.stderr,
                )
        elif not self._holds_requests():
            raise ConfigurationError(
                f"What is to be asked? Give --prompt with a column's name or a text with names in "
                f"braces. Columns: {', '.join(map(str, self.table.columns))[:500]}."
            )
        for field in self.fields:
            if list(self.table.columns).count(field) > 1:
                raise ambiguous_column(field)
        self.are_requests: bool = self.template is None and self._messages is None
        """Whether the rows are requests themselves."""

    def _compile(self, text: str, make: Callable[[str, Sequence[str]], Template]) -> Template:
        """Return a template; it may name fields that only later lines of a JSONL file have."""
        try:
            template = make(text, self.table.columns)
            if template.fields or text not in self.table.all_columns:
                return template
        except UnknownField:
            if list(self.table.all_columns) == list(self.table.columns):
                raise
        return make(text, self.table.all_columns)

    def _holds_requests(self) -> bool:
        columns = self.table.columns
        return any(name in columns for name in _QUESTIONS) or {"custom_id", "body"} <= {*columns}

    @property
    def fields(self) -> Sequence[str]:
        """Columns that questions are made of."""
        templates = filter(None, (self.template, self._messages, self._system))
        return tuple(dict.fromkeys(field for template in templates for field in template.fields))

    def rows(self) -> Iterator[Row]:
        """Yield the rows that are asked about."""
        table = self.table
        if self.are_requests and isinstance(table, JSONLTable):
            return islice(table.requests(), self.limit)
        return islice(table.rows(), self.limit)

    def request(self, row: Row) -> Any:
        """Return the request for a row, None where there is nothing to ask.

        A row of which no request can be made gives the error that says why.
        """
        if (error := error_of(row)) is not None:
            return error
        if self.are_requests:
            return unwrap(row)
        try:
            messages = self._messages_of(row)
            if not messages:
                return None
            if self._system is not None and (system := self._system.render(row)):
                messages = [{"role": "system", "content": system}, *messages]
        except InputError as error:
            return error
        return {"messages": messages}

    def _messages_of(self, row: Row) -> list[dict[str, Any]] | None:
        if self._messages is not None:
            return conversation(row.get(self._messages.fields[0]))
        assert self.template is not None
        prompt = self.template.render(row)
        return None if prompt is None else [{"role": "user", "content": prompt}]


def asking(options: argparse.Namespace) -> Asking:
    """Return the model and its parameters."""
    return Asking(
        model=options.model,
        url=options.url,
        allow_urls=options.allow_urls,
        params=with_params(
            None, {"max_tokens": options.max_tokens, "temperature": options.temperature}
        ),
    )


def options_for(options: argparse.Namespace, door: Door) -> dict[str, Any]:
    """Return those of the typed options that `start` or `plan` takes."""
    return checked({name: value for name, value in vars(options).items() if name in names(door)})


def announce(model: str | None, url: str | None) -> None:
    """Print which model is asked if the person named none."""
    from llmnb.targets.resolve import choose

    if url is None and (announcement := choose(model).announcement):
        print(announcement, file=sys.stderr)
