"""What a person does in JupyterLab to read rows: keys, mouse, marks, a retry, a restart."""

from __future__ import annotations

import json

import pytest
from fault_timing import for_prompt
from laboratory import Laboratory
from playwright.sync_api import expect

from llmnb.testing import faults

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LOAD = """\
%load_ext llmnb
import pandas as pd
df = pd.DataFrame({"text": [f"a private row {number}" for number in range(30)]})
options = {"model": "openai/gpt-4o-mini", "project_name": "tickets", "max_concurrent_requests": 4}
run = df.llm.start('Say {text}', on_error='column', **options)
"""


@pytest.fixture
def provider():
    with Laboratory(reply=lambda prompt: prompt.upper(), latency=0) as sim:
        yield sim


def test_rows_are_read_while_a_run_goes_on_and_the_kernel_hears(open_notebook, provider):
    """
    Rows appear as they come; a click marks; keys are the card's and never the notebook's; a failed
    row is asked again; marks are there in code; a saved notebook holds no row in widget state; a
    restarted kernel is told, and what was read stays.
    """
    provider.set_faults(for_prompt("row 7", faults.refusal()))
    provider.hold()
    cells = [LOAD, "ex = run.explore()\nex", "ex.marks.sum()", "ex.row(3)['answer']"]
    notebook = open_notebook("reading", cells, provider)
    keys = notebook.page.keyboard
    notebook.done(0)
    card = notebook.done(1).get_by_role("region", name="Rows of project tickets")
    expect(card).to_contain_text("0 of 30 rows are answered")
    listed = card.get_by_role("listbox")
    expect(listed).to_contain_text("not answered yet")
    provider.release()
    expect(card).to_contain_text("All 30 rows, in the frame’s order.")
    expect(listed).to_contain_text("SAY A PRIVATE ROW 3")

    # ------------------------------------------------------------ mouse, keys, and code
    card.get_by_role("option").nth(2).click()
    expect(card.get_by_role("heading", name="Row 2")).to_be_visible()
    for _ in range(2):
        keys.press("d")  # twice, it would delete the cell
    keys.press("j")
    expect(card.get_by_role("heading", name="Row 3")).to_be_visible()
    card.get_by_role("button", name="Mark", exact=True).click()
    expect(card).to_contain_text("1 is marked")
    expect(notebook.page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(len(cells))
    notebook.run(2)
    expect(notebook.output(2)).to_contain_text("1")
    notebook.run(3)
    expect(notebook.output(3)).to_contain_text("SAY A PRIVATE ROW 3")

    # -------------------------------------------------------------------- a failed row
    listed.focus()
    keys.press("n")
    expect(card.get_by_role("heading", name="Row 7")).to_be_visible()
    provider.set_faults(None)
    card.get_by_role("button", name="Retry this row").click()
    expect(listed.get_by_role("option", selected=True)).to_contain_text("SAY A PRIVATE ROW 7")

    # ------------------------------------------------------------- saved, and restarted
    notebook.save()
    saved = json.loads(notebook.path.read_text())
    output = saved["cells"][1]["outputs"][0]["data"]  # put anew when the run had ended
    assert "A PRIVATE ROW 3" in str(output["text/html"])
    assert "private row" not in json.dumps(saved["metadata"].get("widgets", {}))
    notebook.restart()
    expect(card).to_contain_text("The kernel was restarted. What was read stays on show")
    expect(listed).to_contain_text("SAY A PRIVATE ROW 3")
    notebook.done(0)  # so that nothing is cut off in the middle of the restart
