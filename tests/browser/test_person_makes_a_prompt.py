"""What a person does who makes a prompt in JupyterLab: write, read, go back, score, copy, run."""

from __future__ import annotations

import json
import re

import pytest
from laboratory import Laboratory
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LOAD = """\
import time
import pandas as pd
import llmnb
kinds = ["invoice twice", "lamp is broken"]
tickets = pd.DataFrame({"body": [f"A secret {row}: {kinds[row % 2]}" for row in range(40)]})
truth = pd.Series(["billing", "returns"] * 5, index=range(10), name="team")
"""
BENCH = """\
bench = tickets.llm.workbench(truth=truth, into="team", model="openai/gpt-4.1-nano")
bench"""
TYPED = "Which team? {body} ?"


@pytest.fixture
def provider():
    def reply(prompt):
        return "billing" if "invoice" in prompt else "returns"

    with Laboratory(reply=reply, latency=0) as sim:
        yield sim


def prompts(provider):
    """Return how many prompts were asked that differ in more than their row."""
    return len(provider.ledger.received)


def test_a_prompt_is_typed_compared_scored_copied_and_run(open_notebook, provider):
    """
    Twenty characters typed quickly ask five rows twice at most; going back sends nothing; the code
    runs in a fresh cell and gives the column; a saved notebook holds no text of a row; a busy
    kernel asks afterwards and a restarted one is told of.
    """
    cells = [LOAD, BENCH, "pass", "print(tickets['team'].tolist() == ['billing', 'returns'] * 20)"]
    notebook = open_notebook("prompts", [*cells, "time.sleep(3)"], provider)
    keys = notebook.page.keyboard
    notebook.done(0)
    card = notebook.done(1).get_by_role("region", name="Workbench")
    area = card.get_by_role("textbox", name="Prompt")
    expect(card).to_contain_text("Nothing is sent before there is a prompt.")
    expect(card).to_contain_text("row 0")
    assert prompts(provider) == 0

    # --------------------------------------------------------------- written and read
    area.click()
    assert len(TYPED) == 20
    keys.type(TYPED, delay=15)
    heads = card.locator("thead th")
    expect(heads.nth(1)).to_contain_text("now, in the editor")
    expect(card.locator("td svg.g-good")).to_have_count(5)
    assert prompts(provider) <= 10
    keys.type(" One word.")
    expect(heads.nth(2)).to_contain_text("v2")
    expect(card.locator("td svg.g-good")).to_have_count(10)
    expect(heads.nth(2).locator("ins")).to_have_text("One word.")
    for key in "dda":  # JupyterLab's own keys stay out of the editor
        keys.press("Escape")
        keys.press(key)
    assert notebook.panel.locator(".jp-CodeCell").count() == len(cells) + 1
    area.fill(f"{TYPED} One word.")

    # ---------------------------------------------------------------- back and forth
    sent = prompts(provider)
    area.focus()
    keys.press("Alt+ArrowUp")
    expect(area).to_have_value(TYPED)
    keys.press("Alt+ArrowDown")
    expect(area).to_have_value(f"{TYPED} One word.")
    card.get_by_role("button", name="Put v1 into the editor").click()
    expect(area).to_have_value(TYPED)
    expect(card).to_contain_text("40 rows")
    assert prompts(provider) == sent

    # -------------------------------------------------------------- scored and copied
    card.get_by_role("button", name="Score on 10").click()
    expect(card.locator(".vscore").filter(has_text="10 of 10")).to_be_visible()
    card.get_by_role("button", name="Copy as code").click()
    code = card.get_by_label("The cell that gives the same column")
    expect(code).to_contain_text('tickets["team"] = tickets.llm.generate(')
    notebook.cell(2).locator(".cm-content").fill(code.inner_text())
    notebook.done(2)
    expect(notebook.done(3)).to_contain_text("True")
    card.get_by_role("button", name=re.compile("^(Run|Fill)")).click()
    expect(card).to_contain_text("40 of 40 rows answered")

    # ------------------------------------------------------------------ what is saved
    expect(notebook.output(1).get_by_text("2 versions of a prompt")).to_have_count(1)
    notebook.save()
    saved = json.loads(notebook.path.read_text())
    outputs = json.dumps(saved["cells"][1]["outputs"]) + json.dumps(saved["metadata"])
    assert "A secret" not in outputs
    assert "2 versions of a prompt" in outputs
    assert "100 %" in outputs

    # -------------------------------------------------------------- busy, and restarted
    notebook.run(4)
    area.click()
    keys.press("ControlOrMeta+End")
    keys.type(" Now.")
    notebook.wait(4)
    expect(card.locator("thead th").last).to_contain_text("v3")
    notebook.restart()
    expect(card).to_contain_text("The kernel was restarted. What you typed stays here")
    expect(area).to_have_value(f"{TYPED} Now.")
