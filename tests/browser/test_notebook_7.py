"""What a person does in Notebook 7: the same cards, the same buttons, the same receipt."""

from __future__ import annotations

import pytest
from laboratory import Laboratory
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LOAD = """\
%load_ext llmnb
import pandas as pd
df = pd.DataFrame({"text": [f"row {number}" for number in range(20)]})
options = {"model": "openai/gpt-4o-mini", "project_name": "tickets", "max_concurrent_requests": 4}
settings = {"model": "openai/gpt-4o-mini", "project_name": "tickets"}
"""


def test_a_run_is_paused_and_resumed_and_ends_as_its_receipt(open_notebook):
    """
    The dashboard acts at once; a plan shows its card, the cache manager its projects; rows
    are labelled by keys.
    """
    with Laboratory(reply=lambda prompt: prompt.upper()) as provider:
        provider.hold()
        notebook = open_notebook(
            "seven",
            [
                LOAD,
                "run = df.llm.start('Say {text}', **options)",
                "df.llm.plan('Ask {text}', **options)",
                "%llm_cache",
                "df.llm.label('kind', ['odd', 'even'], n=2)",
                "run.explore()",
                "df.llm.workbench('{text}: which?', **settings)",
            ],
            provider,
            program="notebook",
        )
        notebook.done(0)
        card = notebook.done(1).get_by_role("region", name="Run of project tickets")
        expect(card).to_contain_text("Running")
        provider.wait_received(4)
        provider.release(4)
        expect(card).to_contain_text("4 of 20 rows")
        card.get_by_role("button", name="Pause").click()
        expect(card).to_contain_text("Waiting on you")
        card.get_by_role("button", name="Resume").click()
        provider.release()
        output = notebook.output(1)
        expect(output).to_contain_text("All 20 rows answered")
        expect(card).to_have_count(0)

        plan = notebook.done(2).get_by_role("region", name="Plan for project tickets")
        expect(plan).to_contain_text("20 to send")
        manager = notebook.done(3).get_by_role("region", name="Cache manager")
        expect(manager.get_by_role("button", name="Clear tickets…")).to_be_visible()

        labels = notebook.done(4).get_by_role("region", name="Label kind")
        labels.locator(".txt").click()
        notebook.page.keyboard.press("1")
        expect(labels).to_contain_text("you say odd.")
        notebook.page.keyboard.press("2")
        expect(labels).to_contain_text("labelled, all saved")

        rows = notebook.done(5).get_by_role("region", name="Rows of project tickets")
        rows.get_by_role("option").nth(1).click()
        notebook.page.keyboard.press("j")
        expect(rows.get_by_role("heading", name="Row 2")).to_be_visible()
        expect(rows).to_contain_text("SAY ROW 2")

        bench = notebook.done(6).get_by_role("region", name="Workbench")
        bench.get_by_role("button", name="Ask 5 rows").click()
        expect(bench.locator("td .txt").filter(has_text="WHICH?")).to_have_count(5)
        bench.get_by_role("textbox", name="Prompt").fill("{text}: what?")
        expect(bench.locator("thead th").last).to_contain_text("v2")
