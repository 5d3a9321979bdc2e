"""Promises about texts that a spreadsheet would take for a formula, at every door."""

from __future__ import annotations

import csv
import json

import pyarrow
import pyarrow.parquet
import pytest
from entries import chat

from llmnb.cli import main
from llmnb.errors import ConfigurationError
from llmnb.frames.tables import open_table, table_writer
from llmnb.generation import process_api_requests_from_file_sync
from llmnb.store import layout
from llmnb.store.project import ProjectStore
from llmnb.testing import SimulatedProvider

EVIL = "=cmd|' /C calc'!A0"
TEXTS = ["fine", EVIL, "\xa0＝1", "-5", "\tx"]
GUARDED = ["fine", "'" + EVIL, "'\xa0＝1", "-5", "'\tx"]


@pytest.fixture(scope="module")
def provider():
    def refused(request):
        return 400 if request.prompt == "fine" else None

    with SimulatedProvider(reply=lambda prompt: prompt, faults=refused, latency=0) as sim:
        yield sim


@pytest.fixture
def sim(provider, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "k")


def run(*arguments):
    return main(
        ["run", *map(str, arguments), "--prompt", "{text}", "--model", "openai/m", "--quiet"]
    )


def made(path):
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table({"text": TEXTS}), path)
        return path
    with table_writer(path, ["text"], is_lossless=True) as writer:
        for text in TEXTS:
            writer.write({"text": text})
    return path


def columns(path):
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["response"] for row in rows]


@pytest.mark.parametrize("kind", [".csv", ".xlsx", ".jsonl", ".parquet"])
def test_what_a_model_says_is_guarded_and_so_is_what_was_in_no_spreadsheet_before(
    sim, tmp_path, kind
):
    """
    Cells of a CSV or Excel file were the person's own; `--raw` leaves every text as it is.
    """
    if kind == ".xlsx":
        pytest.importorskip("openpyxl")
    table, out = made(tmp_path / f"t{kind}"), tmp_path / "out.csv"

    assert run(table, "--out", out) == 1
    cells, answers = columns(out)
    assert cells == (TEXTS if kind in (".csv", ".xlsx") else GUARDED)
    assert answers == ["", *GUARDED[1:]]

    assert run(table, "--out", out, "--raw") == 1
    cells, answers = columns(out)
    assert cells == TEXTS
    assert answers == ["", *TEXTS[1:]]


def test_names_of_fields_are_guarded_and_numbers_stay(sim, tmp_path):
    """
    A name is a cell, too; a number below zero is no formula, however it is written.
    """
    table, out = tmp_path / "t.jsonl", tmp_path / "out.csv"
    row = {"text": "a", "=1+1": [EVIL], "@x": -1.5e300, "n": -(10**40), "small": -1e-7}
    table.write_text(json.dumps(row) + "\n")

    assert run(table, "--out", out) == 0

    with out.open(newline="", encoding="utf-8") as file:
        names, cells = csv.reader(file)
    assert names == ["text", "'=1+1", "'@x", "n", "small", "response", "response_error"]
    assert cells[1:5] == [json.dumps([EVIL]), "-1.5e+300", "-" + "1" + "0" * 40, "-1e-07"]


def test_the_text_of_a_providers_error_is_guarded(tmp_path):
    """
    They stand in a column of their own.
    """
    table, out = tmp_path / "t.jsonl", tmp_path / "out.csv"
    table.write_text('{"text": "a"}\n')
    with table_writer(
        out, ["text", "response", "response_error"], source=open_table(table)
    ) as writer:
        writer.write({"text": "a"}, {"response": None, "response_error": EVIL})

    assert "'" + EVIL in out.read_text()


@pytest.mark.parametrize("kind", [".csv", ".jsonl"])
def test_texts_in_excel_files_are_marked_as_texts_and_unchanged(sim, tmp_path, kind):
    """
    By Excel's own sign for it, so that nothing becomes a formula when a hand opens the cell.
    """
    openpyxl = pytest.importorskip("openpyxl")
    table, out = made(tmp_path / f"t{kind}"), tmp_path / "out.xlsx"

    assert run(table, "--out", out) == 1

    sheet = openpyxl.load_workbook(out).active
    for column in ("A", "B"):
        for cell, text, guarded in zip(sheet[column][1:], TEXTS, GUARDED, strict=True):
            if column == "B" and text == "fine":
                continue
            assert (cell.value, cell.data_type) == (text, "s")
            assert cell.quotePrefix == (text != guarded)


def test_an_export_into_a_folder_that_is_not_there_is_an_error_of_a_sentence(tmp_path, capsys):
    """
    Exit code 2, as for all that the caller can mend.
    """
    ProjectStore(layout.paths_of(tmp_path, "p")).commit([chat(1, "question", "answer")])
    out = tmp_path / "nowhere" / "out.jsonl"

    assert main(["cache", "--cache-dir", str(tmp_path), "export", "p", str(out)]) == 2
    assert f"{out} cannot be written" in capsys.readouterr().err


def test_an_export_into_a_csv_file_is_csv_and_guarded(tmp_path, capsys):
    """
    `llmnb cache export NAME FILE.csv`; `--raw` leaves every text as it is.
    """
    store = ProjectStore(layout.paths_of(tmp_path, "p"))
    store.commit([chat(1, "=question", EVIL)])
    out = tmp_path / "out.csv"

    for arguments, text in (([], "'" + EVIL), (["--raw"], EVIL)):
        assert (
            main(["cache", "--cache-dir", str(tmp_path), "export", "p", str(out), *arguments]) == 0
        )
        with out.open(newline="", encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        assert row["answer"] == text


@pytest.mark.parametrize("name", ["out.csv", "out.TSV", "out.xlsx"])
def test_lines_of_results_are_not_named_like_a_spreadsheets_file(sim, provider, tmp_path, name):
    """
    It would take what stands behind a comma in an answer for a cell; nothing is sent.
    """
    before = len(provider.ledger.received)
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({"model": "openai/m", "prompt": f"a,{EVIL}"}) + "\n")

    with pytest.raises(ConfigurationError, match="JSON Lines"):
        process_api_requests_from_file_sync(source, tmp_path / name, progress=False)

    assert len(provider.ledger.received) == before
