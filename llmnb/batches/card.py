"""Batch runs on a page: a card of one and a list of many, without script or style sheet.

Every word of it is text, whoever wrote it; colours are the page's own, so that it
reads in light and dark and in a notebook that was saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmnb.display import moments
from llmnb.display.escape import html_text
from llmnb.display.html_fragments import bar, box, cell, line, strong, table
from llmnb.display.palette import FAINT, RULE
from llmnb.display.texts import cut
from llmnb.engine.status import State, StatusSnapshot

_TITLES: dict[State, str] = {
    "running": "Batch under way",
    "paused": "Batch under way",
    "stopping": "Leaving the batch",
    "stopped": "Batch left to the provider",
    "finished": "Batch finished",
}

_TITLE = "margin:0;font-size:16px;line-height:22px"
_CLASS = "llmnb-batch"
_LONGEST = 200
_NAMED = 5
"""Batches of the provider that are named one by one."""


def card(
    run_id: str, asked: str, status: StatusSnapshot, *, batches: Sequence[str] = (), now: float
) -> str:
    """Return the card of a run.

    Args:
        run_id: Name of the run; empty where nothing had to be submitted.
        asked: The model in words.
        status: How the run stands.
        batches: The provider's names of its batches.
        now: Seconds since the epoch, to say how old the card is.
    """
    counts, total = status.counts, status.total or 0
    kept = counts.num_cached + counts.num_reused + counts.num_merged
    failed, unknown = counts.num_tasks_failed, counts.num_stopped
    answered = max(0, status.completed - kept - failed - unknown)
    simulated = " · simulated" if status.simulated else ""
    title = _TITLES[status.state] if run_id else "Nothing had to be submitted"
    far = f"{status.completed - unknown:,} of {total:,} rows"
    facts = {
        "run": run_id,
        "answered": f"{answered:,}",
        "kept before or merged": f"{kept:,}" if kept else "",
        "failed": ", ".join([f"{failed:,}", *_causes(status)]),
        "cost": f"{status.cost_text}, at half the price",
        "at the provider": _named(batches),
    }
    parts = {"reused": kept, "answered": answered, "failed": failed}
    return box(
        bar((name, rows / total) for name, rows in parts.items()) if total else "",
        f'<p style="{_TITLE}">{strong(title)} · {far}{simulated}</p>',
        _line(f"{status.project} · {asked}", FAINT),
        table(
            [_cell(name, FAINT, head="row"), _cell(said)] for name, said in facts.items() if said
        ),
        _line(status.waiting_on and f"Waiting on {status.waiting_on}", f"margin-top:6px;{FAINT}"),
        _foot(run_id, status, now),
        name=_CLASS,
    )


def listing(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a list of runs, each cell as text, and how one of them is gone on with.

    Args:
        head: Names of the columns.
        rows: Their cells.
    """
    cells = [[_cell(one) for one in row] for row in rows]
    if not cells:
        return box(_line("No batch runs yet: mode='batch' starts one.", ""), name=_CLASS)
    return box(
        table([[_cell(one, FAINT, head="col") for one in head], *cells]),
        _line("llmnb.attach('…') goes on with a run, and its card says how far it is.", FAINT),
        name=_CLASS,
    )


def _line(text: str, style: str) -> str:
    return line(cut(text, _LONGEST), style) if text else ""


def _cell(text: str, style: str = "", *, head: str = "") -> str:
    return cell(text, style, head=head, longest=_LONGEST)


def _causes(status: StatusSnapshot) -> Iterable[str]:
    return (f"{count:,} {kind}" for kind, count in status.failures.items())


def _named(batches: Sequence[str]) -> str:
    more = len(batches) - _NAMED
    return ", ".join(batches[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _foot(run_id: str, status: StatusSnapshot, now: float) -> str:
    said = []
    if run_id and status.state != "finished":
        name = html_text(repr(run_id), longest=_LONGEST)
        said.append(f"Later, or elsewhere: <code>llmnb.attach({name})</code>")
    elif status.counts.num_tasks_failed:
        said.append("Retry the failed rows: <code>run.retry_failed()</code>")
    said.append(f"as of {moments.moment(now)}")
    style = f"margin:8px 0 0;padding-top:6px;{RULE};font-size:12px;opacity:.8"
    return f'<p style="{style}">{" · ".join(said)}</p>'
