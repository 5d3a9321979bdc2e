"""Promises about what Excel files cannot hold."""

from __future__ import annotations

import json

import pytest

from llmnb.cli import main
from llmnb.frames import excel_tables
from llmnb.frames.excel_tables import LONGEST_TEXT
from llmnb.frames.tables import open_table
from llmnb.testing import SimulatedProvider

pytest.importorskip("openpyxl")


@pytest.fixture(scope="module")
def provider():
    replies = {
        "long": "x" * 40_000,
        "fits": "y" * LONGEST_TEXT,
        "emojis": "\U0001f600" * 20_000,
        "escapes": "\r" * 10_000,
    }
    with SimulatedProvider(reply=lambda prompt: replies.get(prompt, "said"), latency=0) as sim:
        yield sim


@pytest.fixture
def sim(provider, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    before = len(provider.ledger.received)
    return lambda: len(provider.ledger.received) - before


def run(table, out, *more):
    arguments = ["run", str(table), "--prompt", "{text}", "--model", "openai/m", "--quiet"]
    return main([*arguments, "--out", str(out), *more])


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_answers_that_a_cell_cannot_hold_are_counted_and_kept_whole(sim, tmp_path, capsys):
    """
    What fits stands there; the end says how many were cut, where they are whole, and how to have
    them; another format has them for nothing.
    """
    asked = ["long", "fits", "emojis", "escapes", "other"]
    table = lines(tmp_path / "t.jsonl", [{"text": text} for text in asked])
    out = tmp_path / "out.xlsx"

    assert run(table, out, "--project", "tales") == 1

    said = capsys.readouterr().err
    assert "3 cells were longer than the 32,767 characters" in said
    assert "'tales'" in said
    assert "JSONL" in said
    responses = {row["text"]: row["response"] for row in open_table(out).rows()}
    assert responses["long"] == "x" * LONGEST_TEXT
    assert responses["fits"] == "y" * LONGEST_TEXT
    assert responses["emojis"] == "\U0001f600" * (LONGEST_TEXT // 2)
    assert responses["escapes"] == "\r" * (LONGEST_TEXT // 7)
    assert responses["other"] == "said"
    assert sim() == 5
    assert run(table, tmp_path / "out.jsonl", "--project", "tales") == 0
    assert sim() == 5
    whole = [len(row["response"]) for row in open_table(tmp_path / "out.jsonl").rows()]
    assert whole == [40_000, LONGEST_TEXT, 20_000, 10_000, 4]


UNFIT = {
    "a text": ([{"text": "a"}, {"text": "b", "more": "x" * 32_768}], "row 2 has 32,768 characters"),
    "a nested value": ([{"text": "a", "more": ["x" * 32_766]}], "32,770 characters"),
    "a name": ([{"text": "a", "x" * 32_768: 1}], "the first row has 32,768 characters"),
    "columns": ([{"text": "a"} | dict.fromkeys(map(str, range(16_382)))], "16,385 columns"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_a_table_that_excel_cannot_hold_is_refused_before_anything_is_sent(
    sim, tmp_path, capsys, kind
):
    """
    With what is too much and where, and the formats that hold it.
    """
    rows, says = UNFIT[kind]
    table, out = lines(tmp_path / "t.jsonl", rows), tmp_path / "out.xlsx"

    assert run(table, out) == 2

    said = capsys.readouterr().err
    assert says in said
    assert "Parquet hold it" in said
    assert sim() == 0
    assert not out.exists()


def test_too_many_rows_for_excel_are_refused_unless_fewer_are_asked(
    sim, tmp_path, capsys, monkeypatch
):
    """
    The line of names is one of them; `--limit` counts.
    """
    monkeypatch.setattr(excel_tables, "MOST_ROWS", 4)
    table = lines(tmp_path / "t.jsonl", [{"text": text} for text in "abcd"])

    assert run(table, tmp_path / "out.xlsx") == 2
    assert "more than 3 rows" in capsys.readouterr().err
    assert sim() == 0
    assert run(table, tmp_path / "out.xlsx", "--limit", "3") == 0
    assert len(list(open_table(tmp_path / "out.xlsx").rows())) == 3


def test_no_run_begins_before_the_output_can_be_written(sim, tmp_path, monkeypatch, capsys):
    """
    Else requests are sent for answers that have no place.
    """
    begun = []
    monkeypatch.setattr(
        "llmnb.cli.run.start", lambda *arguments, **options: begun.append(arguments)
    )
    table = lines(tmp_path / "t.jsonl", [{"text": "a"}])

    assert run(table, tmp_path / "nowhere" / "out.xlsx") == 2

    assert "no folder" in capsys.readouterr().err
    assert not begun


@pytest.mark.parametrize("name", ["out.xlsx", "out.parquet", "out.tsv", "out.jsonl"])
def test_two_columns_of_the_same_name_are_never_merged(sim, tmp_path, capsys, name):
    """
    A file that would have the last one's cells in both is not written.
    """
    table = tmp_path / "t.csv"
    table.write_text("text,a,a\nx,1,2\n")

    assert run(table, tmp_path / name) == 2

    assert "several columns of one name" in capsys.readouterr().err
    assert sim() == 0


def test_cells_that_no_column_names_fail_their_row_alone(sim, tmp_path, capsys):
    """
    It keeps its place, and the error has what was left over; such cells were dropped in silence.
    """
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for cells in [["text", "n"], ["a", 1], ["b", 2, None, "stray"], ["c", 3, None]]:
        book.active.append(cells)
    table = tmp_path / "t.xlsx"
    book.save(table)

    assert run(table, tmp_path / "out.jsonl") == 1

    rows = list(open_table(tmp_path / "out.jsonl").rows())
    assert [row["response"] for row in rows] == ["said", None, "said"]
    assert "row 3 of t.xlsx" in rows[1]["response_error"]
    assert "stray" in rows[1]["response_error"]
    assert "1 row could not be read" in capsys.readouterr().err


def test_columns_without_a_name_are_kept_apart_in_excel_files(sim, tmp_path):
    """
    As pandas does; one took the other's place.
    """
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for cells in [["text", None, None, "n"], ["a", 1, 2, 3]]:
        book.active.append(cells)
    table = tmp_path / "t.xlsx"
    book.save(table)

    assert run(table, tmp_path / "out.xlsx") == 0

    (row,) = open_table(tmp_path / "out.xlsx").rows()
    assert list(row.items())[:4] == [("text", "a"), ("Unnamed: 1", 1), ("Unnamed: 2", 2), ("n", 3)]
