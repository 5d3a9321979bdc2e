"""A system that takes fewer bytes than it was given neither cuts a file nor a line."""

from __future__ import annotations

import os

import pytest
from entries import entry

from llmnb.store import layout, spend


@pytest.fixture
def takes_little(monkeypatch):
    """Have every write take three bytes."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))


def test_a_short_write_is_finished_before_the_old_file_goes(tmp_path, takes_little):
    """
    A file is replaced by the whole of the new one.
    """
    path = tmp_path / "record"
    path.write_bytes(b"the old one")

    layout.write_private(path, b"the new one, which is longer")

    assert path.read_bytes() == b"the new one, which is longer"


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one(tmp_path, monkeypatch):
    """
    A disk that is full in the midst of it costs nothing that was there, and is told.
    """
    path = tmp_path / "record"
    path.write_bytes(b"the old one")
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]) if len(data) > 6 else 0)

    with pytest.raises(OSError):
        layout.write_private(path, b"the new one")

    assert path.read_bytes() == b"the old one"


def test_a_line_of_the_spend_log_is_written_whole(tmp_path, takes_little):
    """
    What was spent can be read again.
    """
    path = tmp_path / "spend.jsonl"

    spend.append(path, [entry(1)])

    assert [spent.requests for spent in spend.totals(path)] == [1]
