"""What is said about rows that failed: one warning or one error, its causes grouped."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from llmnb.display.escape import visible
from llmnb.engine.handle import AnyRun
from llmnb.errors import RowsFailed

_CAUSES_SHOWN = 5


def words(run: AnyRun, asked: int, *, what: str = "rows", are_missing: bool) -> str | None:
    """Return what went wrong with a finished run, None where nothing did.

    Rows that were not asked because the person stopped are no failures.

    Args:
        run: The run.
        asked: How many rows or answers were asked for.
        what: Which of both.
        are_missing: Whether failed rows are missing in what is returned.
    """
    status = run.status()
    failed = status.counts.num_tasks_failed
    if not failed:
        return None
    head = f"{failed:,} of {asked:,} {what} failed" + (" and are NA" if are_missing else "")
    lines = [f"{head}. The others are kept: run it again to ask only what is missing."]
    for cause in status.causes[:_CAUSES_SHOWN]:
        example = visible(cause.example, longest=240)
        lines.append(
            f"  {cause.rows:,} {cause.kind} ({cause.words}), first row {cause.first_row}: {example}"
        )
    if (left := len(status.causes) - _CAUSES_SHOWN) > 0:
        lines.append(f"  and {left} further causes")
    if run.error is not None and not status.causes:
        lines.append(f"  {visible(run.error.message, longest=240)}")
    return "\n".join(lines)


def tell(run: AnyRun, asked: int, on_error: str, table: Any, *, what: str = "rows") -> None:
    """Warn of failed rows, or raise, as the caller wished.

    Raises:
        RowsFailed: With ``on_error="raise"``, where rows failed; it carries the table.
    """
    if on_error == "raise":
        if (said := words(run, asked, what=what, are_missing=False)) is not None:
            raise RowsFailed(f"{said}\nThe partial result is in the error's `.partial`.").carrying(
                table
            )
    elif (
        on_error == "null" and (said := words(run, asked, what=what, are_missing=True)) is not None
    ):
        warnings.warn(said, stacklevel=_outside())


def _outside() -> int:
    """Return the stack level of the first caller that is not llmnb's own code, for `warn`."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("llmnb."):
        frame = frame.f_back
        level += 1
    return level
