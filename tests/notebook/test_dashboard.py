"""Promises about the run dashboard: what it sends, what its buttons do, what a notebook keeps."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from asking import ask, questions, texts
from IPython.core.events import EventManager, available_events
from IPython.core.formatters import DisplayFormatter
from laboratory import Laboratory
from messages import press, recorded, updates

from llmnb import progress
from llmnb.engine.run import Run
from llmnb.engine.status import Clock
from llmnb.notebook import dashboard, run_part
from llmnb.notebook.dashboard import CARDS_KEPT, MAIN, RunDashboard


class Time:
    """Both clocks, held by the test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Hold the clocks that the dashboard reads."""
    held = Time()
    for room in (dashboard, run_part):
        monkeypatch.setattr(room, "Clock", SimpleNamespace(monotonic=held, wall=held))
    return held


@pytest.fixture
def held() -> Any:
    """Yield a run of 20 rows whose first five requests wait for their answers, and its server."""
    with Laboratory() as sim:
        sim.hold()
        run = ask(sim, questions(20), max_concurrent_requests=5)
        sim.wait_received(5)
        yield run, sim
        sim.release()
        run.stop()
        run.wait(10)


def until(run: Run, state: str) -> None:
    while run.status().state != state:
        run.wait(0.01)


def test_at_most_ten_messages_a_second(held, clock, monkeypatch):
    """
    However often it is drawn; each is one message, and the last state always goes out.
    """
    run, _ = held
    monkeypatch.setattr(progress, "Clock", SimpleNamespace(monotonic=clock, wall=clock))
    with recorded() as sent:
        card = RunDashboard(run, ticks=False)
        monkeypatch.setattr(progress, "_display_factory", lambda run: card)
        with progress.TwoBars(run, True) as bars:
            for step in range(1000):
                clock.now = 1000 + step / 1000
                bars.draw()
            assert len(updates(sent)) <= 10

            run.stop()
            until(run, "stopped")

    assert updates(sent)[-1]["view"] == "stopped"
    assert all(
        set(one["data"]["state"]) == {"snapshot"}
        for one in sent
        if one["type"] == "comm_msg" and "state" in one["data"]
    )


def test_nothing_is_sent_when_nothing_changed(held, clock):
    """
    A run that stands still is silent.
    """
    run, _ = held
    run.pause()
    until(run, "paused")
    with recorded() as sent:
        card = RunDashboard(run, ticks=False)
        card.draw(run.status())
        first = len(sent)
        for _ in range(50):
            card.draw(run.status())

    assert len(sent) == first


def test_buttons_act_from_any_thread(held):
    """
    Pause, Resume and Stop only call the run, which may be called from anywhere.
    """
    run, _ = held
    card = RunDashboard(run, ticks=False)

    for name, state in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        clicking = threading.Thread(target=press, args=(card,), kwargs={"do": name})
        clicking.start()
        clicking.join()
        until(run, state)


def test_fields_change_the_limits(held):
    """
    A number sets a limit, an empty field gives it back.
    """
    run, sim = held
    card = RunDashboard(run, ticks=False)

    press(card, do="limit", name="requests in flight", amount=8)
    sim.wait_received(8)
    press(card, do="limit", name="requests per minute", amount=600.0)
    while (found := run.status().pools[0].requests_per_minute) != 600:
        run.wait(0.01)
    assert found == 600

    press(card, do="limit", name="requests per minute", amount=None)
    while run.status().pools[0].requests_per_minute is not None:
        run.wait(0.01)


@pytest.mark.parametrize(
    ("name", "amount", "wrong"),
    [
        ("requests per minute", "5 per second", ""),
        ("requests per minute", "fast", "“fast” is no rate. Write 500, 500k or 5 per second"),
        ("tokens per minute", "0", "“0” is no rate."),
        ("requests in flight", "-5", "“-5” is no number of requests. Write one such as 64"),
    ],
)
def test_a_typed_limit_is_read_or_told_to_be_wrong(held, name, amount, wrong):
    """
    As `max_requests_per_minute` takes it, so does the card; what is wrong is said in words.
    """
    run, _ = held
    with recorded() as sent:
        press(RunDashboard(run, ticks=False), do="limit", name=name, amount=amount)
    contents = [one["data"].get("content", {}) for one in sent if one["type"] == "comm_msg"]
    (answer,) = (content for content in contents if content.get("kind") == "limit")

    assert answer["wrong"].startswith(wrong)
    assert bool(answer["wrong"]) == bool(wrong)
    while not wrong and run.status().pools[0].requests_per_minute != 300:
        run.wait(0.01)


@pytest.mark.parametrize(
    "content",
    [
        {"do": "limit", "name": "requests per minute", "amount": -1},
        {"do": "limit", "name": "requests per minute", "amount": float("nan")},
        {"do": "limit", "name": "requests per minute", "amount": float("inf")},
        {"do": "limit", "name": "requests per minute", "amount": True},
        {"do": "limit", "name": "__class__", "amount": 5},
        {"do": "retry_failed"},
        {"do": "retry", "cause": "Refused"},  # for which no row has failed
        {"do": ["stop"]},
        {},
    ],
)
def test_what_a_page_may_not_ask_is_ignored(held, content):
    """
    Only the card's own words do anything.
    """
    run, _ = held
    card = RunDashboard(run, ticks=False)
    before = run.status().pools

    press(card, **content)

    assert card._parts[MAIN].retries == set()
    assert run.status().state == "running"
    assert run.status().pools == before


def test_a_cell_that_waits_says_so_until_it_is_heard(held):
    """
    Where the kernel hears the page in spite of the cell, the buttons act.
    """
    run, _ = held
    card = RunDashboard(run, ticks=False, holds_kernel=True)
    assert card.snapshot["buttons"]["acts"] == 0

    press(card, do="hello")
    card.draw(run.status())

    assert card.snapshot["buttons"]["acts"] == 1


def test_a_thread_keeps_the_card_true_to_the_end(provider):
    """
    Without any cell driving it, the card becomes the receipt of its run.
    """
    run = ask(provider, questions(5))
    card = RunDashboard(run)
    assert texts(run)
    for thread in threading.enumerate():
        if thread.name == "llmnb-dashboard":
            thread.join(10)

    assert (card.snapshot["view"], card.snapshot["over"]) == ("finished", 1)
    assert "all 5 rows answered" in card.snapshot["line"]
    assert "all 5 rows answered" in card.static()["text/plain"]


def test_the_widget_state_holds_no_key(provider):
    """
    What a notebook could save of a widget names no key, no prompt and no answer.
    """
    run = ask(provider, questions(3), api_key="sk-never-shown")
    run.result(10)
    state = str(RunDashboard(run, ticks=False).get_state())

    assert "sk-never-shown" not in state
    assert "question 0" not in state
    assert len(state) < 100_000


def test_a_card_of_a_run_that_is_over_stays_open_and_is_small(provider, capsys):
    """
    Whoever opens the notebook again finds it in the kernel: a line, no run, and no second script.
    """
    run = ask(provider, questions(3))
    run.result(10)
    with recorded() as sent:
        for _ in range(2):
            card = dashboard.show_card(run, holds_kernel=True)
            card.draw(run.status())
            card.end(run.status())

    states = [one["data"]["state"] for one in sent if one["type"] == "comm_open"]
    assert not any(one["type"] == "comm_close" for one in sent)
    assert sum("esm" in state for state in states) <= 1
    assert len(json.dumps(card.get_state(), default=str)) < 3000
    assert card.run is None
    assert run not in dashboard._shown
    capsys.readouterr()


def test_of_many_finished_cards_the_oldest_are_closed(provider, capsys):
    """
    A kernel that asks for weeks keeps the last 64.
    """
    run = ask(provider, questions(1))
    run.result(10)
    cards = [dashboard.show_card(run, holds_kernel=True) for _ in range(CARDS_KEPT + 2)]

    assert cards[0].comm is cards[1].comm is None
    assert cards[2].comm is not None
    capsys.readouterr()


def test_without_a_kernel_the_bars_are_left_alone(provider):
    """
    A terminal has no page: the factory declines.
    """
    run = ask(provider, questions(1))
    run.result(10)

    assert dashboard.display_for(run) is None


def test_install_and_uninstall(provider, capsys):
    """
    Runs show themselves while it is installed, and are plain objects again afterwards.
    """
    run = ask(provider, questions(1))
    run.result(10)
    events = EventManager(None, available_events)
    ipython = SimpleNamespace(display_formatter=DisplayFormatter(), events=events)
    formatter = ipython.display_formatter.ipython_display_formatter

    dashboard.install(ipython)
    dashboard.install(ipython)
    assert formatter(run) is True
    assert progress._display_factory is dashboard.display_for

    dashboard.uninstall(ipython)
    dashboard.uninstall(ipython)
    assert formatter(run) is None
    assert progress._display_factory is None
    capsys.readouterr()


def test_the_clocks_of_the_engine_are_used():
    """
    Tests that hold the engine's clocks hold the card's.
    """
    assert dashboard.Clock is Clock
