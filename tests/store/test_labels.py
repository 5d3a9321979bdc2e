"""What people said of rows is kept as it is said, and is never lost."""

from __future__ import annotations

import json
import os
import stat
import warnings

import pytest
from two_processes import WITH_ITS_PARENT, program

from llmnb.adapters import files
from llmnb.errors import InputError, StoreError
from llmnb.store import clearing, labels, layout
from llmnb.store.labels import LabelStore, row_keys

LABELLING = (
    WITH_ITS_PARENT
    + """
import pathlib
from llmnb.store import layout
from llmnb.store.labels import LabelStore
store = LabelStore(layout.ProjectPaths(pathlib.Path(sys.argv[1]), "p"), "mood")
number = 0
while True:
    store.give(f"{sys.argv[2]}{number}", "kind")
    print(number, flush=True)
    number += 1
"""
)
"""A program that labels one row after the other, and tells of each once it is kept."""


@pytest.fixture
def project(tmp_path):
    return layout.ProjectPaths(tmp_path / "cache", "p")


@pytest.fixture
def store(project):
    return LabelStore(project, "mood")


def lines(project):
    return project.labels.read_bytes().splitlines(keepends=True)


# --------------------------------------------------------------------------------- keys


def test_a_row_is_known_by_its_content_alone():
    """
    Rows of the same content have the same key, whatever the order of their fields.
    """
    these = row_keys(
        {"text": ["so good", "so bad", "so good"], "channel": ["mail", "mail", "mail"]}
    )
    other = row_keys({"channel": ["mail"], "text": ["so bad"]})

    assert these[0] == these[2] != these[1] == other[0]


@pytest.mark.parametrize(
    ("these", "other"),
    [
        ({"a": [""]}, {"a": [None]}),
        ({"a": ["x"]}, {"b": ["x"]}),
        ({"a": ["x"], "b": ["yz"]}, {"a": ["xy"], "b": ["z"]}),
        ({"a": ["x"]}, {"a": ["x"], "b": [None]}),
        ({"a": ["\ud800"]}, {"a": ["\udfff"]}),
        ({"a": ["x\0", "b"]}, {"a": ["x", "\0b"]}),
    ],
)
def test_rows_that_differ_have_different_keys(these, other):
    """
    A missing cell, another field's name, and a text that ends elsewhere make another row.
    """
    assert row_keys(these)[0] != row_keys(other)[0]


# ---------------------------------------------------------------------- given and taken back


def test_a_label_survives_its_process(store, project):
    """
    Whoever opens the question again finds every label, each of its own kind.
    """
    for key, label in {"a": "kind", "b": 3, "c": 2.5, "d": True, "e": "\u200f\n\"'<b>"}.items():
        store.give(key, label)

    assert LabelStore(project, "mood").labels == {
        "a": "kind",
        "b": 3,
        "c": 2.5,
        "d": True,
        "e": "\u200f\n\"'<b>",
    }


def test_a_second_label_replaces_the_first_and_undo_brings_it_back(store, project):
    """
    Undo takes back one act; what was said of the row before holds again.
    """
    store.give("a", "kind")
    second = store.give("a", "unkind")
    assert store.labels == {"a": "unkind"}

    store.undo(second.id)

    assert store.labels == {"a": "kind"}
    assert LabelStore(project, "mood").labels == {"a": "kind"}


def test_a_row_passed_over_has_no_label_and_is_remembered_as_such(store, project):
    """
    A row that was skipped is told from one that nobody has seen.
    """
    store.keep(labels.new_act("a", None))

    again = LabelStore(project, "mood")
    assert again.labels == {}
    assert again.all_said()["a"].label is None
    assert again.said("b") is None


def test_questions_of_a_project_do_not_mix(store, project):
    """
    Labels of one question are none of another's, though they stand in one file.
    """
    store.give("a", "kind")

    assert LabelStore(project, "topic").labels == {}


def test_the_fields_of_a_question_are_those_remembered_last(store, project):
    """
    The fields by which rows are known are kept with the labels.
    """
    assert store.fields is None
    store.remember_fields(["text", "channel"])
    store.remember_fields(["text"])

    assert LabelStore(project, "mood").fields == ("text",)


def test_how_a_row_was_chosen_is_kept_with_its_label(store, project):
    """
    A label of a row that was not chosen at random says so for ever.
    """
    store.give("a", "kind", sample="disagreement")
    store.give("b", "kind")

    said = LabelStore(project, "mood").all_said()
    assert (said["a"].sample, said["b"].sample) == ("disagreement", "random")


# ------------------------------------------------------------------------------ the file


def test_only_the_owner_can_read_labels(store, project):
    """
    The file and its folder are their owner's alone.
    """
    store.give("a", "kind")

    assert stat.S_IMODE(project.labels.stat().st_mode) == 0o600
    assert stat.S_IMODE(project.labels.parent.stat().st_mode) == 0o700


def test_nothing_is_made_before_the_first_label(store, project):
    """
    Looking for labels leaves no trace on the disk.
    """
    assert store.labels == {}
    assert not project.root.exists()


def test_clearing_a_project_keeps_its_labels(store, project):
    """
    Labels stay where answers go.
    """
    store.give("a", "kind")
    files.make_folder(project.folder)
    layout.write_mark(project)

    assert clearing.clear("p", project.root).removed == {"p": 0}

    assert LabelStore(project, "mood").labels == {"a": "kind"}


