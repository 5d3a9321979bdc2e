"""The workbench's card: what it shows and sends, and what it does not, whatever is sent to it."""

from __future__ import annotations

import json
import threading

import pandas as pd
import pytest
from browsers import seen
from hand_timers import HandTimers
from laboratory import Laboratory
from markup import PAYLOADS
from widget_page import WidgetPage

import llmnb
from llmnb.errors import ConfigurationError
from llmnb.frames.workbench import Workbench
from llmnb.notebook import workbench_settings, workbench_view
from llmnb.notebook.workbench import WorkbenchWidget

SECRET = "a private ticket"


@pytest.fixture(autouse=True)
def accessors():
    llmnb.register_accessor("llm")


@pytest.fixture
def sim(monkeypatch):
    """A provider that answers with the team that its prompt names last."""

    def reply(prompt):
        return "billing" if "invoice" in prompt else "returns"

    with Laboratory(reply=reply, latency=0) as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("LLMNB_MODEL", "openai/gpt-4.1-nano")
        yield sim


@pytest.fixture(autouse=True)
def timers(monkeypatch):
    """Pauses that end by hand: one that ended by itself, later, would ask in another test."""
    hand = HandTimers()
    monkeypatch.setattr(Workbench, "_timer", hand)
    return hand


@pytest.fixture
def frame():
    kinds = ["invoice twice", "lamp is broken"]
    bodies = [f"{SECRET} {row}: {kinds[row % 2]}" for row in range(30)]
    return pd.DataFrame({"body": bodies, "subject": ["about it"] * 30})


@pytest.fixture
def truth():
    return pd.Series(["billing", "returns"] * 5, index=range(10), name="team")


class Page:
    """What a page would see of a workbench, without one."""

    def __init__(self, bench):
        self.bench = bench
        self.widget = WorkbenchWidget(bench)
        self.heard = []
        self.widget.send = lambda content, buffers=None: self.heard.append(content)
        self._turn = 0

    def ask(self, **wish):
        """Send a wish; return what was said to it, and what it ended with."""
        self._turn += 1
        turn = f"page#{self._turn}"
        self.widget._handle_custom_msg({**wish, "turn": turn}, [])
        assert self.widget._jobs.wait(60)
        if not self.bench.is_due:  # its timer is moved by hand
            assert self.bench.wait(60)
        return [one for one in self.heard if one.get("turn") == turn]

    @property
    def shown(self):
        return workbench_view.snapshot(self.bench)

    @property
    def foot(self):
        return "".join(self.shown["foot"]["parts"])


def buttons(shown):
    return {name: text for name, text, _ in shown["foot"]["buttons"]}


def until(is_so):
    """Wait until something is so."""
    pause = threading.Event()
    for _ in range(6000):
        if is_so():
            return
        pause.wait(0.01)
    pytest.fail("this did not come about")


# ------------------------------------------------------------------------------- figures


def test_no_text_of_a_row_is_part_of_the_state_which_stays_small(frame, truth, sim):
    """
    Neither rows nor answers nor truth, through a whole life; below 50 kB without the code.
    """
    page = Page(frame.llm.workbench("{body}: which team?", truth=truth))
    page.ask(do="ask")
    page.ask(do="score")
    page.ask(do="run")
    page.bench.table_run.wait()
    page.widget._publish()
    state = page.widget.get_state()
    kept = json.dumps({name: one for name, one in state.items() if name not in ("_esm", "code")})
    assert SECRET not in kept
    assert "which team" not in kept
    assert len(kept) < 50_000
    (texts,) = [one["texts"] for one in page.ask(do="look") if one["kind"] == "texts"]
    assert SECRET in json.dumps(texts["rows"])
    page.widget.close()


