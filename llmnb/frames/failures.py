"""Warn of rows that failed, or raise one error for them, with the causes grouped."""

from __future__ import annotations

import functools
import logging
from typing import Any

from llmnb.display.escape import visible, visible_lines
from llmnb.display.texts import counted, single_line
from llmnb.engine.handle import AnyRun
from llmnb.engine.status import StatusSnapshot
from llmnb.errors import RowsFailed
from llmnb.user_code import warn

logger = logging.getLogger("llmnb")

_CAUSES_SHOWN = 5


@functools.lru_cache(maxsize=256)
def log_once(line: str) -> None:
    """Log a line, unless this process has logged it before."""
    logger.warning(line)


def report(
    run: AnyRun,
    asked: int,
    on_error: str,
    table: Any,
    *,
    what: str = "rows",
    is_reported: bool = False,
) -> None:
    """Warn of a finished run's failed rows, or raise, as the caller wished.

    Rows that were not asked because the person stopped are no failures.

    Args:
        run: The run.
        asked: How many rows or answers were asked for.
        on_error: What becomes of rows that fail.
        table: What is returned.
        what: Whether rows or answers are counted.
        is_reported: Whether a display has told it: then no warning repeats it.

    Raises:
        RowsFailed: With ``on_error="raise"``, where rows failed; it carries the table.
    """
    if run.counts.num_unsaved and run.error is not None:
        warn(visible_lines(run.error.message))
    is_silent = is_reported and on_error != "raise"
    if on_error == "column" or is_silent or not (failed := run.counts.num_tasks_failed):
        return
    status = run.status()
    head = f"{failed:,} of {asked:,} {what} failed" + (" and are NA" if on_error == "null" else "")
    kept = " The others are kept: run" if failed < asked else " Run"
    lines = [f"{head}.{kept} it {status.again} to ask only what is missing."]
    lines += causes(status)
    if run.error is not None and not status.causes:
        lines.append(f"  {visible(single_line(run.error.message))}")
    if on_error == "raise":
        lines.append("The partial result is in the error's `.partial`.")
        raise RowsFailed("\n".join(lines)).carrying(table)
    warn("\n".join(lines))


def report_cut(run: AnyRun) -> None:
    """Warn of a finished run's answers that ended at a length which the caller has not chosen."""
    if cut := run.counts.num_cut:
        were = "was" if cut == 1 else "were"
        warn(f"{counted(cut, 'answer')} {were} cut off. Allow longer ones with max_tokens.")


def causes(status: StatusSnapshot, *, has_rows: bool = True) -> list[str]:
    """Return a line for each of the most frequent causes, with an example.

    Args:
        status: Of the run.
        has_rows: Whether the numbers of rows mean something to the person.
    """
    lines = []
    for cause in status.causes[:_CAUSES_SHOWN]:
        first = f", first row {cause.first_row}" if has_rows else ""
        example = visible(cause.example)
        lines.append(f"  {cause.rows:,} {cause.kind} ({cause.words}){first}: {example}")
    if (left := len(status.causes) - _CAUSES_SHOWN) > 0:
        lines.append(f"  and {left} further causes")
    return lines
