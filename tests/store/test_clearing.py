"""What clearing takes, what it leaves, and how it is undone."""

from __future__ import annotations

import threading

import pytest
from entries import entry, key_of

from llmnb.adapters import diskcache
from llmnb.errors import StoreError
from llmnb.store import clearing, layout, projects, usage
from llmnb.store.project import databases, open_project
from llmnb.store.writer import Writer


def save(root, name, *numbers):
    store = open_project(name, root, share=False)
    store.commit([entry(number) for number in numbers])
    return store


def names(root):
    return [paths.name for paths in layout.stored_projects(root)]


def test_a_project_goes_and_the_others_stay(root):
    """
    The count is reported, and how many of its answers stand elsewhere too.
    """
    save(root, "Questions", 1, 2, 3)
    save(root, "Maths", 3, 4)

    report = clearing.clear("Questions", root)

    assert report.removed == {"Questions": 3}
    assert report.elsewhere == 1
    assert names(root) == ["Maths"]


def test_several_go_whatever_their_spelling(root):
    """
    Compared after NFC and casefold.
    """
    save(root, "generate_Data", 1)
    save(root, "Caf\u00e9", 2)
    save(root, "Maths", 3)

    report = clearing.clear(["Generate_data", "CAFE\u0301"], root)

    assert report.removed == {"generate_Data": 1, "Caf\u00e9": 1}
    assert names(root) == ["Maths"]


def test_full_clears_all_and_a_project_called_full_by_a_list(root):
    """
    The word alone means everything; inside a list it is a name.
    """
    save(root, "full", 1)
    save(root, "Maths", 2)

    assert clearing.clear(["full"], root).removed == {"full": 1}
    assert names(root) == ["Maths"]
    assert clearing.clear("full", root).removed == {"Maths": 1}
    assert names(root) == []


def test_an_unknown_name_clears_nothing(root):
    """
    It is reported, and what was named rightly goes.
    """
    save(root, "Maths", 1)

    report = clearing.clear(["Mahts", "Maths"], root)

    assert report.unknown == ("Mahts",)
    assert report.removed == {"Maths": 1}


def test_a_strangers_file_stays(root):
    """
    Only llmnb's own files go, and with them no folder that holds something else.
    """
    store = save(root, "Maths", 1)
    (store.folder / "thesis.txt").write_text("precious")
    (root / "notes").mkdir()
    (root / "notes" / "list.txt").write_text("milk")

    clearing.clear("full", root)

    assert (store.folder / "thesis.txt").read_text() == "precious"
    assert (root / "notes" / "list.txt").read_text() == "milk"
    assert names(root) == []


def test_links_are_never_followed(root, tmp_path):
    """
    A link in a project's folder goes, what it points to stays.
    """
    store = save(root, "Maths", 1)
    target = tmp_path / "elsewhere.db"
    target.write_text("precious")
    (store.folder / "hits.json").symlink_to(target)

    clearing.clear("Maths", root)

    assert target.read_text() == "precious"


def test_a_linked_project_folder_is_no_project(root, tmp_path):
    """
    A link to a folder elsewhere is neither listed nor emptied.
    """
    elsewhere = save(tmp_path / "elsewhere", "Maths", 1)
    root.mkdir()
    (root / elsewhere.folder.name).symlink_to(elsewhere.folder)

    assert clearing.clear("full", root).removed == {}
    assert len(elsewhere.lookup([key_of(1)])) == 1


def test_a_project_in_use_can_be_cleared(root):
    """
    Answers that come afterwards go to a fresh database.
    """
    store = save(root, "Maths", 1)

    clearing.clear("Maths", root)
    store.commit([entry(2)])

    assert set(store.lookup([key_of(1), key_of(2)])) == {key_of(2)}


def test_a_reader_never_brings_a_cleared_project_back(root, monkeypatch):
    """
    One that looks into its files in the very moment in which they are moved into the trash.
    """
    save(root, "p", 1)
    project = layout.find_project(root, "p")
    look = diskcache._check

    def looked(path):
        look(path)
        monkeypatch.undo()
        clearing.clear("p", root, to_trash=True)

    databases.forget(project.folder)
    monkeypatch.setattr(diskcache, "_check", looked)

    assert databases.existing(project) is None
    assert names(root) == []
    assert not (project.folder / diskcache.FILE_NAME).exists()


def test_reading_leaves_no_mark(root):
    """
    The mark goes first or last when a project is cleared: a reader must not write it anew.
    """
    save(root, "p", 1)
    project = layout.find_project(root, "p")
    databases.forget(project.folder)
    (project.folder / layout.MARK).unlink()

    assert databases.existing(project) is not None
    assert names(root) == []


def test_the_spend_log_survives(root):
    """
    Money spent stays spent.
    """
    store = save(root, "Maths", 1)

    clearing.clear("full", root)

    assert usage.spending(store.paths.spend)[0].usd == 0.25


