"""A full disk, or a system that takes fewer bytes than given, neither cuts a file nor a line."""

from __future__ import annotations

import contextlib
import os
import resource
import stat

import pytest
from entries import entry

from llmnb.adapters import files
from llmnb.batches import records
from llmnb.errors import InputError
from llmnb.frames.tables import table_writer
from llmnb.generation.results import ResultsFile
from llmnb.records import Outcome
from llmnb.store import layout, transfer, usage
from llmnb.store.project import ProjectStore


@contextlib.contextmanager
def room_for(size):
    """Have the system refuse, for real, to make a file larger than so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder):
    """Return the names of all that lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_line_is_written_whole_though_the_system_takes_three_bytes_at_a_time(
    tmp_path, monkeypatch
):
    """
    What was spent can be read again.
    """
    path = tmp_path / "spend.jsonl"
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))

    usage.log_spending(path, [entry(1)])

    assert [spent.requests for spent in usage.spending(path)] == [1]


def test_half_a_line_spoils_no_other(tmp_path):
    """
    A full disk cuts a line; what comes before and after it is read.
    """
    path = tmp_path / "spend.jsonl"
    usage.log_spending(path, [entry(1)])
    with room_for(path.stat().st_size + 20), pytest.raises(OSError):
        usage.log_spending(path, [entry(2)])
    assert not path.read_bytes().endswith(b"\n")

    usage.log_spending(path, [entry(3)])
    usage.log_spending(path, [entry(4)])

    assert [spent.requests for spent in usage.spending(path)] == [3]
    assert len(path.read_bytes().splitlines()) == 4


def csv_file(path):
    """Write a large table."""
    with table_writer(path, ["text"]) as table:
        for _ in range(5000):
            table.write({"text": "a" * 100})


def small_file(path):
    """Write a private file in one go."""
    files.write_private(path, b"n" * 500_000)


def batch_record(path):
    """Write what is written down of a batch."""
    records.write(path, b"n" * 500_000)


def parts(path):
    """Write results row by row."""
    with ResultsFile(path) as results:
        for _ in range(5000):
            results.take(Outcome(row=0, error=InputError("a" * 100)))
        results.finish()


@pytest.mark.parametrize("write", [csv_file, small_file, batch_record, parts])
def test_what_cannot_be_written_whole_leaves_the_old_file(tmp_path, write):
    """
    A disk that is full in the midst of it costs nothing that was there, and is told.
    """
    path = tmp_path / "record.csv"
    path.write_bytes(b"the old one")

    with room_for(100_000), pytest.raises(Exception, match=r"File too large|cannot be written"):
        write(path)

    assert path.read_bytes() == b"the old one"
    assert set(names(tmp_path)) <= {"record.csv", "record.csv.part"}


@pytest.mark.parametrize("write", [transfer.export_project, transfer.export_csv])
def test_an_export_that_does_not_fit_leaves_the_old_file(tmp_path, write):
    """
    The file that stood there stands there still.
    """
    path = tmp_path / "export"
    path.write_bytes(b"the old one")
    paths = layout.paths_of(tmp_path / "cache", "p")
    store = ProjectStore(paths)
    store.commit([entry(number) for number in range(40)])

    with room_for(300), pytest.raises(OSError):
        write(paths, path)

    assert path.read_bytes() == b"the old one"
    assert names(tmp_path) == ["cache", "export"]


@pytest.fixture
def takes_all():
    """Have the umask take every right away."""
    before = os.umask(0o777)
    yield
    os.umask(before)


def test_what_is_made_under_a_umask_that_takes_everything_can_be_read(tmp_path, takes_all):
    """
    Folders of the cache are 0700, its files 0600; what is made for the person its owner can use.
    """
    cache = tmp_path / "above" / "cache"
    paths = layout.paths_of(cache, "p")
    ProjectStore(paths).commit([entry(1)])
    records.write(records.root(cache) / "requests", b"{}\n")
    csv_file(tmp_path / "table.csv")
    parts(tmp_path / "results.jsonl")
    transfer.export_csv(paths, tmp_path / "export.csv")
    with files.scratch_folder(tmp_path) as scratch:
        assert stat.S_IMODE(scratch.stat().st_mode) == 0o700

    for path in cache.rglob("*"):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    for name in ("above", "table.csv", "results.jsonl", "export.csv"):
        mode = (tmp_path / name).stat().st_mode
        assert mode & 0o600 == 0o600, name
    assert [spent.requests for spent in usage.spending(paths.spend)] == [1]


def test_a_table_may_be_read_by_whom_the_umask_allows(tmp_path):
    """
    A file that is made for the person has the rights that files of theirs have.
    """
    before = os.umask(0o027)
    try:
        csv_file(tmp_path / "table.csv")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "table.csv").stat().st_mode) == 0o640
