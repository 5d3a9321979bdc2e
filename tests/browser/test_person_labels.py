"""What a person does who labels rows in JupyterLab: one key a row, and nothing of it is lost."""

from __future__ import annotations

import json

import nbformat
import pytest
from laboratory import Laboratory
from playwright.sync_api import expect

from llmnb.store import layout
from llmnb.store.labels import LabelStore

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LOAD = """\
import pathlib, time
import pandas as pd
import llmnb
df = pd.DataFrame({"body": [f"A secret of row {number}." for number in range(40)]})
df["mood"] = "kind"
"""
BUSY = "while not pathlib.Path('go').exists():\n    time.sleep(0.05)"
LABEL = "labelled = df.llm.label('mood', ['kind', 'unkind'], n=8, fields='body')\nlabelled"


@pytest.fixture
def provider():
    with Laboratory(latency=0) as sim:
        yield sim


def test_rows_are_labelled_by_keys_and_survive_the_kernel(open_notebook, lab, provider, cache_dir):
    """
    Keys label the row on show and never reach the notebook; a busy kernel saves afterwards; a
    saved notebook keeps what it came to and no text; a restarted or dead kernel is told of, and a
    new one goes on where the last one stopped.
    """
    cells = [LOAD, LABEL, BUSY, "applied = df.llm.apply_labels('mood')"]
    notebook = open_notebook("labels", cells, provider)
    store = LabelStore(layout.ProjectPaths(cache_dir, "default"), "mood")
    keys = notebook.page.keyboard
    notebook.done(0)
    card = notebook.done(1).get_by_role("region", name="Label mood")
    text = card.locator(".txt")
    expect(text).to_contain_text("A secret of row")

    def press(key):
        """Press a key and wait for the next row; returns the row that it was for."""
        step = text.inner_text()
        keys.press(key)
        expect(text).not_to_have_text(step)
        return step

    # ------------------------------------------------------------------- keys in the card
    text.click()
    seen = [press("1"), press("2"), press("s")]
    expect(card).to_contain_text("is skipped")
    press("u")
    expect(card).to_contain_text("is open again: it was skipped")
    expect(text).to_have_text(seen[2])
    press("u")
    expect(card).to_contain_text("you had said unkind. Any label replaces it")
    expect(text).to_have_text(seen[1])
    press("1")
    expect(card).to_contain_text("you say kind, the model too")
    for key in "dda":  # JupyterLab's own: delete the cell, add one
        keys.press(key)
    assert notebook.panel.locator(".jp-CodeCell").count() == len(cells)
    keys.down("2")
    for _ in range(5):
        keys.down("2")  # held down
    keys.up("2")
    expect(card).to_contain_text("you say unkind, the model kind")
    expect(card.locator(".prog")).to_have_text("3 of 8")
    store.refresh()
    assert sorted(store.labels.values()) == ["kind", "kind", "unkind"]

    # ------------------------------------------------------------------ what is saved
    notebook.save()
    saved = nbformat.read(notebook.path, 4)
    kept = json.dumps(saved.cells[1].outputs) + json.dumps(saved.metadata.get("widgets", {}))
    assert "A secret" not in kept
    assert "of 8 rows labelled" in kept

    # ------------------------------------------------------------------- a busy kernel
    notebook.run(2)
    expect(notebook.cell(2).locator(".jp-InputPrompt")).to_have_text("[*]:")
    text.click()
    before = text.inner_text()
    keys.press("1")
    (notebook.path.parent / "go").touch()
    notebook.wait(2)
    expect(text).not_to_have_text(before)
    expect(card.locator(".prog")).to_have_text("4 of 8")

    # ---------------------------------------------------------------- a restarted one
    notebook.restart()
    expect(card).to_contain_text("The kernel was restarted. 4 labels are on the disk")
    text.click()
    keys.press("1")
    expect(card.locator(".prog")).to_have_text("4 of 8")
    notebook.done(0)
    again = notebook.done(1).get_by_role("region", name="Label mood")
    expect(again).to_contain_text("4 of these 8 were labelled")
    expect(again.locator(".prog")).to_have_text("4 of 8")
    text = again.locator(".txt")
    text.click()
    for _ in range(3):
        press("1")
    keys.press("2")
    expect(again).to_contain_text("labelled, all saved")
    expect(again).to_contain_text('df.llm.score("mood", labelled)')
    expect(notebook.done(3)).to_contain_text("2 of them changed it.")

    # ------------------------------------------------------------------ a dead one
    lab.end_kernels()
    expect(again).to_contain_text("The kernel is gone, last seen ")
    expect(again).to_contain_text("8 labels are on the disk")
