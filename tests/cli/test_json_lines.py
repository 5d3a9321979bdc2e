"""Promises of the one reader of JSON lines, whichever door opens the file."""

from __future__ import annotations

import csv
import json

import pyarrow.parquet
import pytest

from llmnb.cli import main
from llmnb.generation import process_api_requests_from_file_sync


@pytest.fixture
def sim(repeater):
    return repeater


def run(*words):
    return main(["run", *map(str, words), "--model", "openai/m", "--quiet"])


def generate(sim, source, results):
    url = f"{sim[0].base_url}/chat/completions"
    process_api_requests_from_file_sync(source, results, url, "k", 6e7, 6e10, logging_level=50)


LINES = [
    '{"model": "gpt-4-0613", "messages": [{"role": "user", "content": "a"}], '
    '"metadata": {"x": NaN}}',
    '{"model": "gpt-4-0613", "messages": [{"role": "user", "content": "b"}], "temperature": NaN}',
    '{"model": "gpt-4-0613", "messages": [{"role": "user", "content": "c"}], '
    '"temperature": 0.12345678901234567891}',
    '{"model": "gpt-4-0613", "messages": [{"role": "user", "content": "d"}], "metadata": {"y": 1}}',
]


def test_a_file_of_requests_is_read_the_same_by_both_doors(sim, tmp_path):
    """
    NaN where it stays at home and long numbers are asked, NaN that would
    be sent is an error of its row; what is written is the same but for the replies' ids.
    """
    source = tmp_path / "asked.jsonl"
    source.write_text("\n".join(LINES))

    assert run(source, "--out", tmp_path / "by_run.jsonl", "--no-cache") == 1
    generate(sim, source, tmp_path / "by_file.jsonl")

    read_lines = []
    for name in ("by_run.jsonl", "by_file.jsonl"):
        lines = (tmp_path / name).read_text().splitlines()
        assert [lines[row].startswith("[" + LINES[row]) for row in (1, 2)] == [True, True]
        assert lines[0].endswith('{"x":NaN}]')
        rows = [json.loads(line)[1] for line in lines]
        assert "NaN" in rows[1][0]
        read_lines.append([isinstance(row, dict) for row in rows])
    assert read_lines == [[True, False, True, True]] * 2
    assert [body.get("temperature") for body in sim[1] if "temperature" in body] == (
        [0.12345678901234568] * len([body for body in sim[1] if "temperature" in body])
    )


@pytest.mark.parametrize(
    "number", ["123456789.0123456789", "1e-400", "-0.1234567890123456789", "12345678901.234567891"]
)
def test_no_number_loses_digits_wherever_its_point_stands(sim, tmp_path, number):
    """
    In a prompt and in a file of another format.
    """
    table, out = tmp_path / "t.jsonl", tmp_path / "out.csv"
    table.write_text(f'{{"n": {number}, "many": [{number}]}}\n')

    assert run(table, "--prompt", "{n}", "--out", out) == 0

    with out.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["n"].upper() == number.upper()
    assert row["many"].upper() == f"[{number}]".upper()
    assert row["response"].upper() == f"> {number}".upper()


@pytest.mark.parametrize("spelled", ["respons\\u0065", "\\u0072esponse", "response\\u005Ferror"])
def test_a_column_is_recognised_however_its_name_is_escaped(sim, tmp_path, capsys, spelled):
    """
    It came with the table, so it is not replaced.
    """
    table = tmp_path / "t.jsonl"
    table.write_text(f'{{"a": "x"}}\n{{"a": "x", "{spelled}": "mine"}}\n')

    assert run(table, "--prompt", "{a}") == 2

    assert "--overwrite" in capsys.readouterr().err
    assert sim[1] == []


def test_a_column_with_a_slash_or_a_letter_beyond_ascii_is_recognised(sim, tmp_path):
    """
    Escaped in capitals, with the slash escaped, across the blocks that a file is read in; the
    same word as a value is no column.
    """
    table = tmp_path / "t.jsonl"
    for name, spelled in [("ré", "r\\u00E9"), ("a/b", "a\\/b"), ("far", "far"), ("f\n", "f\\n")]:
        pad = "x" * ((1 << 20) - 30)
        table.write_text(f'{{"a": "{pad}"}}\n{{"a": "x", "{spelled}"   : "mine"}}\n')
        assert run(table, "--prompt", "{a}", "--into", name) == 2
    table.write_text('{"a": "far"}\n')
    assert run(table, "--prompt", "{a}", "--into", "far") == 0


def test_objects_without_a_field_go_into_parquet_as_text(sim, tmp_path):
    """
    Alone and in a list; the file is written.
    """
    table, out = tmp_path / "t.jsonl", tmp_path / "out.parquet"
    table.write_text('{"a": "x", "any": [{}, {}], "one": {"in": {}}}\n')

    assert run(table, "--prompt", "{a}", "--out", out) == 0

    (row,) = pyarrow.parquet.read_table(out).to_pylist()
    assert (row["any"], row["one"]) == ("[{},{}]", '{"in":{}}')