def test_the_words_follow_a_prompt_from_nothing_to_a_scored_version(frame, truth, sim, timers):
    """
    Nothing yet, what asking would cost, what was asked, its score, and against the version before.
    """
    page = Page(frame.llm.workbench(truth=truth))
    assert page.foot == "Nothing is sent before there is a prompt."
    assert [acts for _, _, acts in page.shown["foot"]["buttons"]] == [0, 0]
    page.ask(do="type", prompt="{body} a")
    timers.advance(1)
    page.bench.wait(60)
    shown = page.shown
    assert shown["versions"][0]["when"] == "now, in the editor"
    assert shown["versions"][0]["ask"].startswith("Score on 10, ")
    until(lambda: buttons(page.shown)["run"] == "Run 25")
    assert page.foot.endswith("v1 is not scored yet.")
    page.ask(do="score")
    assert page.shown["versions"][0]["score"]["share"] == "100 %"
    page.ask(do="type", prompt="{subject} b")
    timers.advance(1)
    page.bench.wait(60)
    page.ask(do="score")
    assert (
        "v2 is right on 0 rows where v1 is wrong, wrong on 5: not shown to be better" in page.foot
    )
    assert page.shown["says"] == "v2: 5 of 5 rows answered, 1 right; 50 % right on 10 labels."
    assert page.shown["rail"]["says"].endswith("of 30 rows")


def test_without_a_key_it_names_the_way_and_offers_the_local_model(frame, sim, monkeypatch):
    """
    A click takes the model that needs none.
    """
    monkeypatch.delenv("OPENAI_API_KEY")
    page = Page(frame.llm.workbench("{body}"))
    assert page.ask(do="ask")[-1]["kind"] == "fault"
    shown = page.shown
    assert (shown["foot"]["tone"], buttons(shown)) == ("bad", {"local": "Use local/smollm2"})
    assert "llmnb.set_key('openai', …)" in page.foot
    assert page.bench.versions == []
    page.widget.job({"do": "local"}, "")()
    assert page.bench.question.model == "local/smollm2"


def test_a_budget_at_its_end_is_said_and_can_be_raised(frame, sim, timers):
    """
    At the foot and in the quiet line; more is one click, and the whole table may still run.
    """
    page = Page(frame.llm.workbench("{body}", budget_usd=0))
    page.ask(do="type", prompt="{body}!")
    timers.advance(1)
    page.bench.wait(60)
    assert sim.ledger.rows == []
    assert page.shown["end"]["text"] == "nothing is asked as you type"
    assert list(buttons(page.shown)) == ["allow", "code", "run"]
    page.ask(do="allow")
    assert page.bench.budget_usd == 0.25
    page.ask(do="ask")
    assert len(page.bench.versions) == 1


def test_the_foot_becomes_the_runs_and_then_says_what_came_of_it(frame, sim):
    """
    Paused, resumed and done, in place; failed rows are asked again from there.
    """
    page = Page(frame.llm.workbench("{body}"))
    sim.hold()
    page.widget.job({"do": "run"}, "")()
    assert list(buttons(page.shown)) == ["pause", "stop"]
    assert page.foot.startswith("The prompt runs on all rows: 0 %, 0 of 30")
    page.ask(do="pause")
    until(lambda: buttons(page.shown).get("resume") == "Resume")
    page.ask(do="resume")
    sim.release()
    page.bench.table_run.wait()
    page.ask(do="ask")
    page.ask(do="run")
    page.bench.table_run.wait()
    assert page.foot.startswith("v1: 30 of 30 rows answered, $0.")


def test_from_four_versions_on_chips_say_which_stand_below(frame, sim):
    """
    At most three, the one in the editor last.
    """
    page = Page(frame.llm.workbench("{body}"))
    for number in range(5):
        page.bench.change(prompt=f"{{body}} {number}")
        page.bench.ask()
    assert [one["number"] for one in page.shown["versions"]] == [3, 4, 5]
    page.ask(do="pick", version=1)
    page.widget._publish()
    assert [one["number"] for one in page.widget.snapshot["versions"]] == [1, 4, 5]
    assert [chip["text"] for chip in page.shown["picks"]] == ["v1", "v2", "v3", "v4", "v5"]


