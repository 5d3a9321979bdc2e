"""A button that looks alive is alive: JupyterLab, at each change from one display to the next."""

from __future__ import annotations

import pytest
from browsers import enter, seen
from fault_timing import for_prompt
from laboratory import Laboratory
from playwright.sync_api import expect

from llmnb.testing import faults

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LOAD = """\
%load_ext llmnb
import pandas as pd
df = pd.DataFrame({"text": [f"row {number}" for number in range(30)]})
options = {"model": "openai/gpt-4o-mini", "project_name": "tickets", "max_concurrent_requests": 4}
"""
RUN = "Run of project"


@pytest.fixture
def provider():
    with Laboratory(reply=lambda prompt: prompt.upper(), latency=0) as sim:
        yield sim


def test_failed_rows_are_asked_again_after_a_run_that_was_paused(open_notebook, provider):
    """
    *Retry these* acts though the card that was clicked before it is gone.
    """
    provider.set_faults(for_prompt("row 7", faults.refusal()))
    provider.hold()
    start = "run = df.llm.start('Say {text}', **options)\nrun"
    notebook = open_notebook("retry", [LOAD, start], provider)
    notebook.done(0)
    output = notebook.done(1)
    card = output.get_by_role("region", name=RUN)
    card.get_by_role("button", name="Pause").click()
    card.get_by_role("button", name="Resume").click()
    expect(card.get_by_role("button", name="Pause")).to_be_visible()
    provider.release()
    retry = output.get_by_role("button", name="Retry this row")
    expect(retry).to_be_visible()

    provider.set_faults(None)
    provider.hold()
    asked = len(provider.ledger.received)
    retry.focus()
    enter(retry)
    provider.wait_received(asked + 1)
    expect(seen(output, "Asking 1 row again.", exact=True)).to_be_visible()
    expect(output.get_by_role("button", name="Stop")).to_be_focused()
    provider.release()
    expect(seen(output, "The row that failed is answered now")).to_be_visible()


def test_the_run_of_a_plan_is_seen_and_steered_from_its_first_row_on(open_notebook, provider):
    """
    *Run* shows the run's card instead; its buttons act in mid-run, its banner at the end.
    """
    provider.set_faults(for_prompt("row 7", faults.refusal()))
    provider.hold()
    plan = "df.llm.plan('Say {text}', **options)"
    notebook = open_notebook("planned", [LOAD, plan], provider)
    notebook.done(0)
    output = notebook.done(1)
    output.get_by_role("button", name="Run 10").click()
    few = output.get_by_role("region", name="First rows of project")
    expect(few.get_by_role("button", name="Pause")).to_be_visible()
    provider.release(9)
    expect(seen(few, "9 of 10 rows")).to_be_visible()
    expect(output.get_by_role("button", name="Run 30")).to_be_visible()
    provider.release()
    expect(seen(output, "9 of 10 rows answered")).to_be_visible()

    provider.hold()
    output.get_by_role("button", name="Run 30").click()
    card = output.get_by_role("region", name=RUN)
    expect(card).to_be_visible()
    expect(output.get_by_role("region", name="Plan for project")).to_have_count(0)
    card.get_by_role("button", name="Pause").click()
    expect(seen(card, "Waiting on you")).to_be_visible()
    resume = card.get_by_role("button", name="Resume")
    resume.focus()
    enter(resume)
    expect(card.get_by_role("button", name="Pause")).to_be_visible()
    provider.release()
    expect(seen(output, "29 of 30 rows answered")).to_be_visible()
    retry = output.get_by_role("button", name="Retry this row")
    expect(retry.last).to_be_visible()
    provider.set_faults(None)
    retry.last.click()
    expect(seen(output, "The row that failed is answered now")).to_be_visible()
