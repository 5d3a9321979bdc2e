"""Promises of the thread that saves answers."""

from __future__ import annotations

import threading

from entries import entry

from llmnb.store.writer import Job, Writer


class GatedStore:
    """A store whose commits wait until each of their entries may be saved."""

    enough = 1

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.may_save = {entry(number).key: threading.Event() for number in (1, 2)}

    def commit(self, entries, *, is_bought):
        self.has_begun.set()
        for saved in entries:
            assert self.may_save[saved.key].wait(30)


def test_a_flush_waits_for_what_was_taken_before_it_and_for_no_more(monkeypatch):
    """
    So it ends while a run goes on saving.
    """
    writer, store = Writer(), GatedStore()
    wait_for = writer._changed.wait_for

    def wait_while_more_comes(is_met, timeout):
        if threading.current_thread() is threading.main_thread():
            writer._jobs.append(Job(store, entry(2)))
            store.may_save[entry(1).key].set()
        return wait_for(is_met, timeout)

    writer.put(Job(store, entry(1)))
    assert store.has_begun.wait(30)
    with monkeypatch.context() as patched:
        patched.setattr(writer._changed, "wait_for", wait_while_more_comes)
        assert writer.flush(30)

    assert not store.may_save[entry(2).key].is_set()
    store.may_save[entry(2).key].set()
    assert writer.flush(30)