def test_a_table_of_more_than_100_000_rows_is_estimated_from_some(sim, monkeypatch):
    """
    It says so; running counts all.
    """
    monkeypatch.setattr("llmnb.frames.workbench_asking.COUNTED_ROWS", 100)
    monkeypatch.setattr("llmnb.frames.workbench_asking.SAMPLED_ROWS", 50)
    frame = pd.DataFrame({"body": [f"row {row}" for row in range(200)]})
    page = Page(frame.llm.workbench("{body}"))
    page.ask(do="ask")
    page.bench._estimate(page.bench.question)
    assert "Counted on 50 rows at random; Run counts all first." in page.foot
    assert page.foot.startswith("≈ ")
    assert buttons(page.shown)["run"] == "Run 200…"


# ---------------------------------------------------------------------- what a page sends


@pytest.mark.parametrize(
    "wish",
    [
        {"do": "type"},
        {"do": "type", "prompt": 7},
        {"do": "edit", "version": 9},
        {"do": "edit", "version": "1"},
        {"do": "step", "by": 40},
        {"do": "rows", "of": "everything"},
        {"do": "set", "name": "api_key", "text": "x"},
        {"do": "set", "name": "temperature", "text": "hot"},
        {"do": "take_class", "name": "__import__('os')"},
        {"do": "unfold", "version": 1, "row": "x"},
        {"do": "pause"},
        {"do": "stop"},
        {"do": "__init__"},
        {"do": ["type"]},
        {},
    ],
)
def test_what_no_page_of_ours_sends_changes_nothing(frame, sim, wish):
    """
    Each message is looked at before anything is done.
    """
    page = Page(frame.llm.workbench("{body}"))
    before = page.bench.question
    page.ask(**wish)
    assert page.bench.question == before
    assert sim.ledger.rows == []


def test_settings_are_typed_as_text_and_read_as_what_they_are(frame, sim):
    """
    Numbers, several models, an empty field gives the model's own back, a wrong one says what fits.
    """
    bench = frame.llm.workbench("{body}", params={"max_completion_tokens": 9, "seed": 1})
    for name, text in {
        "model": "openai/a, openai/b",
        "temperature": "0.5",
        "max_tokens": "20",
        "seed": "",
        "budget_usd": "$2",
        "system": "Be brief.",
    }.items():
        workbench_settings.put(bench, name, text)
    assert bench.question.model == ["openai/a", "openai/b"]
    assert bench.question.params == {"temperature": 0.5, "max_tokens": 20}
    assert (bench.budget_usd, bench.question.system) == (2.0, "Be brief.")
    with pytest.raises(ConfigurationError, match="“x” is not a whole number such as 200"):
        workbench_settings.put(bench, "max_tokens", "x")
    assert workbench_settings.fields(bench)["max_tokens"] == "20"


def test_examples_and_fields_are_added_and_dropped(frame, truth, sim):
    """
    From labels, by hand; fields of a schema with their types and labels.
    """
    bench = frame.llm.workbench("{body}", truth=truth)
    workbench_settings.add_label(bench)
    (row,) = bench.question.examples
    assert bench.question.examples[row] == truth[row]
    note = "1 of the 10 labels are examples: scores use the other 9."
    assert workbench_settings.fields(bench)["note"] == note
    workbench_settings.drop_example(bench, row)
    workbench_settings.add_pair(bench, "in", "out")
    assert bench.question.pairs == (("in", "out"),)
    workbench_settings.add_field(bench, "team", "billing, returns", "who answers")
    workbench_settings.add_field(bench, "urgent", "yes or no", "")
    assert workbench_settings.fields(bench)["schema"] == [
        ["team", "one of 2", "who answers"],
        ["urgent", "yes or no", ""],
    ]
    with pytest.raises(ConfigurationError, match="no other has"):
        workbench_settings.add_field(bench, "team", "text", "")
    workbench_settings.drop_field(bench, "team")
    workbench_settings.drop_field(bench, "urgent")
    assert bench.question.schema is None


# ------------------------------------------------------------------------ in a real browser


@pytest.fixture
def browser_page(browser):
    return WidgetPage(browser.new_context(viewport={"width": 1000, "height": 900}))


