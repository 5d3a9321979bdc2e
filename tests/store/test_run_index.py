"""The index of a run: what is written of every row, and what can be read of it whatever happened.

Where it is written by a run, and taken up, tests/frames/test_attaching.py says what holds.
"""

from __future__ import annotations

import asyncio
import os
import stat

import pytest
from entries import entry, key_of

from llmnb.errors import BadReply, ConfigurationError, Refused, Stopped, TimedOut
from llmnb.records import Outcome
from llmnb.store import clearing, layout, run_index
from llmnb.store.project import open_project
from llmnb.store.run_index import RunHeader
from llmnb.store.run_index_writer import MOST_CAUSES, MOST_RUNS, RunIndexWriter


def begun(root, run_id="run-20261129-214500-3f9a2c", *, project="p", row_of=None, **header):
    """Return the index of a run that has begun, and its project's store."""
    store = open_project(project, root, share=False)
    known = RunHeader(verb="generate", run_id=run_id, project=store.name, begun=5.0, **header)
    store.index = RunIndexWriter(
        store.paths, known, row_of=row_of, write_soon=store.write_index_soon
    )
    return store.index, store


def answered(row, **changes):
    values = {"key": key_of(row), "provider": "openai", "model": "m", "attempts": 1}
    return Outcome(row=row, **{**values, **changes})


def add(index, *outcomes):
    """Have an index take outcomes, as the loop of runs does."""

    async def take():
        for outcome in outcomes:
            index.add(outcome)

    asyncio.run(take())


def read(root, run_id="run-20261129-214500-3f9a2c"):
    return run_index.read(run_id, root)


def states(index):
    return [run_index.STATES[state] for state in index.states]


def test_each_row_has_its_key_and_what_became_of_it(root):
    """
    Rows come back in their order, whatever order they ended in.
    """
    index, store = begun(root, prompt="Say {t}", rows=7)
    add(
        index,
        answered(2, source="reused", simulated=True),
        answered(0),
        answered(1, source="cached"),
        answered(3, source="merged", attempts=0),
        answered(4, error=TimedOut("No answer in time."), attempts=3),
        answered(5, error=Refused("It would not.")),
        Outcome(row=6, error=Stopped("Not asked.")),
    )
    store.commit([entry(0)])

    kept = read(root)

    assert list(kept.rows) == [0, 1, 2, 3, 4, 5, 6]
    assert states(kept) == [
        *("answered", "kept", "reused", "merged", "failed", "refused", "not asked")
    ]
    assert [kept.key(number) for number in range(7)] == [*map(key_of, range(6)), None]
    assert kept.cause(4) == ("TimedOut", "No answer in time.")
    assert kept.cause(0) is None
    assert (kept.model(4), kept.attempts[4]) == (("openai", "m"), 3)
    assert kept.model(6) == (None, None)
    assert kept.flags[2] & run_index.SIMULATED
    assert (kept.header.prompt, kept.end) == ("Say {t}", None)


def test_a_row_takes_at_most_40_bytes(root):
    """
    Rows that failed for one cause are no longer than others: its text stands there once.
    """
    index, store = begun(root)
    store.commit([entry(0)])
    (path,) = layout.run_files(store.folder)
    add(index, answered(0), answered(1, error=BadReply("Nonsense.")))
    store.write_index()
    before = path.stat().st_size

    add(index, *(answered(row) for row in range(2, 500)))
    add(index, *(answered(row, error=BadReply("Nonsense.")) for row in range(500, 1002)))
    store.write_index()

    assert path.stat().st_size - before <= 40 * 1000
    assert len(read(root)) == 1002


def test_an_index_cut_off_anywhere_costs_only_what_was_cut(root):
    """
    At every length of the file all rows before it are read, and none that is made up.
    """
    index, store = begun(root)
    add(index, *(answered(row) for row in range(4)))
    add(index, answered(4, error=TimedOut("x" * 50)), answered(5))
    index.end({"state": "finished"})
    store.write_index()
    (path,) = layout.run_files(store.folder)
    whole = path.read_bytes()
    counts = []

    for length in range(len(whole), 0, -7):
        path.write_bytes(whole[:length])
        if run_index.summarize(path) is None:
            break  # its header was cut
        kept = read(root)
        counts.append(len(kept))
        assert list(kept.rows) == list(range(len(kept)))
        assert [kept.key(row) for row in kept.rows] == [key_of(row) for row in kept.rows]
        assert (kept.end is not None) == (length == len(whole))

    assert counts[0] == 6
    assert counts[-1] == 0
    assert sorted(counts, reverse=True) == counts


