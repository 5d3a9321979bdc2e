"""Promises of `llmnb run` about files as people have them: bad rows, numbers, marks, columns."""

from __future__ import annotations

import csv
import json

import pyarrow
import pyarrow.parquet
import pytest

from llmnb.cli import main


@pytest.fixture
def sim(repeater):
    return repeater[1]


def run(*words):
    return main(["run", *map(str, words), "--model", "openai/m", "--quiet"])


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


# ------------------------------------------------------------------------- bad rows


def test_a_ragged_line_and_bad_bytes_keep_their_position_in_a_csv_file(sim, tmp_path, capsys):
    """
    The others are answered; the end says how many; a bad row's bytes are as they were.
    """
    table = tmp_path / "t.csv"
    table.write_bytes("text,n\ngut für,1\na,b,c\n".encode() + b"b\xff,2\nshort\nc,3\n")

    assert run(table, "--prompt", "{text}") == 1

    written = (tmp_path / "t.answers.csv").read_bytes().splitlines()
    assert written[1] == "gut für,1,> gut für,".encode()
    assert written[2].startswith(b"a,b,,")
    assert b"3 cells" in written[2]
    assert written[3].startswith(b"b\xff,2,,")
    assert b"no text in utf-8" in written[3]
    assert written[4:] == [b"short,,> short,", b"c,3,> c,"]
    assert "2 rows could not be read" in capsys.readouterr().err


def test_broken_lines_keep_their_position_in_a_jsonl_file(sim, tmp_path, capsys):
    """
    With their text and an error that names the line; what comes behind them is asked.
    """
    table = tmp_path / "t.jsonl"
    table.write_bytes(b'{"a": 1}\n{"a": \n[1]\n{"a": "\xff"}\n{"a": NaN}\n{"a": 2}\n')

    assert run(table, "--prompt", "{a}") == 1

    written_rows = lines(tmp_path / "t.answers.jsonl")
    assert [row["response"] for row in written_rows] == ["> 1", None, None, None, None, "> 2"]
    errors = [row["response_error"] for row in written_rows]
    assert [error and error.split(" of ")[0] for error in errors] == [
        *(None, "Line 2", "Line 3", "Line 4", None, None),
    ]
    assert [written_rows[row]["unreadable"] for row in (1, 2, 3)] == [
        '{"a":',
        "[1]",
        '{"a": "\ufffd"}',
    ]
    assert "3 rows could not be read" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_text_that_is_none_in_parquet_fails_its_own_row(sim, tmp_path, suffix):
    """
    Whether the rows go on in groups or one by one.
    """
    raw = pyarrow.array([b"good", b"b\xffd", b"fine"])
    text = pyarrow.Array.from_buffers(pyarrow.string(), 3, raw.buffers())
    table, out = tmp_path / "t.parquet", tmp_path / f"out{suffix}"
    pyarrow.parquet.write_table(pyarrow.table({"text": text, "n": [1, 2, 3]}), table)

    code = run(table, "--prompt", "{text}", "--out", out)

    if suffix == ".parquet":
        written_rows = pyarrow.parquet.read_table(out)
        assert written_rows["response"].to_pylist() == ["> good", None, "> fine"]
        assert "no UTF-8" in written_rows["response_error"][1].as_py()
        assert written_rows["text"].combine_chunks().buffers()[2] is not None
    else:
        assert [row["n"] for row in lines(out)] == [1, 2, 3]
        assert [row["response"] for row in lines(out)] == ["> good", None, "> fine"]
    assert code == 1


# ----------------------------------------------------------------------------- JSONL


def test_a_line_of_json_goes_out_as_it_came_in(sim, tmp_path):
    """
    To the byte: numbers of any size and spelling, NaN, the order of fields; answers stand behind.
    """
    table = tmp_path / "t.jsonl"
    row = '{"z": 123456789012345678901234567890, "a" : 1.10, "e":1E5,"x": NaN,"\\u00e4": [1.0 ]}'
    table.write_bytes(b"\xef\xbb\xbf" + row.encode() + b"\r\n{}\r\n")

    assert run(table, "--prompt", "{z} {a}") == 0

    written = (tmp_path / "t.answers.jsonl").read_text().splitlines()
    assert written[0] == (
        row[:-1] + ',"response":"> 123456789012345678901234567890 1.1","response_error":null}'
    )
    assert written[1] == '{"response":null,"response_error":null}'


