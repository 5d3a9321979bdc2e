"""The receipt as HTML: no script, no style sheet, no address, readable with every style gone."""

from __future__ import annotations

from collections.abc import Iterable

from llmnb.display import moments
from llmnb.display.escape import html_text
from llmnb.display.html_pieces import INERT
from llmnb.engine.status import StatusSnapshot
from llmnb.notebook import receipt_words as told
from llmnb.notebook.card import again
from llmnb.notebook.tally import Tally, tally

_CELL = (
    "border:0;background:none;font-weight:400;vertical-align:baseline;"
    "line-height:18px;max-width:none"
)
_TABLE = "border-collapse:collapse;border:0;width:auto;table-layout:auto"
_FAINT = "opacity:.74"
_RULE = "border-top:1px solid rgba(128,128,128,.32)"
_ACCENT = "var(--jp-brand-color1,#2080e0)"
_BAD = "var(--jp-error-color1,#d93a3a)"
_HATCHES = (
    f"repeating-linear-gradient(135deg,{_ACCENT} 0 1.5px,transparent 1.5px 5px)",
    f"repeating-linear-gradient(90deg,{_ACCENT} 0 1px,transparent 1px 4px)",
    _ACCENT,
    f"repeating-linear-gradient(45deg,{_BAD} 0 2px,transparent 2px 4px)",
    "rgba(128,128,128,.22)",
)
"""Reused, merged, answered, failed, not sent: as on the card's rail."""


def html(status: StatusSnapshot, *, ended: float, prices_of: str = "") -> str:
    """Return the receipt as HTML without script, style sheet or address.

    Args:
        status: The run at its end.
        ended: When that was, in seconds since the epoch.
        prices_of: Day of the price table; empty leaves it out.
    """
    rows = tally(status)
    parts = [_rail(rows), *_story(status, rows)]
    if rows.total != 0:
        parts += [_counter_table(status), _two_tables(status), _failed_table(status)]
    parts.append(_foot(status, rows, ended, prices_of))
    return (
        # Two dollar signs in a line would be a formula to the page's typesetter.
        f'<div class="llmnb-receipt {INERT}" style="max-width:760px;'
        "font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);"
        f'font-variant-numeric:tabular-nums;color:inherit">{"".join(parts)}</div>'
    )


def _rail(rows: Tally) -> str:
    whole = rows.total or rows.completed
    if not whole:
        return ""
    numbers = (rows.reused, rows.merged, rows.answered, rows.failed, rows.not_sent)
    spans = "".join(
        f'<span style="width:{100 * number / whole:.2f}%;min-width:2px;background:{hatch}"></span>'
        for number, hatch in zip(numbers, _HATCHES, strict=True)
        if number
    )
    style = "display:flex;height:9px;gap:1px;margin:0 0 8px"
    return f'<div style="{style}" aria-hidden="true">{spans}</div>'


def _story(status: StatusSnapshot, rows: Tally) -> Iterable[str]:
    big = "margin:0;font-size:16px;line-height:22px"
    small = "margin:0 0 8px;font-size:12px;line-height:17px;opacity:.8"
    title = _strong(told.headline(status, rows))
    simulated = " (simulated)" if status.simulated else ""
    if rows.total == 0:
        yield f'<p style="{big}">{title}</p>'
        yield f'<p style="{small}">There were no rows to ask about; no request was sent.</p>'
        return
    spent = _strong(told.spent(status))
    span = html_text(told.span(status))
    yield f'<p style="{big}">{title} in {span} for {spent}{simulated}</p>'
    yield f'<p style="{small}">{html_text(told.sum_of(rows))}</p>'


def _strong(said: str) -> str:
    return f'<strong style="font-weight:600">{html_text(said)}</strong>'


def _cell(said: str, style: str, *, align: str = "left", head: str = "") -> str:
    tag, scope = ("th", f' scope="{head}"') if head else ("td", "")
    return (
        f'<{tag}{scope} align="{align}" style="text-align:{align};{_CELL};{style}">'
        f"{html_text(said)}</{tag}>"
    )


def _table(rows: Iterable[Iterable[str]], style: str) -> str:
    body = "".join(f'<tr style="background:none">{"".join(row)}</tr>' for row in rows)
    return f'<table cellpadding="4" style="{_TABLE};{style}">{body}</table>'


def _counter_table(status: StatusSnapshot) -> str:
    name = f"padding:0 18px 0 0;font-size:11px;line-height:15px;{_FAINT};white-space:nowrap"
    figure = "padding:0 18px 0 0;font-size:16px;line-height:21px;font-weight:500;white-space:nowrap"
    return _table(
        (
            [_cell(one, name, head="col") for one in told.COUNTERS],
            [_cell(one, figure) for one in told.counters(status)],
        ),
        "margin:0 0 9px",
    )


def _two_tables(status: StatusSnapshot) -> str:
    style = "margin:0;font-size:12.5px;line-height:18px"
    name = f"padding:1px 14px 1px 0;{_FAINT};white-space:nowrap"
    figures = [
        (_cell(title, name, head="row"), _cell(value, "padding:1px 18px 1px 0"))
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
    tables = _table(figures, style) if figures else ""
    if status.shares:
        tables += _table(_model_rows(status, name), style)
    if not tables:
        return ""
    box = f"display:flex;flex-wrap:wrap;gap:9px 28px;align-items:flex-start;{_RULE};padding-top:7px"
    return f'<div style="{box}">{tables}</div>'


def _model_rows(status: StatusSnapshot, name: str) -> Iterable[Iterable[str]]:
    number = "padding:1px 0 1px 12px;white-space:nowrap"
    heads = ("rows", "share", "p50", "cost")
    yield (
        _cell("Model", name, head="col"),
        *(_cell(one, f"{number};{_FAINT}", align="right", head="col") for one in heads),
    )
    for model, *figures in told.models(status):
        yield (
            _cell(model, "padding:1px 18px 1px 0"),
            *(_cell(one, number, align="right") for one in figures),
        )


def _failed_table(status: StatusSnapshot) -> str:
    causes = told.causes(status)
    if not causes:
        return ""
    rows = [
        (
            _cell(count, "padding:1px 0 1px 0;white-space:nowrap", align="right"),
            _cell(cause, "padding:1px 14px 1px 10px;white-space:nowrap"),
            _cell(one, f"padding:1px 14px 1px 0;{_FAINT};overflow-wrap:anywhere"),
        )
        for count, cause, one in causes
    ]
    table = _table(rows, "margin:0;font-size:12.5px;line-height:18px")
    return f'<p style="margin:8px 0 1px">{_strong("Failed rows")}</p>{table}'


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
    style = f"margin:8px 0 0;padding-top:6px;{_RULE};font-size:12px;opacity:.8"
    line_of_all = " · ".join(said)
    return f'<p style="{style}">{line_of_all[:1].upper()}{line_of_all[1:]}</p>'
