"""The labeller's card: what it shows and does, in a page and without one."""

from __future__ import annotations

import json
import os
import random

import pandas as pd
import pytest
from markup import PAYLOADS, Census
from widget_page import WidgetPage

import llmnb
from llmnb.notebook import surface
from llmnb.notebook.labeller import LabellerWidget
from llmnb.store import layout
from llmnb.store.labels import LabelStore

LABELS = ["kind", "unkind", "neither"]
MANY = [*(f"label {number}" for number in range(9)), "spam", "spam mail", "Press", "praise"]
SECRET = "a private text"


@pytest.fixture(autouse=True)
def accessors():
    llmnb.register_accessor("llm")


def table(rows=12):
    return pd.DataFrame(
        {
            "body": [f"{SECRET} {number}" for number in range(rows)],
            "channel": ["mail", "chat"] * (rows // 2),
            "mood": [None if number == rows - 1 else "kind" for number in range(rows)],
        }
    )


class Page:
    """What a page would see of a card, without one."""

    def __init__(self, labelled):
        self.labelled = labelled
        self.card = LabellerWidget(labelled)
        self.heard = []
        self.card.send = lambda content, buffers=None: self.heard.append(content)
        self._turn = 0
        self.ask(do="look")

    def ask(self, **wish):
        """Send a wish; returns what was replied to it."""
        self._turn += 1
        turn = f"page#{self._turn}"
        self.card._handle_custom_msg({**wish, "turn": turn}, [])
        assert self.card._jobs.wait(30)
        return [message for message in self.heard if message.get("turn") == turn]

    def do(self, what, **more):
        """Do something to the row that is shown."""
        return self.ask(do=what, step=self.view["step"], **more)

    @property
    def view(self):
        return [message["view"] for message in self.heard if message["kind"] == "view"][-1]

    @property
    def line(self):
        return "".join(self.view["last"]["parts"])


@pytest.fixture
def open_page():
    """Open a card for `label` of a table; closed at the end."""
    opened = []

    def opens(frame=None, labels=LABELS, column="mood", **options):
        frame = table() if frame is None else frame
        opened.append(
            Page(frame.llm.label(column, labels, **{"fields": "body", "seed": 3, **options}))
        )
        return opened[-1]

    yield opens
    for page in opened:
        page.card.close()


def fail(descriptor):
    """Stand in for `os.fsync` on a full disk."""
    raise OSError(28, "No space left on device")


# -------------------------------------------------------------------------------- words


def test_the_model_is_told_of_once_the_person_has_spoken(open_page):
    """
    Nothing of the model's answer stands on the card before a label is given; then agreement, and
    how often there was any.
    """
    page = open_page()
    assert "the model’s answer stays hidden until you have given yours" in page.line
    before = json.dumps(page.view)
    assert '"kind"' not in before
    page.do("give", label=0)

    assert page.line.endswith("you say kind, the model too.")
    assert page.view["last"]["agree"] == ["", "1", " of 1 agrees"]
    page.do("give", label=1)
    assert page.line.endswith("you say unkind, the model kind.")
    assert page.view["last"]["agree"] == ["", "1", " of 2 agrees"]


@pytest.mark.parametrize(
    ("labels", "press"),
    [(["kind"], "Press 1."), (["kind", "unkind"], "Press 1 or 2."), (LABELS, "Press 1 to 3.")],
)
def test_the_keys_are_named_as_one_says_them(open_page, labels, press):
    """
    Of two keys the line says "or".
    """
    assert open_page(labels=labels, column="verdict").line.startswith(press)


def test_a_model_without_an_answer_says_why(open_page):
    """
    Where the model failed, the card says so, with the cause where the frame has it.
    """
    frame = table(2).assign(mood=None, mood_error="longer than the context.\nReally")
    page = open_page(frame)
    page.do("give", label=0)
    assert "The model failed there: longer than the context. Really." in page.line

    page = open_page(table(2).assign(mood=None, channel="x"), project_name="other")
    page.do("give", label=0)
    assert "The model has no answer there." in page.line


def test_the_model_stays_hidden_until_the_end_where_that_is_wanted(open_page):
    """
    Hidden, neither its answers nor the agreement show before all are done.
    """
    page = open_page(n=2)
    page.ask(do="hide", on=True)
    page.do("give", label=0)

    assert "The model’s answers show when all are done." in page.line
    assert page.view["last"]["agree"] == []
    page.do("give", label=0)
    assert "agree with the model" in page.view["end"]["agree"]["text"]


def test_undo_opens_the_row_with_what_was_given(open_page):
    """
    The label that was taken back is marked, and any label replaces it.
    """
    page = open_page()
    page.do("give", label=2)
    page.do("undo")

    assert "is open again: you had said neither. Any label replaces it." in page.line
    assert page.view["given"] == 2
    assert page.view["done"] == "0"


def test_a_later_kernel_goes_on_where_the_last_one_stopped(open_page):
    """
    The first line says how many were labelled, and when.
    """
    page = open_page()
    page.do("give", label=0)
    page.do("give", label=1)

    again = open_page()

    assert "2 of these 12 were labelled on " in again.line
    assert again.view["item"]["name"] == page.view["item"]["name"]


def test_earlier_labels_that_are_none_now_are_told_of_and_asked_again(open_page):
    """
    A label that is not among the labels any more has a sentence and a button.
    """
    page = open_page(labels=["refund", "other"], n=3)
    for _ in range(3):
        page.do("give", label=0)

    again = open_page()
    assert "3 earlier labels say “refund”, which is not among the labels" in again.line
    assert again.view["last"]["foreign"] == "Label these 3 again"
    again.do("foreign")
    for _ in range(3):
        again.do("give", label=0)

    assert again.labelled.foreign_rows() == {}


def test_a_sample_that_is_not_random_says_so_as_long_as_it_lasts(open_page):
    """
    Before, under way and at the end.
    """
    page = open_page(sample="uncertain", confidence=[0.5] * 12, n=2)
    lines = [page.line]
    for _ in range(2):
        page.do("give", label=0)
        lines.append(page.line)

    assert page.view["view"] == "done"
    assert all("Not a random sample" in line for line in lines)


def test_done_shows_where_person_and_model_part_and_code_that_runs(open_page, monkeypatch):
    """
    Figures, the pairs that differ, and next lines whose names are the person's own.
    """
    frame = table()
    page = open_page(frame, n=12)
    for number in range(11):
        page.do("give", label=0 if number < 9 else 1)
    page.do("skip")

    view = page.view
    assert view["view"] == "done"
    assert (view["end"]["labelled"], view["end"]["skipped"]) == ("11", "1 skipped")
    assert view["end"]["agree"]["dot"][0] == pytest.approx(
        page.labelled.agreement()[0] / 11, abs=1e-4
    )
    assert view["last"]["more"] == ""
    assert view["last"]["skipped"] == "The 1 skipped"
    for _, code in view["end"]["next"][:2]:
        eval(code, {"df": frame, "labelled": page.labelled})
    assert [code for _, code in view["end"]["next"]] == [
        'df.llm.score("mood", labelled)',
        'df.llm.shares("mood", truth=labelled)',
        'df.llm.classify("body", labelled.choices, examples=labelled)',
        "df.llm.workbench(truth=labelled)",
    ]


def test_rows_that_differ_are_read_once_more_and_stay_or_change(open_page):
    """
    A review shows what both said; a key replaces the label, skip leaves it, and nothing is lost.
    """
    page = open_page(table().assign(mood="kind"), n=3)
    for index in (1, 1, 0):
        page.do("give", label=index)
    assert page.view["last"]["differ"] == "Read the 2 that differ"
    page.do("differ")
    assert page.line.endswith(
        "you said unkind, the model kind. Any label replaces yours, s leaves it."
    )
    assert (page.view["given"], page.view["review"]) == (1, 1)
    page.do("skip")
    page.do("give", label=0)

    assert page.view["view"] == "done"
    assert sorted(page.labelled.labels.dropna()) == ["kind", "kind", "unkind"]


def test_no_rows_are_a_sentence(open_page):
    """
    An empty frame, and one on whose rows all answers agree, say so.
    """
    assert open_page(table(0)).view["blank"] == ["No rows to label", "The table has none."]
    empty = pd.DataFrame({"body": [None, None]})
    assert open_page(empty).view["blank"][1] == "No row has anything in body."


# ------------------------------------------------------------------------------ saving


def test_what_is_not_saved_waits_and_is_saved_again(open_page, monkeypatch):
    """
    On a full disk the row stays, with the label and the cause; saving again goes on.
    """
    page = open_page()
    page.do("give", label=0)
    name = page.view["item"]["name"]
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", fail)
    page.do("give", label=1)

    assert "Not saved: the disk is full. “unkind” for row" in page.line
    assert "waits here; the 1 before it is safe." in page.line
    assert (page.view["item"]["name"], page.view["given"]) == (name, 1)
    page.do("save")
    assert page.view["last"]["again"] == "Save again"
    monkeypatch.setattr(os, "fsync", sync)
    page.do("save")

    assert page.view["item"]["name"] != name
    assert sorted(page.labelled.labels.dropna()) == ["kind", "unkind"]


def test_a_key_for_a_row_that_has_gone_by_labels_no_other(open_page):
    """
    What a page asks for an earlier step does nothing; it gets the row as it is now.
    """
    page = open_page()
    step = page.view["step"]
    page.do("give", label=0)
    page.ask(do="give", label=1, step=step)

    assert page.labelled.labelled == 1


@pytest.mark.parametrize(
    "wish",
    [
        {"do": "give", "label": 3},
        {"do": "give", "label": -1},
        {"do": "give", "label": "kind"},
        {"do": "give", "label": 0, "step": "0"},
        {"do": "text", "shown": -1},
        {"do": "text", "shown": "all"},
        {"do": "hide", "on": 1},
        {"do": "_keep"},
        {"do": None},
    ],
)
def test_a_page_is_not_believed(open_page, wish):
    """
    Whatever a page sends that is no wish of the card's changes nothing.
    """
    page = open_page()
    page.ask(**{"step": page.view["step"], **wish})

    assert (page.labelled.step, page.labelled.labelled) == (0, 0)


def test_labels_given_in_code_show_on_the_card(open_page):
    """
    The card and the object are one: what is said in a cell shows at once, traits follow.
    """
    page = open_page(n=2)
    page.labelled.give("kind")
    assert (page.card.labelled, page.card.total, page.card.state) == (1, 2, "row")
    assert page.line.endswith("you say kind, the model too.")
    page.labelled.give("kind")
    assert page.card.state == "done"


# ------------------------------------------------------------------------------- state


def test_no_text_of_a_row_is_in_the_state_or_a_saved_notebook(open_page):
    """
    Neither texts, facts nor labels of a row; with a thousand labels it is far below 50 kB.
    """
    labels = [f"a label called {number}" for number in range(1000)]
    page = open_page(table().assign(mood=SECRET), labels=labels)
    page.do("give", label=7)
    page.ask(do="text", shown=5000)

    card = page.card
    state = {name: card.get_state()[name] for name in card.get_state() if name not in ("_esm",)}
    state["snapshot"] = card.snapshot
    kept = json.dumps(state, default=str)
    assert SECRET not in kept
    assert "called 7" not in kept
    assert len(kept) < 50_000
    bundle = card.bundle()
    for text in (bundle["text/html"], bundle["text/plain"]):
        assert SECRET not in text
        assert "1 of 12 rows labelled" in text


def test_a_card_shown_anew_closes_the_one_before(open_page, monkeypatch):
    """
    Running the cell again leaves one card of the question; the old one shows what it came to.
    """
    shown = []
    monkeypatch.setattr(surface, "CardOutput", lambda card: shown.append(card.static()) or Output())

    class Output:
        finished = None

        def finish(self, static, *, is_live):
            self.finished = static

    first, second, other = open_page(), open_page(), open_page(column="topic")
    for page in (first, other, second):
        page.card._ipython_display_()

    assert (first.card.state, second.card.state, other.card.state) == ("closed", "row", "row")
    assert first.card._outputs[0].finished is not None


# -------------------------------------------------------------------------- in a browser


@pytest.fixture
def page(browser):
    return WidgetPage(browser.new_context(viewport={"width": 1000, "height": 800}))


@pytest.mark.browser
def test_two_hundred_rows_are_labelled_by_keys_none_lost_or_doubled(page, cache_dir):
    """
    Labels, skips, undos, held and hasty keys: what is kept is what was pressed for the row on
    show, to the last row, and undoing all of it leaves nothing.
    """
    frame = table(260)
    labelled = frame.llm.label("mood", LABELS, n=200, fields="body")
    node = page.show(LabellerWidget(labelled), width=900)
    card, keys, dice = node.locator(".card"), page.page.keyboard, random.Random(7)
    page.until(lambda: node.locator(".item").is_visible())
    card.focus()
    wanted: dict[str, str | None] = {}
    said: list[str] = []

    def text():
        return node.locator(".txt").inner_text()

    def press(key, *, times=1, is_hasty=False):
        """Press a key, hold it down or press it twice in haste; waits for the next row."""
        step = labelled.step
        with page.deaf():
            for _ in range(times):
                keys.down(key)
            keys.up(key)
            if is_hasty:
                keys.press(key)  # before the next row shows: it is for none
        page.until(lambda: labelled.step > step and is_shown(), pause_ms=1)

    def is_shown():
        now = labelled.position
        return node.locator(".hero").is_visible() if now is None else text() == frame["body"][now]

    while labelled.position is not None:
        shown = text()
        chance = dice.random()
        if chance < 0.08 and said:
            press("u")
            wanted.pop(said.pop())
        elif chance < 0.16:
            press("s")
            wanted[shown] = None
            said.append(shown)
        else:
            index = dice.randrange(3)
            press(str(index + 1), times=1 + (chance > 0.9) * 4, is_hasty=chance < 0.3)
            wanted[shown] = LABELS[index]
            said.append(shown)

    assert len(wanted) == 200
    labels = labelled.labels
    assert {
        body: label
        for body, label in zip(frame["body"], labels, strict=True)
        if isinstance(label, str)
    } == {body: label for body, label in wanted.items() if label is not None}
    store = LabelStore(layout.ProjectPaths(cache_dir, "default"), "mood")
    assert len(store.acts()) == 200
    for _ in range(5):
        press("u")
        body = said.pop()
        assert text() == body
        wanted.pop(body)
    assert labelled.labelled == sum(label is not None for label in wanted.values())
    while labelled.last is not None:
        labelled.undo()
    store.refresh()
    assert store.acts() == []
    assert page.errors == []


@pytest.mark.browser
def test_labels_beyond_nine_are_found_by_their_first_letters(page):
    """
    Enter gives the one that is left, or the one that is typed whole; Esc leaves the field.
    """
    labelled = table().llm.label("topic", MANY, fields="body")
    node = page.show(LabellerWidget(labelled), width=480)
    page.until(lambda: node.locator(".item").is_visible())
    field = node.get_by_role("textbox", name="Type a label")
    keys = page.page.keyboard
    node.locator(".card").focus()
    keys.press("/")
    for typed, label in (("spam", "spam"), ("PRE", "Press"), ("spam ", "spam mail")):
        keys.type(typed if label != "spam mail" else "spam m")
        step = labelled.step
        keys.press("Enter")
        page.until(lambda step=step: labelled.step > step)
        assert labelled.event.label == label
        page.until(lambda: field.input_value() == "")
    keys.type("pr1u")
    keys.press("Enter")
    assert field.get_attribute("aria-invalid") == "true"
    keys.press("Escape")
    page.until(lambda: node.locator(".card").evaluate("(card) => card === document.activeElement"))
    step = labelled.step
    keys.press("4")
    page.until(lambda: labelled.step > step)
    assert labelled.event.label == "label 3"


@pytest.mark.browser
def test_a_busy_kernel_is_told_of_and_saves_afterwards(page):
    """
    While no answer comes the label waits in sight and no other key counts; the answer goes on.
    """
    labelled = table().llm.label("mood", LABELS, fields="body")
    card = LabellerWidget(labelled)
    node = page.show(card, width=480)
    page.until(lambda: node.locator(".item").is_visible())
    act, waiting = card._handle_custom_msg, []
    card._handle_custom_msg = lambda content, buffers: waiting.append(content)
    node.locator(".card").focus()
    name = node.locator(".facts b").first.inner_text()
    for key in "213u":
        page.page.keyboard.press(key)
    line = node.locator(".because")
    page.until(lambda: "The kernel is busy" in line.inner_text())
    told = f"“unkind” for {name.lower()} is saved as soon as that is done."
    assert told in " ".join(line.inner_text().split())
    assert [message["do"] for message in waiting] == ["give"]
    assert node.locator("button.given").inner_text().split() == ["2", "unkind"]
    act(waiting[0], [])
    page.until(lambda: "you say unkind" in line.inner_text())
    assert labelled.labels.dropna().tolist() == ["unkind"]


@pytest.mark.browser
def test_hostile_texts_are_texts(page):
    """
    In cells, names of columns and rows, labels, meanings, answers and errors: no element or
    attribute stands in the page that a harmless table would not bring, and no script runs.
    """

    def shown(texts, name):
        frame = pd.DataFrame({"body": [text * 40 for text in texts], texts[1] + "c": texts[::-1]})
        frame.index = pd.Index(texts)
        frame["q"] = texts
        frame["q_error"] = texts
        frame = frame.iloc[:20]
        labels = {text: text for text in dict.fromkeys([*texts[:14], "z"])}
        labelled = frame.llm.label(
            "q", labels, fields=["body", texts[1] + "c"], project_name=f"<b>{name}"
        )
        node = page.show(LabellerWidget(labelled), name=name, width=700)
        page.until(lambda: node.locator(".item").is_visible())
        while labelled.position is not None:
            labelled.give("z")
        page.until(lambda: node.locator(".hero").is_visible())
        labelled.undo()
        labelled.skip()
        page.until(lambda: node.locator(".hero").is_visible())

    plain = [f"harmless {number}" for number in range(len(PAYLOADS))]
    shown(plain, "plain")
    tags, attributes = page.census()
    shown([*dict.fromkeys(PAYLOADS)], "hostile")

    assert page.census() == (tags, attributes)
    assert page.errors == []
    assert page.strangers() == []


def test_the_static_form_holds_no_markup_but_its_own():
    """
    Whatever the question, the project, fields and labels are called.
    """
    payload = PAYLOADS[0]
    frame = pd.DataFrame({payload: ["a", "b"]})
    label = frame.llm.label(payload + "q", [payload], project_name=payload)
    label.give(payload)
    again = frame.llm.label(payload + "q", ["other"], project_name=payload)

    plain = pd.DataFrame({"a": ["a", "b"]}).llm.label("q", ["x"], project_name="plain")
    plain.give("x")
    plain = pd.DataFrame({"a": ["a", "b"]}).llm.label("q", ["other"], project_name="plain")
    hostile, harmless = Census(again._repr_html_()), Census(plain._repr_html_())
    assert (hostile.elements, hostile.attributes) == (harmless.elements, harmless.attributes)