def test_numbers_are_exact_in_other_files_too(sim, tmp_path):
    """
    None becomes a float that has other digits.
    """
    table, out = tmp_path / "t.jsonl", tmp_path / "out.csv"
    table.write_text('{"a": 12345678901234567890, "b": 0.12345678901234567891, "c": [1e400]}\n')

    assert run(table, "--prompt", "{a} {b} {c}", "--out", out) == 0

    with out.open() as file:
        (row,) = csv.DictReader(file)
    assert row["a"] == "12345678901234567890"
    assert row["b"] == "0.12345678901234567891"
    assert row["response"] == f"> {row['a']} {row['b']} [1E+400]"


def test_fields_that_only_later_lines_have_are_columns(sim, tmp_path):
    """
    In a prompt, and in a file that has columns.
    """
    table, out = tmp_path / "t.jsonl", tmp_path / "out.csv"
    table.write_text('{"a": 1}\n{"a": 2, "b": "x"}\n{"c": {"d": [3]}}\n')

    assert run(table, "--prompt", "{b}", "--out", out) == 0
    assert run(table, "--prompt", "b") == 0

    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["a", "b", "c", "response", "response_error"]
    assert [row["response"] for row in rows] == ["", "> x", ""]
    assert rows[2]["c"] == '{"d":[3]}'
    assert [row["response"] for row in lines(tmp_path / "t.answers.jsonl")] == [None, "> x", None]


def test_a_column_of_mixed_values_is_text_in_parquet(sim, tmp_path):
    """
    Whatever comes late in the file; a column of one type keeps it.
    """
    table, out = tmp_path / "t.jsonl", tmp_path / "out.parquet"
    rows = [{"n": 1, "mixed": 1, "big": 2**70}] * 5001 + [
        {"n": 2, "mixed": {"a": "x"}, "tags": ["t"]}
    ]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))

    assert run(table, "--prompt", "{n}", "--out", out) == 0

    written_rows = pyarrow.parquet.read_table(out)
    assert written_rows.num_rows == 5002
    assert written_rows["mixed"].to_pylist()[-2:] == ["1", '{"a":"x"}']
    assert written_rows["big"][0].as_py() == str(2**70)
    assert written_rows.schema.field("n").type == pyarrow.int64()
    assert written_rows["tags"].to_pylist()[-2:] == [None, ["t"]]


# --------------------------------------------------------------------------- columns


