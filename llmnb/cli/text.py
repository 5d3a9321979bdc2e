"""Tables and receipts that the commands print; texts of models are made safe for terminals."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence

from llmnb.display import durations, numbers
from llmnb.display.aligned import columns, hanging, leader
from llmnb.display.escape import visible
from llmnb.display.money import usd
from llmnb.display.texts import counted
from llmnb.engine.status import StatusSnapshot


def table(
    header: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[int] = ()
) -> str:
    """Return aligned columns, no wider than the terminal; the widest column is cut first.

    Args:
        header: Names of the columns.
        rows: Cells.
        right: Columns that hold figures.
    """
    return "\n".join(columns([header, *rows], right=right, width=terminal_width()))


def terminal_width() -> int:
    """Return the columns of the terminal, 100 where there is none."""
    return min(120, shutil.get_terminal_size((100, 24)).columns)


def receipt(status: StatusSnapshot, first_rows: Mapping[str, int] = {}) -> str:
    """Return the receipt of a run, with leaders, at most 90 columns wide.

    Args:
        status: The run at its end.
        first_rows: The first row that failed, by the kind of its error, where the table's rows
            are not those of the run.
    """
    counts = status.counts.shown()
    answered = status.completed - counts.num_tasks_failed - counts.num_stopped
    lines = [
        f"{answered:,} of {status.completed:,} rows answered in {durations.span(status.seconds)} "
        f"for {status.cost_text}" + (" (simulated)" if status.simulated else ""),
        "",
    ]
    pairs = [("rows", f"{status.completed:,}", "")]
    saved = f"saved {usd(counts.saved_usd)}" if counts.saved_usd else ""
    for name, count in (
        ("  answered", counts.num_tasks_succeeded),
        ("  from the cache", counts.num_cached),
        ("  reused", counts.num_reused),
        ("  merged", counts.num_merged),
        ("  failed", counts.num_tasks_failed),
        ("  not asked", counts.num_stopped),
    ):
        if count or name in ("  answered", "  failed"):
            pairs.append((name, f"{count:,}", saved if name == "  from the cache" else ""))
    pairs.append(("requests", f"{counts.num_requests:,}", _requests(status)))
    if counts.prompt_tokens or counts.completion_tokens:
        in_and_out = numbers.tokens_in_out(counts.prompt_tokens, counts.completion_tokens)
        pairs.append(("tokens", in_and_out, ""))
    if counts.num_cut:
        pairs.append(("cut off", f"{counts.num_cut:,}", "allow more with max_tokens"))
    lines += [f"  {leader(*pair)}" for pair in pairs]
    if status.causes:
        lines += ["", "failed rows"]
    for cause in status.causes:
        row = first_rows.get(cause.kind, cause.first_row)
        example = visible(f"row {row + 1:,}: {cause.example}")
        lines += hanging(f"  {cause.rows:>5,}  {cause.kind}  ", example, 100)
    return "\n".join(lines)


def _requests(status: StatusSnapshot) -> str:
    counts = status.counts
    parts = (
        (counts.num_retried, f"{counts.num_retried:,} repeated"),
        (counts.num_rate_limit_errors, f"{counts.num_rate_limit_errors:,} rate limited"),
        (counts.num_api_errors, counted(counts.num_api_errors, "API error")),
    )
    return ", ".join(words for count, words in parts if count)
