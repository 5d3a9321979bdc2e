"""Round trips: whatever a table holds goes out of `llmnb run` as it came in, row by row."""

from __future__ import annotations

import csv
import json
import math
import tempfile
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from llmnb.cli import main
from llmnb.frames.tables import open_table, table_writer
from llmnb.frames.template import cell_text
from llmnb.testing import SimulatedProvider

FORMATS = (".csv", ".jsonl", ".parquet", ".arrow", ".xlsx")

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
NUMBERS = st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False)
SIMPLE = TEXTS | NUMBERS | st.booleans() | st.none()
NESTED = st.recursive(
    SIMPLE,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXTS, inside, max_size=3),
    max_leaves=5,
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"text": TEXTS, "number": NUMBERS, "flag": st.booleans(), "any": NESTED, "few": st.none()}
    ),
    min_size=1,
    max_size=5,
)


@pytest.fixture(scope="module")
def provider():
    with SimulatedProvider(reply="said", latency=0) as sim:
        yield sim


@pytest.fixture
def sim(provider, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "k")


def run(table, out):
    arguments = ["run", str(table), "--prompt", "About {text}", "--out", str(out)]
    return main([*arguments, "--model", "openai/m", "--quiet", "--raw"])


def texts(path):
    """Return a file's cells as text, as every format can hold them; "" where nothing is said."""
    return [
        {name: _text(cell) for name, cell in row.items() if not name.startswith("response")}
        for row in open_table(path).rows()
    ]


def _text(cell):
    if isinstance(cell, bool):
        return str(cell)
    if isinstance(cell, int | float) and math.isfinite(cell):
        return str(int(cell)) if cell == int(cell) else repr(float(cell))
    text = cell_text(cell) or ""
    try:
        read_back = json.loads(text)
    except ValueError:
        return text
    if isinstance(read_back, float | int) and not isinstance(read_back, bool):
        return _text(read_back)
    return text


def goes_through(table, rows, suffix):
    out = table.with_name(f"out{suffix}")
    before = texts(table)
    assert run(table, out) == 0
    assert texts(out) == before
    assert len(before) == rows
    answers = [row["response"] for row in open_table(out).rows()]
    asked = [row["text"] not in (None, "") for row in open_table(table).rows()]
    if table.suffix in (".csv", ".xlsx"):
        assert [answer is not None for answer in answers] == asked
    else:
        assert len(answers) == rows


def seeded(examples):
    """Return settings that try the same tables every time, however long one of them takes."""
    return settings(
        derandomize=True,
        max_examples=examples,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def all_ways(rows, sources, targets):
    for source in sources:
        for target in targets:
            with tempfile.TemporaryDirectory() as folder:
                table = written(Path(folder), rows, source)
                goes_through(table, len(rows), target)


def written(folder, rows, suffix):
    lines, table = folder / "lines.jsonl", folder / f"table{suffix}"
    with table_writer(lines, list(rows[0])) as writer:
        for row in rows:
            writer.write(row)
    with table_writer(table, list(rows[0]), source=open_table(lines), is_lossless=True) as writer:
        for row in open_table(lines).rows():
            writer.write(row)
    return table


@seeded(6)
@given(ROWS)
def test_lines_of_json_go_into_every_format(sim, rows):
    """
    Each cell is there again, as text where the format has nothing else, each row in its place.
    """
    pytest.importorskip("openpyxl")
    all_ways(rows, [".jsonl"], FORMATS)


@seeded(3)
@given(ROWS)
def test_other_formats_go_into_every_format(sim, rows):
    """
    CSV, Parquet, Arrow and Excel files likewise.
    """
    pytest.importorskip("openpyxl")
    all_ways(rows, [suffix for suffix in FORMATS if suffix != ".jsonl"], FORMATS)


@pytest.mark.slow
@pytest.mark.parametrize("source", FORMATS)
@seeded(150)
@given(ROWS)
def test_every_format_goes_into_every_format_many_times(sim, source, rows):
    """
    The same with many tables.
    """
    pytest.importorskip("openpyxl")
    all_ways(rows, [source], FORMATS)


PLAIN = st.lists(st.tuples(TEXTS, TEXTS, st.integers(-(2**60), 2**60)), min_size=1, max_size=6)


def by_pandas(path, rows):
    frame = pd.DataFrame(rows, columns=["text", "other", "n"])
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)


def by_polars(path, rows):
    frame = pl.DataFrame(rows, schema=["text", "other", "n"], orient="row")
    frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)


def by_the_library(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([("text", "other", "n"), *rows])


@seeded(8)
@given(PLAIN)
def test_what_others_have_written_goes_through(sim, rows):
    """
    Files of pandas, Polars and the standard library, into their own format and another.
    """
    ways = [(by_pandas, ".csv"), (by_pandas, ".parquet"), (by_polars, ".csv")]
    for write, suffix in [*ways, (by_polars, ".parquet"), (by_the_library, ".csv")]:
        for target in (".csv", ".jsonl", ".parquet"):
            with tempfile.TemporaryDirectory() as folder:
                table = Path(folder) / f"table{suffix}"
                write(table, rows)
                goes_through(table, len(rows), target)


def test_excel_files_keep_texts_as_texts(sim, tmp_path):
    """
    None is a formula or becomes one by hand; control signs and what looks like an escape stay.
    """
    openpyxl = pytest.importorskip("openpyxl")
    table, out = tmp_path / "in.xlsx", tmp_path / "out.xlsx"
    cells = ["=1+1", "a\x00b\r\n", "_x0041_", " x ", "007", "TRUE"]
    with table_writer(table, ["text"]) as writer:
        for cell in cells:
            writer.write({"text": cell})

    assert run(table, out) == 0

    assert [row["text"] for row in open_table(out).rows()] == cells
    sheet = openpyxl.load_workbook(out).active
    assert [cell.data_type for cell in sheet["A"]] == ["s"] * 7
    assert [cell.quotePrefix for cell in sheet["A"]] == [False, True, *[False] * 5]
    assert sheet["B2"].value == "said"
