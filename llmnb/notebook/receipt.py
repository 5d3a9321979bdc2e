"""The receipt of a run: what stays in a notebook when the dashboard is gone.

Static HTML for pages (no script, no style sheet, no address, readable with every style gone),
text for terminals and logs. Whatever a model, a provider or a person wrote is escaped, and what
would hide in it is made visible.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

from llmnb.display import durations, html_fragments, moments, money, numbers
from llmnb.display.aligned import columns, hanging, leader
from llmnb.display.escape import html_text, visible
from llmnb.display.html_fragments import cell, strong
from llmnb.display.palette import FAINT, RULE
from llmnb.display.texts import counted, cut
from llmnb.engine.status import StatusSnapshot
from llmnb.notebook import facts
from llmnb.notebook.facts import RowCounts

WIDEST = 90
"""Columns of the text at most."""

MODELS_SHOWN = 13
CAUSES_SHOWN = 10

_MODEL_FIGURES = ("rows", "share", "p50", "cost")


def line(status: StatusSnapshot) -> str:
    """Return a run in one line: for a terminal, and until the page shows more."""
    rows = facts.row_counts(status)
    start = f"llmnb run · {visible(status.project, longest=60)} · "
    if status.state in ("finished", "stopped"):
        return start + facts.result(status, rows)
    of = "" if rows.total is None else f" of {rows.total:,}"
    because = visible(status.waiting_on, longest=200)
    return f"{start}{rows.completed:,}{of} rows, {facts.cost(status)}. {because}".rstrip()


# ----------------------------------------------------------------------------- as text


def text(status: StatusSnapshot, *, ended: float, prices_of: str = "") -> str:
    """Return the receipt as text, at most 90 columns wide.

    Args:
        status: The run at its end.
        ended: When that was, in seconds since the epoch.
        prices_of: Day of the price table; empty leaves it out.
    """
    rows = facts.row_counts(status)
    project = visible(status.project, longest=40)
    simulated = " · simulated" if status.simulated else ""
    lines = [f"llmnb receipt · {project} · {moments.moment(ended)}{simulated}", ""]
    if rows.total == 0:
        return "\n".join([*lines, "Nothing to send: there were no rows."])
    lines.append(facts.result(status, rows))
    lines += _section(_row_lines(status, rows))
    lines += _section(_request_lines(status))
    lines += _section([_leader(name, value) for name, value in facts.figures(status).items()])
    if status.shares:
        models = map(facts.model_cells, facts.shares(status, MODELS_SHOWN))
        cells = [("model", *_MODEL_FIGURES), *models]
        lines += _section(columns(cells, right=range(1, 5), width=WIDEST - 2, gap=3))
    if limits := facts.limits(status):
        lines += _section(["limits", *(f"  {limit}" for limit in limits)])
    if causes := facts.causes(status, CAUSES_SHOWN):
        counts, names, _ = (max(map(len, column)) for column in zip(*causes, strict=True))
        lines += _section(["failed rows"])
        for count, name, row in causes:
            lines += hanging(f"    {count:>{counts}}  {name:<{names}}   ", row, WIDEST)
    lines.append("")
    if status.state == "stopped":
        lines.append(facts.next_step(rows))
    elif rows.failed:
        lines.append("Retry the failed rows: run.retry_failed()")
    if prices_of:
        lines.append(f"Prices of {visible(prices_of, longest=40)}.")
    return "\n".join(cut(row, WIDEST) for row in lines)


def _section(lines: Sequence[str]) -> list[str]:
    return ["", *(f"  {row}" for row in lines)] if lines else []


_leader = functools.partial(leader, names=20, values=5)


def _row_lines(status: StatusSnapshot, rows: RowCounts) -> list[str]:
    saved = {name: f"saved {money.usd(usd)}" for name, usd in facts.savings(status).items()}
    return [
        _leader("rows", numbers.count(rows.whole)),
        *(
            _leader(f"  {name}", numbers.count(part), saved.get(name, ""))
            for name, part in rows.parts.items()
        ),
    ]


def _request_lines(status: StatusSnapshot) -> list[str]:
    started, in_progress, succeeded, failed, limits, api, other, last = facts.counters(status)
    note = f"in progress {in_progress}, succeeded {succeeded}, failed {failed}"
    return [
        _leader("requests started", started, note),
        _leader("rate limit errors", limits, f"last at {last}" if last != "none" else ""),
        _leader("API errors", api),
        _leader("other errors", other),
    ]


# ----------------------------------------------------------------------------- as HTML


def html(status: StatusSnapshot, *, ended: float, prices_of: str = "") -> str:
    """Return the receipt as HTML without script, style sheet or address.

    Args:
        status: The run at its end.
        ended: When that was, in seconds since the epoch.
        prices_of: Day of the price table; empty leaves it out.
    """
    rows = facts.row_counts(status)
    parts = [*_story(status, rows)]
    if rows.whole:
        shown = ("reused", "merged", "answered", "failed", "not sent")
        bar = html_fragments.bar(
            ("rest" if name == "not sent" else name, rows.parts.get(name, 0) / rows.whole)
            for name in shown
        )
        parts.insert(0, bar)
    if rows.total != 0:
        parts += [_counter_table(status), _two_tables(status), _failed_table(status)]
    parts.append(_foot(status, rows, ended, prices_of))
    return html_fragments.box(*parts, name="llmnb-receipt")


def _story(status: StatusSnapshot, rows: RowCounts) -> Iterable[str]:
    big = "margin:0;font-size:16px;line-height:22px"
    small = "margin:0 0 8px;font-size:12px;line-height:17px;opacity:.8"
    title = strong(facts.headline(status, rows))
    sentence = "There were no rows to ask about; no request was sent."
    if rows.total != 0:
        title += f" in {html_text(durations.span(status.seconds))} for {strong(facts.cost(status))}"
        title += " (simulated)" if status.simulated else ""
        parts = [
            f"{part:,} {name}" for name, part in rows.parts.items() if part or name == "answered"
        ]
        sentence = f"{' + '.join(parts)} = {counted(rows.whole, 'row')}"
    yield f'<p style="{big}">{title}</p>'
    yield f'<p style="{small}">{html_text(sentence)}</p>'


def _counter_table(status: StatusSnapshot) -> str:
    name = f"padding:0 18px 0 0;font-size:11px;line-height:15px;{FAINT};white-space:nowrap"
    figure = "padding:0 18px 0 0;font-size:16px;line-height:21px;font-weight:500;white-space:nowrap"
    return html_fragments.table(
        (
            [cell(counter, name, head="col") for counter in facts.COUNTERS],
            [cell(count, figure) for count in facts.counters(status)],
        ),
        "margin:0 0 9px",
    )


def _two_tables(status: StatusSnapshot) -> str:
    style = "margin:0;font-size:12.5px;line-height:18px"
    name = f"padding:1px 14px 1px 0;{FAINT};white-space:nowrap"
    number = "padding:1px 0 1px 12px;white-space:nowrap"
    value_style = "padding:1px 18px 1px 0"
    how = {"reused": "reuse", "merged": "merging"}
    saved = [f"{money.usd(usd)} by {how[part]}" for part, usd in facts.savings(status).items()]
    figures = {
        "saved": ", ".join(saved),
        **facts.figures(status),
        "limits": "; ".join(facts.limits(status)),
    }
    tables = ""
    if any(figures.values()):
        rows = [
            (cell(title.capitalize(), name, head="row"), cell(value, value_style))
            for title, value in figures.items()
            if value
        ]
        tables += html_fragments.table(rows, style)
    if status.shares:
        heads = [
            cell(head, f"{number};{FAINT}", align="right", head="col") for head in _MODEL_FIGURES
        ]
        models = [
            [cell(model, value_style), *(cell(figure, number, align="right") for figure in cells)]
            for model, *cells in map(facts.model_cells, facts.shares(status, MODELS_SHOWN))
        ]
        tables += html_fragments.table([[cell("Model", name, head="col"), *heads], *models], style)
    if not tables:
        return ""
    box = f"display:flex;flex-wrap:wrap;gap:9px 28px;align-items:flex-start;{RULE};padding-top:7px"
    return f'<div style="{box}">{tables}</div>'


def _failed_table(status: StatusSnapshot) -> str:
    causes = facts.causes(status, CAUSES_SHOWN)
    if not causes:
        return ""
    rows = [
        (
            cell(count, "padding:1px 0 1px 0;white-space:nowrap", align="right"),
            cell(cause, "padding:1px 14px 1px 10px;white-space:nowrap"),
            cell(example, f"padding:1px 14px 1px 0;{FAINT};overflow-wrap:anywhere"),
        )
        for count, cause, example in causes
    ]
    table = html_fragments.table(rows, "margin:0;font-size:12.5px;line-height:18px")
    return f'<p style="margin:8px 0 1px">{strong("Failed rows")}</p>{table}'


def _foot(status: StatusSnapshot, rows: RowCounts, ended: float, prices_of: str) -> str:
    parts = []
    if status.state == "stopped":
        parts.append(html_text(facts.next_step(rows).removesuffix(".")))
    elif rows.failed:
        parts.append("Retry the failed rows: <code>run.retry_failed()</code>")
    parts.append(f"project {html_text(status.project, longest=80)}")
    parts.append(html_text(moments.moment(ended)))
    if prices_of:
        parts.append(f"prices of {html_text(prices_of)}")
    style = f"margin:8px 0 0;padding-top:6px;{RULE};font-size:12px;opacity:.8"
    sentence = " · ".join(parts)
    return f'<p style="{style}">{sentence[:1].upper()}{sentence[1:]}</p>'
