"""What a project's store promises when things go wrong, and when they do not."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pickle
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import warnings

import diskcache
import pytest
from entries import entry, key_of

from llmnb.adapters import file_lock
from llmnb.adapters.diskcache import salvage
from llmnb.errors import StoreError
from llmnb.store import layout, projects, usage
from llmnb.store.project import Databases, databases, open_project

PREAMBLE = """
import sys, pathlib
sys.path.insert(0, sys.argv[1])
from entries import entry, key_of
from llmnb.store.project import open_project
root = pathlib.Path(sys.argv[2])
"""


def child(code, root, *arguments, **options):
    """Start another process that works on the same folder."""
    support = os.path.join(os.path.dirname(__file__), "..", "support")
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + code, support, str(root), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def save(store, *numbers):
    store.commit([entry(number) for number in numbers])


def test_what_was_saved_is_returned_and_nothing_else(root):
    """
    Under its key, as it was.
    """
    store = open_project("p", root)
    save(store, 1, 2)

    assert store.lookup([key_of(1), key_of(2), key_of(3)]) == {
        key_of(1): entry(1),
        key_of(2): entry(2),
    }


def test_nothing_is_made_until_something_is_saved(root):
    """
    Looking is not making.
    """
    open_project("p", root).lookup([key_of(1)])

    assert not root.exists()


def test_folders_and_files_are_for_nobody_else(root):
    """
    0700 and 0600, whatever the umask.
    """
    before = os.umask(0)
    try:
        save(open_project("p", root), 1)
    finally:
        os.umask(before)

    for path in (root, *root.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_it_is_a_diskcache_that_evicts_nothing(root):
    """
    diskcache itself opens it and finds the answers; no side files, no limit, full sync.
    """
    store = open_project("p", root)
    large = entry(1, raw=b"x" * 100_000)
    store.commit([large, entry(2)])

    with diskcache.Cache(str(store.folder)) as cache:
        assert len(cache) == 2
        assert cache.volume() > 100_000
        assert (cache.eviction_policy, cache.cull_limit) == ("none", 0)
        assert cache.size_limit > 2**60
    names = {path.name for path in store.folder.iterdir()}
    assert names <= {"cache.db", "cache.db-wal", "cache.db-shm", "project.json"}
    assert store.lookup([key_of(1)])[key_of(1)].raw == large.raw


async def test_aput_returns_when_the_answer_is_on_disk(root):
    """
    Another connection sees it at that moment.
    """
    store = open_project("p", root)
    await asyncio.gather(*(store.aput(entry(number)) for number in range(100)))

    with sqlite3.connect(store.folder / "cache.db") as other:
        assert other.execute("SELECT COUNT(*) FROM Cache").fetchone() == (100,)
    other.close()


KILLED = """
import asyncio
import contextlib
async def main():
    store = open_project("p", root)
    for start in range(0, 100_000, 8):
        await asyncio.gather(*(store.aput(entry(n)) for n in range(start, start + 8)))
        print(start + 8, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize(
    "kills", [4, pytest.param(40, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_kill_minus_nine_loses_nothing_that_was_acknowledged(root, kills):
    """
    Each time at a random moment: every answer that was reported is there.
    """
    dice = random.Random(7)
    for attempt in range(kills):
        folder = root / str(attempt)
        process = child(KILLED, folder)
        reported = 0
        for _ in range(dice.randint(1, 40)):
            reported = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        reported = max([reported, *(int(line) for line in process.stdout.read().split())])
        process.communicate()

        store = open_project("p", folder)
        assert len(store.lookup([key_of(number) for number in range(reported)])) == reported
        databases.forget(store.folder)


def test_two_processes_and_eight_threads_write_a_project(root):
    """
    Nothing corrupt, everything there.
    """
    code = """
for start in range(0, 400, 10):
    base = int(sys.argv[3])
    open_project("p", root).commit([entry(base + n) for n in range(start, start + 10)])
"""
    children = [child(code, root, base) for base in (10_000, 20_000)]
    store = open_project("p", root)

    def work(base):
        for number in range(0, 50, 5):
            store.commit([entry(base + number + offset) for offset in range(5)])

    threads = [threading.Thread(target=work, args=(1000 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in children:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said

    assert len(projects.keys(store.paths)) == 8 * 50 + 2 * 400
    with sqlite3.connect(store.folder / "cache.db") as check:
        assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


def test_a_forked_child_writes_on_its_own(root):
    """
    Its answers and the parent's are all there.
    """
    code = """
import os, warnings
warnings.simplefilter("ignore")
store = open_project("p", root)
store.put(entry(1)); store.flush()
pid = os.fork()
store.put(entry(2 if pid else 3)); store.flush()
if pid:
    os.waitpid(pid, 0)
"""
    process = child(code, root)
    _, said = process.communicate(timeout=30)

    assert process.returncode == 0, said
    assert len(open_project("p", root).lookup([key_of(n) for n in (1, 2, 3)])) == 3


def test_a_full_disk_is_a_store_error_until_there_is_room_again(root):
    """
    The process may write no more: saving fails, and succeeds again once there is room.
    """
    code = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from llmnb.errors import StoreError
store = open_project("p", root)
store.commit([entry(1)])
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
more = [entry(n, raw=b"x" * 50_000) for n in range(2, 40)]
try:
    store.commit(more)
except StoreError as error:
    print(str(error)[:60], len(store.lookup([key_of(n) for n in range(1, 40)])))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.commit(more)
print("saved", len(store.lookup([key_of(n) for n in range(1, 40)])))
"""
    process = child(code, root)
    told, said = process.communicate(timeout=30)

    assert told.startswith("Answers cannot be saved"), said
    assert told.splitlines()[0].endswith(" 1")
    assert "saved 39" in told


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path):
    """
    A file stands where the cache folder should.
    """
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match="LLMNB_CACHE_DIR"):
        save(open_project("p", tmp_path / "file" / "cache"), 1)


def test_a_folder_deleted_in_mid_run_is_made_again(root):
    """
    What is saved afterwards is there.
    """
    import shutil

    store = open_project("p", root)
    save(store, 1)
    shutil.rmtree(root)

    save(store, 2)

    assert set(store.lookup([key_of(1), key_of(2)])) == {key_of(2)}


def test_a_lock_of_another_process_is_waited_for(root):
    """
    And when it is held too long, that is a store error, not a loss.
    """
    store = open_project("p", root)
    save(store, 1)
    code = """
import contextlib
from llmnb.adapters.file_lock import locked
with locked(open_project("p", root).paths.lock):
    print("held", flush=True)
    sys.stdin.readline()
"""
    process = child(code, root, stdin=subprocess.PIPE)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(StoreError, match="lock"), file_lock.locked(store.paths.lock, timeout=0.05):
        pass
    waiting = threading.Thread(target=save, args=(store, 2))
    waiting.start()
    process.communicate("go\n", timeout=30)
    waiting.join(30)

    assert len(store.lookup([key_of(1), key_of(2)])) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"not a database at all" * 100,
        lambda data: data[: len(data) // 2],
        lambda data: data[:8192] + bytes(4096) + data[12288:],
        lambda data: b"",
    ],
    ids=["foreign", "truncated", "a page of zeros", "empty"],
)
def test_a_damaged_database_is_set_aside_and_what_can_be_read_is_kept(root, damage):
    """
    Untouched under another name, said so, and the project works again.
    """
    store = open_project("p", root)
    store.commit([entry(number, raw=b"y" * 2000) for number in range(50)])
    databases.forget(store.folder)
    path = store.folder / "cache.db"
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        save(store, 100)
        kept = store.lookup([key_of(number) for number in range(50)])

    assert store.lookup([key_of(100)])
    for key, stored in kept.items():
        assert stored.key == key
    if damaged[:6] != b"SQLite" and damaged:
        (aside,) = store.folder.glob("cache.db.damaged-*-0")
        assert aside.read_bytes() == damaged
        assert any("set aside" in str(warning.message) for warning in said)


def test_a_number_that_damage_made_huge_keeps_no_reading_from_its_end(root):
    """Of a damaged database the other answers are read, and soon."""
    store = open_project("p", root)
    store.commit([entry(number) for number in range(3)])
    databases.forget(store.folder)
    with contextlib.closing(sqlite3.connect(store.folder / "cache.db")) as connection:
        connection.execute("UPDATE Cache SET rowid = ? WHERE key = ?", (2**60, key_of(2)))
        connection.commit()

    assert [key for key, _ in salvage(store.folder / "cache.db")] == [key_of(0), key_of(1)]


def test_a_process_killed_while_it_makes_a_database_leaves_none(root):
    """
    Killed with `kill -9` a moment before it is in place: the next one starts as if nothing was.
    """
    code = """
import os, signal
from llmnb.adapters import diskcache
os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
open_project("p", root).commit([entry(1)])
"""
    with child(code, root) as killed:
        assert killed.wait(60) == -signal.SIGKILL
    store = open_project("p", root)
    assert not (store.folder / "cache.db").exists()
    drafts = list(root.glob(".making-*"))
    assert len(drafts) == 1
    os.utime(drafts[0], (0, 0))

    save(store, 2)

    assert set(store.lookup([key_of(1), key_of(2)])) == {key_of(2)}
    assert not list(root.glob(".making-*"))


def test_killed_at_any_moment_of_its_first_save_a_project_opens_again(root):
    """
    No half of a database is ever seen, neither by the next process nor by a neighbour.
    """
    dice = random.Random(3)
    code = """
print(flush=True)
open_project(sys.argv[3], root).commit([entry(1)])
print(flush=True)
"""
    for number in range(12):
        process = child(code, root, f"p{number}")
        process.stdout.readline()
        threading.Event().wait(dice.uniform(0, 0.03))
        process.kill()
        has_saved = bool(process.communicate()[0])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            store = open_project(f"p{number}", root, share=False)
            assert len(store.lookup([key_of(1)])) >= has_saved
            save(store, 2)


def test_a_journal_without_its_database_is_set_aside(root):
    """
    It is neither thrown away nor taken for the new database's own.
    """
    store = open_project("p", root)
    store.folder.mkdir(parents=True)
    (store.folder / "cache.db-wal").write_bytes(b"w" * 100)

    with pytest.warns(UserWarning, match="set aside"):
        save(store, 1)

    (aside,) = store.folder.glob("cache.db.damaged-*-0-wal")
    assert aside.read_bytes() == b"w" * 100
    assert store.lookup([key_of(1)])


def test_another_programs_database_is_set_aside_untouched(root):
    """
    A good SQLite file that is not ours is not written into.
    """
    store = open_project("p", root)
    store.folder.mkdir(parents=True)
    other = sqlite3.connect(store.folder / "cache.db")
    other.execute("CREATE TABLE accounts (id)")
    other.commit()
    other.close()
    before = (store.folder / "cache.db").read_bytes()

    with pytest.warns(UserWarning, match="set aside"):
        save(store, 1)

    (aside,) = store.folder.glob("cache.db.damaged-*-0")
    assert aside.read_bytes() == before
    assert store.lookup([key_of(1)])


class Bomb:
    """Runs when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def test_a_planted_pickle_does_not_run(root, tmp_path):
    """
    A row that diskcache would unpickle is not read at all.
    """
    store = open_project("p", root)
    save(store, 1)
    with sqlite3.connect(store.folder / "cache.db") as other:
        other.execute(
            "INSERT INTO Cache (key, raw, mode, value, size) VALUES (?, 1, 4, ?, 0)",
            (key_of(2), pickle.dumps(Bomb(tmp_path / "ran"))),
        )
        other.execute(
            "INSERT INTO Cache (key, raw, mode, value, size) VALUES (?, 1, 1, ?, 0)",
            (key_of(3), "text where bytes should be"),
        )
        other.execute(
            "INSERT INTO Cache (key, raw, mode, value, size) VALUES (?, 1, 1, ?, 0)",
            (key_of(4), b"bytes of somebody else"),
        )
    other.close()

    assert set(store.lookup([key_of(number) for number in range(1, 5)])) == {key_of(1)}
    assert len(list(projects.each(store.paths))) == 1
    assert not (tmp_path / "ran").exists()


def test_an_entry_under_another_key_is_not_served(root):
    """
    A row copied under a second key is no answer to it.
    """
    store = open_project("p", root)
    save(store, 1)
    with sqlite3.connect(store.folder / "cache.db") as other:
        other.execute("UPDATE Cache SET key = ?", (key_of(2),))
    other.close()

    assert store.lookup([key_of(1), key_of(2)]) == {}


def test_a_symlinked_project_folder_is_refused(root, tmp_path):
    """
    Answers are kept in real folders only.
    """
    store = open_project("p", root)
    root.mkdir()
    (tmp_path / "elsewhere").mkdir()
    store.folder.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StoreError, match="link"):
        save(store, 1)
    assert list((tmp_path / "elsewhere").iterdir()) == []


# -------------------------------------------------------------------------- many of them


def test_of_many_projects_only_the_latest_are_kept_open(root):
    """
    A process that may have 1,024 files open can use a thousand projects.
    """
    before = len(os.listdir("/dev/fd"))
    for number in range(100):
        save(open_project(f"p{number}", root, share=False), number)

    assert len(os.listdir("/dev/fd")) - before <= 7 * 64 + 20
    for number in range(100):
        assert open_project(f"p{number}", root).lookup([key_of(number)])


def test_a_project_that_another_only_reads_takes_three_files(root):
    """
    What writing needs is opened by the first write.
    """
    save(open_project("mine", root), 0)
    for number in range(1, 21):
        save(open_project(f"p{number}", root, share=False), number)
        databases.forget(open_project(f"p{number}", root).folder)
    before = len(os.listdir("/dev/fd"))

    entries = open_project("mine", root).peek([key_of(20), key_of(21)])

    assert list(entries) == [key_of(20)]
    assert len(os.listdir("/dev/fd")) - before <= 3 * 20


def test_a_database_that_is_left_out_is_closed_when_its_user_lets_go(root):
    """
    Not under somebody who is reading from it.
    """
    for number in range(3):
        save(open_project(f"p{number}", root), number)
        # SQLite closes no file of which this process has another connection.
        databases.forget(open_project(f"p{number}", root).folder)
    pool = Databases(most=1)
    before = len(os.listdir("/dev/fd"))
    reading = pool.existing(open_project("p0", root).paths).items()
    assert next(reading)[0] == key_of(0)

    pool.existing(open_project("p1", root).paths)
    pool.existing(open_project("p2", root).paths)

    assert list(reading) == []
    del reading
    gc.collect()
    assert len(os.listdir("/dev/fd")) - before <= 3


# ---------------------------------------------------------------------------- sharing


def test_an_answer_of_another_project_is_reused_and_copied(root):
    """
    Then it stays when that project goes.
    """
    from llmnb.store import clearing

    save(open_project("a", root), 1)
    b = open_project("b", root)

    entries = b.lookup([key_of(1)])
    b.flush()
    clearing.clear("a", root)

    assert entries[key_of(1)].reused_from == "a"
    assert b.lookup([key_of(1)])[key_of(1)].reused_from is None


def test_sharing_can_be_refused_or_restricted(root):
    """
    `share=False` sees nobody, a list sees those it names, in any spelling.
    """
    save(open_project("Maths", root), 1)
    save(open_project("other", root), 2)
    keys = [key_of(1), key_of(2)]

    assert open_project("x", root, share=False).lookup(keys) == {}
    assert set(open_project("y", root, share=["MATHS"]).lookup(keys)) == {key_of(1)}


def test_the_spend_log_counts_what_was_bought_and_nothing_twice(root):
    """
    Copies from another project cost nothing.
    """
    a, b = open_project("a", root), open_project("b", root)
    save(a, 1, 2)
    b.lookup([key_of(1)])
    b.flush()

    (line,) = usage.spending(a.paths.spend)
    assert (line.requests, line.prompt_tokens, line.completion_tokens, line.usd) == (2, 6, 8, 0.5)
    assert usage.spending(b.paths.spend) == []


def test_a_summary_says_what_there_is_to_know(root):
    """
    Answers, size, age, what they would cost again, how often they were used.
    """
    store = open_project("Träume", root)
    save(store, 1, 2)
    store.lookup([key_of(1)])

    (found,) = projects.list_projects(root)

    assert (found.name, found.answers, found.usd, found.hits) == ("Träume", 2, 0.5, 1)
    assert found.saved_usd == 0.25
    assert found.size_bytes > 0
    assert found.created == 1_700_000_001.0


def test_a_copied_mark_marks_nothing(root):
    """
    A folder with another project's mark is not a project.
    """
    import shutil

    store = open_project("p", root)
    save(store, 1)
    shutil.copytree(store.folder, root / "stranger")

    assert [paths.name for paths in layout.stored_projects(root)] == ["p"]
