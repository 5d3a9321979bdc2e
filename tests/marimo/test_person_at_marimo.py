"""What a user does in marimo: the same cards as elsewhere, though it has no magics."""

from __future__ import annotations

import re

import pytest
from laboratory import Laboratory
from marimo_notebook import Marimo, output
from playwright.sync_api import expect

import llmnb
from llmnb.errors import ConfigurationError

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LOAD = """
import pandas as pd
import llmnb
llmnb.load_marimo_extension()
df = pd.DataFrame({"text": [f"row {number}" for number in range(40)]})
options = {"model": "openai/gpt-4o-mini", "project_name": "tickets", "max_concurrent_requests": 4}
"""
START = "run = df.llm.start('Say {text}', **options)\nrun"
PLAN = "df.llm.plan('Ask {text}', **options)"
WAITS = "answers = df.head(8).llm.generate('Wait {text}', **options)"
LABEL = "df.llm.label('kind', ['odd', 'even'], n=2)"
READ = "run.explore()"
BENCH = "df.llm.workbench('{text}: which?', model='openai/gpt-4o-mini', project_name='prompts')"
CACHE = "from llmnb.widgets import CacheManager\nCacheManager()"


@pytest.fixture
def provider():
    failing = {"Say row 7": 400, "Say row 9": 422}
    with Laboratory(
        reply=lambda prompt: prompt.upper(),
        faults=lambda request: failing.pop(request.prompt, None),
    ) as sim:
        yield sim


@pytest.fixture
def notebook(tmp_path, provider):
    """A notebook whose second cell waits, and whose others follow it."""
    running = Marimo(
        tmp_path,
        {**provider.environment, "LLMNB_CACHE_DIR": str(tmp_path / "cache")},
        [
            ("", LOAD, "df, options"),
            ("df, options", WAITS, "answers"),
            ("df, options, answers", f"answers\n{START}", "run"),
            ("df, options, run", f"run\n{PLAN}", ""),
            ("answers", f"answers\n{CACHE}", ""),
            ("df, answers", f"answers\n{LABEL}", ""),
            ("run", READ, ""),
            ("df, answers", f"answers\n{BENCH}", ""),
        ],
    )
    try:
        yield running
    finally:
        running.close()


def test_the_cards_of_a_notebook_are_live(notebook, provider, browser):
    """
    A waiting cell shows its dashboard; a started run is paused, resumed, and its failed rows asked
    again; a plan begins ten rows, then all; the cache manager searches, clears and undoes; rows
    are labelled by keys, and a prompt is written in the workbench.
    """
    provider.hold()
    page = notebook.open(browser)
    runs = re.compile("Run of project tickets")

    waiting = output(page, 1).get_by_role("region", name=runs)
    expect(waiting).to_contain_text("This cell holds the kernel")
    provider.wait_received(4, timeout=60)
    provider.release(8)
    expect(waiting).to_contain_text("All 8 rows answered")

    card = output(page, 2).get_by_role("region", name=runs)
    expect(card).to_contain_text("Running")
    provider.wait_received(12, timeout=60)
    provider.release(4)
    expect(card).to_contain_text("4 of 40 rows")
    card.get_by_role("button", name="Pause").click()
    expect(card).to_contain_text("Waiting on you")
    card.get_by_role("button", name="Resume").click()
    provider.release()
    expect(card).to_contain_text("38 of 40 rows answered")
    banner = output(page, 2).get_by_role("region", name="Failed rows")
    expect(banner).to_contain_text("2 rows failed.")
    banner.get_by_role("button", name="Retry these 2").click()
    expect(banner).to_contain_text("All 2 rows that failed are answered now.")
    assert len(provider.ledger.received) == 8 + 42

    plan = output(page, 3).get_by_role("region", name="Plan for project tickets")
    expect(plan).to_contain_text("40 to send")
    begun = output(page, 3).get_by_role("region", name=runs)
    plan.get_by_role("button", name="Run 10").click()
    first_rows = output(page, 3).get_by_role("region", name="First rows of project tickets")
    expect(first_rows).to_contain_text("All 10 rows answered")
    plan.get_by_role("button", name="Run 40").click()
    expect(begun).to_contain_text("All 40 rows answered")
    assert len(provider.ledger.received) == 8 + 42 + 40

    rows = output(page, 6).get_by_role("region", name="Rows of project tickets")
    rows.get_by_role("option").nth(1).click()
    page.keyboard.press("j")
    expect(rows.get_by_role("heading", name="Row 2")).to_be_visible()
    expect(rows).to_contain_text("SAY ROW 2")

    manager = output(page, 4).get_by_role("region", name="Cache manager")
    manager.get_by_role("button", name="tickets", exact=True).click()
    manager.get_by_role("searchbox").fill("Wait row 5")
    expect(manager).to_contain_text("1 of 88 answers")
    manager.get_by_role("button", name="‹ Cache").click()
    manager.get_by_role("button", name="Clear tickets…").click()
    manager.get_by_role("button", name="Clear 88 answers").click()
    manager.get_by_role("button", name="Undo clearing tickets").click()
    expect(manager.get_by_role("button", name="Clear tickets…")).to_be_visible()

    labels = output(page, 5).get_by_role("region", name="Label kind")
    labels.locator(".txt").click()
    page.keyboard.press("1")
    expect(labels).to_contain_text("you say odd.")
    page.keyboard.press("2")
    expect(labels).to_contain_text("labelled, all saved")

    bench = output(page, 7).get_by_role("region", name="Workbench")
    bench.get_by_role("button", name="Ask 5 rows").click()
    expect(bench.locator("td .txt").filter(has_text="WHICH?")).to_have_count(5)
    bench.get_by_role("textbox", name="Prompt").fill("{text}: what?")
    expect(bench.locator("thead th").last).to_contain_text("v2")


def test_elsewhere_it_says_what_to_do():
    """
    Outside marimo nothing is loaded.
    """
    with pytest.raises(ConfigurationError, match="%load_ext llmnb"):
        llmnb.load_marimo_extension()
