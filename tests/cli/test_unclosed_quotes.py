"""Promises about a quote of a CSV file that is never closed: it swallows no row."""

from __future__ import annotations

import csv

import pytest

from llmnb.cli import main
from llmnb.errors import UnreadableFile
from llmnb.frames.tables import open_table
from llmnb.testing import SimulatedProvider


@pytest.fixture(scope="module")
def provider():
    with SimulatedProvider(reply="said", latency=0) as sim:
        yield sim


UNCLOSED = {
    "to the end": ('text,n\na,1\n"b,2\nc,3\nd,4\n', 3),
    "in the last line": ('text,n\na,1\nb,"2', 3),
    "up to the next quoted cell": ('text,n\n"b,1\nc,2\n"d",3\ne,4\n', 2),
    "behind a cell of two lines": ('text,n\n"a\nb",1\n"c ""d""","2\ne,3\n"f\n', 4),
    "behind one that was closed": ('text,n\n"a","1\nb,2\n', 2),
    "in the names": ('text,"n\na,1\n', 1),
}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("kind", UNCLOSED)
def test_a_quote_that_is_not_closed_is_an_error_with_its_line(tmp_path, kind, end):
    """
    Wherever it is noticed, the line is named in which it was opened.
    """
    text, line = UNCLOSED[kind]
    table = tmp_path / "t.csv"
    table.write_bytes(text.replace("\n", end).encode())

    with pytest.raises(UnreadableFile, match=f"opened in line {line} of t.csv is not closed"):
        open_table(table)


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_nothing_is_sent_and_nothing_written_for_a_file_with_such_a_quote(
    provider, tmp_path, monkeypatch, capsys, verb
):
    """
    Exit code 2; the rows behind it are not lost in silence.
    """
    monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    table = tmp_path / "t.csv"
    table.write_text('text,n\na,1\n"b,2\nc,3\nd,4\n')

    assert main([verb, str(table), "--prompt", "{text}", "--model", "openai/m"]) == 2

    assert "line 3" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert len(provider.ledger.received) == 0


LEGAL = [
    'text,n\n"a\nb, ""c""\n",1\nd,2\n',
    'text,n\n5" of it,1\nb "c" d,2\n',
    'text,n\n"""","\n"\n"","",""\n',
    'text,n\n"a"b,1\n"c"d","2"\n',
    'text;n\n"a\n";"b,"\n',
    'text,n\n"a",1\n"","b"',
]


@pytest.mark.parametrize("text", LEGAL)
def test_cells_of_several_lines_and_quotes_within_a_text_are_read(tmp_path, text):
    """
    As the standard library reads them.
    """
    table = tmp_path / "t.csv"
    table.write_text(text)

    rows = [list(row.values()) for row in open_table(table).rows()]

    delimiter = ";" if text.startswith("text;") else ","
    known = list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter))[1:]
    assert rows == [[cell or None for cell in row[:2]] for row in known]
