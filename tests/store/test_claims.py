"""Which process asks for what: claims that end with their process, and what they cannot know."""

from __future__ import annotations

import os

import pytest
from claims import in_use
from entries import entry, key_of

from llmnb.store import claims, layout
from llmnb.store.claims import Claims
from llmnb.store.project import ProjectStore

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="bytes of files are not locked on this system"
)


@pytest.fixture
def theirs(paths):
    """What another process has: files opened on its own, and its own count of its commits."""
    with in_use(Claims(paths)) as claimed:
        yield claimed


def in_child(work):
    """Run something in a forked process; return its exit status."""
    child = os.fork()
    if child == 0:
        status = 9
        try:
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def open_files():
    """Return the files of claims that this process has open."""
    links = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd"))
    return sum(".claims-" in os.readlink(link) for link in links if os.path.lexists(link))


def test_a_key_is_claimed_by_a_single_process_until_it_is_released(mine, theirs):
    """
    Two processes never hold one key; other keys are free meanwhile.
    """
    assert mine.take(key_of(1))
    assert not theirs.take(key_of(1))
    assert theirs.is_taken_elsewhere(key_of(1))
    assert theirs.take(key_of(2))

    mine.release(key_of(1))

    assert not theirs.is_taken_elsewhere(key_of(1))
    assert theirs.take(key_of(1))
    assert not mine.take(key_of(1))


def test_hundreds_of_claims_are_distinguished(mine, theirs):
    """
    Whatever is held at once, what is given up is that key and no other.
    """
    keys = [key_of(number) for number in range(500)]
    assert all(mine.take(key) for key in keys)
    for key in keys[::2]:
        mine.release(key)

    assert [theirs.take(key) for key in keys] == [True, False] * 250


def test_a_claim_ends_with_its_process(paths, mine):
    """
    A process that ended in the midst of asking keeps no other from asking.
    """

    def dies():
        return 0 if Claims(paths).take(key_of(1)) else 1

    assert in_child(dies) == 0
    assert mine.take(key_of(1))


def test_a_fork_shares_no_claim(paths, mine, theirs):
    """
    A child does not hold what its parent asks, and its end gives nothing of it up.
    """
    assert mine.take(key_of(1))

    assert in_child(lambda: 1 if claims.of(paths).take(key_of(1)) else 0) == 0

    assert not theirs.take(key_of(1))


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs Linux's locks")
def test_a_file_of_claims_that_is_read_elsewhere_gives_no_claim_up(paths, mine, theirs):
    """
    Opening and closing the files in the same process leaves the claims as they are.
    """
    assert mine.take(key_of(1))

    for file in (paths.root / layout.LOCKS).iterdir():
        file.read_bytes()

    assert not theirs.take(key_of(1))


def test_a_commit_of_another_process_is_seen_and_an_own_commit_is_not(paths, mine, theirs):
    """
    After a look-up only others' commits are a reason to look up again.
    """
    before = mine.look()
    store = ProjectStore(paths)
    store.commit([entry(1)])
    assert not mine.has_changed(before)

    store.claims = theirs
    store.commit([entry(2)])

    assert mine.has_changed(before)
    assert not mine.has_changed(mine.look())


def test_the_first_commit_of_all_is_seen_by_a_process_that_looked_before(paths, mine, theirs):
    """
    Where there was no file yet, what another process makes of it counts as a change.
    """
    before = mine.look()
    with theirs.committing():
        pass

    assert mine.take(key_of(1))

    assert mine.has_changed(before)


def test_a_commit_that_goes_on_elsewhere_counts_as_a_change_until_it_ends(mine, theirs):
    """
    Nobody relies on a look-up that was made in the midst of another process's commit.
    """
    with theirs.committing():
        seen = mine.look()
        assert mine.has_changed(seen)
        assert not theirs.has_changed(theirs.look())

    assert mine.has_changed(seen)
    assert not mine.has_changed(mine.look())


def test_a_process_that_died_while_committing_is_made_good_by_the_next_commit(paths, mine):
    """
    Until then everybody looks again: its answers may be there or not.
    """

    def dies():
        with Claims(paths).committing():
            os._exit(0)

    assert in_child(dies) == 0
    assert mine.has_changed(mine.look())

    with mine.committing():
        pass

    assert not mine.has_changed(mine.look())


def test_claims_go_on_in_a_cache_folder_that_was_deleted_and_made_anew(paths, mine, theirs):
    """
    Two processes meet again in the new files, at their next look-up.
    """
    assert mine.take(key_of(1))
    mine.release(key_of(1))
    for file in (paths.root / layout.LOCKS).iterdir():
        file.unlink()

    assert theirs.take(key_of(1))
    mine.look()

    assert not mine.take(key_of(1))


def test_files_are_open_only_while_somebody_needs_them(paths):
    """
    A kernel that has used many projects keeps no files open for those that rest.
    """
    before = open_files()
    claimed = claims.of(paths)
    with in_use(claimed):
        for number in range(50):
            assert claimed.take(key_of(number))
        assert open_files() > before
    assert open_files() > before, "a claim outlives the run that made it"

    for number in range(50):
        claimed.release(key_of(number))

    assert open_files() == before


def test_nothing_is_made_by_looking(paths, mine):
    """
    A run whose rows are all answered leaves no file behind.
    """
    mine.look()

    assert not paths.root.exists()


def test_where_bytes_cannot_be_locked_every_row_may_be_asked(mine, theirs, monkeypatch):
    """
    A file system without locks costs a row twice, never an error.
    """

    def cannot(descriptor, offset):
        raise OSError(95, "no locks here")

    monkeypatch.setattr(claims, "try_lock_byte", cannot)

    assert mine.take(key_of(1))
    assert theirs.take(key_of(1))
    mine.release(key_of(1))


def test_where_no_file_can_be_made_answers_are_kept_all_the_same(paths, mine, monkeypatch):
    """
    Neither asking nor saving fails for want of a file of claims.
    """

    def cannot(path, flags, mode=0o777):
        raise OSError(24, "too many open files")

    monkeypatch.setattr(claims.os, "open", cannot)
    before = mine.look()
    assert mine.take(key_of(1))
    with mine.committing():
        pass

    assert not mine.has_changed(before)
