"""The lock on a whole file: one holder at a time, threads and forks among them."""

from __future__ import annotations

import os
import threading

import filelock
import pytest

from llmnb.adapters.file_lock import locked
from llmnb.errors import StoreError


def test_two_threads_of_a_process_exclude_each_other(tmp_path):
    """
    A lock belongs to whoever took it, not to the process.
    """
    path = tmp_path / "lock"
    heard = []

    def try_it():
        try:
            with locked(path, timeout=0):
                heard.append("held")
        except StoreError:
            heard.append("refused")

    with locked(path):
        other = threading.Thread(target=try_it)
        other.start()
        other.join()
    try_it()

    assert heard == ["refused", "held"]


def test_processes_that_lock_through_the_library_are_excluded_too(tmp_path):
    """
    An earlier release, which locks through the library, and this one never both hold a file.
    """
    path = tmp_path / "lock"
    theirs = filelock.FileLock(path, thread_local=False)

    with theirs, pytest.raises(StoreError, match="Another process"), locked(path, timeout=0):
        pass
    with locked(path), pytest.raises(filelock.Timeout):
        theirs.acquire(timeout=0)


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_on_its_successor(tmp_path):
    """
    Whoever removes a project's folder leaves nobody with a lock that no other can see.
    """
    path = tmp_path / "folder" / "lock"
    with locked(path):
        path.unlink()
        with locked(path, timeout=0):
            assert path.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_that_was_forked_inside_a_lock_does_not_keep_it(tmp_path):
    """
    The child lives on, and its parent's lock ends with the parent's block all the same.
    """
    path = tmp_path / "lock"
    reading, writing = os.pipe()
    with locked(path):
        child = os.fork()
        if not child:
            os.close(writing)
            os.read(reading, 1)  # until the parent lets go of the pipe
            os._exit(0)
        with pytest.raises(StoreError), locked(path, timeout=0):
            pass
    os.close(reading)
    with locked(path, timeout=0):
        pass
    os.close(writing)
    assert os.waitpid(child, 0)[1] == 0
