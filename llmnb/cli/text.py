"""What the commands print: aligned, restrained, and safe whatever a model has written."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from llmnb.display import durations, numbers
from llmnb.display.aligned import columns, hanging, leader
from llmnb.display.escape import visible
from llmnb.display.money import usd
from llmnb.display.texts import single_line
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


def receipt(status: StatusSnapshot, examples: Sequence[tuple[int, str, str]] = ()) -> str:
    """Return what a run came to, with leaders, at most 90 columns wide.

    Args:
        status: The run at its end.
        examples: Row, kind and text of one failure of each kind.
    """
    counts = status.counts
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
    if status.failures:
        lines += ["", "failed rows"]
        texts = {kind: (row, text) for row, kind, text in examples}
        for kind, count in sorted(status.failures.items(), key=lambda pair: -pair[1]):
            row, text = texts.get(kind, (None, ""))
            where = f"row {row + 1:,}: {single_line(text)}" if row is not None else ""
            lines += hanging(f"  {count:>5,}  {kind}  ", visible(where), 100)
    return "\n".join(lines)


def _requests(status: StatusSnapshot) -> str:
    counts = status.counts
    parts = []
    if counts.num_retried:
        parts.append(f"{counts.num_retried:,} repeated")
    if counts.num_rate_limit_errors:
        parts.append(f"{counts.num_rate_limit_errors:,} refused for pace")
    if counts.num_api_errors:
        parts.append(f"{counts.num_api_errors:,} API errors")
    return ", ".join(parts)
