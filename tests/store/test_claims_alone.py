"""Claims of a process that is alone on a project, and what becomes of them when others come."""

from __future__ import annotations

import os
import random

import pytest
from claims import in_use
from entries import key_of

from llmnb.store import claims
from llmnb.store.claims import Claims

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="bytes of files are not locked on this system"
)

LOCKS_OF_THE_FIRST = 3
"""What a process locks and unlocks to find out that it is alone, however many rows it asks."""


@pytest.fixture
def locks(monkeypatch):
    """Note every byte that is locked or given back in this process."""
    done = []
    lock, unlock = claims.try_lock_byte, claims.unlock_byte
    monkeypatch.setattr(
        claims, "try_lock_byte", lambda *where, **how: done.append(where) or lock(*where, **how)
    )
    monkeypatch.setattr(claims, "unlock_byte", lambda *where: done.append(where) or unlock(*where))
    return done


def turn_over(one, numbers):
    """Claim keys and give each up again."""
    for number in numbers:
        assert one.take(key_of(number))
        one.release(key_of(number))


def test_a_process_that_is_alone_asks_the_system_for_no_row(mine, locks):
    """
    A thousand rows in flight, given up and claimed anew, cost no call of the system.
    """
    for number in range(1000):
        assert mine.take(key_of(number))
    turn_over(mine, range(1000, 3000))
    for number in range(1000):
        mine.release(key_of(number))

    assert len(locks) == LOCKS_OF_THE_FIRST


def test_a_newcomer_finds_what_was_claimed_before_it_came_until_it_is_released(paths, mine):
    """
    Whoever was alone need do nothing for it.
    """
    keys = [key_of(number) for number in range(100)]
    assert all(mine.take(key) for key in keys)
    with in_use(Claims(paths)) as theirs:
        assert not any(theirs.take(key) for key in keys)
        for key in keys[::2]:
            mine.release(key)

        assert [theirs.take(key) for key in keys] == [True, False] * 50
        assert [mine.take(key) for key in keys] == [False, True] * 50


def test_what_is_claimed_after_a_newcomer_came_is_seen_by_both(paths, mine):
    """
    From then on neither is alone.
    """
    assert mine.take(key_of(0))
    with in_use(Claims(paths)) as theirs:
        assert theirs.take(key_of(1))
        assert mine.take(key_of(2))
        assert mine.take(key_of(3))

        assert not mine.take(key_of(1))
        assert not any(theirs.take(key_of(number)) for number in (0, 2, 3))


def test_a_claim_that_was_released_and_made_again_meanwhile_still_counts(paths, mine):
    """
    It stood in the table first, and is a lock now.
    """
    assert mine.take(key_of(0))
    with in_use(Claims(paths)) as theirs:
        assert theirs.take(key_of(1))
        mine.release(key_of(0))
        assert mine.take(key_of(0))

        assert not theirs.take(key_of(0))


def test_more_claims_than_the_table_holds_are_seen_too(paths, mine):
    """
    Five thousand at once: those that find no room are locks.
    """
    keys = [key_of(number) for number in range(5000)]
    assert all(mine.take(key) for key in keys)
    with in_use(Claims(paths)) as theirs:
        assert not any(theirs.take(key) for key in keys)
        for key in keys:
            mine.release(key)
        assert all(theirs.take(key) for key in keys)


def test_a_process_that_is_alone_again_soon_locks_no_rows_any_more(paths, mine, locks):
    """
    A question from another kernel slows no long run down for good.
    """
    assert mine.take(key_of(0))
    with in_use(Claims(paths)) as theirs:
        turn_over(theirs, [1])
        turn_over(mine, [2])
    turn_over(mine, range(3, 1000))
    locks.clear()

    turn_over(mine, range(1000, 2000))

    assert not locks
    with in_use(Claims(paths)) as theirs:
        assert not theirs.take(key_of(0))


def test_a_newcomer_that_goes_before_anybody_noticed_leaves_the_other_alone(paths, mine, locks):
    """
    The table is taken up again at the next claim.
    """
    assert mine.take(key_of(0))
    with in_use(Claims(paths)) as theirs:
        turn_over(theirs, [1])
    turn_over(mine, [2])
    locks.clear()

    turn_over(mine, range(3, 1000))

    assert not locks


def test_a_newcomer_is_not_kept_from_rows_by_an_owner_that_died(paths):
    """
    What stands in a dead process's table is void, also for whoever has seen it alive.
    """
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        Claims(paths).take(key_of(1))
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    with in_use(Claims(paths)) as mine:
        assert not mine.take(key_of(1))
        os.write(go[1], b"x")
        os.waitpid(child, 0)

        assert mine.take(key_of(1))
        with in_use(Claims(paths)) as theirs:
            assert not theirs.take(key_of(1))
            assert theirs.take(key_of(2))
    for end in (*ready, *go):
        os.close(end)


def come_and_go(paths, folder, seed):
    """Claim few keys in many visits, with a mark for each; return whether one was there already."""
    dice, claimed = random.Random(seed), Claims(paths)
    is_twice = False
    for _ in range(80):
        with in_use(claimed):
            for _ in range(dice.choice([1, 3, 40])):
                key = key_of(dice.randrange(4))
                if not claimed.take(key):
                    continue
                mark = folder / key
                try:
                    mark.touch(exist_ok=False)
                except FileExistsError:
                    is_twice = True
                mark.unlink(missing_ok=True)
                claimed.release(key)
    return is_twice


def test_processes_that_come_and_go_never_claim_a_key_at_once(paths, tmp_path):
    """
    Three of them claim four keys thousands of times, alone at times and together at others.
    """
    children = []
    for seed in range(3):
        child = os.fork()
        if child == 0:
            status = 9
            try:
                status = int(come_and_go(paths, tmp_path, seed))
            finally:
                os._exit(status)
        children.append(child)

    ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert ends == [0, 0, 0]
