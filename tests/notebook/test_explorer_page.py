"""The explorer in a browser: reading by keys, searching, hostile texts, what a notebook saves."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from markup import PAYLOADS, Census
from playwright.sync_api import expect
from widget_page import WidgetPage

import llmnb
from llmnb.frames import exploring
from llmnb.notebook.explorer import ExplorerWidget

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PRIVATE = "a private text"


@pytest.fixture(autouse=True)
def accessors():
    llmnb.register_accessor("llm")


@pytest.fixture
def read(browser):
    """Show an explorer on a page; returns it, the page and where it stands."""
    shown = []

    def show(explorer, width=900):
        page = WidgetPage(browser.new_context(viewport={"width": 1240, "height": 900}))
        widget = ExplorerWidget(explorer)
        shown.append(widget)
        box = page.show(widget, width=width)
        page.until(lambda: box.locator("section.open:visible h3").count())
        return page, box

    yield show
    for widget in shown:
        widget.close()


def reviews(rows):
    frame = pd.DataFrame({"text": [f"review {row}" for row in range(rows)]})
    frame["mood"] = [None if row % 50 == 7 else ("kind", "unkind")[row % 2] for row in range(rows)]
    return frame


def opened(box):
    return box.locator("section.open h3").inner_text()


def press(page, box, key, wanted):
    """Press a key and wait for the row that it opens."""
    page.page.keyboard.press(key)
    page.until(lambda: opened(box) == wanted)


def test_rows_are_read_marked_and_found_by_keys_alone(read):
    """
    Every key does what it says, none acts while a field has the focus, and code sees the same.
    """
    explorer = reviews(1_000).llm.explore("mood")
    page, box = read(explorer)
    box.get_by_role("listbox").focus()

    press(page, box, "j", "Row 1")
    press(page, box, "ArrowDown", "Row 2")
    press(page, box, "k", "Row 1")
    press(page, box, "End", "Row 999")
    press(page, box, "k", "Row 998")
    press(page, box, "Home", "Row 0")
    press(page, box, "n", "Row 7")
    press(page, box, "n", "Row 57")
    assert box.locator("li[role=option]").count() <= 300

    page.page.keyboard.press("g")
    page.page.keyboard.type("640")
    press(page, box, "Enter", "Row 640")
    page.page.keyboard.press("m")
    page.until(lambda: explorer.is_marked(640))
    expect(box.locator("li[aria-selected=true]")).to_contain_text("marked")

    page.page.keyboard.press("/")
    page.page.keyboard.type("REVIEW 99m")  # an m that marks nothing
    page.until(lambda: "nothing in 1,000 rows" in box.inner_text())
    page.page.keyboard.press("Backspace")
    page.until(lambda: "11 of 1,000 rows" in box.inner_text())
    assert explorer.marks.sum() == 1
    page.page.keyboard.press("Enter")
    page.until(lambda: opened(box) == "Row 990")  # the next one that is shown
    page.page.keyboard.press("Escape")  # clears the search
    page.until(lambda: "All 1,000 rows" in box.inner_text() and not explorer.searched)

    page.page.keyboard.press("f")
    page.page.keyboard.press("Tab")
    page.page.keyboard.press("Enter")  # the second chip: failed
    page.until(lambda: "20 of 1,000 rows: those that failed" in box.inner_text())
    assert explorer.positions[0] == 7
    page.page.keyboard.press("?")
    expect(box.get_by_role("list", name="Keys")).to_be_visible()
    page.page.keyboard.press("Escape")
    expect(box.get_by_role("list", name="Keys")).to_be_hidden()
    assert page.errors == []


def test_a_chip_a_filter_in_code_and_the_rail_show_the_same_rows(read):
    """
    Counts are of what other filters leave; the rail leads anywhere; the list has three pages.
    """
    explorer = reviews(3_000).llm.explore("mood")
    page, box = read(explorer)
    chip = box.get_by_role("button", name="unkind 1,")
    page.until(lambda: chip.count())

    chip.click()
    page.until(lambda: "1,440 of 3,000 rows" in box.inner_text())
    explorer.filter(outcome="answered", mood="kind")
    page.until(lambda: "1,500 of 3,000 rows" in box.inner_text())
    expect(box.get_by_role("button", name="failed")).to_contain_text("0")
    explorer.filter()
    page.until(lambda: "All 3,000 rows" in box.inner_text())

    rail = box.get_by_role("slider")
    rail.evaluate("(node) => { node.value = 2400; node.dispatchEvent(new Event('input')); }")
    page.until(lambda: opened(box) == "Row 2,400")
    rows = box.get_by_role("listbox")
    for _ in range(3):
        seen = box.locator("li[role=option]").first.get_attribute("aria-posinset")
        rows.evaluate("(node) => { node.scrollTop = 0; }")
        page.until(
            lambda seen=seen: (
                box.locator("li[role=option]").first.get_attribute("aria-posinset") != seen
            )
        )
    assert box.locator("li[role=option]").count() <= 300
    assert page.errors == []


def test_changed_words_are_marked_and_stand_side_by_side(read):
    """
    What was removed is struck out, what was added underlined, in the text or in two columns.
    """
    frame = pd.DataFrame({"text": ["a", "b"], "new": ["now three", "same"], "old": ["two", "same"]})
    page, box = read(frame.llm.explore("new", "old"))

    page.until(lambda: box.locator("section.open ins").count())
    assert box.locator("section.open del").inner_text() == "two"
    assert box.locator("section.open ins").inner_text() == "now three"
    box.get_by_role("listbox").focus()
    page.page.keyboard.press("d")
    expect(box.locator(".sides")).to_contain_text("before, 1 word")
    expect(box.locator("li[role=option]").first).to_contain_text("+2 −1")


def test_two_large_runs_are_compared_while_one_reads(read, monkeypatch):
    """
    Their rows stand in the frame's order at first, then what changed comes first, alone.
    """
    monkeypatch.setattr(exploring, "_MOST_LOOKED_UP", 1)
    frame = pd.DataFrame({"text": list("abcde"), "now": list("vwxyz"), "before": list("vwxya")})
    page, box = read(frame.llm.explore("now", "before"))

    page.until(lambda: "1 of 5 rows changed" in box.locator(".cnt").first.inner_text())
    page.until(lambda: box.locator("li[role=option]").count() == 1)
    expect(box.locator(".because")).to_contain_text("Most changed first.")


def test_a_wrong_answer_is_corrected_where_it_is_read(read):
    """
    Typed, kept by Enter, seen in code, and taken back.
    """
    explorer = reviews(20).llm.explore("mood")
    page, box = read(explorer)

    box.get_by_role("button", name="Correct…").click()
    field = box.get_by_role("textbox", name="The right answer")
    expect(field).to_have_value("kind")
    field.fill("jokey")
    field.press("Enter")
    page.until(lambda: "Corrected to" in box.locator("section.open").inner_text())
    assert explorer.corrections[0] == "jokey"
    box.get_by_role("button", name="Take back").click()
    page.until(lambda: box.get_by_role("button", name="Correct…").count())
    assert explorer.corrections.isna().all()


def test_fields_of_an_answer_are_corrected_where_they_are_read(read):
    """
    Only what was typed over is a correction; a text that is no number of a number's field is none.
    """
    frame = pd.DataFrame({"text": ["so good"], "said_mood": ["cold"], "said_stars": [3]})
    explorer = frame.llm.explore("said")
    page, box = read(explorer)
    opened = box.locator("section.open")

    box.get_by_role("button", name="Correct…").click()
    stars = box.get_by_role("textbox", name="stars")
    stars.fill("many")
    stars.press("Enter")
    page.until(lambda: "stars is a number, not 'many'." in box.locator(".because").inner_text())
    stars.fill("5")
    stars.press("Enter")
    page.until(lambda: "Corrected" in opened.inner_text())
    assert (opened.locator("del").inner_text(), opened.locator("ins").inner_text()) == ("3", "5")
    assert explorer.correction(0) == {"stars": 5}
    box.get_by_role("button", name="Take back").click()
    page.until(lambda: box.get_by_role("button", name="Correct…").count())
    assert explorer.correction(0) is None


def test_a_long_text_comes_in_parts(read):
    """
    2,000 characters at first, 2,000 more on request, then all.
    """
    frame = pd.DataFrame({"text": ["begin " + "word " * 2_000 + "the end"], "said": ["ok"]})
    page, box = read(frame.llm.explore("said"))
    text = box.locator("section.open .txt").first

    assert len(text.inner_text()) <= 2_000
    box.get_by_role("button", name="Show 2,000 more").click()
    page.until(lambda: len(text.inner_text()) > 3_900)
    box.get_by_role("button", name="Show all").click()
    page.until(lambda: "the end" in text.inner_text())


def test_no_text_becomes_anything_but_text(read):
    """
    Over 80 hostile texts as prompts, answers, fields, labels and names: none adds a node.
    """
    frame = pd.DataFrame({"text": PAYLOADS, "<b>said": PAYLOADS[::-1]})
    frame["<b>said_error"] = [text if row % 5 == 0 else None for row, text in enumerate(PAYLOADS)]
    frame["<img src=x>"] = [PAYLOADS[row % 3] for row in range(len(frame))]
    explorer = frame.llm.explore("<b>said", truth=[PAYLOADS[0]] * len(frame))
    plain = reviews(20).llm.explore("mood", truth=["kind"] * 20)
    page, box = read(plain)
    page.until(lambda: box.get_by_role("button", name="right").count())
    tags, _ = page.census()

    page, box = read(explorer)
    page.until(lambda: box.get_by_role("button", name="wrong").count())
    box.get_by_role("listbox").focus()
    for number in range(1, len(PAYLOADS), 7):
        page.page.keyboard.press("g")
        page.page.keyboard.type(str(number))
        press(page, box, "Enter", f"Row {number:,}")
    explorer.search("alert")
    page.until(lambda: box.locator("mark").count())
    found, _ = page.census()

    ours = {"mark", "ins", "del", "details", "summary", "small", "button", "p"}
    assert found - tags <= ours
    assert page.errors == []
    assert page.strangers() == []

    census = Census(explorer._repr_html_())
    assert set(census.elements) <= {"div", "p", "strong", "span", "table", "tr", "th", "td"}
    assert census.others == []


def test_a_saved_notebook_holds_fifty_rows_and_the_widget_no_text():
    """
    Below 200 kB and without a script, whatever stands in the rows; its state has no row's text.
    """
    frame = pd.DataFrame({"text": [f"{PRIVATE} {chr(0x202E) * 600}"] * 300})
    frame["said"] = f"an answer {chr(0x1B) * 600}"
    explorer = frame.llm.explore("said")
    widget = ExplorerWidget(explorer)
    widget._do_hello("")

    bundle, _ = widget._repr_mimebundle_()
    html = bundle["text/html"]
    assert 10_000 < len(html.encode()) < 200_000
    assert html.count("<tr") == 51
    assert "250 more rows" in html
    assert max(map(len, bundle["text/plain"].splitlines())) <= 90
    assert PRIVATE not in json.dumps(widget.get_state(), default=str)
    widget.close()


@pytest.mark.parametrize(
    "request_",
    [
        None,
        [],
        {},
        {"do": "row", "position": "0"},
        {"do": "rows", "first": None},
        {"do": "mark", "position": 0, "on": "yes"},
        {"do": "choose", "facet": "mood", "value": -1},
        {"do": "choose", "facet": "no", "value": 0},
        {"do": "outcome", "value": 99},
        {"do": "facet"},
        {"do": "close"},
        {"do": "correct", "position": 0, "texts": [None, {}, 3]},
        {"do": "__init__", "turn": ["x"]},
    ],
)
def test_what_is_no_request_does_nothing(request_):
    """
    Neither an error nor a change.
    """
    explorer = reviews(10).llm.explore("mood")
    widget = ExplorerWidget(explorer)
    said = []
    widget.send = lambda content, buffers=None: said.append(content)

    widget._handle_custom_msg(request_, [])
    assert widget._jobs.wait(30)

    assert [one for one in said if one["kind"] == "fault"] == []
    assert not explorer.marks.any()
    assert len(explorer.positions) == 10
    widget.close()


def test_a_row_that_is_not_there_is_told_in_words():
    """
    Numbers beyond the table, below zero, and unknown parts.
    """
    widget = ExplorerWidget(reviews(10).llm.explore("mood"))
    said = []
    widget.send = lambda content, buffers=None: said.append(content)

    for position in (10, -1, 10**30):
        for do in ("row", "answer", "retry"):
            widget._handle_custom_msg({"do": do, "position": position, "turn": "t"}, [])
    assert widget._jobs.wait(30)

    faults = [one["text"] for one in said if one["kind"] == "fault"]
    assert faults
    assert all("There is no row" in text for text in faults)
    assert all(len(text) < 200 for text in faults)
    widget.close()