@pytest.mark.browser
@pytest.mark.timeout(300)
def test_a_prompt_is_written_in_a_page_by_mouse_and_keys(
    frame, truth, sim, browser_page, monkeypatch
):
    """
    A chip puts its column in, a mistyped field is mended by a click, versions are walked by Alt and
    the arrows without a request, a setting opens in its place, and the code is shown.
    """
    monkeypatch.setattr(Workbench, "_timer", threading.Timer)  # a person's pauses
    bench = frame.llm.workbench(truth=truth, into="team")
    card = browser_page.show(WorkbenchWidget(bench), width=900)
    until, page = browser_page.until, browser_page.page
    area = card.get_by_label("Prompt")
    until(lambda: card.get_by_role("button", name="{body}", exact=True).count())
    area.fill("Which team? ")
    card.get_by_role("button", name="{body}", exact=True).click()
    assert area.input_value() == "Which team? {body}"
    until(lambda: bench.current is not None and not bench.is_asking)
    until(lambda: card.locator("td .txt").filter(has_text="billing").count())
    until(lambda: card.locator("svg.g-good").count() == 5)

    area.press("End")
    page.keyboard.type(" {su")
    until(lambda: card.get_by_role("option", name="{subject}").count())
    page.keyboard.press("Enter")
    assert area.input_value() == "Which team? {body} {subject}"
    until(lambda: len(bench.versions) == 2 and not bench.is_asking)

    sent = len(sim.ledger.received)
    area.press("Alt+ArrowUp")
    until(lambda: area.input_value() == "Which team? {body}")
    area.press("Alt+ArrowDown")
    until(lambda: area.input_value().endswith("{subject}"))
    card.get_by_role("button", name="Put v1 into the editor").click()
    until(lambda: area.input_value() == "Which team? {body}")
    assert len(sim.ledger.received) == sent

    area.fill("Which team? {bodi}")
    until(lambda: seen(card, "No column is called bodi.").is_visible())
    card.locator("p.wrong").get_by_role("button", name="{body}").click()
    assert area.input_value() == "Which team? {body}"
    assert len(sim.ledger.received) == sent

    card.get_by_role("button", name="no system text").click()
    page.keyboard.type("Be brief.")
    until(lambda: bench.question.system == "Be brief.")
    page.keyboard.press("Escape")
    until(lambda: page.evaluate("document.activeElement.textContent") == "system: 2 words")
    card.get_by_role("button", name="Copy as code").click()
    until(lambda: seen(card, 'df["team"] = df.llm.generate(').is_visible())
    assert bench.wait(60)
    assert browser_page.errors == []
    assert browser_page.strangers() == []


@pytest.mark.browser
@pytest.mark.timeout(300)
def test_whatever_rows_and_models_write_is_text_in_the_page(sim, monkeypatch, browser_page):
    """
    Rows, answers, truth, columns, prompts and examples of every hostile payload, at 480 px too.
    """
    with Laboratory(reply=lambda prompt: prompt, latency=0) as echo:
        monkeypatch.setenv("OPENAI_BASE_URL", echo.base_url)
        rows = len(PAYLOADS)
        frame = pd.DataFrame({"<b>{x}": PAYLOADS, "body": PAYLOADS})
        bench = frame.llm.workbench(
            "{body}", truth=PAYLOADS, n=rows, system="<img src=x onerror=alert(1)>"
        )
        widget = WorkbenchWidget(bench)
        plain = WorkbenchWidget(pd.DataFrame({"a": ["b"], "body": ["c"]}).llm.workbench("{body}"))
        plain.bench.ask()
        browser_page.show(plain, name="plain", width=480)
        card = browser_page.show(widget, width=480)
        bench.ask()
        bench.prompt = f"{{body}} {PAYLOADS[0]}"
        bench.ask()
        workbench_settings.add_label(bench)
        browser_page.until(lambda: card.locator("tbody tr").count() == rows - 1)
        card.get_by_role("button", name="1 example").click()
        browser_page.until(lambda: card.get_by_role("table", name="Examples").is_visible())
        tags, attributes = browser_page.census()
        alive = {"script", "img", "iframe", "object", "embed", "form", "a", "link", "base", "math"}
        assert tags & alive == set()
        assert not [name for name in attributes if name.startswith("on")]
        assert browser_page.errors == []
        assert browser_page.strangers() == []
