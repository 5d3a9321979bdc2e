"""The plan card: its figures, its words, and that nothing begins before a click."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import pytest
from markup import PAYLOADS, Census
from widget_page import WidgetPage

from llmnb.errors import ConfigurationError
from llmnb.notebook import plan_card
from llmnb.notebook.plan_card import PlanCard
from llmnb.running.asking import Asking
from llmnb.running.planning import Plan
from llmnb.running.start import start

CUT = """hero => [...hero.querySelectorAll("*")]
  .filter((one) => one.clientWidth && one.scrollWidth > one.clientWidth + 1)
  .map((one) => one.textContent)"""
"""Texts in a part of a card that are longer than their place."""


def plan(**changes: Any) -> Plan:
    """Return the plan of the drawings: 2,067 of 2,412 rows to send."""
    usual: dict[str, Any] = {
        "model": "openai/gpt-5-mini, then 2 more",
        "project": "tickets",
        "rows": 2412,
        "empty": 12,
        "wrong": 0,
        "merged": 119,
        "cached": 200,
        "reused": 14,
        "to_ask": 2067,
        "prompt_tokens": 1_004_000,
        "answer_tokens_bound": 1_240_000,
        "answer_limit": 600,
        "usd_low": 2.60,
        "usd_high": 3.40,
        "saved_usd": 0.52,
        "max_requests_per_minute": 300,
        "budget_usd": 5.0,
        "prices_date": "2026-10-14",
    }
    return Plan(**{**usual, **changes})


def nothing(**changes: Any) -> Plan:
    """Return a plan of which all was answered before."""
    usual = {
        "cached": 2281,
        "reused": 0,
        "to_ask": 0,
        "prompt_tokens": 0,
        "answer_tokens_bound": 0,
        "usd_low": 0.0,
        "usd_high": 0.0,
        "saved_usd": 3.75,
    }
    return plan(**{**usual, **changes})


def said(shown):
    return "".join(shown["why"]["parts"])


def segments(shown):
    return {name: part for name, part in shown["progress"]["parts"] if part}


# ------------------------------------------------------------------------------ figures


def test_a_plan_shows_rows_time_and_money():
    """
    What is sent, how long at least, what it costs, and what of it the budget covers.
    """
    shown = plan_card.figures(plan())

    assert shown["view"] == "ready"
    assert shown["subject"] == "tickets · openai/gpt-5-mini, then 2 more"
    assert shown["hero"] == {
        "count": "2,067",
        "of": "of 2,412 rows",
        "note": "nothing sent yet",
        "time": ["7", "min"],
        "pace": ["at 300", "requests/min"],
        "money": "$2.60–3.40",
        "budget": "budget $5.00",
        "fits": "fits",
        "over": 0,
    }
    assert [text for _, _, text in shown["ledger"]] == [
        *("2,412", "214", "119", "2,067", "12", "≈ 1.0M", "≤ 1.2M", "≤ $0.0016")
    ]
    assert said(shown).startswith("Bound by the limit of 300 requests/min")
    assert shown["buttons"] == {
        "run": "Run 2,067",
        "first_rows": "Run 10",
        "acts": 1,
        "cancel": "Cancel",
    }


def test_the_rail_is_drawn_beforehand_and_adds_up():
    """
    Reused, merged, to send and empty are all of the rows.
    """
    shown = plan_card.figures(plan())

    parts = segments(shown)
    assert list(parts) == ["reused", "merged", "send", "skip"]
    assert sum(parts.values()) == pytest.approx(1, abs=1e-3)
    assert shown["progress"]["says"] == (
        "214 reused, 119 merged, 2,067 to send, 12 empty of 2,412 rows"
    )


def test_beyond_the_budget_the_rail_is_an_outline():
    """
    The solid part ends where the money ends at the latest; the button says so.
    """
    shown = plan_card.figures(plan(budget_usd=2.0))

    parts = segments(shown)
    assert parts["send"] == pytest.approx(1215 / 2412, abs=1e-3)
    assert parts["beyond"] == pytest.approx(852 / 2412, abs=1e-3)
    assert shown["hero"]["fits"] == "up to $1.40 over"
    assert said(shown) == (
        "$2.00 pays for 1,215 to 1,590 rows. The run stops there and keeps them."
    )
    assert shown["buttons"]["run"] == "Run until $2.00"


def test_a_budget_that_may_be_enough_promises_only_the_least():
    """
    Short answers may leave money over.
    """
    shown = plan_card.figures(plan(budget_usd=3.0))

    assert said(shown).startswith("$3.00 pays for at least 1,823 rows.")


def test_with_nothing_to_send_the_cache_fills_the_column():
    """
    It costs nothing, and says what it saves.
    """
    shown = plan_card.figures(nothing())

    assert shown["view"] == "nothing"
    assert (shown["hero"]["money"], shown["hero"]["fits"]) == ("$0", "saves about $3.75")
    assert said(shown) == "Nothing to send: running fills the column from the cache."
    assert (shown["buttons"]["run"], shown["buttons"]["first_rows"]) == ("Fill from cache", "")


@pytest.mark.parametrize("rows", [0, 7])
def test_rows_that_ask_nothing_cannot_be_run(rows):
    """
    Zero rows, or empty ones only: no button that runs.
    """
    shown = plan_card.figures(nothing(rows=rows, empty=rows, cached=0, merged=0, saved_usd=0.0))

    assert shown["buttons"]["run"] == ""
    assert shown["buttons"]["first_rows"] == ""
    assert shown["progress"]["says"].endswith(f"of {rows} rows")


def test_a_budget_needs_a_price():
    """
    An unknown price is unknown, never free; a budget that cannot be kept cannot be started.
    """
    shown = plan_card.figures(plan(usd_low=None, usd_high=None))

    assert shown["hero"]["money"] == "unknown"
    assert said(shown).startswith("A budget needs a price.")
    assert shown["buttons"]["acts"] == 0
    assert shown["ledger"][7][2] == "unknown"


def test_without_a_budget_an_unknown_price_may_be_run():
    """
    Such as that of a model of one's own.
    """
    shown = plan_card.figures(plan(usd_low=None, usd_high=None, budget_usd=None))

    assert shown["view"] == "ready"
    assert shown["buttons"]["acts"] == 1


def test_rows_that_cannot_be_asked_are_told():
    """
    They are counted and drawn as failed.
    """
    shown = plan_card.figures(plan(wrong=3, empty=9))

    assert segments(shown)["failed"] > 0
    assert ["not asked", "failed", "12"] in shown["ledger"]
    assert said(shown).startswith("3 rows cannot be asked")


def test_without_a_limit_no_time_is_named():
    """
    But what bounds the run is.
    """
    free = plan(max_requests_per_minute=None, max_concurrent_requests=64)

    shown = plan_card.figures(free)

    assert shown["hero"]["time"] == []
    assert said(shown) == "Bound by the 64 requests in flight, by no limit per minute."


# --------------------------------------------------------------------------------- clicks


class Click:
    """A card, and what its clicks have begun."""

    def __init__(self, one: Plan, answer: Any = None) -> None:
        self.begun: list[int | None] = []
        self.answer = answer
        self.card = PlanCard(one, self._run)

    def _run(self, rows: int | None) -> Any:
        self.begun.append(rows)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def on(self, name: Any) -> dict[str, Any]:
        """Click, and return what is shown then."""
        self.card._handle_custom_msg({"do": name}, [])
        return self.card.snapshot


def test_nothing_begins_before_a_click():
    """
    Not by showing it, not by asking for its text.
    """
    click = Click(plan())

    click.card.bundle()

    assert click.begun == []


def test_run_begins_once_however_often_it_is_clicked():
    """
    The card then has no buttons left.
    """
    click = Click(plan())

    for _ in range(3):
        shown = click.on("run")

    assert click.begun == [None]
    assert (shown["title"], shown["buttons"]) == ("Started", {})


def test_run_10_leaves_the_full_run_to_be_chosen():
    """
    The small button goes, the large one stays.
    """
    click = Click(plan())

    shown = click.on("first_rows")
    click.on("first_rows")
    click.on("run")

    assert shown["buttons"]["run"] == "Run 2,067"
    assert shown["buttons"]["first_rows"] == ""
    assert click.begun == [10, None]


def test_cancel_sends_nothing_and_is_final():
    """
    A click that comes later does nothing.
    """
    click = Click(plan())

    shown = click.on("cancel")
    click.on("run")

    assert click.begun == []
    assert said(shown) == "Cancelled: nothing was sent."


@pytest.mark.parametrize(
    ("one", "name"), [(plan(usd_high=None, usd_low=None), "run"), (nothing(), "first_rows")]
)
def test_a_button_that_is_not_there_cannot_be_clicked(one, name):
    """
    Whatever a page sends.
    """
    click = Click(one)

    click.on(name)

    assert click.begun == []


@pytest.mark.parametrize(
    "name", ["Run", "", None, 1, ["run"], {"do": "first_rows"}, "start", "__init__"]
)
def test_what_is_no_button_does_nothing(name):
    """
    Nor does anything begin by another name.
    """
    click = Click(plan())
    before = click.card.snapshot

    click.on(name)

    assert click.begun == []
    assert click.card.snapshot == before


def test_a_run_that_cannot_begin_says_why_and_may_be_tried_again():
    """
    In one line, and nothing was sent.
    """
    click = Click(plan(), ConfigurationError("There is no key for openai.\nWays out: …"))

    shown = click.on("run")
    assert said(shown) == "Nothing was sent. There is no key for openai."
    assert shown["buttons"]["acts"] == 1

    click.answer = None
    assert click.on("run")["title"] == "Started"
    assert click.begun == [None, None]


def test_a_fault_of_ours_is_told_too(caplog):
    """
    By its name only: its text may hold anything.
    """
    click = Click(plan(), RuntimeError("sk-something"))

    shown = click.on("run")

    assert said(shown) == "Nothing was sent. It could not begin (RuntimeError)."
    assert "could not begin" in caplog.text


def test_without_a_function_the_plan_starts_itself():
    """
    With the same rows.
    """
    begun = []
    card = PlanCard(plan(begin=begun.append))

    card._handle_custom_msg({"do": "first_rows"}, [])

    assert begun == [10]


class Output:
    """An output in a notebook, as a card fills it."""

    made: ClassVar[list[Output]] = []

    def __init__(self, bundle: dict[str, Any]) -> None:
        self.bundles = [bundle]
        self.changed = threading.Condition()
        self.made.append(self)

    def put(self, bundle: dict[str, Any]) -> None:
        with self.changed:
            self.bundles.append(bundle)
            self.changed.notify_all()

    def until(self, text: str) -> str:
        """Wait until it holds a text; returns all that it holds."""
        with self.changed:
            assert self.changed.wait_for(lambda: text in self.bundles[-1]["text/html"], 60)
            return self.bundles[-1]["text/html"]


def test_the_run_takes_the_plans_place(monkeypatch, cache_dir):
    """
    First ten rows are shown under the plan; then the full run where it stood, and its receipt.
    """
    monkeypatch.setattr(Output, "made", [])
    monkeypatch.setattr("llmnb.notebook.surface.OutputSlot", Output)
    requests = [{"prompt": f"question {number}"} for number in range(12)]

    def go(rows):
        options: dict[str, Any] = dict.fromkeys(LEFT_OUT)
        options |= {"share": True, "use_cache": True, "max_rps": False, "streams": False}
        return start(
            requests[:rows],
            Asking(model="sim/any"),
            project_name="p",
            cache_dir=cache_dir,
            max_attempts=3,
            max_wait=600,
            **options,
        )

    card = PlanCard(plan(), go)
    card._ipython_display_()
    static, live = Output.made
    assert "widget-view" in " ".join(live.bundles[0])

    card._handle_custom_msg({"do": "first_rows"}, [])
    beside = static.until("All 10 rows answered")
    assert "llmnb-aside" in beside
    assert beside.index("2,067 to send") < beside.index("All 10 rows answered")
    assert (card.snapshot["kind"], card.snapshot["first"]["view"]) == ("plan", "finished")
    card._handle_custom_msg({"do": "run"}, [])
    final = static.until("All 12 rows answered")

    assert "llmnb-final" in final
    assert "2,067 to send" not in final
    assert final.index("All 12 rows answered") < final.index("All 10 rows answered")
    assert (card.snapshot["kind"], card.snapshot["view"]) == ("run", "finished")
    assert live.until("") == ""
    code = "import llmnb; llmnb.last_run().result()"
    assert final.count(f"<code>{code}</code>") == 2


LEFT_OUT = (
    *("max_requests_per_minute", "max_tokens_per_minute", "max_concurrent_requests"),
    *("time_limit", "window"),
)


# --------------------------------------------------------------------- static, and markup


def test_a_saved_card_needs_no_script():
    """
    Its text is the plan's own; its HTML has the same figures.
    """
    one = plan()
    bundle = PlanCard(one, print).bundle()

    census = Census(bundle["text/html"])
    assert bundle["text/plain"] == one.text()
    assert not census.elements & {"script", "style", "link", "img", "a", "button"}
    for text in ("2,067 to send", "2,412", "$2.60–3.40", "$5.00", "fits", "≥7 min", "2026-10-14"):
        assert text in census.text


@pytest.fixture
def browser(browser):
    return WidgetPage(browser.new_context(viewport={"width": 1000, "height": 800}))


@pytest.mark.browser
def test_no_name_becomes_a_live_node(browser):
    """
    Whatever a project or a model is called, or an error says.
    """
    assert len(PAYLOADS) >= 80
    card = PlanCard(plan(), print)
    shown = browser.show(card, name="payloads")
    card._show_error(ConfigurationError("benign"))
    browser.until(lambda: "benign" in shown.inner_text())
    tags, attributes = browser.census()

    for payload in PAYLOADS:
        one = plan(project=payload, model=payload, prices_date=payload, budget_usd=None)
        card._planned = {"kind": "plan", **plan_card.figures(one)}
        card._show_error(ConfigurationError(payload))
        browser.until(lambda: "Nothing was sent." in shown.inner_text())
        assert browser.census()[0] <= tags
        assert browser.census()[1] <= attributes
    assert browser.strangers() == []
    assert browser.errors == []


@pytest.mark.browser
def test_the_buttons_are_used_by_keyboard(browser):
    """
    In the order of what they cost; a click that was made cannot be made again.
    """
    click = Click(plan())
    shown = browser.show(click.card, name="keys")
    shown.get_by_role("button", name="Cancel").focus()

    browser.page.keyboard.press("Tab")
    browser.page.keyboard.press("Tab")
    assert browser.page.evaluate("document.activeElement.textContent") == "Run 2,067"
    browser.page.keyboard.press("Enter")
    browser.page.keyboard.press("Enter")
    browser.until(lambda: shown.get_by_role("button").count() == 0)

    assert click.begun == [None]
    assert shown.get_by_role("region", name="Plan for project tickets").count() == 1
    assert "Started" in shown.get_by_role("status").inner_text()


@pytest.mark.browser
@pytest.mark.parametrize("width", [760, 640, 360])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"budget_usd": 2.0},
        {"usd_low": None, "usd_high": None},
        {"usd_low": None, "usd_high": None, "budget_usd": None},
        {"usd_low": None, "usd_high": None, "budget_usd": None, "max_requests_per_minute": None},
    ],
)
def test_no_figure_and_no_note_beside_one_is_cut(browser, changes, width):
    """
    What stands beside rows, time and money is read in full, at every width.
    """
    shown = browser.show(PlanCard(plan(**changes), print), name="plan", width=width)

    assert shown.locator(".hero").evaluate(CUT) == []