def test_zeros_that_a_crash_left_are_no_rows(root):
    """
    A machine that lost its power may leave a file longer than what was written to it.
    """
    index, store = begun(root)
    add(index, answered(0), answered(1))
    store.write_index()
    (path,) = layout.run_files(store.folder)
    path.write_bytes(path.read_bytes() + bytes(1000))

    assert list(read(root).rows) == [0, 1]


def test_the_later_outcome_of_a_row_counts(root):
    """
    A row that was asked again is there once, also after the run's end was written.
    """
    index, store = begun(root)
    add(index, answered(1, error=TimedOut("No.")), answered(0))
    index.end({"state": "finished", "completed": 2})
    store.write_index()

    add(index, answered(1))
    index.end({"state": "finished", "completed": 2, "again": True})
    store.write_index()

    kept = read(root)
    assert states(kept) == ["answered", "answered"]
    assert kept.end == {"state": "finished", "completed": 2, "again": True}


def test_several_answers_to_a_row_stand_side_by_side(root):
    """
    A request's number becomes the table's row and the sample's number.
    """
    asking = [3, 8]
    index, store = begun(root, group=2, row_of=lambda request: asking[request // 2])
    add(index, *(answered(request) for request in (3, 0, 2, 1)))
    store.write_index()

    kept = read(root)

    assert list(zip(kept.rows, kept.samples, strict=True)) == [(3, 0), (3, 1), (8, 0), (8, 1)]
    assert kept.key(3) == key_of(3)


def test_further_causes_than_are_kept_are_named_by_their_kind(root):
    """
    A provider that words each refusal otherwise does not make the index large.
    """
    index, store = begun(root)
    add(
        index,
        *(answered(row, error=BadReply(f"Reply {row}.")) for row in range(MOST_CAUSES + 20)),
    )
    store.write_index()

    kept = read(root)

    assert kept.cause(0) == ("BadReply", "Reply 0.")
    assert kept.cause(MOST_CAUSES + 19).kind == "BadReply"
    assert len(kept.causes) == MOST_CAUSES + 2


def test_entries_come_by_record_a_page_at_a_time(root):
    """
    A record without an answer in the store has None in its place.
    """
    index, store = begun(root)
    add(index, *(answered(row) for row in range(3)), Outcome(row=3, error=Stopped("Not asked.")))
    store.commit([entry(0), entry(2)])

    entries = read(root).entries([2, 1, 3, 0])

    assert [None if entry is None else entry.key for entry in entries] == [
        *(key_of(2), None, None, key_of(0))
    ]


def test_it_is_its_owners_only(root):
    """
    The folder and the file can be read by nobody else.
    """
    index, store = begun(root)
    add(index, answered(0))
    store.write_index()
    (path,) = layout.run_files(store.folder)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_clearing_a_project_removes_its_runs_and_undoing_brings_them_back(root):
    """
    Also beside runs that the project, made anew, has had meanwhile.
    """
    index, store = begun(root)
    add(index, answered(0))
    store.commit([entry(0)])
    (token,) = clearing.clear("p", root, to_trash=True).tokens
    assert run_index.summaries(root) == []
    assert not store.folder.exists()
    index, store = begun(root, "run-20261129-220000-aaaaaa")
    add(index, answered(0))
    store.commit([entry(0)])

    clearing.undo(token, root)

    assert len(run_index.summaries(root)) == 2
    assert list(read(root).rows) == [0]
    clearing.clear("p", root)
    assert run_index.summaries(root) == []
    assert not store.folder.exists()


def test_a_run_whose_project_is_cleared_meanwhile_is_written_no_further(root):
    """
    It does not bring the project back, nor does it come back without its first rows.
    """
    index, store = begun(root)
    add(index, answered(0))
    store.commit([entry(0)])
    clearing.clear("p", root)

    add(index, answered(1))
    index.end({"state": "finished"})
    store.flush()

    assert not store.folder.exists()
    store.commit([entry(2)])
    assert run_index.summaries(root) == []


def test_a_planted_link_is_not_followed(root, tmp_path):
    """
    Neither a link in the place of the folder is written to, nor one in a file's place read.
    """
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    index, store = begun(root)
    store.commit([entry(0)])
    index.close()
    (path,) = layout.run_files(store.folder)
    path.rename(elsewhere / path.name)
    path.symlink_to(elsewhere / path.name)
    assert run_index.summaries(root) == []
    path.unlink()
    store.paths.runs.rmdir()
    store.paths.runs.symlink_to(elsewhere)

    index, store = begun(root, "run-20261129-220000-aaaaaa")
    add(index, answered(0))
    store.write_index()

    assert [left.name for left in elsewhere.iterdir()] == [path.name]


def test_what_llmnb_has_not_written_is_no_run(root):
    """
    Neither an empty file, nor one of other bytes, nor one with other JSON in its head.
    """
    index, store = begun(root)
    add(index, answered(0))
    store.write_index()
    runs = store.paths.runs
    (runs / "run-a.idx").write_bytes(b"")
    (runs / "run-b.idx").write_bytes(os.urandom(4000))
    (runs / "run-c.idx").write_bytes(run_index.note(run_index.HEADER, [1, 2]))
    (runs / "run-d.idx").write_bytes(run_index.note(run_index.HEADER, {"verb": 1}))
    odd = {"verb": "generate", "run_id": "run-e", "begun": 1.0, "group": "two"}
    (runs / "run-e.idx").write_bytes(run_index.note(run_index.HEADER, odd))

    assert [summary.header.run_id for summary in run_index.summaries(root)] == [
        "run-20261129-214500-3f9a2c"
    ]


def test_of_an_unknown_name_the_nearest_are_listed(root):
    """
    A name is no path, and the error says where it was looked for.
    """
    index, store = begun(root)
    add(index, answered(0))
    store.write_index()

    with pytest.raises(ConfigurationError, match="run-20261129-214500-3f9a2c"):
        read(root, "run-20261129-214500-3f9a2d")
    with pytest.raises(ConfigurationError, match="no run"):
        read(root, "../../p/runs/run-20261129-214500-3f9a2c/../../../x")


def test_a_project_keeps_its_latest_runs(root, monkeypatch):
    """
    A loop that starts a run for each row does not fill the folder.
    """
    monkeypatch.setattr("llmnb.store.run_index_writer.MOST_RUNS", 3)
    assert MOST_RUNS == 1000
    for number in range(5):
        index, store = begun(root, f"run-20261129-21450{number}-aaaaaa")
        add(index, answered(0))
        store.write_index()

    names = [path.stem for path in layout.run_files(store.folder)]

    assert names == [f"run-20261129-21450{number}-aaaaaa" for number in (2, 3, 4)]


@pytest.mark.parametrize("name", ["../etc", "a/b\\c: *?", "Träume/2026", "." * 5])
def test_any_name_of_a_project_is_safe(root, name):
    """
    Names are text, not paths; the run is found under the project's own spelling.
    """
    index, store = begun(root, project=name)
    add(index, answered(0))
    store.commit([entry(0)])

    assert read(root).project.name == store.name
    assert read(root).entries([0])[0].key == key_of(0)


def test_where_it_cannot_be_written_the_answers_are_saved_all_the_same(root, caplog):
    """
    An index is never a reason to stop buying; that it is lost is told once.
    """
    index, store = begun(root)
    store.paths.folder.mkdir(parents=True)
    store.paths.runs.write_text("a stranger's file")

    add(index, answered(0))
    store.commit([entry(0)])
    add(index, answered(1))
    store.commit([entry(1)])

    assert set(store.peek([key_of(0), key_of(1)])) == {key_of(0), key_of(1)}
    assert caplog.text.count("cannot be written") == 1
