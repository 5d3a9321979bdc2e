"""Batch runs on a page: a card of one and a list of many, without script or style sheet.

Every word of it is text, whoever wrote it; colours are the page's own, so that it
reads in light and dark and in a notebook that was saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmnb.display import moments
from llmnb.display.escape import html_text
from llmnb.engine.status import State, StatusSnapshot

_TITLES: dict[State, str] = {
    "running": "Batch under way",
    "paused": "Batch under way",
    "stopping": "Leaving the batch",
    "stopped": "Batch left to the provider",
    "finished": "Batch finished",
}

_RULE = "border-top:1px solid rgba(128,128,128,.32)"
_FAINT = "opacity:.74"
_ACCENT = "var(--jp-brand-color1,#2080e0)"
_BAD = "var(--jp-error-color1,#d93a3a)"
_KEPT_HATCH = f"repeating-linear-gradient(135deg,{_ACCENT} 0 1.5px,transparent 1.5px 5px)"
_FAILED_HATCH = f"repeating-linear-gradient(45deg,{_BAD} 0 2px,transparent 2px 4px)"
_BOX = (
    "max-width:760px;font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);"
    "font-variant-numeric:tabular-nums;color:inherit"
)
_CELL = (
    "border:0;background:none;font-weight:400;vertical-align:baseline;max-width:none;"
    "padding:1px 18px 1px 0;text-align:left"
)
_INERT = "tex2jax_ignore mathjax_ignore"
"""Two dollar signs in a line would be a formula to the page's typesetter."""

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
    return _boxed(
        _rail(((kept, _KEPT_HATCH), (answered, _ACCENT), (failed, _FAILED_HATCH)), total),
        f'<p style="margin:0;font-size:16px;line-height:22px">'
        f'<strong style="font-weight:600">{title}</strong> · {far}{simulated}</p>',
        _line(f"{status.project} · {asked}", _FAINT),
        _table(
            ([_cell(name, "th", _FAINT), _cell(said, "td")] for name, said in facts.items() if said)
        ),
        _line(status.waiting_on and f"Waiting on {status.waiting_on}", f"margin-top:6px;{_FAINT}"),
        _foot(run_id, status, now),
    )


def listing(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a list of runs, each cell as text, and how one of them is gone on with.

    Args:
        head: Names of the columns.
        rows: Their cells.
    """
    cells = [[_cell(one, "td") for one in row] for row in rows]
    if not cells:
        return _boxed(_line("No batch runs yet: mode='batch' starts one.", ""))
    return _boxed(
        _table([[_cell(one, "th", _FAINT) for one in head], *cells]),
        _line("llmnb.attach('…') goes on with a run, and its card says how far it is.", _FAINT),
    )


def _boxed(*parts: str) -> str:
    return f'<div class="llmnb-batch {_INERT}" style="{_BOX}">{"".join(parts)}</div>'


def _escaped(text: str) -> str:
    return html_text(text, longest=_LONGEST)


def _line(text: str, style: str) -> str:
    return f'<p style="margin:0 0 4px;{style}">{_escaped(text)}</p>' if text else ""


def _rail(parts: Iterable[tuple[int, str]], total: int) -> str:
    if not total:
        return ""
    pieces = "".join(
        f'<span style="flex:0 0 {100 * number / total:.2f}%;background:{colour}"></span>'
        for number, colour in parts
        if number
    )
    style = "display:flex;height:9px;margin:0 0 8px;background:rgba(128,128,128,.22)"
    return f'<div style="{style}" aria-hidden="true">{pieces}</div>'


def _cell(text: str, tag: str, style: str = "") -> str:
    scope = ' scope="row"' if tag == "th" else ""
    return f'<{tag}{scope} align="left" style="{_CELL};{style}">{_escaped(text)}</{tag}>'


def _table(rows: Iterable[Sequence[str]]) -> str:
    body = "".join(f'<tr style="background:none">{"".join(row)}</tr>' for row in rows)
    style = "border-collapse:collapse;border:0;width:auto;font-size:12.5px;margin:0"
    return f'<table cellpadding="4" style="{style}">{body}</table>'


def _causes(status: StatusSnapshot) -> Iterable[str]:
    return (f"{count:,} {kind}" for kind, count in status.failures.items())


def _named(batches: Sequence[str]) -> str:
    more = len(batches) - _NAMED
    return ", ".join(batches[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _foot(run_id: str, status: StatusSnapshot, now: float) -> str:
    said = []
    if run_id and status.state != "finished":
        said.append(f"Later, or elsewhere: <code>llmnb.attach({_escaped(repr(run_id))})</code>")
    elif status.counts.num_tasks_failed:
        said.append("Retry the failed rows: <code>run.retry_failed()</code>")
    said.append(f"as of {moments.moment(now)}")
    style = f"margin:8px 0 0;padding-top:6px;{_RULE};font-size:12px;opacity:.8"
    return f'<p style="{style}">{" · ".join(said)}</p>'
