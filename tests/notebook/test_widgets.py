"""The cards as parts of an application: what is told of them, and that nothing else is touched."""

from __future__ import annotations

import gc
import threading
import weakref

import ipywidgets
import pandas as pd
import pytest
import traitlets
from laboratory import Laboratory
from shells import new_shell

import llmnb
from llmnb.widgets import PlanCard, RunDashboard

FIGURES = ("state", "done", "total", "failed", "usd")


@pytest.fixture
def provider(monkeypatch):
    """A provider that holds its answers back, and refuses row 3 for good."""
    fault = lambda request: 400 if "row 3" in request.prompt else None  # noqa: E731
    with Laboratory(faults=fault, latency=0) as sim:
        for name, value in sim.environment.items():
            monkeypatch.setenv(name, value)
        sim.hold()
        yield sim
        end(sim)


def end(sim):
    """Let every run come to its end, and every card with it."""
    sim.release()
    if (run := llmnb.last_run()) is not None:
        run.wait(60)
    for thread in threading.enumerate():
        if thread.name == "llmnb-dashboard":
            thread.join(60)


@pytest.mark.parametrize(
    "make",
    [
        lambda frame: frame.llm.label("mood", ["kind", "unkind"]),
        lambda frame: frame.llm.workbench("Say {text}", model="sim/any"),
        lambda frame: frame.llm.explore("text"),
    ],
    ids=["label", "workbench", "explore"],
)
def test_a_closed_card_is_held_by_nobody(make):
    """
    What it showed lives on, and may be shown and closed a hundred times.
    """
    shown = make(pd.DataFrame({"text": ["so good", "too late"]}))
    shown.widget().close()
    closed = weakref.ref(shown._widget)
    shown.widget().close()  # another one
    shown._widget = None

    for thread in threading.enumerate():
        if thread.name in ("llmnb-jobs", "llmnb-explorer", "llmnb-workbench"):
            thread.join(60)
    gc.collect()
    assert closed() is None


@pytest.fixture
def asked():
    """Ten rows, with the words in which they are asked."""
    frame = pd.DataFrame({"text": [f"row {number}" for number in range(10)]})
    options = {"model": "openai/gpt-4o-mini", "on_error": "column", "progress": False}
    return frame, ("Say {text}", options)


def until(card, state):
    """Wait for a card's state; returns what waits."""
    come = threading.Event()
    card.observe(lambda change: come.set() if change["new"] == state else None, "state")
    assert card.state == state or come.wait(60)


def figures(card):
    return {name: getattr(card, name) for name in FIGURES}


def test_a_dashboard_tells_how_far_its_run_is(provider, asked):
    """
    State, rows and dollars can be observed and linked from; the state changes last of all.
    """
    frame, (prompt, options) = asked
    run = frame.llm.start(prompt, **options)
    card = RunDashboard(run)
    bar = ipywidgets.IntProgress()
    ipywidgets.dlink((card, "done"), (bar, "value"))
    seen = []
    card.observe(lambda change: seen.append((change["new"], figures(card))), "state")
    assert (card.state, card.run) == ("running", run)

    run.pause()
    until(card, "paused")
    run.resume()
    until(card, "running")
    provider.release()
    until(card, "finished")

    assert [state for state, _ in seen] == ["paused", "running", "finished"]
    _, last = seen[-1]
    assert last["usd"] == run.status().counts.shown().usd > 0
    assert last == {**figures(card), "done": 10, "total": 10, "failed": 1}
    assert bar.value == 10
    assert card.run.result()["response"].notna().sum() == 9
    card.close()


def test_what_a_retry_has_answered_has_failed_no_more(provider, asked):
    """
    The card asks its failed rows again, and tells at the end how many are left and what it cost.
    """
    frame, (prompt, options) = asked
    card = RunDashboard(frame.llm.start(prompt, **options))
    provider.release()
    until(card, "finished")
    assert card.failed == 1
    spent = card.usd
    come = threading.Event()
    card.observe(lambda change: come.set(), "usd")

    provider.set_faults(None)
    card._handle_custom_msg({"do": "retry"}, [])

    assert come.wait(60)
    assert (card.state, card.done, card.failed) == ("finished", 10, 0)
    assert card.usd > spent
    card.close()


