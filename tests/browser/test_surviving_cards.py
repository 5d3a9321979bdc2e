"""Cards survive: another place than a cell's output, a page that goes, a kernel that goes."""

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
from ipywidgets import Button, Output, VBox
df = pd.DataFrame({"text": [f"row {number}" for number in range(30)]})
options = {"model": "openai/gpt-4o-mini", "project_name": "tickets", "max_concurrent_requests": 4}
"""
START = "run = df.llm.start('Say {text}', **options)"
APPLICATION = """\
out, button = Output(), Button(description="Go")
@out.capture()
def go(_):
    df.llm.start('Ask {text}', **options)
button.on_click(go)
VBox([button, out])
"""
RUN = "Run of project"
KEPT = "8 rows are kept"


@pytest.fixture
def provider():
    with Laboratory(reply=lambda prompt: prompt.upper(), latency=0) as sim:
        sim.set_faults(for_prompt("row 7", faults.refusal()))
        sim.hold()
        yield sim


def test_a_card_is_found_again_in_mid_run_and_after_the_end(open_notebook, provider):
    """
    The page is loaded anew, then closed and opened at the end: the card acts, the receipt is there.
    """
    notebook = open_notebook("again", [LOAD, START], provider)
    notebook.done(0)
    card = notebook.done(1).get_by_role("region", name=RUN)
    provider.wait_received(4)
    provider.release(8)
    expect(seen(card, "8 of 30 rows")).to_be_visible()
    notebook.save()

    notebook.reload()
    expect(seen(card, "8 of 30 rows")).to_be_visible()
    expect(seen(notebook.output(1), "Where no card follows")).to_have_count(0)
    card.get_by_role("button", name="Pause").click()
    expect(seen(card, "Waiting on you")).to_be_visible()
    card.get_by_role("button", name="Resume").click()
    expect(card.get_by_role("button", name="Pause")).to_be_visible()

    notebook.close()
    provider.release()
    provider.wait_idle()
    notebook.open()
    output = notebook.output(1)
    expect(seen(output, "29 of 30 rows answered")).to_be_visible()
    provider.set_faults(None)
    output.get_by_role("button", name="Retry this row").click()
    expect(seen(output, "The row that failed is answered now")).to_be_visible()


def test_a_run_that_a_button_begins_in_an_output_keeps_its_card(open_notebook, provider):
    """
    In an application's own `Output` the card becomes the receipt where it stands.
    """
    notebook = open_notebook("application", [LOAD, APPLICATION], provider)
    notebook.done(0)
    output = notebook.done(1)
    output.get_by_role("button", name="Go").click()
    card = output.get_by_role("region", name=RUN)
    card.get_by_role("button", name="Pause").click()
    expect(seen(card, "Waiting on you")).to_be_visible()
    resume = card.get_by_role("button", name="Resume")
    resume.focus()
    enter(resume)
    provider.release()
    expect(seen(output, "29 of 30 rows answered")).to_be_visible()
    provider.set_faults(None)
    output.get_by_role("button", name="Retry this row").click()
    expect(seen(output, "The row that failed is answered now")).to_be_visible()
    expect(seen(output, "29 of 30 rows answered")).to_be_visible()


def test_a_kernel_that_is_restarted_is_told_of(open_notebook, provider):
    """
    At once on the card, with what is kept; on a page that knows no card more in a static line.
    """
    provider.set_faults(None)
    notebook = open_notebook("restarted", [LOAD, START], provider)
    notebook.done(0)
    output = notebook.done(1)
    card = output.get_by_role("region", name=RUN)
    provider.wait_received(4)
    provider.release(8)
    expect(seen(card, "8 of 30 rows")).to_be_visible()
    expect(output.get_by_text("What is answered is kept.")).to_have_count(1)  # unseen
    notebook.restart()
    expect(seen(card, f"The kernel was restarted. {KEPT}")).to_be_visible()
    expect(card.get_by_role("button", name="Stop")).to_have_attribute("aria-disabled", "true")
    expect(output.get_by_text("busy with a cell")).to_have_count(0)
    notebook.save()

    with notebook.without_models():
        notebook.reload()
        expect(seen(notebook.output(1), "What is answered is kept.")).to_be_visible()
