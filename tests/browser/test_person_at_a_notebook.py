"""What a new user does in JupyterLab: run a table, steer it, interrupt it, clear a cache."""

from __future__ import annotations

import re

import pytest
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
