"""Promises about the card on a page: a real browser, the widget's own script and style sheet."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from browsers import seen
from card_page import CardPage
from markup import PAYLOADS
from playwright.sync_api import expect
from snapshots import CAUSES, NOW, SHARES, counts, finished, snapshot, stopped

from llmnb.engine.status import FailureCause, ModelShare, StatusTracker
from llmnb.notebook.card import card, over_card
from llmnb.notebook.failed_banner import failed_card, retrying_card

pytestmark = pytest.mark.browser

Open = Callable[..., CardPage]

JUPYTER_DARK = ":root { --jp-ui-font-color1: rgba(255,255,255,.87); --jp-layout-color0: #111; }"
JUPYTER_LIGHT = ":root { --jp-ui-font-color1: rgba(0,0,0,.87); --jp-layout-color0: #fff; }"


@pytest.fixture
def open_card(browser, chromium) -> Iterator[Open]:
    """Return what opens a page with a card; its clock stands still where `frozen` is given."""
    opened: list[CardPage] = []

    def open_page(
        state: dict[str, Any], *, width: int = 760, frozen: bool = False, **options: Any
    ) -> CardPage:
        from browsers import patient

        if frozen or opened:
            page = patient(browser.new_context(viewport={"width": width, "height": 700}))
        else:
            page = chromium.page("card", width=width, height=700)
        if frozen:
            # An installed clock goes on by itself until it is paused.
            page.clock.install(time=NOW - 60)
            page.clock.pause_at(NOW)
        opened.append(CardPage(page, state, **options))
        assert opened[-1].sent() == [{"do": "hello"}]
        return opened[-1]

    yield open_page
    for one in opened:
        one.leave()


def running(**changes: Any) -> dict[str, Any]:
    return card(snapshot(**changes), NOW, asked="openai/gpt-5-mini, then 2 more")


def over(banner: dict[str, Any]) -> dict[str, Any]:
    return {**over_card(finished(), "2,403 of 2,412 rows answered"), "banner": banner}


STATES = {
    "running": running(),
    "just begun": card(snapshot(StatusTracker(), completed=0, launched=0, samples=()), NOW),
    "waiting": running(
        in_flight=0, waiting_on="Waiting on openai: it asked for 12 s. 8 s left, then sending."
    ),
    "paused": running(state="paused", waiting_on="Waiting on you."),
    "stopping": running(state="stopping", waiting_on="Stopping: 12 answers are being stored."),
    "stopped": over_card(stopped(), "Stopped: 1,393 of 2,400 rows answered"),
    "no rows yet": card(snapshot(StatusTracker(), total=0, launched=0, completed=0), NOW),
    "banner": over(failed_card(finished())),
    "retrying": over(retrying_card(snapshot(total=9, waiting_on="Waiting on replies."))),
}


# --------------------------------------------------------------------------- safety


def hostile(payload: str) -> dict[str, Any]:
    status = dataclasses.replace(
        snapshot(),
        project=payload,
        waiting_on=payload,
        shares=(ModelShare(name=payload, rows=1, share=1.0, p50=None, usd=None), *SHARES),
        causes=(
            FailureCause(kind=payload, words=payload, rows=1, first_row=0, example=payload),
            *CAUSES,
        ),
    )
    return card(status, NOW, asked=payload)


CENSUS = """() => {
  const all = [...document.querySelectorAll("#host *")];
  return {
    tags: [...new Set(all.map((one) => one.localName))],
    attributes: [...new Set(all.flatMap((one) => one.getAttributeNames()))],
    alarms: window.alarms,
    text: document.getElementById("host").textContent,
  };
}"""

TAGS = {
    *("div", "span", "p", "b", "i", "small", "button", "input", "label", "progress", "h3"),
    *("dl", "dt", "dd", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"),
    *("svg", "path", "polyline", "circle", "code", "slot"),
}


def test_markup_from_outside_never_comes_alive(open_card):
    """
    Not one of all payloads, in every text of the card and of the banner, makes a node or a request.
    """
    page = open_card(running())
    page.page.get_by_role("button", name="Details").click()
    banner = open_card(over(failed_card(finished())))
    banner.page.get_by_role("button", name="Show").click()

    for payload in PAYLOADS:
        state = hostile(payload)
        page.take(state)
        found = page.page.evaluate(CENSUS)
        assert set(found["tags"]) <= TAGS
        assert not any(
            name.startswith("on") or name in ("href", "src") for name in found["attributes"]
        )
        assert state["subject"] in found["text"]
        assert state["fails"][0]["texts"][2] in found["text"]

        causes = (FailureCause(kind="x", words=payload, rows=1, first_row=0, example=payload),)
        banner.take(over(failed_card(finished(causes=causes))))
        found = banner.page.evaluate(CENSUS)
        assert set(found["tags"]) <= TAGS

    for one in (page, banner):
        assert one.page.evaluate("window.alarms") == 0
        assert one.errors == []
        assert one.requests == ["http://card.test/", "http://card.test/card.js"]
        assert one.sent() == []


# ---------------------------------------------------------------------- patching, keys


def test_focus_and_open_details_survive_messages(open_card):
    """
    Nodes are patched, never made anew: a button pressed while figures change stays itself.
    """
    page = open_card(running())
    chevron = page.page.get_by_role("button", name="Details")
    chevron.click()
    page.page.get_by_role("button", name="Stop").focus()
    page.page.evaluate("window.marked = [...document.querySelectorAll('#host *')]")

    for step in range(20):
        page.take(running(completed=1338 + step, seconds=252.0 + step))

    assert page.page.evaluate("document.activeElement.textContent") == "Stop"
    assert chevron.get_attribute("aria-expanded") == "true"
    assert page.page.evaluate("window.marked.every((one) => one.isConnected)")
    assert seen(page.page, "1,357").is_visible()


def test_everything_can_be_done_with_the_keyboard(open_card):
    """
    Tab reaches Pause, Stop, the details and the fields; Enter and Space act.
    """
    page = open_card(running())
    keys = page.page.keyboard

    keys.press("Tab")
    keys.press("Enter")
    assert page.sent() == [{"do": "pause"}]
    page.take(running(state="paused", waiting_on="Waiting on you."))
    keys.press("Space")
    assert page.sent() == [{"do": "resume"}]
    keys.press("Tab")
    keys.press("Enter")
    assert page.sent() == [{"do": "stop"}]
    keys.press("Tab")
    keys.press("Enter")
    keys.press("Tab")
    assert page.page.evaluate("document.activeElement.localName") == "input"
    keys.type("1.2k")
    keys.press("Enter")
    assert page.sent() == [{"do": "limit", "name": "requests per minute", "amount": 1200}]


@pytest.mark.parametrize(
    ("typed", "amount"),
    [("500", 500), ("1,500", 1500), ("500k", 500_000), ("1.5M", 1_500_000), ("", None)],
)
def test_a_field_takes_numbers_as_people_write_them(open_card, typed, amount):
    """
    Enter applies; an empty field gives the limit back.
    """
    page = open_card(
        running(pools=(dataclasses.replace(snapshot().pools[0], tokens_from="given"),))
    )
    page.page.get_by_role("button", name="Details").click()
    field = page.page.get_by_label("limit of tokens per minute")
    field.fill("7")
    field.fill(typed)
    field.press("Enter")

    sent = [{"do": "limit", "name": "tokens per minute", "amount": amount}]
    assert page.sent() == (sent if typed != "500k" else [])  # which is what it was


@pytest.mark.parametrize("typed", ["fast", "-5", "0", "1e9", "5 apples", "١٢"])
def test_what_is_no_number_is_told_in_words(open_card, typed):
    """
    The kernel reads it and says what is wrong; the field is marked, Esc restores it.
    """
    page = open_card(running())
    page.page.get_by_role("button", name="Details").click()
    field = page.page.get_by_label("in flight requests at once, at most")
    field.fill(typed)
    field.press("Enter")

    assert page.sent() == [{"do": "limit", "name": "requests in flight", "amount": typed}]
    page.receive({"kind": "limit", "at": "", "name": "requests in flight", "wrong": "No number."})
    expect(seen(page.page, "No number.")).to_be_visible()
    assert field.get_attribute("aria-invalid") == "true"
    field.press("Escape")
    expect(page.page.get_by_text("No number.")).to_have_count(0)
    assert field.input_value() == "64"
    assert field.get_attribute("aria-invalid") is None


def test_the_notebooks_own_keys_leave_the_card_alone(open_card):
    """
    D D on a button of the card deletes no cell; Ctrl+S on it saves the notebook all the same.
    """
    page = open_card(running())
    stop = page.page.get_by_role("button", name="Stop")
    mark = "data-lm-suppress-shortcuts"

    stop.focus()
    assert stop.get_attribute(mark) is not None
    page.page.keyboard.down("Control")
    assert stop.get_attribute(mark) is None
    page.page.keyboard.up("Control")
    assert stop.get_attribute(mark) is not None


def test_what_is_being_typed_is_left_alone(open_card):
    """
    Messages do not write into the field that has the focus.
    """
    page = open_card(running())
    page.page.get_by_role("button", name="Details").click()
    field = page.page.get_by_label("limit of requests per minute")
    field.press_sequentially("12")
    page.take(running(completed=1400))
    field.press_sequentially("34")

    assert field.input_value() == "1234"


def test_buttons_that_cannot_act_send_nothing(open_card):
    """
    In a cell that waits they are dimmed and keep the focus.
    """
    page = open_card(card(snapshot(), NOW, holds_kernel=True))
    stop = page.page.get_by_role("button", name="Stop")

    assert stop.get_attribute("aria-disabled") == "true"
    stop.click(force=True)
    assert page.sent() == []


def test_failed_rows_can_be_asked_again_cause_by_cause(open_card):
    """
    While the run goes on a cause's button promises it for the end, and can be taken back.
    """
    page = open_card(running())
    page.page.get_by_role("button", name="Details").click()
    button = page.page.get_by_role(
        "button", name="Retry at the end: the 3 rows failed for “Refused"
    )
    button.click()
    assert page.sent() == [{"do": "retry", "cause": "Refused"}]

    page.take(card(snapshot(), NOW, retries={"Refused"}))
    assert button.get_attribute("aria-pressed") == "true"
    others = page.page.get_by_role("button", name="Retry at the end", pressed=False)
    assert others.count() == 2
    page.take(card(snapshot(), NOW, holds_kernel=True))
    button.click(force=True)
    assert page.sent() == []


def test_the_strip_asks_all_or_those_of_one_cause(open_card):
    """
    Its own button means every failed row; behind Show each cause has one.
    """
    banner = open_card(over(failed_card(finished())))
    banner.page.get_by_role("button", name="Retry these 9").click()
    assert banner.sent() == [{"do": "retry"}]

    banner.page.get_by_role("button", name="Show").click()
    banner.page.get_by_role("button", name="Retry this row: the row failed for “No answer").click()
    assert banner.sent() == [{"do": "retry", "cause": "TimedOut"}]

    banner.take(over(failed_card(finished(causes=CAUSES[:1]))))
    assert banner.page.get_by_role("button").all_inner_texts() == ["Hide", "Retry these 9"]


# --------------------------------------------------------------------- words, themes


def test_a_screen_reader_hears_little(open_card):
    """
    One polite line, at most every five seconds; a change of state at once, the end among them.
    """
    page = open_card(running(), frozen=True)
    line = page.page.get_by_role("status")
    assert line.text_content() == f"Running. {running()['says']}"

    page.take(running(completed=1500))
    assert line.text_content() == f"Running. {running()['says']}"
    page.page.clock.run_for(5100)
    page.take(running(completed=1600))
    assert line.text_content().startswith("67 %")
    page.take(running(state="paused", waiting_on="Waiting on you."))
    assert line.text_content().startswith("Paused. ")
    page.take(over_card(finished(), "2,391 of 2,400 rows answered"))
    assert line.text_content() == "2,391 of 2,400 rows answered"


def test_a_silent_kernel_is_said_to_be_gone(open_card):
    """
    After half a minute without a word; the next word takes it back.
    """
    page = open_card(running(), frozen=True)
    page.page.clock.run_for(33_000)

    assert seen(page.page, "The kernel is gone, last seen ").is_visible()
    assert page.page.get_by_role("button", name="Stop").get_attribute("aria-disabled") == "true"
    page.take(running())
    assert seen(page.page, "Waiting on replies: all 64").is_visible()


def test_a_click_that_is_not_heard_is_explained(open_card):
    """
    Where another cell holds the kernel the card says when it will act.
    """
    page = open_card(running(), frozen=True)
    page.page.evaluate("() => { window.answers = false; }")
    page.page.get_by_role("button", name="Pause").click()
    page.page.clock.run_for(2000)
    assert seen(page.page, "The kernel is busy with a cell").is_visible()

    page.take(running(state="paused", waiting_on="Waiting on you."))
    assert not seen(page.page, "The kernel is busy").is_visible()


@pytest.mark.parametrize(
    ("style", "scheme"),
    [
        (JUPYTER_LIGHT, "light"),
        (JUPYTER_DARK, "dark"),
        ("body { background: #181818 }", "dark"),
        ("body { background: #fff }", "light"),
        ("", "light"),
        # ipywidgets brings light variables into hosts that are dark: the host's own win.
        (JUPYTER_LIGHT + ":root { --vscode-foreground: #cccccc }", "dark"),
    ],
)
def test_light_and_dark_follow_the_host(open_card, style, scheme):
    """
    The host's ink decides, else the ground that the card lies on.
    """
    page = open_card(running(), style=style)

    assert page.page.locator(".llmnb").get_attribute("data-scheme") == scheme


def test_the_hosts_own_lists_do_not_float_ours(open_card):
    """
    JupyterLab floats the parts of every definition list in an output.
    """
    lists = """
        :root dl { width: 100%; overflow: hidden; padding: 0; margin: 0 }
        :root dt { font-weight: bold; float: left; width: 20%; padding: 0; margin: 0 }
        :root dd { float: left; width: 80%; padding: 0; margin: 0 }
    """
    where = """() => [...document.querySelectorAll("#host dt, #host dd")].map((one) => {
      const { left, top, width } = one.getBoundingClientRect();
      return [left, top, width].map(Math.round);
    })"""

    assert open_card(running(), style=lists).page.evaluate(where) == open_card(
        running()
    ).page.evaluate(where)


def test_a_change_of_theme_is_followed(open_card):
    """
    Without a message from the kernel.
    """
    style = JUPYTER_LIGHT + JUPYTER_DARK.replace(":root", ":root[data-theme=dark]")
    page = open_card(running(), style=style)
    page.page.evaluate("document.documentElement.dataset.theme = 'dark'")

    page.page.wait_for_selector(".llmnb[data-scheme=dark]")


WIDTHS = [320, 360, 460, 461, 620, 621, 720, 721, 1000]

TOO_WIDE = """() => [document.documentElement, ...document.querySelectorAll(
    "#host :is(.card, .head, .because, .ledger, .hero, .limit, .banner)"
  )].filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.className)"""


@pytest.mark.parametrize("name", STATES)
def test_nothing_is_wider_than_its_cell(open_card, name):
    """
    At every width and in every state, details open: no text runs out of the card.
    """
    page = open_card(STATES[name])
    for chevron in page.page.get_by_role("button", name="Details").all():
        chevron.click()

    for width in WIDTHS:
        page.page.set_viewport_size({"width": width, "height": 700})
        assert page.page.evaluate(TOO_WIDE) == [], width


NAMELESS = """() => {
  const all = (what) => [...document.querySelectorAll("#host " + what)];
  const seen = (what) => all(what).filter((one) => one.checkVisibility());
  const ids = all("[id]").map((one) => one.id);
  return [
    ...seen("button").filter((one) => !one.textContent.trim() && !one.ariaLabel),
    ...seen("input").filter((one) => !one.labels.length),
    ...seen("progress, [role=img], [role=region]").filter((one) => !one.ariaLabel),
    ...ids.filter((one, place) => ids.indexOf(one) !== place),
  ].map(String);
}"""


@pytest.mark.parametrize("name", STATES)
def test_every_control_has_a_name_and_every_id_is_one(open_card, name):
    """
    Buttons, fields, bars and charts can be told apart by ear.
    """
    page = open_card(STATES[name])
    for chevron in page.page.get_by_role("button", name="Details").all():
        chevron.click()

    assert page.page.evaluate(NAMELESS) == []


def test_what_is_taken_down_leaves_nothing(open_card):
    """
    The root goes, and no timer patches it afterwards.
    """
    page = open_card(running())
    page.page.evaluate("window.end()")

    assert page.page.evaluate("document.getElementById('host').children.length") == 0
    assert page.errors == []


def test_counters_of_failures_are_only_red_when_there_are_some(open_card):
    """
    A zero is quiet.
    """
    page = open_card(running())
    failed = page.page.locator("dl div").filter(has_text="failed").locator("dd")
    assert failed.get_attribute("class") == "bad"

    page.take(card(snapshot(counts(num_tasks_failed=0)), NOW))
    assert failed.get_attribute("class") == "zero"


# ------------------------------------------------------------------- a silent kernel

LINE = "import llmnb; llmnb.last_run().retry_failed()"


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (over({**failed_card(finished()), "code": LINE}), "Retry these 9"),
        ({**running(), "code": LINE}, "Pause"),
    ],
)
def test_a_button_that_nobody_hears_gives_way_to_a_line_of_code(open_card, state, name):
    """
    It is dim until the kernel answers; after 3 s code stands in its place, till a late answer.
    """
    page = open_card(state, frozen=True, answers=False)
    button = page.page.get_by_role("button", name=name)
    code = page.page.locator("code.line")
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(code).to_be_hidden()
    button.focus()

    page.page.clock.run_for(3100)
    expect(button).to_be_hidden()
    expect(code).to_be_visible()
    expect(code).to_have_text(LINE)
    expect(code).to_be_focused()

    page.answer()
    expect(code).to_be_hidden()
    expect(button).to_have_attribute("aria-disabled", "false")
    page.sent()
    button.click()
    assert len(page.sent()) == 1
    page.page.clock.run_for(3100)  # this time nobody hears the click
    expect(code).to_be_visible()


def test_a_silent_kernel_is_greeted_again_until_it_answers(open_card):
    """
    A greeting that a page lost costs seconds: another comes after 3 s, 6, 12, at last every minute.
    """
    page = open_card(over(failed_card(finished())), frozen=True, answers=False)
    page.sent()
    greetings = []
    for seconds in (3, 6, 12, 24, 48, 60, 60):
        page.page.clock.run_for(1000 * seconds)
        greetings.append(page.sent())
    assert greetings == [[{"do": "hello"}]] * 7

    page.answer()
    retry = page.page.get_by_role("button", name="Retry these 9")
    expect(retry).to_have_attribute("aria-disabled", "false")
    page.page.clock.run_for(120_000)
    assert page.sent() == []