def test_the_trash_gives_back(root):
    """
    Until it is emptied.
    """
    save(root, "Maths", 1, 2)

    report = clearing.clear("Maths", root, to_trash=True)
    assert names(root) == []
    assert clearing.undo(report.tokens[0], root) == 2

    assert len(open_project("Maths", root).lookup([key_of(1), key_of(2)])) == 2
    (token,) = clearing.clear("Maths", root, to_trash=True).tokens
    clearing.discard(token, root)
    assert clearing.list_trash(root) == []


def test_undo_adds_to_a_project_made_anew(root):
    """
    What both have stays as the newer one has it.
    """
    save(root, "Maths", 1, 2)
    report = clearing.clear("Maths", root, to_trash=True)
    newer = open_project("Maths", root)
    newer.commit([entry(2, raw=b"newer"), entry(3)])

    assert clearing.undo(report.tokens[0], root) == 1

    entries = newer.lookup([key_of(number) for number in (1, 2, 3)])
    assert len(entries) == 3
    assert entries[key_of(2)].raw == b"newer"


@pytest.mark.parametrize("token", ["nothing", "../../etc", ""])
def test_undo_of_nothing_is_an_error(root, token):
    """
    A token that names no trashed project, or a path outside.
    """
    save(root, "Maths", 1)

    with pytest.raises(StoreError, match="nothing to undo"):
        clearing.undo(token, root)
    assert len(projects.keys(layout.paths_of(root, "Maths"))) == 1


def test_what_clearing_would_take_is_said_beforehand(root):
    """
    Answers, dollars, and in which projects how many of them stand as well; nothing is changed.
    """
    save(root, "Questions", 1, 2, 3)
    save(root, "Maths", 2, 3, 4)
    save(root, "Physics", 3)
    paths = layout.find_project(root, "questions")

    weight = clearing.weigh(paths)

    cleared = weight.project
    assert (cleared.answers, cleared.usd, cleared.unpriced) == (3, 0.75, 0)
    assert (weight.elsewhere, weight.others) == (2, ("Maths", "Physics"))
    assert set(projects.keys(paths)) == {key_of(1), key_of(2), key_of(3)}


def test_undoing_brings_the_uses_back_too(root):
    """
    What was saved before and after the clearing is added up.
    """
    save(root, "p", 1).lookup([key_of(1)])
    token = clearing.clear("p", root, to_trash=True).tokens[0]
    assert projects.list_projects(root) == []
    save(root, "p", 2).lookup([key_of(2)])

    clearing.undo(token, root)

    (one,) = projects.list_projects(root)
    assert (one.answers, one.hits, one.saved_usd) == (2, 2, 0.5)
    assert usage.read_hits(one.folder).count == 2


def test_a_run_that_goes_on_keeps_its_next_answers_anew(root):
    """
    Its store goes on after the clearing; undoing puts both together.
    """
    store = save(root, "p", 1, 2)

    token = clearing.clear("p", root, to_trash=True).tokens[0]
    assert store.lookup([key_of(1)]) == {}
    store.commit([entry(3)])

    assert set(projects.keys(store.paths)) == {key_of(3)}
    assert clearing.undo(token, root) == 2
    assert set(projects.keys(store.paths)) == {key_of(1), key_of(2), key_of(3)}


def test_thousands_come_back(root):
    """
    Some hundred in one commit.
    """
    save(root, "p", *range(1234))
    token = clearing.clear("p", root, to_trash=True).tokens[0]

    assert clearing.undo(token, root) == 1234
    assert not (root / layout.TRASH / token).exists()


def test_an_answer_is_forgotten_and_no_other(root):
    """
    For good; a second time there is nothing to forget.
    """
    paths = save(root, "p", 1, 2).paths

    assert clearing.forget(paths, key_of(1)) is True
    assert clearing.forget(paths, key_of(1)) is False
    assert set(projects.keys(paths)) == {key_of(2)}


def test_a_part_of_the_trash_is_emptied_and_no_other(root):
    """
    A token that names a path leads nowhere.
    """
    save(root, "p", 1)
    save(root, "q", 2)
    first, second = clearing.clear("full", root, to_trash=True).tokens

    clearing.discard(first, root)
    clearing.discard("../../" + second + "/..", root)
    clearing.discard("nothing", root)

    assert [token for token, _ in clearing.list_trash(root)] == [second]


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("what", ["songs", "full"])
def test_answers_that_are_being_saved_are_cleared_with_their_project(
    root, monkeypatch, is_new, what
):
    """
    Copies of another project's answers are saved soon after a run; clearing waits for them.
    """
    store = open_project("songs", root, share=False) if is_new else save(root, "songs", 2)
    may_commit, commit, flush = threading.Event(), store.commit, Writer.flush

    def commit_when_allowed(entries, *, is_bought=True):
        assert may_commit.wait(30)
        commit(entries, is_bought=is_bought)

    def flush_and_allow(self, timeout):
        may_commit.set()
        return flush(self, timeout)

    monkeypatch.setattr(store, "commit", commit_when_allowed)
    monkeypatch.setattr(Writer, "flush", flush_and_allow)
    store.put(entry(1))

    assert clearing.clear(what, root).removed == {"songs": 1 if is_new else 2}
    assert names(root) == []