def test_a_plan_tells_of_the_run_that_it_begins(provider, asked):
    """
    Planned, then as its run is; the first ten rows are not yet it.
    """
    frame, (prompt, options) = asked
    more = pd.concat([frame, frame.add("!")], ignore_index=True)
    card = PlanCard(more.llm.plan(prompt, **options))
    assert figures(card) == {"state": "planned", "done": 0, "total": 20, "failed": 0, "usd": 0}

    card._handle_custom_msg({"do": "first_rows"}, [])
    assert (card.state, card.run) == ("planned", None)
    card._handle_custom_msg({"do": "run"}, [])
    assert card.state == "running"
    provider.release()
    until(card, "finished")

    assert (card.done, card.failed) == (20, 2)
    assert len(card.run.result()) == 20


def test_a_plan_that_is_given_up_is_cancelled(provider, asked):
    """
    An application learns of it as of an end.
    """
    frame, (prompt, options) = asked
    card = PlanCard(frame.llm.plan(prompt, **options))

    card._handle_custom_msg({"do": "cancel"}, [])

    assert card.state == "cancelled"
    assert provider.ledger.received == []


def test_an_observer_that_fails_stops_nobody(provider, asked, caplog):
    """
    Its error is logged, the other figures follow, and the card goes on to its end.
    """
    frame, (prompt, options) = asked
    run = frame.llm.start(prompt, **options)
    card = RunDashboard(run)
    card.observe(lambda change: 1 / 0, "done")
    provider.release()

    until(card, "finished")

    assert (card.done, card.snapshot["view"]) == (10, "finished")
    assert "ZeroDivisionError" in caplog.text
    card.close()


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_told_not_taken(name, provider, asked):
    """
    Whoever sets one learns that it cannot be set.
    """
    frame, (prompt, options) = asked
    card = PlanCard(frame.llm.plan(prompt, **options))

    with pytest.raises(traitlets.TraitError, match="read-only"):
        setattr(card, name, getattr(card, name))


# ----------------------------------------------------------- a run that a cell starts


CARD = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def page(asked, provider):
    """A shell with the extension that looks as if a page were behind it."""
    frame, (prompt, options) = asked
    del options["progress"]
    with new_shell(has_kernel=True) as shell:
        shell.run("%load_ext llmnb")
        shell.names.update(df=frame, prompt=prompt, options=options, llmnb=llmnb)
        yield shell
        end(provider)


def cards(shown):
    return [data for data in shown if CARD in data]


OF_LISTS = "llmnb.AsyncLLM(model='openai/m').start([{'prompt': 'a'}, {'prompt': 'b'}]"
"""A run that is started of a list of requests."""


@pytest.mark.parametrize("last", ["", "\nrun"])
@pytest.mark.parametrize("start", ["df.llm.start(prompt, **options", OF_LISTS])
def test_a_cell_that_starts_a_run_shows_its_card(page, provider, start, last):
    """
    Once, whether or not the cell ends with the run; a later cell shows it once more.
    """
    cell = page.run(f"run = {start}){last}")
    later = page.run("run")

    assert len(cards(cell.shown)) == 1
    assert len(cards(later.shown)) == 1
    assert not cell.value_shown


@pytest.mark.parametrize("start", ["df.llm.start(prompt, **options", OF_LISTS])
def test_a_cell_that_starts_a_run_without_progress_shows_nothing(page, provider, start):
    """
    `progress=False` leaves the page to whoever builds it.
    """
    assert page.run(f"run = {start}, progress=False)").shown == []


def test_a_plan_that_begins_its_run_shows_that_once(page, provider):
    """
    The card of a plan shows its run itself.
    """
    cell = page.run(
        "from llmnb.widgets import PlanCard\n"
        "card = PlanCard(df.llm.plan(prompt, **options))\n"
        "card._handle_custom_msg({'do': 'run'}, [])"
    )

    assert cell.error is None
    assert cards(cell.shown) == []
    assert page.names["card"].state == "running"
