"""What a person does in an application that Voilà serves, who never sees a notebook."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from browsers import seen
from laboratory import Laboratory
from playwright.sync_api import expect
from voila_app import Voila

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

APP = Path(__file__).parents[2] / "examples" / "app.ipynb"
ROWS = 300

PARTS = """\
%load_ext llmnb
import ipywidgets as widgets
import pandas as pd
from llmnb.widgets import CacheManager, PlanCard, RunDashboard

df = pd.DataFrame({"text": [f"row {number}" for number in range(60)]})
options = {"model": "openai/gpt-4o-mini", "project_name": "parts", "max_concurrent_requests": 4}


def start(_button):
    with output:
        run = df.llm.start("Ask {text}", **options)


def look(rows):
    return PlanCard(df.head(rows).llm.plan("Plan {text}", **options))


output = widgets.Output()
go = widgets.Button(description="Go")
go.on_click(start)
run = df.head(20).llm.start("Say {text}", progress=False, **options)
dashboard = RunDashboard(run)
bar = widgets.IntProgress(max=20)
widgets.dlink((dashboard, "done"), (bar, "value"))
tabs = widgets.Tab([widgets.VBox([bar, dashboard]), look(7)], titles=["Run", "Plan"])
widgets.AppLayout(
    left_sidebar=widgets.VBox([go, output]), center=tabs, footer=CacheManager("parts")
)"""
CHOSEN = "widgets.interact(look, rows=widgets.Dropdown(options=[5, 50]));"


@pytest.fixture(scope="module")
def provider():
    """A provider whose answers look like formulas, held back until a test releases them."""
    with Laboratory(reply=lambda prompt: f"={prompt.splitlines()[-1].upper()}", latency=0) as sim:
        yield sim


@pytest.fixture(scope="module")
def voila(provider, tmp_path_factory):
    """A Voilà that serves the application and a page of parts."""
    folder = tmp_path_factory.mktemp("voila") / "apps"
    folder.mkdir()
    shutil.copy(APP, folder)
    cells = [nbformat.v4.new_code_cell(cell) for cell in (PARTS, CHOSEN)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "parts.ipynb")
    serving = Voila(
        folder,
        {
            **provider.environment,
            "LLMNB_CACHE_DIR": str(folder.parent / "cache"),
            "LLMNB_MODEL": "openai/gpt-4o-mini",
        },
    )
    try:
        yield serving
    finally:
        serving.close()


@pytest.fixture
def table(tmp_path):
    """A table as a spreadsheet saves it: semicolons, a byte-order mark, and somebody's markup."""
    path = tmp_path / "tickets.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["number", "<b>{body}</b>"])
        writer.writerow(["0", "<img src=x onerror=alert(1)> row 0"])
        writer.writerows([number, f"a longer text in row {number}"] for number in range(1, ROWS))
    return path


def test_somebody_who_writes_no_code_asks_about_a_table(voila, provider, browser, table, tmp_path):
    """
    Upload, column, question, price, run, pause, resume; the receipt stands where the plan stood,
    what is kept is counted beside it, and the table that is downloaded is whole.
    """
    provider.hold()
    page = voila.open(browser, "app")
    alerts = []
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a CSV file").click()
    chooser.value.set_files(table)
    expect(seen(page, "300 rows, 2 columns")).to_be_visible()
    expect(page.get_by_label("Column")).to_have_value("<b>{body}</b>")
    page.get_by_label("Question").fill("Is {this} a complaint?")
    page.get_by_role("button", name="Show plan and price").click()

    plan = page.get_by_role("region", name="Plan for project app")
    expect(plan).to_contain_text("300 to send")
    expect(plan).to_contain_text("$0.00")
    expect(plan).to_contain_text("budget $1.00")
    assert provider.ledger.received == []
    plan.get_by_role("button", name="Run 300").click()
    card = page.get_by_role("region", name="Run of project app")
    expect(card).to_be_visible()
    provider.wait_received(4)
    provider.release(10)
    expect(card).to_contain_text("10 of 300 rows")
    card.get_by_role("button", name="Pause").click()
    expect(card).to_contain_text("Waiting on you")
    sent = len(provider.ledger.received)
    assert sent < ROWS
    provider.release(sent - 10)
    expect(card).to_contain_text(f"{sent} of 300 rows")
    card.get_by_role("button", name="Resume").click()
    provider.release()

    expect(seen(page, "All 300 rows answered")).to_be_visible()
    expect(plan).to_have_count(0)
    expect(card.get_by_role("button", name="Pause")).not_to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download 300 rows").click()
    saved = tmp_path / "saved.csv"
    download.value.save_as(saved)
    with saved.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert download.value.suggested_filename == "tickets-answers.csv"
    assert len(rows) == ROWS
    assert rows[7] == {
        "number": "7",
        "<b>{body}</b>": "a longer text in row 7",
        "answer": "'=A LONGER TEXT IN ROW 7",
    }
    assert all(row["answer"] == f"'={row['<b>{body}</b>'].upper()}" for row in rows)

    page.get_by_role("tab", name="Kept answers").click()
    expect(page.get_by_role("region", name="Cache manager")).to_contain_text("300answers kept")
    assert alerts == []
    assert len(provider.ledger.received) == ROWS


def test_the_widgets_are_parts_of_a_page(voila, provider, browser):
    """
    In an Output that a button fills, in tabs, under `interact`, beside each other: each card is
    seen, acts, and becomes its receipt where it stands, and the cache manager counts along.
    """
    provider.hold()
    asked = len(provider.ledger.received)
    page = voila.open(browser, "parts")
    runs = page.get_by_role("region", name="Run of project parts")
    expect(runs).to_have_count(1)
    expect(runs.get_by_role("button", name="Pause")).to_be_visible()
    provider.wait_received(asked + 4)
    provider.release(8)
    expect(runs).to_contain_text("8 of 20 rows")
    bar = page.locator(".widget-hprogress .progress-bar")
    expect(bar).to_have_attribute("style", re.compile("width: 40%"))
    manager = page.get_by_role("region", name="Cache manager")
    expect(manager).to_contain_text("8answers kept")
    provider.release()
    expect(seen(page, "All 20 rows answered")).to_be_visible()

    page.get_by_role("tab", name="Plan").click()
    plans = page.get_by_role("region", name="Plan for project parts")
    expect(plans.first).to_contain_text("7 to send")
    expect(plans.last).to_contain_text("5 to send")
    page.locator("select").select_option("50")
    expect(plans.last).to_contain_text("50 to send")

    provider.hold()
    page.get_by_role("button", name="Go").click()
    begun = runs.filter(has=page.get_by_role("button", name="Pause"))
    expect(begun).to_be_visible()
    begun.get_by_role("button", name="Pause").click()
    expect(begun.or_(runs.filter(has_text="Waiting on you")).last).to_contain_text("Waiting on you")
    page.get_by_role("button", name="Resume").click()
    provider.release()
    expect(seen(page, "All 60 rows answered")).to_be_visible()
    expect(manager).to_contain_text("80answers kept")
