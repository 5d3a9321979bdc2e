"""Promises about cells of files that a spreadsheet may open."""

from __future__ import annotations

import csv

import pytest
from entries import chat
from hypothesis import given
from hypothesis import strategies as st

from llmnb.display.escape import inert_cell
from llmnb.frames.tables import table_writer
from llmnb.store import layout, transfer
from llmnb.store.project import ProjectStore

FORMULAS = [
    "=1+1",
    "  =1+1",
    "＝1",
    "\xa0=1",
    "\n=1",
    "\t=1",
    "\r=1",
    "@SUM(A1)",
    "+1+1",
    "+49",
    "-1+1",
    "＋1+1",
    "－1+1",
    "＠SUM(A1)",
    "\u200b=1",
    "\ufeff=1",
    "\x00=1",
    "\u3000＝1",
    "\tfine",
    "\rfine",
    "\nfine",
    "+1e5+A1",
    "-inf",
]
HARMLESS = ["", "fine", "a=1", "-5", "-0.5e-3", "1+1", "'=1", "é", " fine", "5 - 4"]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe(text):
    """
    Whatever blanks or unseen signs stand before it, and in full width too.
    """
    assert inert_cell(text) == "'" + text


@pytest.mark.parametrize("cell", [*HARMLESS, -5, 0.5, None, True])
def test_what_is_no_formula_stays_as_it_is(cell):
    """
    Numbers, whether as numbers or as text, and all other text.
    """
    assert inert_cell(cell) is cell


@given(st.text())
def test_a_guarded_text_is_guarded_once(text):
    """
    Nothing but the apostrophe is added, and never a second one.
    """
    guarded = inert_cell(text)

    assert guarded in (text, "'" + text)
    assert inert_cell(guarded) == guarded


@pytest.mark.parametrize("text", ["  =1+1", "＝1", "\xa0=1", "\n=1", "@A1", "+A1", "-A1"])
def test_every_file_of_answers_is_guarded_alike(tmp_path, text):
    """
    What is asked of a table on the command line, and what is exported from a project.
    """
    table, export = tmp_path / "table.csv", tmp_path / "export.csv"
    with table_writer(table, ["answer"]) as rows:
        rows.write({"answer": text})
    store = ProjectStore(layout.paths_of(tmp_path, "p"))
    store.commit([chat(1, "question", text)])
    transfer.export_csv(store.paths, export)

    for path in (table, export):
        with path.open(newline="", encoding="utf-8") as file:
            [row] = csv.DictReader(file)
        assert row["answer"] == "'" + text
