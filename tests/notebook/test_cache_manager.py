"""The cache manager: what it shows, what it does, and what it will not do whatever it is sent."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from entries import chat, entry, key_of
from markup import PAYLOADS, Census, about
from widget_page import WidgetPage

from llmnb.errors import InputError, InvalidProjectName
from llmnb.notebook import cache_manager, cache_view
from llmnb.notebook.cache_manager import CacheManager
from llmnb.notebook.job_queue import JobQueue
from llmnb.store import clearing, layout, projects
from llmnb.store.project import open_project

NOW = 1_700_000_000.0
SUPPORT = Path(__file__).parents[1] / "support"


class Page:
    """What a page would see of a manager, without one."""

    def __init__(self, manager):
        self.manager = manager
        self.heard = []
        manager.send = lambda content, buffers=None: self.heard.append(content)
        self._turn = 0

    def ask(self, **wish):
        """Send a wish and return what was said to it, without the last word where it went well."""
        self._turn += 1
        turn = f"page#{self._turn}"
        self.manager._handle_custom_msg({**wish, "turn": turn}, [])
        assert self.manager._jobs.wait(30)
        said = [one for one in self.heard if one.get("turn") == turn]
        return said[:-1] if said and said[-1]["kind"] == "done" else said

    @property
    def rows(self):
        return {row["name"]: row for row in self.manager.snapshot["projects"] if not row["gone"]}

    @property
    def gone(self):
        return {
            row["name"]: row["gone"] for row in self.manager.snapshot["projects"] if row["gone"]
        }


@pytest.fixture
def save(cache_dir):
    """Keep answers in a project."""

    def keep(name, *entries):
        store = open_project(name, cache_dir, share=False)
        store.commit(entries)
        return store

    return keep


@pytest.fixture
def manage(cache_dir, monkeypatch):
    """Open a manager of the test's cache folder, closed at the end."""
    monkeypatch.setattr(cache_manager, "FOLLOW_SECONDS", 0.02)
    opened = []

    def manager(project=None):
        opened.append(CacheManager(project, cache_dir=cache_dir))
        return Page(opened[-1])

    yield manager
    for one in opened:
        one.close()


def there(cache_dir):
    return [place.name for place in layout.stored_projects(cache_dir)]


# --------------------------------------------------------------------------- showing


def test_it_lists_projects_with_what_they_are_worth(save, manage):
    """
    Answers, size, age, last use, hit rate and money saved; the one used last comes first.
    """
    save("old", entry(1), entry(2))
    save("new", entry(3)).lookup([key_of(3)])

    page = manage()

    assert list(page.rows) == ["new", "old"]
    row = page.rows["new"]
    assert (row["answers"], row["rate"], row["saved"], row["used"]) == (
        "1",
        "50 %",
        "$0.25",
        "just now",
    )
    assert page.manager.snapshot["hero"]["answers"] == "3"
    assert page.manager.snapshot["hero"]["share"] == "25 % reused"


def test_an_empty_cache_says_how_it_fills(manage, cache_dir):
    """
    And looking makes no folder.
    """
    page = manage()

    assert page.manager.snapshot["view"] == "empty"
    assert "No answers kept yet" in page.manager.text
    assert not cache_dir.exists()


def test_a_page_of_answers_comes_by_message_and_is_no_part_of_the_state(save, manage):
    """
    So that a saved notebook holds no prompt.
    """
    save("p", *(chat(number, f"question {number}", "secret answer") for number in range(25)))
    page = manage()

    (said,) = page.ask(do="open", project="p", search="", page=1)

    assert [hit["key"] for hit in said["page"]["hits"]] == [key_of(n) for n in range(4, -1, -1)]
    assert (said["page"]["range"], said["page"]["after"]) == ("21–25 of 25", False)
    state = json.dumps(page.manager.get_state(["snapshot"]))
    assert "secret" not in state
    assert "question" not in state


