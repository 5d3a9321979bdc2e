"""What leaves the store as a file, and what such a file does to who opens it."""

from __future__ import annotations

import csv
import os

import orjson
import pytest
from entries import chat, entry, key_of

from llmnb.errors import UnreadableFile
from llmnb.store import projects, transfer
from llmnb.store.project import open_project


def filled(root, *entries, name="p"):
    store = open_project(name, root, share=False)
    store.commit(entries)
    return store.paths


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


FORMULAS = (
    *("=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "＝1", "＋1"),
    '=HYPERLINK("https://evil.test","x")',
    "=cmd|' /C calc'!A0",
)


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_a_csv_file_is_a_formula(root, tmp_path, text):
    """
    Neither what was asked, nor what was answered, nor a model's name.
    """
    paths = filled(root, chat(1, text, text, model=text, provider=text))

    assert transfer.export_csv(paths, tmp_path / "out.csv") == 1

    (row,) = rows(tmp_path / "out.csv")
    for name in ("question", "answer", "model", "provider"):
        assert row[name] == "'" + text


def test_a_lossless_csv_file_holds_every_text_as_it_is(root, tmp_path):
    """
    For programs that read it as data.
    """
    paths = filled(root, *(chat(number, text, text) for number, text in enumerate(FORMULAS)))

    transfer.export_csv(paths, tmp_path / "out.csv", lossless=True)

    assert [row["answer"] for row in rows(tmp_path / "out.csv")] == list(FORMULAS)


def test_numbers_stay_numbers_and_terminal_escapes_go(root, tmp_path):
    """
    Quotes tell text from figures.
    """
    paths = filled(root, chat(1, "a\x1b[31mb\x00", 'ü 🎈, "x"\nz', usd=0.25))

    transfer.export_csv(paths, tmp_path / "out.csv")

    (row,) = rows(tmp_path / "out.csv")
    assert row["question"] == "a[31mb"
    assert row["answer"] == 'ü 🎈, "x"\nz'
    assert ",0.25," in (tmp_path / "out.csv").read_text(encoding="utf-8")


def test_an_export_comes_back_byte_for_byte(root, tmp_path):
    """
    Bytes that are no text included.
    """
    paths = filled(root, entry(1, raw=b"\xff\x00\r\n"), entry(2, usd=None, simulated=True))

    assert transfer.export_project(paths, tmp_path / "out.jsonl") == 2
    transfer.import_file(tmp_path / "out.jsonl", tmp_path / "other", project="q")

    there = open_project("q", tmp_path / "other").lookup([key_of(1), key_of(2)])
    assert list(there.values()) == list(projects.each(paths))


@pytest.mark.parametrize(
    ("field", "value"), [("usd", "1"), ("created", None), ("request", 5), ("key", 7), ("raw", None)]
)
def test_an_export_with_a_value_of_another_kind_is_refused(root, tmp_path, field, value):
    """Nothing of it is kept: one wrong figure would be in the way of every list of projects."""
    path = tmp_path / "out.jsonl"
    transfer.export_project(filled(root, entry(1), entry(2)), path)
    head, first, second = path.read_bytes().splitlines(keepends=True)
    wrong = orjson.dumps({**orjson.loads(second), field: value})
    path.write_bytes(head + first + wrong)

    with pytest.raises(UnreadableFile, match="not an export"):
        transfer.import_file(path, tmp_path / "other")

    assert projects.list_projects(tmp_path / "other") == []


def test_a_file_is_replaced_only_by_a_whole_file(root, tmp_path, monkeypatch):
    """
    An export that fails leaves what stood there, and no draft.
    """
    path = tmp_path / "out.jsonl"
    path.write_text("before")
    paths = filled(root, entry(1))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError):
        transfer.export_project(paths, path)

    assert path.read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == ["cache", "out.jsonl"]


def test_a_project_of_the_other_kind_of_question_is_exported_too(root, tmp_path):
    """
    What cannot be read is named so.
    """
    paths = filled(root, entry(1, request=orjson.dumps({"prompt": "Hi"}), raw=b"?"))

    transfer.export_csv(paths, tmp_path / "out.csv")

    (row,) = rows(tmp_path / "out.csv")
    assert (row["question"], row["answer"]) == ("Hi", "(not readable)")


def test_of_an_export_that_was_cut_off_the_whole_answers_are_read(root, tmp_path):
    """
    As a full disk leaves it; who imports it is told.
    """
    path = tmp_path / "out.jsonl"
    transfer.export_project(filled(root, entry(1), entry(2)), path)
    path.write_bytes(path.read_bytes()[:-9])

    with pytest.warns(UserWarning, match="ends in the middle of an answer"):
        assert transfer.import_file(path, tmp_path / "other") == (1, "p")


@pytest.mark.parametrize("odd", ["[" * 300 + "]" * 300, f'[NaN, {2**70}, "\\ud83d"]'])
def test_an_odd_answer_of_dataformers_does_not_keep_the_others_out(root, tmp_path, odd):
    """
    Deep nesting, and numbers of more than 64 bits.
    """
    folder = tmp_path / "dataformer"
    folder.mkdir()
    lines = [f'[{{"prompt":"{name}"}},{{"x":{odd}}}]' for name in "ab"]
    (folder / "request_1.jsonl").write_text("\n".join([*lines, '[{"prompt":"c"},{"x":1}]']))
    numbers = iter((1, 2, 3))

    def resolve(request):
        return entry(next(numbers), raw=b"")

    assert transfer.import_dataformer(folder, root, resolve=resolve) == (3, 0)
