"""What a new user does in JupyterLab: run a table, steer it, interrupt it, clear a cache."""

from __future__ import annotations

import re

import pytest
from browsers import seen
from laboratory import Laboratory
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LOAD = """\
%load_ext llmnb
import pandas as pd
df = pd.DataFrame({"text": [f"row {number}" for number in range(200)]})
options = {"model": "openai/gpt-4o-mini", "project_name": "tickets", "max_concurrent_requests": 4}
"""


@pytest.fixture
def provider():
    key = "sk-never-in-a-notebook"
    with Laboratory(reply=lambda prompt: prompt.upper(), api_key=key) as sim:
        yield sim


def test_a_run_is_watched_paused_resumed_changed_and_stopped(open_notebook, provider):
    """
    The bars move, the buttons act on a started run, and the receipt stays.
    """
    provider.hold()
    notebook = open_notebook(
        "steer",
        [
            LOAD,
            "run = df.llm.start('Say {text}', **options)\nrun",
            "run.status().pools[0].requests_per_minute",
            "int(run.result().notna().sum())",
        ],
        provider,
    )
    notebook.done(0)
    notebook.done(1)
    card = notebook.output(1).get_by_role("region", name=re.compile("Run of project"))
    expect(card).to_contain_text("Running")
    provider.wait_received(4)

    provider.release(40)
    completed = card.get_by_role("progressbar", name="Completed")
    expect(completed).to_have_attribute("value", re.compile(r"^(?!0$)"))
    expect(card).to_contain_text("40 of 200 rows")

    card.get_by_role("button", name="Pause").click()
    expect(card).to_contain_text("Waiting on you")
    on_the_way = provider.ledger.in_flight
    provider.release(on_the_way)
    expect(card).to_contain_text(f"{40 + on_the_way} of 200 rows")
    assert provider.ledger.in_flight == 0  # nothing new was sent

    card.get_by_role("button", name="Resume").click()
    provider.wait_received(40 + on_the_way + 4)
    expect(card).to_contain_text("Running")

    card.get_by_role("button", name="Details").click()
    pace = card.get_by_label(re.compile("limit.*requests", re.IGNORECASE)).first
    pace.fill("5k")
    pace.press("Enter")
    expect(pace).to_have_value(re.compile("5"))
    assert "5000" in notebook.done(2).inner_text()

    card.get_by_role("button", name="Stop").click()
    provider.release()
    expect(notebook.output(1)).to_contain_text("Stopped")
    expect(notebook.output(1)).to_contain_text("Run the cell again")
    answered = int(notebook.done(3).inner_text().split()[-1])
    assert 40 + on_the_way <= answered < 200

    notebook.save()
    saved = notebook.path.read_text()
    assert "Run the cell again" in saved
    assert provider.api_key not in saved


def test_an_interrupted_cell_keeps_its_rows_and_asks_only_the_rest(open_notebook, provider):
    """
    ■ gives the partial column within the cell; run again, only what is missing is sent.
    """
    provider.hold(lambda request: request.number >= 30)
    notebook = open_notebook(
        "interrupt",
        [
            LOAD,
            "out = df.llm.generate('Say {text}', into='said', **options)\n"
            "int(out['said'].notna().sum())",
        ],
        provider,
    )
    notebook.done(0)
    notebook.run(1)
    provider.wait_received(34)
    notebook.interrupt()
    notebook.wait(1)
    kept = int(notebook.output(1).inner_text().split()[-1])
    assert kept == 30

    provider.release()
    provider.wait_idle()
    before = len(provider.ledger.finished)
    whole = notebook.done(1).inner_text()
    assert whole.split()[-1] == "200"
    assert len(provider.ledger.finished) == 200
    assert before >= 30


CUT = """(output) => [...output.querySelectorAll(".llmnb-receipt, .llmnb-receipt *")]
  .filter(node => node.clientWidth && node.scrollWidth > node.clientWidth + 1)
  .map(node => node.outerHTML.slice(0, 80))"""
"""Nodes of receipts that are wider than the room they have."""