def test_a_search_says_what_it_found_and_where(save, manage):
    """
    Pieces that are plain and found, in turn; nothing found is said in a sentence.
    """
    save("p", chat(1, "I want a refund", "Refunded."), chat(2, "Hello", "Hi"))
    page = manage()

    (found,) = page.ask(do="open", project="P", search="refund", page=0)
    (nothing,) = page.ask(do="open", project="p", search="invoice 2019", page=0)

    (hit,) = found["page"]["hits"]
    assert hit["asked"]["parts"] == ["I want a ", "refund", ""]
    assert hit["answered"]["parts"] == ["", "Refund", "ed."]
    assert found["page"]["count"] == "1 of 2 answers, newest first"
    assert "No prompt or answer holds “invoice 2019”" in nothing["page"]["nothing"]


def test_a_long_answer_travels_in_part_and_is_copied_whole(save, manage):
    """
    A page stays small; Copy fetches all of it.
    """
    save("p", chat(1, "q", "long " * 100_000))
    page = manage()

    (said,) = page.ask(do="open", project="p", search="", page=0)
    (whole,) = page.ask(do="answer", project="p", key=key_of(1))

    assert len(json.dumps(said)) < 20_000
    assert whole["text"] == "long " * 100_000


@pytest.mark.parametrize("place", [0, 40, 3_000, 100_000])
def test_what_was_found_is_shown_wherever_it_stands(place):
    """
    A closed row begins a little before it, an open one at the start unless that is far.
    """
    text = "x " * (place // 2) + "needle" + " y" * 50_000

    shown = cache_view.excerpt(text, ("needle",), 3_000)

    assert shown["parts"][1] == "needle"
    before = shown["parts"][0][shown["skip"] :]
    assert len(before) <= cache_view.BEFORE_WORD + 2
    assert sum(map(len, shown["parts"])) <= 3_010


# ------------------------------------------------------------------------- following


def told(manager, answers):
    """Wait until a manager tells that so many answers are kept."""
    come = threading.Event()
    manager.observe(lambda change: come.set() if change["new"] == answers else None, "answers")
    assert manager.answers == answers or come.wait(60)


def test_it_follows_what_is_kept_without_being_asked(save, manage):
    """
    The first answer, more of them, and their use again; a thread does it, and no page.
    """
    manager = manage().manager
    assert (manager.state, manager.answers) == ("empty", 0)

    store = save("p", entry(1))
    told(manager, 1)
    store.commit([entry(2), entry(3)])
    told(manager, 3)
    assert (manager.state, manager.projects) == ("list", 1)
    assert manager.snapshot["hero"]["answers"] == "3"

    come = threading.Event()
    manager.observe(lambda change: come.set(), "saved_usd")
    store.lookup([key_of(1)])
    assert come.wait(60)
    assert manager.saved_usd == 0.25


def test_another_process_is_followed_as_well(manage, cache_dir):
    """
    What another kernel keeps in the same folder is shown within seconds.
    """
    manager = manage().manager
    code = (
        f"import sys; sys.path[:0] = {[str(SUPPORT), str(SUPPORT.parents[1])]!r}\n"
        "from entries import entry\n"
        "from llmnb.store.project import open_project\n"
        f"open_project('theirs', {str(cache_dir)!r}, share=False).commit([entry(1)])"
    )

    subprocess.run([sys.executable, "-c", code], check=True)

    told(manager, 1)
    assert manager.snapshot["projects"][0]["name"] == "theirs"


def test_while_it_follows_every_project_stays_in_its_place(save, manage):
    """
    Nothing moves away under a click; a new project comes on top, and a look of one's own sorts.
    """
    old = save("old", entry(1))
    save("new", entry(2))
    page = manage()
    assert list(page.rows) == ["new", "old"]

    old.commit([entry(3, created=1_800_000_000.0)])
    told(page.manager, 3)
    assert list(page.rows) == ["new", "old"]
    save("newest", entry(4, created=1_600_000_000.0))
    told(page.manager, 4)
    assert list(page.rows) == ["newest", "new", "old"]

    page.ask(do="look")
    assert list(page.rows) == ["old", "new", "newest"]


def test_a_manager_that_is_closed_follows_nothing(manage):
    """
    Its thread ends.
    """
    page = manage()
    following = [one for one in threading.enumerate() if one.name == "llmnb-cache"]
    assert following

    page.manager.close()
    for thread in following:
        thread.join(60)

    assert page.manager.state == "closed"
    assert not any(one.is_alive() for one in following)


def test_a_manager_of_one_project_knows_no_other(save, manage, cache_dir):
    """
    It counts, exports and clears that one; a page that names another is told there is none.
    """
    save("Mine", entry(1), entry(2))
    save("theirs", entry(3))
    page = manage("mine")

    assert (list(page.rows), page.manager.answers) == (["Mine"], 2)
    assert page.manager.snapshot["hero"]["answers"] == "2"
    for wish in (
        {"do": "open", "search": "", "page": 0},
        {"do": "weigh"},
        {"do": "clear"},
        {"do": "export", "format": "csv"},
        {"do": "answer", "key": key_of(3)},
        {"do": "forget", "key": key_of(3)},
    ):
        assert page.ask(project="theirs", **wish)[0]["kind"] == "fault"
    (asked,) = page.ask(do="weigh", project=None)
    assert asked["question"]["yes"] == "Clear 2 answers"
    page.ask(do="clear", project=None)
    page.manager.close()

    assert there(cache_dir) == ["theirs"]
    assert manage("not there yet").manager.state == "empty"
    with pytest.raises(InvalidProjectName):
        manage("a\nb")


# -------------------------------------------------------------------------- clearing


def test_clearing_says_what_it_takes_and_what_stands_elsewhere(save, manage):
    """
    Count, dollars to buy again, other projects, and that it can be undone.
    """
    save("tickets", *(entry(number) for number in range(10)))
    save("reviews", entry(1), entry(2), entry(77))

    (said,) = manage().ask(do="weigh", project="tickets")

    assert "".join(said["question"]["parts"]) == (
        "Clear the 10 answers of tickets? Buying them again costs about $2.50. 2 of them also "
        "stand in reviews and stay there. You can undo until this manager is closed."
    )
    assert said["question"]["yes"] == "Clear 10 answers"


def test_one_project_goes_and_comes_back(save, manage, cache_dir):
    """
    Only it is gone from the disk; undo brings every answer back.
    """
    save("tickets", entry(1), entry(2))
    save("reviews", entry(3))
    page = manage()

    page.ask(do="clear", project="tickets")
    assert there(cache_dir) == ["reviews"]
    assert page.manager.snapshot["foot"]["gone"] == [page.gone["tickets"]]
    assert page.manager.snapshot["hero"]["answers"] == "1"

    page.ask(do="undo", gone=[page.gone["tickets"]])
    assert there(cache_dir) == ["reviews", "tickets"]
    assert page.rows["tickets"]["answers"] == "2"
    assert page.manager.snapshot["foot"] is None


def test_all_projects_go_and_one_of_them_comes_back(save, manage, cache_dir):
    """
    The others stay in the trash until the manager is closed, and are then deleted.
    """
    for name in ("a", "b", "c"):
        save(name, entry(1))
    page = manage()

    page.ask(do="clear", project=None)
    assert there(cache_dir) == []
    page.ask(do="undo", gone=[page.gone["b"]])
    assert there(cache_dir) == ["b"]
    page.manager.close()

    assert there(cache_dir) == ["b"]
    assert clearing.list_trash(cache_dir) == []


def test_closing_deletes_what_this_manager_cleared_and_nothing_else(save, manage, cache_dir):
    """
    What another manager or the command line has cleared can still be undone.
    """
    save("mine", entry(1))
    save("theirs", entry(2))
    clearing.clear("theirs", cache_dir, to_trash=True)
    page = manage()
    page.ask(do="clear", project="mine")

    page.manager.close()

    assert [name for _, name in clearing.list_trash(cache_dir)] == ["theirs"]


def test_a_run_in_progress_keeps_what_it_buys_after_the_clearing(save, manage, cache_dir):
    """
    The question says so, the run's answers stand anew, and undo adds the old ones to them.
    """
    store = save("p", entry(1, created=NOW))
    page = manage()
    (calm,) = page.ask(do="weigh", project="p")
    store.commit([entry(2, created=4_000_000_000.0)])
    (warned,) = page.ask(do="weigh", project="p")

    page.ask(do="clear", project="p")
    store.commit([entry(3)])
    page.ask(do="look")

    assert "under way" not in "".join(calm["question"]["parts"])
    assert "under way" not in "".join(warned["question"]["parts"])  # a clock that is ahead
    assert page.rows["p"]["answers"] == "1"
    page.ask(do="undo", gone=[page.gone["p"]])
    assert page.rows["p"]["answers"] == "3"


def test_a_project_that_was_written_to_just_now_may_be_part_of_a_run():
    """
    The person is told that the run goes on.
    """
    said = cache_view.clear_question(weight(last_written=NOW - 3), NOW)["parts"][2]

    assert "a run that is under way keeps its next ones anew" in said


def test_strangers_files_stay(save, manage, cache_dir):
    """
    And so does the folder they lie in.
    """
    folder = save("p", entry(1)).folder
    (folder / "notes.txt").write_text("mine")
    page = manage()

    page.ask(do="clear", project="p")
    page.manager.close()

    assert os.listdir(folder) == ["notes.txt"]


def test_one_answer_is_forgotten(save, manage):
    """
    The list counts anew.
    """
    save("p", chat(1, "a", "b"), chat(2, "c", "d"))
    page = manage()

    assert page.ask(do="forget", project="p", key=key_of(1)) == []
    assert page.rows["p"]["answers"] == "1"
    assert page.ask(do="forget", project="p", key=key_of(1))[0]["kind"] == "fault"


# ------------------------------------------------------------------------- exporting


@pytest.mark.parametrize("to", ["csv", "jsonl"])
def test_an_export_stands_where_the_notebook_works_and_replaces_nothing(save, manage, to, isolated):
    """
    Its name is made from the project's, letters and digits only.
    """
    save("../Träume", chat(1, "=1+1", "a"))
    page = manage()

    (first,) = page.ask(do="export", project="../träume", format=to)
    page.ask(do="export", project="../Träume", format=to)

    written = sorted(name for name in os.listdir(isolated) if name.endswith(to))
    assert written == [f"traume-answers-2.{to}", f"traume-answers.{to}"]
    assert "Wrote 1 answer" in first["parts"]
    if to == "csv":
        assert "'=1+1" in (isolated / written[0]).read_text(encoding="utf-8")


def test_all_are_exported_a_file_each(save, manage, isolated):
    """
    Projects whose names look alike do not overwrite each other.
    """
    save("a b", entry(1))
    save("a/b", entry(2))

    (said,) = manage().ask(do="export", project=None, format="jsonl")

    assert sorted(isolated.glob("*.jsonl")) == [
        isolated / "a-b-answers-2.jsonl",
        isolated / "a-b-answers.jsonl",
    ]
    assert "2 files" in said["parts"][2]


# ---------------------------------------------------------------- whatever the page sends


@pytest.mark.parametrize(
    "name",
    ["nobody", "../other", "/etc", "p/..", "", "p\x00", "\ud800", ".trash", "full", "a" * 10_000],
)
@pytest.mark.parametrize("do", ["open", "weigh", "clear", "export", "answer", "forget"])
def test_what_is_no_project_of_the_store_is_refused_in_words(save, manage, cache_dir, do, name):
    """
    No path, no trash, no word with another meaning: nothing is read, changed or written.
    """
    save("p", entry(1))
    page = manage()
    before = sorted(cache_dir.rglob("*"))

    (said,) = page.ask(
        do=do, project=name, search="", page=0, format="csv", key=key_of(1), path="/etc/passwd"
    )

    assert said["kind"] == "fault"
    assert "There is no project" in said["text"]
    assert len(said["text"]) <= 400
    assert sorted(cache_dir.rglob("*")) == before


@pytest.mark.parametrize(
    "wish",
    [
        None,
        [],
        "clear",
        {},
        {"do": "clear"},
        {"do": "clear", "project": ["p"]},
        {"do": "clear", "project": {"name": "p"}},
        {"do": "clear", "project": 1},
        {"do": "undo"},
        {"do": "undo", "gone": []},
        {"do": "undo", "gone": [True]},
        {"do": "undo", "gone": "all"},
        {"do": "export", "project": "p", "format": "py"},
        {"do": "export", "project": "p", "format": "../x"},
        {"do": "open", "project": "p", "search": 1, "page": 0},
        {"do": "open", "project": "p", "search": "", "page": "0"},
        {"do": "look", "turn": {"a": 1}},
        {"do": "__init__"},
        {"do": "close_all"},
    ],
)
def test_what_is_no_wish_does_nothing(save, manage, wish, cache_dir):
    """
    Not even an error: there is nobody who would read it.
    """
    save("p", entry(1))
    page = manage()

    page.manager._handle_custom_msg(wish, [])
    assert page.manager._jobs.wait(30)

    assert there(cache_dir) == ["p"]
    assert [one for one in page.heard if one["kind"] not in ("heard", "done")] == []


def test_pages_far_off_and_numbers_never_given_out_change_nothing(save, manage, cache_dir):
    """
    The nearest page is shown; what was not cleared here cannot be undone here.
    """
    save("p", entry(1))
    save("q", entry(2))
    clearing.clear("q", cache_dir, to_trash=True)
    page = manage()

    for number in (-5, 10**30):
        (said,) = page.ask(do="open", project="p", search="", page=number)
        assert said["page"]["range"] == "1–1 of 1"
    (said,) = page.ask(do="undo", gone=["20260101-p"])
    assert "nothing to undo" in said["text"]
    assert there(cache_dir) == ["p"]


def test_from_python_the_same_can_be_done(save, manage, cache_dir):
    """
    With the same errors.
    """
    save("p", entry(1))
    manager = manage().manager

    with pytest.raises(InputError):
        manager.clear("q")
    manager.clear("P")
    assert there(cache_dir) == []
    manager.undo()
    assert there(cache_dir) == ["p"]
    manager.close()
    manager.close()


def test_a_project_that_cannot_be_moved_says_so_and_stays(save, manage, cache_dir, monkeypatch):
    """
    The page hears why, in one line.
    """
    save("p", entry(1))
    page = manage()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("llmnb.adapters.files.move", full)
    (said,) = page.ask(do="clear", project="p")

    assert said["kind"] == "fault"
    assert "No space left" in said["text"]
    assert page.rows["p"]["answers"] == "1"


# ------------------------------------------------------------------------ off the kernel


def test_long_work_is_done_elsewhere_and_one_after_another(save, manage):
    """
    A message returns at once; the kernel's thread does none of it.
    """
    save("p", entry(1))
    page = manage()
    threads = set()
    page.manager.send = lambda content, buffers=None: threads.add(
        (content["kind"], threading.current_thread().name)
    )

    page.ask(do="open", project="p", search="", page=0)

    here = threading.current_thread().name
    assert threads == {("heard", here), ("page", "llmnb-jobs"), ("done", "llmnb-jobs")}


def test_an_outdated_search_is_not_begun():
    """
    Only the last of one page's is, and jobs of other kinds stay in their order.
    """
    jobs, done, may_go = JobQueue(), [], threading.Event()
    jobs.put(may_go.wait)
    for letter in "abc":
        jobs.put(lambda letter=letter: done.append(letter), only="page")
    jobs.put(lambda: done.append("clear"))
    jobs.put(lambda: done.append("d"), only="page")
    jobs.put(lambda: done.append("other"), only="another page")

    may_go.set()

    assert jobs.wait(30)
    assert done == ["clear", "d", "other"]


def test_a_job_that_fails_does_not_end_the_queue(caplog):
    """
    It is reported, and the next one is done.
    """
    jobs, done = JobQueue(), []
    jobs.put(lambda: 1 / 0)
    jobs.put(lambda: done.append("next"))

    assert jobs.wait(30)
    assert done == ["next"]
    assert "please report" in caplog.text


# --------------------------------------------------------------------- static, and markup


def project_summary(name="p", **changes):
    usual = {
        "name": name,
        "folder": Path("x"),
        "answers": 3,
        "size_bytes": 4096,
        "created": NOW - 86400 * 9,
        "last_written": NOW - 900,
        "last_used": NOW - 190,
        "usd": 1.5,
        "unpriced": 0,
        "hits": 1,
        "saved_usd": 0.5,
        "spent": (),
    }
    return projects.ProjectSummary(**{**usual, **changes})


def weight(**changes):
    return clearing.Weight(project=project_summary(**changes))


def test_the_text_and_the_html_say_the_same_without_a_script(save, manage):
    """
    What a saved notebook shows; the text at most 90 columns wide.
    """
    save("tickets", *(entry(number) for number in range(3)))
    save("x" * 200, entry(9))
    bundle = manage().manager.bundle()

    census = Census(bundle["text/html"])
    assert max(map(len, bundle["text/plain"].splitlines())) <= 90
    for word in ("tickets", "$0", "hit rate", "4 answers kept in 2 projects"):
        assert word in bundle["text/plain"]
        assert word in census.text
    assert not census.elements & {"script", "style", "link", "img", "a", "button"}
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_names_are_text_in_what_stands_without_a_script():
    """
    No element, no attribute, no comment comes from a project's name or the cache's folder.
    """
    plain = Census(
        cache_view.html(cache_view.list_view([project_summary()], {}, folder_named("x"), NOW))
    )
    hidden = re.compile(r"[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069]")
    for payload in PAYLOADS:
        with about(payload):
            shown = cache_view.list_view(
                [project_summary(payload[:200])], {}, folder_named(payload), NOW
            )
            census = Census(cache_view.html(shown))

            assert census.elements == plain.elements
            assert census.attributes == plain.attributes
            assert census.others == []
            assert not hidden.search(cache_view.text(shown))


def folder_named(name):
    return Path(name.replace("\x00", ""))


def test_prices_that_are_not_known_are_not_nothing():
    """
    In every sentence about buying again.
    """
    some = cache_view.clear_question(weight(unpriced=2), NOW)["parts"][2]
    none = cache_view.clear_question(weight(unpriced=3, usd=0.0), NOW)["parts"][2]
    free = cache_view.clear_question(weight(usd=0.0), NOW)["parts"][2]

    assert "at least $1.50; the price of 2 is not known" in some
    assert "What buying them again costs is not known" in none
    assert "costs nothing" in free


# ------------------------------------------------------------------------- in a browser


@pytest.fixture
def browser(browser):
    return WidgetPage(browser.new_context(viewport={"width": 1000, "height": 800}))


def named(payload):
    """Return a payload as a project's name, None where it cannot be one."""
    try:
        return layout.check_name(payload[: layout.MAX_CHARACTERS])
    except InvalidProjectName:
        return None


@pytest.mark.browser
def test_nothing_that_a_model_or_a_person_wrote_becomes_a_live_node(save, manage, browser):
    """
    Project names, prompts, answers, model and provider names: text in every place of the page.
    """
    assert len(PAYLOADS) >= 80
    assert not any("<circle" in payload for payload in PAYLOADS)
    found = {one for payload in PAYLOADS if (one := named(payload)) is not None}
    assert len(found) >= 80
    for name in found:
        save(name, entry(1, model=name, provider=name))
    save("!", *(chat(1 + n, one, one, model=one, quality=one) for n, one in enumerate(PAYLOADS)))
    save("benign", chat(500, "asked", "answered"))

    shown = browser.show(manage().manager, name="payloads")
    browser.until(lambda: shown.locator("tbody tr").count() >= len(found) + 2)
    shown.get_by_role("button", name="benign", exact=True).click()
    browser.until(lambda: shown.locator("li.hit").count() == 1)
    shown.locator("li.hit .p").click()
    shown.get_by_role("button", name="Forget this answer…").click()
    tags, attributes = browser.census()
    tags |= {"circle"}  # in the sign of a kernel that is busy for a while; no payload holds one
    browser.page.keyboard.press("Escape")
    shown.get_by_role("button", name="‹ Cache").click()

    shown.get_by_role("button", name="!", exact=True).click()
    pages = -(-len(PAYLOADS) // 20)
    for number in range(pages):
        last = min(20 * number + 20, len(PAYLOADS))
        said = f"{20 * number + 1}–{last} of {len(PAYLOADS)}"
        browser.until(lambda said=said: said in shown.inner_text())
        shown.locator("li.hit .more").evaluate_all("all => all.forEach((one) => one.click())")
        assert browser.census()[0] <= tags
        assert browser.census()[1] <= attributes
        if number < pages - 1:
            shown.get_by_role("button", name="Next").click()
    for payload in PAYLOADS[::7]:
        shown.get_by_role("searchbox").fill(payload)
        word = max(payload.split(), key=len)  # of this search's answer, not of the last one's
        browser.until(lambda word=word: shown.locator("mark", has_text=word).count())
        assert browser.census()[0] <= tags | {"mark"}

    shown.get_by_role("button", name="‹ Cache").click()
    # While a question is open its row stands in the list, too: the next row is counted after it.
    for number in range(0, shown.locator("tbody tr").count(), 9):
        row = shown.locator("tbody tr").nth(number)
        row.get_by_role("button", name="Clear").first.click()
        browser.until(lambda: shown.get_by_role("alertdialog").count() == 1)
        assert browser.census()[0] <= tags
        browser.page.keyboard.press("Escape")
        browser.until(lambda: shown.get_by_role("alertdialog").count() == 0)
    assert browser.strangers() == []
    assert browser.errors == []


@pytest.mark.browser
def test_clearing_asks_once_more_and_focus_is_where_nothing_is_lost(
    save, manage, browser, cache_dir
):
    """
    Keep has the focus, Esc keeps, focus returns; after clearing it is on Undo, then on the row.
    """
    save("tickets", entry(1), entry(2))
    save("reviews", entry(3))
    shown = browser.show(manage().manager, name="clearing")
    focused = lambda: browser.page.evaluate("document.activeElement.textContent")  # noqa: E731
    browser.until(lambda: shown.locator("tbody tr").count() == 2)

    shown.get_by_role("button", name="Clear tickets").focus()
    browser.page.keyboard.press("Enter")
    assert focused() == "Keep"
    assert shown.get_by_role("alertdialog", name="Clear the 2 answers of tickets").count() == 1
    browser.page.keyboard.press("Escape")
    assert focused() == "Clear…"
    assert there(cache_dir) == ["reviews", "tickets"]

    browser.page.keyboard.press("Enter")
    yes = shown.get_by_role("button", name="Clear 2 answers")
    browser.until(lambda: yes.count() == 1)
    browser.page.keyboard.press("Tab")
    browser.page.keyboard.press("Enter")
    browser.until(lambda: focused() == "Undo")
    assert there(cache_dir) == ["reviews"]

    browser.page.keyboard.press("Enter")
    browser.until(lambda: focused() == "tickets")
    assert there(cache_dir) == ["reviews", "tickets"]
    assert browser.errors == []


@pytest.mark.browser
def test_a_question_is_not_answered_before_it_is_asked(save, manage, browser, cache_dir):
    """
    Until the count is known the button does nothing.
    """
    save("tickets", entry(1))
    page = manage()
    shown = browser.show(page.manager, name="early")
    browser.until(lambda: shown.locator("tbody tr").count() == 1)
    page.manager._handle_custom_msg = lambda *_: None  # a kernel that is busy

    shown.get_by_role("button", name="Clear tickets").click()
    shown.get_by_role("button", name="Clear", exact=True).dispatch_event("click")

    assert there(cache_dir) == ["tickets"]
    browser.until(lambda: "The kernel is busy" in shown.inner_text())


CUT_OFF = """(card) => [...card.querySelectorAll("button, .find .cnt")]
  .filter((one) => one.checkVisibility())
  .filter((one) => one.getBoundingClientRect().right > card.getBoundingClientRect().right)
  .map((one) => one.textContent)"""


@pytest.mark.browser
def test_no_button_of_a_narrow_list_is_cut_off(save, manage, browser):
    """
    However long a name and large its figures: what has no room beside the buttons gives way.
    """
    save("tickets", *(entry(number) for number in range(3)))
    page = manage()
    large = {"answers": 1_234_567, "size_bytes": 209_000_000, "hits": 9, "saved_usd": 1234.5}
    page.manager._summaries = lambda: [project_summary("name " * 20, **large), project_summary()]
    page.manager.look()
    shown = browser.show(page.manager, name="narrow")
    browser.until(lambda: shown.locator("tbody tr").count() == 2)

    for width in (320, 460, 461, 540, 620, 621, 720, 721, 760):
        shown.evaluate("(node, width) => { node.style.width = `${width}px`; }", width)
        assert shown.locator(".card").evaluate(CUT_OFF) == [], width


@pytest.mark.browser
def test_a_kernel_that_was_restarted_is_told_of(save, manage, browser):
    """
    Why no button acts any more, and that nothing is lost.
    """
    save("tickets", entry(1))
    shown = browser.show(manage().manager, name="restarted")
    browser.until(lambda: shown.locator("tbody tr").count() == 1)

    browser.page.evaluate("widgets.restarted.cut()")

    said = "The kernel was restarted. What is listed here is kept: run the cell again"
    browser.until(lambda: said in shown.inner_text())


@pytest.mark.browser
def test_focus_and_an_open_answer_survive_a_new_list(save, manage, browser):
    """
    Nodes are patched, never made anew.
    """
    store = save("p", chat(1, "asked", "answered"))
    page = manage()
    shown = browser.show(page.manager, name="patched")
    browser.until(lambda: shown.locator("tbody tr").count() == 1)
    shown.get_by_role("button", name="p", exact=True).focus()
    browser.page.evaluate("document.activeElement.dataset.mine = 'yes'")

    store.commit([entry(2)])
    page.manager.look()
    browser.until(lambda: "2" in shown.locator("tbody td").nth(1).inner_text())

    assert browser.page.evaluate("document.activeElement.dataset.mine") == "yes"


@pytest.mark.browser
def test_when_the_page_goes_it_leaves_nothing_behind(save, manage, browser):
    """
    Its nodes are taken out, and messages that come later do no harm.
    """
    save("p", entry(1))
    page = manage()
    shown = browser.show(page.manager, name="ended")
    browser.until(lambda: shown.locator("tbody tr").count() == 1)

    browser.page.evaluate("widgets.ended.end()")
    page.manager.look()
    browser.until(lambda: shown.locator("*").count() == 0)

    assert browser.errors == []


@pytest.mark.browser
def test_copying_leaves_the_focus_where_it_is(save, manage, browser):
    """
    Also in a page without a clipboard, and in a host such as marimo, which shows cards in a
    shadow root.
    """
    save("p", chat(1, "asked", "answered"))
    shown = browser.show(manage().manager, name="copied", in_shadow=True)
    browser.until(lambda: shown.locator("tbody tr").count() == 1)
    shown.get_by_role("button", name="p", exact=True).click()
    browser.until(lambda: shown.locator("li.hit").count() == 1)
    shown.locator("li.hit .p").click()
    copy = shown.get_by_role("button", name="Copy key")
    copy.focus()

    browser.page.keyboard.press("Enter")

    said = shown.locator(".key").inner_text
    browser.until(lambda: "Copied" in said() or "Not copied" in said())
    focused = "document.activeElement.shadowRoot?.activeElement?.dataset.says"
    assert browser.page.evaluate(focused) == "Copy key"
