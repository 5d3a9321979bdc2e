"""What a person is told of a project."""

from __future__ import annotations

from entries import entry, key_of

from llmnb.store import clearing, layout, projects, usage
from llmnb.store.project import open_project
from llmnb.store.writer import writer


def save(root, name, *entries, share=False):
    store = open_project(name, root, share=share)
    store.commit(entries)
    return store


def test_a_project_tells_its_worth_its_age_and_how_often_it_was_used(root):
    """
    Answers of unknown price are counted apart; the hit rate is uses among all its rows.
    """
    store = save(root, "p", entry(1), entry(2), entry(3, usd=None))
    store.lookup([key_of(1)])

    (one,) = projects.list_projects(root)

    assert (one.answers, one.usd, one.unpriced, one.worth_usd) == (3, 0.5, 1, 0.5)
    assert (one.hits, one.saved_usd, one.hit_rate) == (1, 0.25, 0.25)
    assert (one.created, one.last_written) == (1_700_000_001.0, 1_700_000_003.0)
    assert one.last_used > one.last_written


def test_what_is_new_is_listed_at_once(root):
    """
    Sums are remembered only while nothing changes.
    """
    store = save(root, "p", entry(1))
    assert projects.summary(store.paths).answers == 1

    store.commit([entry(2)])

    assert projects.summary(store.paths).answers == 2
    assert projects.summary(store.paths).usd == 0.5


def test_what_was_added_is_read_alone_and_other_changes_anew(root, monkeypatch):
    """
    A growing project reads its new answers only; one replaced or forgotten is never missed.
    """
    store = save(root, "p", *(entry(number) for number in range(50)))
    read = []
    decode = projects.decode
    monkeypatch.setattr(
        projects, "decode", lambda data, key: (read.append(key), decode(data, key))[1]
    )

    def look():
        read.clear()
        summary = projects.summary(store.paths)
        return summary.answers, summary.usd, len(read)

    assert look() == (50, 12.5, 50)
    store.commit([entry(50), entry(51, usd=1.25)])
    assert look() == (52, 14.0, 2)
    assert look() == (52, 14.0, 0)
    store.commit([entry(0, usd=100.0, raw=b'{"answer":"longer than before"}'), entry(52)])
    assert look()[:2] == (53, 114.0)
    clearing.forget(store.paths, key_of(0))
    assert look()[:2] == (52, 14.0)
    clearing.clear(["p"], root)
    save(root, "p", entry(7))
    assert look()[:2] == (1, 0.25)


def test_whoever_changes_it_a_changed_folder_looks_different(root, monkeypatch):
    """
    An answer, a use that is not written yet, a project that goes; nothing else.
    """
    monkeypatch.setattr(projects, "SETTLED_SECONDS", -1.0)
    before = projects.changes(root)
    store = save(root, "p", entry(1))
    saved = projects.changes(root)
    assert projects.changes(root) == saved != before

    store.lookup([key_of(1)])
    used = projects.changes(root)
    assert used != saved

    projects.list_projects(root)
    clearing.clear(["p"], root)
    assert projects.changes(root) not in (used, saved)


def test_a_commit_that_is_still_being_synced_is_not_missed(root, monkeypatch):
    """
    Its bytes are in the file before anybody can read it; nothing of the file changes afterwards.
    """
    store = save(root, "p", entry(1))
    states = projects._file_states
    monkeypatch.setattr(projects, "_file_states", lambda folder, *names: frozen)
    frozen = states(store.folder)
    assert projects.summary(store.paths).answers == 1
    before = projects.changes(root)

    store.commit([entry(2)])

    assert projects.changes(root) != before
    assert projects.summary(store.paths).answers == 2


def test_no_price_at_all_is_unknown_and_not_nothing(root):
    """
    An empty project is worth nothing.
    """
    store = save(root, "p", entry(1, usd=None))

    assert projects.summary(store.paths).worth_usd is None


def test_a_plan_counts_nothing_as_used_and_copies_nothing(root):
    """
    Looking is not using.
    """
    save(root, "other", entry(1))
    store = save(root, "p", entry(2), share=True)

    entries = store.peek([key_of(1), key_of(2), key_of(3)])
    writer().flush(5)

    assert {key: entry.reused_from for key, entry in entries.items()} == {
        key_of(1): "other",
        key_of(2): None,
    }
    assert [(summary.answers, summary.hits) for summary in projects.list_projects(root)] == [
        (1, 0),
        (1, 0),
    ]


def test_an_answer_of_another_project_counts_as_used_here(root):
    """
    Where it is used, not where it came from; even in a project that has no folder yet.
    """
    save(root, "other", entry(1))
    store = open_project("p", root)

    assert store.lookup([key_of(1)])
    assert projects.summary(store.paths).answers in (0, 1)  # it may still be on its way
    assert store.flush(5)

    assert [
        (summary.name, summary.answers, summary.hits) for summary in projects.list_projects(root)
    ] == [
        ("other", 1, 0),
        ("p", 1, 1),
    ]


def test_uses_are_not_lost_between_a_projects_folder_and_its_mark(root):
    """
    Whoever lists the projects just then has them counted later.
    """
    store = save(root, "p", entry(1))
    mark = store.folder / layout.MARK
    written = mark.read_bytes()
    mark.unlink()

    usage.count_hits(store.folder, [entry(1)])
    usage.save_hits()
    mark.write_bytes(written)

    assert projects.summary(store.paths).hits == 1