@pytest.mark.parametrize("name", ["response", "response_error"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_column_that_came_with_the_table_is_not_replaced(sim, tmp_path, capsys, suffix, name):
    """
    Not even where only a later line has it; the error prints the option, and nothing is sent.
    """
    table = tmp_path / f"t{suffix}"
    if suffix == ".csv":
        table.write_text(f"a,{name}\nx,mine\n")
    elif suffix == ".jsonl":
        table.write_text('{"a": "x"}\n' + json.dumps({"a": "x", name: "mine"}) + "\n")
    else:
        pyarrow.parquet.write_table(pyarrow.table({"a": ["x"], name: ["mine"]}), table)

    assert run(table, "--prompt", "{a}") == 2

    error = capsys.readouterr().err
    assert f"'{name}'" in error
    assert "--overwrite" in error
    assert sim == []
    assert run(table, "--prompt", "{a}", "--overwrite") == 0


def test_a_prompt_without_a_column_warns(sim, tmp_path, capsys):
    """
    Every row would ask the same, which is hardly ever meant.
    """
    table = tmp_path / "t.csv"
    table.write_text("text\na\nb\n")

    assert run(table, "--prompt", "Tell me a joke") == 0

    assert "names no column" in capsys.readouterr().err


# ------------------------------------------------------------------------------- CSV


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_line_ends_marks_and_delimiters_are_detected_and_kept(
    sim, tmp_path, end, encoding, delimiter
):
    """
    The file comes back as it was, with cells put behind each line.
    """
    table = tmp_path / "t.csv"
    rows = [["text", "n"], ["grün", "1"], ['"a ""b"""', ""], ["c", "'3'"]]
    table.write_bytes(end.join([delimiter.join(row) for row in rows] + [""]).encode(encoding))

    assert run(table, "--prompt", "{text}") == 0

    answers = [["response", "response_error"], ["> grün", ""], ['"> a ""b"""', ""], ["> c", ""]]
    whole = [delimiter.join(row + more) for row, more in zip(rows, answers, strict=True)]
    written = (tmp_path / "t.answers.csv").read_bytes()
    assert written == end.join([*whole, ""]).encode(encoding)


def test_a_blank_line_of_a_single_column_is_a_row_without_a_text(sim, tmp_path):
    """
    Its cells stand in the columns of all other rows; blank lines before the header say nothing.
    """
    table = tmp_path / "t.csv"
    table.write_bytes(b"\n \n\ntext\na\n\nb\n".replace(b" ", b""))

    assert run(table, "--prompt", "{text}") == 0

    with (tmp_path / "t.answers.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["text", "response", "response_error"]
    assert rows[1:] == [["a", "> a", ""], ["", "", ""], ["b", "> b", ""]]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32"])
def test_text_of_several_bytes_a_letter_is_detected_without_its_mark(sim, tmp_path, encoding):
    """
    The answers' file has the same encoding.
    """
    table = tmp_path / "t.csv"
    table.write_bytes("text,n\r\ngrün,1\r\n".encode(encoding))

    assert run(table, "--prompt", "{text}") == 0

    written = (tmp_path / "t.answers.csv").read_bytes().decode(encoding)
    assert written.splitlines()[1] == "grün,1,> grün,"


def test_a_file_of_windows_is_read_and_said_so(sim, tmp_path, capsys):
    """
    As cp1252, also where it is named; the answers' file is one that takes any sign.
    """
    table = tmp_path / "t.csv"
    table.write_bytes("text;n\ncafé – „gut“;1\n".encode("cp1252"))

    assert run(table, "--prompt", "{text}") == 0
    assert "cp1252" in capsys.readouterr().err
    assert run(table, "--prompt", "{text}", "--encoding", "cp1252", "--delimiter", ";") == 0

    written = (tmp_path / "t.answers.csv").read_text("utf-8-sig").splitlines()
    assert written[1] == "café – „gut“;1;> café – „gut“;"


def test_two_columns_of_the_same_name_are_refused_only_where_a_prompt_needs_them(
    sim, tmp_path, capsys
):
    """
    Else both go out as they came in; JSON has no place for two.
    """
    table = tmp_path / "t.csv"
    table.write_text("a,b,a\n1,2,3\n")

    assert run(table, "--prompt", "{b}") == 0
    assert (tmp_path / "t.answers.csv").read_text().splitlines()[1] == "1,2,3,> 2,"
    assert run(table, "--prompt", "{a}") == 2
    assert run(table, "--prompt", "{b}", "--out", tmp_path / "o.jsonl") == 2
    assert "several columns" in capsys.readouterr().err


# -------------------------------------------------------------- requests, conversations


def test_lines_of_openais_batches_are_requests(sim, tmp_path):
    """
    The body is asked; the line stands before its answer as it was, `custom_id` and all.
    """
    table = tmp_path / "t.jsonl"
    line = {"custom_id": "7", "method": "POST", "url": "/v1/chat/completions"}
    body = {"model": "openai/m", "messages": [{"role": "user", "content": "Hi"}]}
    evil = {**line, "url": "http://127.0.0.1:9/v1/chat/completions", "body": body}
    table.write_text("".join(json.dumps(row) + "\n" for row in [{**line, "body": body}, evil]))

    assert run(table) == 1

    first, second = lines(tmp_path / "t.answers.jsonl")
    assert first[0] == {**line, "body": body}
    assert first[1]["choices"][0]["message"]["content"] == "> Hi"
    assert "url" in second[1][0]
    assert len(sim) == 1


def test_conversations_and_systems_come_from_columns(sim, tmp_path):
    """
    `--messages` names the column; names in `--system` are filled from the row.
    """
    table = tmp_path / "t.jsonl"
    chat = [{"role": "user", "content": "Hi"}]
    rows = [
        {"chat": chat, "who": "Ann"},
        {"chat": json.dumps(chat), "who": "Bob"},
        {"chat": "none"},
        {"chat": None},
    ]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))

    assert run(table, "--messages", "chat", "--system", "For {who}") == 1

    written_rows = lines(tmp_path / "t.answers.jsonl")
    assert [row["response"] for row in written_rows] == ["> Hi", "> Hi", None, None]
    assert "role" in written_rows[2]["response_error"]
    sent = [body["messages"][0]["content"] for body in sim]
    assert sorted(sent) == ["For Ann", "For Bob"]
