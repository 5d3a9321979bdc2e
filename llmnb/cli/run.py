"""`llmnb run` and `llmnb plan`: answer every row of a table, resumably.

Memory stays flat: only the rows between being asked and being written are
held. What is answered is in the project's store before it is written, so the
same command typed again sends only what is missing.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from llmnb import settings
from llmnb.cli import text
from llmnb.cli.jobs import GroupJob, RowJob, goes_by_groups
from llmnb.cli.table_questions import (
    TableQuestions,
    add_plan_arguments,
    announce,
    asking,
    options_for,
)
from llmnb.display.escape import visible
from llmnb.display.texts import counted
from llmnb.errors import AddressInFile, ConfigurationError, UnreadableFile
from llmnb.frames import overwriting
from llmnb.frames.csv_tables import CSVTable
from llmnb.frames.excel_tables import EXCEL_FORMATS, LONGEST_TEXT, ExcelTable, refuse_unfit
from llmnb.frames.tables import format_of, table_writer, taken
from llmnb.generation.results import refused_addresses
from llmnb.progress import Bars, Interrupts, TwoBars
from llmnb.running import planning
from llmnb.running.start import start
from llmnb.signatures import add_options
from llmnb.store.run_index import RunHeader


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    add = parser.add_argument
    add_plan_arguments(parser)
    add(
        "--into", default="response", metavar="COLUMN", help="the column for the answers (response)"
    )
    add(
        "--overwrite",
        action="store_true",
        help="replace columns of these names that came with the table",
    )
    add("--out", type=Path, metavar="FILE", help="the file to write; default: INPUT.answers.…")
    add_options(parser, ("max_attempts", "max_wait", "budget_usd", "burst", "good_finish"))
    add(
        "--resume",
        action="store_true",
        help="has no effect: a command typed again always goes on where it ended",
    )
    add("--raw", action="store_true", help="write texts into CSV as they are, formulas included")
    add("--quiet", action="store_true", help="no bars and no receipt")


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    questions = TableQuestions(options)
    out = options.out or options.input.with_suffix(f".answers{options.input.suffix}")
    format_of(out)
    by_groups = goes_by_groups(questions, out)
    columns = _columns(questions, options, out, by_groups)
    job = (GroupJob if by_groups else RowJob)(questions, options.into)
    announce(options.model, options.url)
    shown: Bars = False if options.quiet else "auto"
    again = "again" if options.use_cache else "again without --no-cache"
    try:
        # A file that cannot be written is an error before anything is sent.
        with table_writer(out, columns, source=questions.table, is_lossless=options.raw) as writer:
            run = start(
                job.requests(),
                asking(options),
                **options_for(options, "start"),
                streams=True,
                header=RunHeader(
                    verb="llmnb run", prompt=options.prompt or "", column=options.into
                ),
            )
            # An interrupt stops the run: raised between two rows, it would part rows and answers.
            with TwoBars(run, shown) as bars, Interrupts(run) as interrupts:
                job.write(run, writer, bars)
    except KeyboardInterrupt:  # the third, or one while the file is put in its place
        print(
            f"Stopped before {out} was written. What is answered is kept: type the same command "
            f"{again}, and only what is missing is asked.",
            file=sys.stderr,
        )
        return 130
    status = run.status()
    if not options.quiet:
        print(text.receipt(status, job.first_rows))
        print(f"\nanswers in {out}, column {visible(options.into)}")
    if interrupts.count:
        print(
            f"Stopped: {status.completed - status.counts.num_stopped:,} rows have their outcome. "
            f"Type the same command {again}: only what is missing is asked.",
            file=sys.stderr,
        )
        return 130
    if notice := refused_addresses(status.failures.get(AddressInFile.__name__, 0)):
        print(notice, file=sys.stderr)
    if count := status.failures.get(UnreadableFile.__name__, 0):
        print(
            f"{counted(count, 'row')} could not be read, so nothing was asked about "
            f"{'it: it keeps its' if count == 1 else 'them: they keep their'} place, "
            "with an error.",
            file=sys.stderr,
        )
    if run.error is not None:
        print(f"llmnb: {run.error}", file=sys.stderr)
    if writer.cut:
        print(_cut_notice(writer.cut, out, options), file=sys.stderr)
    return 1 if status.counts.num_tasks_failed or writer.cut else 0


def plan(options: argparse.Namespace) -> int:
    """Print what the run would take and cost; nothing is sent."""
    questions = TableQuestions(options)
    announce(options.model, options.url)
    requests = map(questions.request, questions.rows())
    planned = planning.plan(requests, asking(options), **options_for(options, "plan"))
    print(planned.text(length_option="--max-tokens"))
    return 0


def _cut_notice(count: int, out: Path, options: argparse.Namespace) -> str:
    project = visible(options.project_name or settings.project_name())
    cells = "1 cell was" if count == 1 else f"{count:,} cells were"
    return (
        f"{cells} longer than the {LONGEST_TEXT:,} characters of a cell of Excel's and "
        f"{'is' if count == 1 else 'are'} written to {out.name} in part. The whole answers are in "
        f"the project {project!r}: the same command "
        "with --out and a CSV, JSONL or Parquet file writes them, and sends nothing."
    )


def _columns(
    questions: TableQuestions, options: argparse.Namespace, out: Path, by_groups: bool
) -> list[str]:
    """Return the columns that are written.

    Raises:
        ConfigurationError: If the rows cannot be written there as they are.
        InputError: If a column that came with the table would be replaced; nothing was sent.
    """
    kind, table = format_of(out), questions.table
    added = [options.into, f"{options.into}_error"]
    if questions.are_requests:
        if kind not in (".jsonl", ".ndjson"):
            raise ConfigurationError(
                "Rows that are requests are answered in a JSONL file: name one with --out, or say "
                "with --prompt what is to be asked. Nothing was sent."
            )
        return []
    if not options.overwrite:
        typed = [*sys.argv[1:]] if sys.argv[1:2] == ["run"] else ["run", str(options.input), "…"]
        call = shlex.join(["llmnb", *typed, "--overwrite"])
        if replaced := taken(table, added):
            raise overwriting.would_replace(replaced, call, "--into")
    is_flat = kind in (".jsonl", ".ndjson")
    columns = [*(table.columns if is_flat else table.all_columns)]
    is_kept_as_text = (
        isinstance(table, CSVTable) and table.kind == kind and not {*added} & {*columns}
    )
    if len(set(columns)) < len(columns) and not (by_groups or is_kept_as_text):
        keeps = not isinstance(table, ExcelTable) and kind != format_of(options.input)
        hint = f"write a {options.input.suffix} file, or " if keeps else ""
        raise ConfigurationError(
            f"{options.input.name} has several columns of one name, which {out.name} would not "
            f"keep apart: {hint}rename them. Nothing was sent."
        )
    columns += [name for name in added if name not in columns]
    if kind in EXCEL_FORMATS:
        refuse_unfit(questions.rows(), columns, out.name)
    return columns
