"""What a person does in JupyterLab without a mouse or a screen: plan, run, search, export, undo."""

from __future__ import annotations

import re

import pytest
from browsers import enter
from laboratory import Laboratory
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LOAD = """\
%load_ext llmnb
import pandas as pd
df = pd.DataFrame({"text": [f"row {number}" for number in range(30)]})
options = {"model": "openai/gpt-4o-mini", "project_name": "tickets"}
"""
PLAN = "df.llm.plan('Say {text}', **options)"
SPOKEN = """(root) => {
  const names = [];
  for (const node of root.querySelectorAll("button, input, progress, [role]")) {
    if (!node.checkVisibility()) continue;
    const own = node.ariaLabel || [...(node.labels ?? [])].map((one) => one.textContent).join(" ");
    names.push(`${node.role || node.localName}: ${own || node.textContent.trim()}`);
  }
  return names;
}"""


@pytest.fixture
def provider():
    with Laboratory(reply=lambda prompt: prompt.upper(), latency=0) as sim:
        yield sim


def test_a_plan_is_run_and_its_answers_are_found_exported_cleared_and_undone(
    open_notebook, provider
):
    """
    By keys alone: every button is reached by Tab, acts on Enter, and the focus is never lost.
    """
    notebook = open_notebook("keys", [LOAD, PLAN, "%llm_cache", "len(df)"], provider)
    keys = notebook.page.keyboard
    notebook.done(0)
    plans = notebook.done(1)
    plan = plans.get_by_role("region", name="Plan for project tickets")
    expect(plan).to_contain_text("30 to send")
    assert not provider.ledger.received

    # -------------------------------------------------------------- the plan's buttons
    plan.get_by_role("button", name="Cancel").focus()
    keys.press("Tab")
    enter(plan.get_by_role("button", name="Run 10"))
    expect(plans).to_contain_text("All 10 rows answered")
    expect(plan).to_contain_text("Started the first 10 rows")
    enter(plan.get_by_role("button", name="Run 30"))
    expect(plans).to_contain_text("All 30 rows answered")
    assert len(provider.ledger.received) == 30

    # ---------------------------------------------------------------- the cache manager
    manager = notebook.done(2).get_by_role("region", name="Cache manager")
    named = manager.get_by_role("button", name="tickets", exact=True)
    expect(named).to_be_visible()
    said = manager.evaluate(SPOKEN)
    assert "button: Export all" in said
    assert "button: Clear tickets…" in said
    nameless = [one for one in said if one.endswith(": ")]
    assert all(one.startswith("status") for one in nameless), said

    expect(manager.locator("[inert]")).to_have_count(0)  # the kernel has answered it
    named.focus()
    enter(named)
    search = manager.get_by_role("searchbox", name="Search prompts and answers")
    expect(search).to_be_focused()
    keys.type("row 17")
    expect(manager).to_contain_text("1 of 30 answers")
    keys.press("Tab")
    enter(manager.get_by_role("button", name="Show all of this answer"))
    expect(manager.get_by_role("button", name="Copy answer")).to_be_visible()

    export = manager.get_by_role("button", name="Export", exact=True)
    export.focus()
    enter(export)
    expect(manager.get_by_role("button", name="Cancel")).to_be_focused()
    keys.press("Tab")
    enter(manager.get_by_role("button", name="JSONL"))
    expect(manager).to_contain_text("Wrote 30 answers")
    assert len((notebook.path.parent / "tickets-answers.jsonl").read_text().splitlines()) >= 30

    back = manager.get_by_role("button", name="‹ Cache")
    back.focus()
    enter(back)
    expect(named).to_be_focused()
    keys.press("Tab")
    keys.press("Tab")
    enter(manager.get_by_role("button", name="Clear tickets…"))
    expect(manager.get_by_role("button", name="Keep")).to_be_focused()
    keys.press("Tab")
    enter(manager.get_by_role("button", name="Clear 30 answers"))
    enter(manager.get_by_role("button", name="Undo clearing tickets"))
    expect(named).to_be_focused()
    assert notebook.panel.locator(".jp-CodeCell").count() == 4  # no key reached the notebook


def test_a_screen_reader_is_told_what_a_card_shows(open_notebook, provider):
    """
    The accessibility tree names the region, both bars with their values, every button and field.
    """
    provider.hold()
    notebook = open_notebook(
        "spoken", [LOAD, "run = df.llm.start('Say {text}', **options)\nrun"], provider
    )
    notebook.done(0)
    card = notebook.done(1).get_by_role("region", name="Run of project tickets")
    expect(card).to_contain_text("Running")
    provider.wait_received(1)
    provider.release(5)
    expect(card).to_contain_text("5 of 30 rows")
    card.get_by_role("button", name="Details").press("Enter")
    tree = notebook.output(1).aria_snapshot()
    provider.release()

    for line in (
        r'progressbar "Launched"',
        r'progressbar "Completed": 5 of 30',
        r'button "Pause"',
        r'button "Stop"',
        r'button "Details" \[expanded\]',
        r'img "Requests per minute over the run: now ',
        r'img "Latency of the last \d+ repl',
        r'textbox "limit of requests per minute"',
        r'textbox "limit of tokens per minute"',
        r'textbox "in flight requests at once, at most"',
        r'columnheader "share"',
        r"status: Running\.",
        r"term: succeeded",
    ):
        assert re.search(line, tree), f"{line} is not in:\n{tree}"