def test_receipts_are_short_and_tell_what_came_back(open_notebook):
    """
    A run of a cell shows its answers, a loop of ten takes one line until it is unfolded, failures
    are told in no warning, and at 700 pixels nothing is cut.
    """
    refused = lambda request: 400 if "row 7" in request.prompt else None  # noqa: E731
    with Laboratory(reply=lambda prompt: f"to {prompt}", faults=refused, latency=0) as provider:
        notebook = open_notebook(
            "receipts",
            [
                LOAD + "df, more = df.head(30), df.tail(30)",
                "more['a'] = more.llm.generate('Say {text}', **options)",
                "for number in range(10):\n"
                "    more[str(number)] = more.llm.generate(f'Say {number} {{text}}', **options)",
                "df['a'] = df.llm.generate('Say {text}', **options)",
                "more.llm.plan('Plan {text}', **options)",
            ],
            provider,
        )
        notebook.done(0)
        single, loop, failed = notebook.done(1), notebook.done(2), notebook.done(3)
        plan = notebook.done(4)

        expect(single.locator("summary").first).to_contain_text("All 30 rows answered in")
        expect(single.get_by_role("cell", name="to Say row 174", exact=True)).to_be_visible()

        line = seen(loop, "10 runs, all 300 rows answered")
        expect(line).to_be_visible()
        assert loop.bounding_box()["height"] <= 160
        expect(loop.get_by_role("row", name=re.compile("Say 3 {text} +30"))).to_be_hidden()
        loop.locator("summary").first.focus()
        notebook.page.keyboard.press("Space")
        expect(loop.get_by_role("row", name=re.compile("Say 3 {text} +30"))).to_be_visible()

        expect(failed).to_contain_text("29 of 30 rows answered")
        told = failed.get_by_text("rejected by the provider").filter(visible=True)
        expect(told).to_have_count(1)
        expect(seen(failed, "1 row failed.", exact=True)).to_be_visible()
        for output in (single, loop, failed):
            expect(
                output.locator("[data-mime-type='application/vnd.jupyter.stderr']")
            ).to_have_count(0)

        plan.get_by_role("button", name="Run 10").click()
        expect(plan.get_by_role("cell", name="to Plan row 174", exact=True)).to_be_visible()
        expect(plan.locator("code").filter(visible=True)).to_have_text(
            "import llmnb; llmnb.last_run().result()"
        )

        room = single.bounding_box()["width"]
        wide = notebook.page.viewport_size
        notebook.page.set_viewport_size({"width": int(wide["width"] - room + 700), "height": 1000})
        try:
            for output in (single, loop, failed, plan):
                output.evaluate(
                    "one => one.querySelectorAll('details').forEach(d => d.open = true)"
                )
                assert output.evaluate(CUT) == []
        finally:
            notebook.page.set_viewport_size(wide)


def test_one_project_is_cleared_and_brought_back(open_notebook, provider, cache_dir):
    """
    Asked once more in its row; on disk only that project is gone; undo brings it back.
    """
    notebook = open_notebook(
        "cache",
        [
            LOAD,
            "few = df.head(3)\n"
            "_ = few.llm.generate('Say {text}', **options)\n"
            "_ = few.llm.generate('Ask {text}', **{**options, 'project_name': 'other'})",
            "%llm_cache",
        ],
        provider,
    )
    notebook.done(0)
    notebook.done(1)
    manager = notebook.done(2).get_by_role("region", name="Cache manager")
    expect(manager).to_contain_text("tickets")

    def projects():
        folders = [one.name for one in cache_dir.iterdir() if one.is_dir()]
        return sorted(name for name in folders if not name.startswith("."))

    before = projects()
    manager.get_by_role("button", name="Clear tickets…").click()
    manager.get_by_role("button", name=re.compile("Clear 3 answers")).click()
    expect(manager.get_by_role("button", name="Undo clearing tickets")).to_be_visible()
    (gone,) = set(before) - set(projects())
    assert gone.startswith("tickets")

    manager.get_by_role("button", name="Undo clearing tickets").click()
    expect(manager.get_by_role("button", name="Clear tickets…")).to_be_visible()
    assert projects() == before