@pytest.mark.parametrize(
    "damage",
    [
        b'{"question":"mood","id":"x","key":"c","la',
        b"\xff\xfe garbage",
        b'{"question":"mood"}',
        b'{"question":"mood","id":"x","key":"c","label":["kind"],"sample":"random","at":1}',
        b"[]",
    ],
)
def test_a_damaged_line_warns_and_costs_only_itself(store, project, damage):
    """
    The labels before and behind a damaged line are whole, and one warning says what happened.
    """
    store.give("a", "kind")
    store.give("b", "unkind")
    these, second = lines(project)
    project.labels.write_bytes(these + damage + b"\n" + second)

    with pytest.warns(UserWarning, match="1 line of the labels of project 'p'") as warned:
        again = LabelStore(project, "mood")

    assert again.labels == {"a": "kind", "b": "unkind"}
    assert len(warned) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again.give("c", "kind")  # told once


@pytest.mark.parametrize("left", [1, 20, -2])
def test_a_new_label_never_joins_a_torn_line(store, project, left):
    """
    Wherever a line was cut off, a label given afterwards stands on a line of its own.
    """
    store.give("a", "kind")
    store.give("b", "unkind")
    these, second = lines(project)
    project.labels.write_bytes(these + second[:left])

    with pytest.warns(UserWarning, match="cut off"):
        again = LabelStore(project, "mood")
    again.give("c", "kind")

    assert again.labels == {"a": "kind", "c": "kind"}
    with pytest.warns(UserWarning, match="cut off"):
        assert LabelStore(project, "mood").labels == {"a": "kind", "c": "kind"}


def test_a_line_that_lacks_its_end_alone_is_whole(store, project):
    """
    A last label whose line break was lost is a label.
    """
    store.give("a", "kind")
    project.labels.write_bytes(lines(project)[0][:-1])

    again = LabelStore(project, "mood")
    again.give("b", "kind")

    assert LabelStore(project, "mood").labels == {"a": "kind", "b": "kind"}


def test_a_label_that_cannot_be_saved_is_named_and_kept_once_when_it_can(
    store, project, monkeypatch
):
    """
    A full disk is an error that says so; saving the same act again counts it once.
    """
    act = labels.new_act("a", "kind")
    sync = os.fsync

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError, match="disk is full"):
        store.keep(act)
    monkeypatch.setattr(os, "fsync", sync)
    store.keep(act)

    assert len(lines(project)) == 2  # the first had reached the file
    store.undo(act.id)
    assert LabelStore(project, "mood").labels == {}


def test_a_file_that_was_taken_away_is_begun_anew(store, project):
    """
    What stands in the file is what is known, also where somebody has removed it meanwhile.
    """
    store.give("a", "kind")
    project.labels.unlink()
    store.give("b", "unkind")

    assert store.labels == {"b": "unkind"}


def test_a_file_that_was_cut_under_an_open_labeller_is_read_anew(store, project):
    """
    A label that is given afterwards is known at once; what was cut off is no label any more.
    """
    for key in "ab":
        store.give(key, "kind")
    whole = project.labels.read_bytes()
    project.labels.write_bytes(whole[:-20])

    with pytest.warns(UserWarning, match="1 line of the labels"):
        store.give("c", "unkind")
    assert store.labels == {"a": "kind", "c": "unkind"}


def test_no_label_is_no_number(store):
    """
    What is no plain value, or no number, is refused before anything is written.
    """
    with pytest.raises(InputError, match="text or a number"):
        store.give("a", float("nan"))
    with pytest.raises(InputError, match="64 bits"):
        store.give("a", 2**70)
    assert store.labels == {}


# ------------------------------------------------------------------------ other processes


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_a_planted_link_leads_to_is_neither_written_nor_changed(project, tmp_path, is_folder):
    """
    A cache folder may come with somebody's repository: its logs of labels and of money, too.
    """
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    victim = elsewhere / "mine"
    victim.write_text("mine\n")
    victim.chmod(0o644)
    for log in (project.labels, project.spend):
        folder = log.parent
        (folder.parent if is_folder else folder).mkdir(parents=True, exist_ok=True)
        (folder if is_folder else log).symlink_to(elsewhere if is_folder else victim)

    with pytest.raises(StoreError):
        LabelStore(project, "mood").give("k", "kind")
    with pytest.raises(OSError, match="link"):
        layout.make_root(project.root) if is_folder else files.append_private(project.spend, b"\n")
    assert [path.name for path in elsewhere.iterdir()] == [victim.name]
    assert victim.read_text() == "mine\n"
    assert stat.S_IMODE(victim.stat().st_mode) == 0o644


def test_a_killed_process_loses_at_most_the_label_being_typed(project):
    """
    Every label whose giving has returned is there after ``kill -9``, and at most one more.
    """
    with program(LABELLING, project.root, "a") as process:
        for _ in range(40):
            warned = int(process.stdout.readline())
        process.kill()
        warned = max([warned, *map(int, process.stdout.read().split())])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the one being typed may be cut off
        kept = LabelStore(project, "mood").labels
    assert warned + 1 <= len(kept) <= warned + 2
    assert all(kept[f"a{number}"] == "kind" for number in range(warned + 1))


def test_two_kernels_label_at_once_and_each_hears_of_the_other(project, store):
    """
    Labels that two processes give at the same time are all kept, none joined or doubled.
    """
    with (
        program(LABELLING, project.root, "a") as these,
        program(LABELLING, project.root, "b") as other,
    ):
        for number in range(60):
            for process in (these, other):
                assert int(process.stdout.readline()) == number
            store.give(f"c{number}", "unkind")
        store.refresh()
        kept = store.labels

    wanted = {f"{name}{number}" for name in "abc" for number in range(60)}
    assert wanted <= kept.keys()
    assert all(
        len([line for line in map(json.loads, lines(project)) if line.get("key") == key]) == 1
        for key in wanted
    )
