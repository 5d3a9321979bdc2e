"""A batch run in a page: a plain table, everything in it text."""

from __future__ import annotations

import html

from llmnb.engine.status import StatusSnapshot


def card(run_id: str, asked: str, status: StatusSnapshot) -> str:
    """Return the table.

    Args:
        run_id: Name of the run; empty where nothing had to be submitted.
        asked: The model in words.
        status: How the run stands.
    """
    facts = {
        "run": run_id or "nothing had to be submitted",
        "model": asked,
        "state": status.state,
        "rows": f"{status.completed:,} of {status.total or 0:,}",
        "failed": f"{status.counts.num_tasks_failed:,}",
        "cost": status.cost_text,
        "waiting on": status.waiting_on,
        "project": status.project,
    }
    rows = "".join(
        f"<tr><th scope='row' style='text-align:left'>{name}</th>"
        f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
        for name, text in facts.items()
        if text
    )
    return f"<table><caption>Batch run</caption>{rows}</table>"
