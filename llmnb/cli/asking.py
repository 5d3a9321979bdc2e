"""Options that `run` and `plan` share: which table, which question, which model, which limits."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmnb.errors import ConfigurationError
from llmnb.frames.tables import Row, Table, open_table
from llmnb.frames.template import Template
from llmnb.models.asking import Asking
from llmnb.options import with_params

_QUESTIONS = ("messages", "prompt", "input")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("input", type=Path, help="table: CSV, TSV, JSONL, Parquet or Arrow")
    parser.add_argument(
        "--prompt",
        metavar="TEXT",
        help="a column's name, or a text with columns' names in braces; may be left out where "
        "every line of a JSONL file is a request (messages, prompt or input)",
    )
    parser.add_argument("--model", help="provider/model, such as openai/gpt-4o-mini")
    parser.add_argument("--url", help="another address: a base or a full endpoint")
    parser.add_argument("--system", metavar="TEXT", help="a system message before every question")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="longest answer, in tokens")
    parser.add_argument("--temperature", type=float, metavar="T")
    parser.add_argument("--project", metavar="NAME", help="project that keeps the answers")
    parser.add_argument("--rpm", type=float, metavar="N", help="requests a minute")
    parser.add_argument("--tpm", type=float, metavar="N", help="tokens a minute")
    parser.add_argument("--concurrency", type=int, metavar="N", help="requests in flight at once")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N rows only")
    parser.add_argument(
        "--allow-urls",
        action="store_true",
        help="ask lines at the url and with the api_key that they name themselves",
    )
    parser.add_argument("--no-cache", action="store_true", help="ask anew what is already kept")


class Questions:
    """The rows of a table as requests.

    Args:
        options: What the person typed.

    Raises:
        InputError: If the table or the template cannot be used; nothing was sent.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.table: Table = open_table(options.input)
        self.limit: int | None = options.limit
        self._system: str | None = options.system
        self.template: Template | None = None
        if options.prompt is not None:
            self.template = Template(options.prompt, self.table.columns)
        elif not any(name in self.table.columns for name in _QUESTIONS):
            raise ConfigurationError(
                f"What is to be asked? Give --prompt with a column's name or a text with names in "
                f"braces. Columns: {', '.join(map(str, self.table.columns))[:500]}."
            )

    @property
    def are_requests(self) -> bool:
        """Whether the rows are requests themselves."""
        return self.template is None

    def rows(self) -> Iterator[Row]:
        """Yield the rows that are asked about."""
        for number, row in enumerate(self.table.rows()):
            if self.limit is not None and number >= self.limit:
                return
            yield row

    def request(self, row: Row) -> dict[str, Any] | None:
        """Return the request for a row, None where there is nothing to ask."""
        if self.template is None:
            return row
        prompt = self.template.render(row)
        if prompt is None:
            return None
        messages = [{"role": "user", "content": prompt}]
        if self._system:
            messages.insert(0, {"role": "system", "content": self._system})
        return {"messages": messages}


def asking(options: argparse.Namespace) -> Asking:
    """Return who is asked, and how."""
    beside = {"max_tokens": options.max_tokens, "temperature": options.temperature}
    return Asking(
        model=options.model,
        url=options.url,
        allow_urls=options.allow_urls,
        params=with_params(None, beside),
    )


def announce(model: str | None, url: str | None) -> None:
    """Say who is asked where the person did not."""
    import sys

    from llmnb.models.resolve import choose

    if url is None and (words := choose(model).announcement):
        print(words, file=sys.stderr)
