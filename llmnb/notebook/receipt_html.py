"""The receipt as HTML: no script, no style sheet, no address, readable with every style gone."""

from __future__ import annotations

from collections.abc import Iterable

from llmnb.display import moments
from llmnb.display.escape import html_text
from llmnb.display.html_pieces import bar, box, cell, strong, table
from llmnb.display.palette import FAINT, RULE
from llmnb.engine.status import StatusSnapshot
from llmnb.notebook import receipt_words as told
from llmnb.notebook.card import again, counters
from llmnb.notebook.tally import Tally, tally


def html(status: StatusSnapshot, *, ended: float, prices_of: str = "") -> str:
    """Return the receipt as HTML without script, style sheet or address.

    Args:
        status: The run at its end.
        ended: When that was, in seconds since the epoch.
        prices_of: Day of the price table; empty leaves it out.
    """
    rows = tally(status)
    parts = [_bar(rows), *_story(status, rows)]
    if rows.total != 0:
        parts += [_counter_table(status), _two_tables(status), _failed_table(status)]
    parts.append(_foot(status, rows, ended, prices_of))
    return box(*parts, name="llmnb-receipt")


def _bar(rows: Tally) -> str:
    whole = rows.total or rows.completed
    if not whole:
        return ""
    figures = {
        "reused": rows.reused,
        "merged": rows.merged,
        "answered": rows.answered,
        "failed": rows.failed,
        "rest": rows.not_sent,
    }
    return bar((name, figure / whole) for name, figure in figures.items())


def _story(status: StatusSnapshot, rows: Tally) -> Iterable[str]:
    big = "margin:0;font-size:16px;line-height:22px"
    small = "margin:0 0 8px;font-size:12px;line-height:17px;opacity:.8"
    title = strong(told.headline(status, rows))
    simulated = " (simulated)" if status.simulated else ""
    if rows.total == 0:
        yield f'<p style="{big}">{title}</p>'
        yield f'<p style="{small}">There were no rows to ask about; no request was sent.</p>'
        return
    spent = strong(told.spent(status))
    span = html_text(told.span(status))
    yield f'<p style="{big}">{title} in {span} for {spent}{simulated}</p>'
    yield f'<p style="{small}">{html_text(told.sum_of(rows))}</p>'


def _counter_table(status: StatusSnapshot) -> str:
    name = f"padding:0 18px 0 0;font-size:11px;line-height:15px;{FAINT};white-space:nowrap"
    figure = "padding:0 18px 0 0;font-size:16px;line-height:21px;font-weight:500;white-space:nowrap"
    return table(
        (
            [cell(one, name, head="col") for one in told.COUNTERS],
            [cell(one, figure) for one in counters(status)],
        ),
        "margin:0 0 9px",
    )


def _two_tables(status: StatusSnapshot) -> str:
    style = "margin:0;font-size:12.5px;line-height:18px"
    name = f"padding:1px 14px 1px 0;{FAINT};white-space:nowrap"
    figures = [
        (cell(title, name, head="row"), cell(value, "padding:1px 18px 1px 0"))
        for title, value in (
            ("Saved", told.saved(status)),
            ("Tokens", told.tokens(status)),
            ("Speed", told.speed(status)),
            ("Repeated", told.repeated(status)),
            ("Waited", told.waited(status)),
            ("Limits", "; ".join(told.limits(status))),
        )
        if value
    ]
    tables = table(figures, style) if figures else ""
    if status.shares:
        tables += table(_model_rows(status, name), style)
    if not tables:
        return ""
    box = f"display:flex;flex-wrap:wrap;gap:9px 28px;align-items:flex-start;{RULE};padding-top:7px"
    return f'<div style="{box}">{tables}</div>'


def _model_rows(status: StatusSnapshot, name: str) -> Iterable[Iterable[str]]:
    number = "padding:1px 0 1px 12px;white-space:nowrap"
    heads = ("rows", "share", "p50", "cost")
    yield (
        cell("Model", name, head="col"),
        *(cell(one, f"{number};{FAINT}", align="right", head="col") for one in heads),
    )
    for model, *figures in told.models(status):
        yield (
            cell(model, "padding:1px 18px 1px 0"),
            *(cell(one, number, align="right") for one in figures),
        )


def _failed_table(status: StatusSnapshot) -> str:
    causes = told.causes(status)
    if not causes:
        return ""
    rows = [
        (
            cell(count, "padding:1px 0 1px 0;white-space:nowrap", align="right"),
            cell(cause, "padding:1px 14px 1px 10px;white-space:nowrap"),
            cell(one, f"padding:1px 14px 1px 0;{FAINT};overflow-wrap:anywhere"),
        )
        for count, cause, one in causes
    ]
    causes_table = table(rows, "margin:0;font-size:12.5px;line-height:18px")
    return f'<p style="margin:8px 0 1px">{strong("Failed rows")}</p>{causes_table}'


def _foot(status: StatusSnapshot, rows: Tally, ended: float, prices_of: str) -> str:
    said = []
    if status.state == "stopped":
        said.append(html_text(again(rows).removesuffix(".")))
    elif rows.failed:
        said.append("Retry the failed rows: <code>run.retry_failed()</code>")
    said.append(f"project {html_text(status.project, longest=80)}")
    said.append(html_text(moments.moment(ended)))
    if prices_of:
        said.append(f"prices of {html_text(prices_of)}")
    style = f"margin:8px 0 0;padding-top:6px;{RULE};font-size:12px;opacity:.8"
    line_of_all = " · ".join(said)
    return f'<p style="{style}">{line_of_all[:1].upper()}{line_of_all[1:]}</p>'
