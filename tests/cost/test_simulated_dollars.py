"""Promises about simulated dollars: shown as such, and never added to spent ones, in any sum."""

from __future__ import annotations

import dataclasses

import pytest
from snapshots import snapshot

from llmnb import settings
from llmnb.cli import main
from llmnb.cost import CostTracker
from llmnb.engine.cost_events import Paid
from llmnb.engine.counters import Counters
from llmnb.engine.status import StatusSnapshot, StatusTracker
from llmnb.notebook import facts, magics_looking
from llmnb.records import Outcome
from llmnb.store import layout, projects, usage
from llmnb.store.entry import Entry
from llmnb.store.project import open_project

PAID, PLAYED = 0.25, 0.5


def entry(key, usd, simulated):
    """Return a kept answer."""
    return Entry(
        key=key,
        request=b'{"messages":[]}',
        raw=b'{"choices":[]}',
        dialect="openai.chat",
        provider="openai",
        model="gpt-4o-mini",
        quality="good",
        usd=usd,
        prompt_tokens=3,
        completion_tokens=1,
        created=1.0,
        simulated=simulated,
    )


@pytest.fixture
def root(tmp_path):
    """Keep a bought and a simulated answer in a project; return the folder of all projects."""
    settings.configure(cache_dir=tmp_path)
    store = open_project("Mixed", tmp_path)
    store.put(entry("a" * 64, PAID, False))
    store.put(entry("b" * 64, PLAYED, True))
    assert store.flush()
    store.lookup(["a" * 64, "b" * 64])
    return tmp_path


def test_a_run_counts_both_apart():
    """
    Replies, reused rows and models' shares have sums of their own.
    """
    counters = Counters()
    for usd, simulated in ((PAID, False), (PLAYED, True)):
        counters.enter_reply(None, usd, simulated)
        kept = Outcome(row=0, source="cached", saved_usd=usd, simulated=simulated)
        counters.enter(kept)
        counters.on_answer("openai/m", 1.0, 5, usd, simulated)
        counters.enter(Outcome(row=1, provider="openai", model="m", simulated=simulated))
    tracker = counters.tracker

    assert (tracker.usd, tracker.simulated_usd) == (PAID, PLAYED)
    assert (tracker.saved_usd, tracker.simulated_saved_usd) == (PAID, PLAYED)
    assert {share.simulated: share.usd for share in counters.shares()} == {
        False: PAID,
        True: PLAYED,
    }


def statuses():
    """Return a run that was paid for, and a simulated one."""
    usual = dataclasses.replace(snapshot(), shares=())
    paid = dataclasses.replace(usual, counts=StatusTracker(usd=PAID, saved_usd=PAID))
    tracker = StatusTracker(simulated_usd=PLAYED, simulated_saved_usd=PLAYED)
    return paid, dataclasses.replace(usual, counts=tracker, simulated=True)


def test_runs_together_show_both():
    """
    A receipt of several runs and a cluster's status name both, and add neither to the other.
    """
    paid, played = statuses()
    both = StatusSnapshot.merge([paid, played], state="finished", seconds=1.0)

    assert (
        facts.cost(StatusTracker.sum([paid.counts, played.counts]))
        == facts.cost(both.counts)
        == "$0.25 + $0.50 simulated"
    )
    assert both.cost_text == "$0.25 + $0.50 simulated"
    assert both.counts.shown().saved_usd == PAID


def test_a_simulated_run_shows_its_own():
    """
    Where nothing was paid, what it would have cost can be seen.
    """
    _, played = statuses()

    assert facts.cost(played.counts) == played.cost_text == "$0.50"
    assert played.counts.shown().saved_usd == PLAYED


def test_the_tracker_counts_them_apart():
    """
    `lifetime_cost_usd` and `by_model` are what was spent.
    """
    tracker = CostTracker()
    for usd, simulated in ((PAID, False), (PLAYED, True)):
        tracker.record(Paid(provider="openai", model="m", usd=usd, simulated=simulated))

    assert (tracker.lifetime_cost_usd, tracker.simulated_usd) == (PAID, PLAYED)
    assert tracker.by_model == {"openai/m": PAID}


def test_the_spend_log_tells_them_apart(root):
    """
    In this process and in the file, also of one model; logs of before are read by the provider.
    """
    (project,) = layout.stored_projects(root)
    for spent in (usage.spending(project.spend), usage.spending_here(project.spend)):
        assert {sums.simulated: sums.usd for sums in spent} == {
            False: PAID,
            True: PLAYED,
        }

    line = b'{"provider":"sim","model":"m","requests":1,"in":1,"out":1,"usd":9,"unpriced":0}\n'
    old = root / "old.jsonl"
    old.write_bytes(line)
    assert [spending.simulated for spending in usage.spending(old)] == [True]


def test_the_table_of_costs_adds_up_what_was_spent(root):
    """
    `%llm_cost` has a line for what is simulated, and it is in no sum.
    """
    shown = str(magics_looking.spending(root))
    sums = [row for row in shown.splitlines() if "this kernel" in row or "in all" in row]

    assert len(sums) == 2
    assert all("$0.25" in row for row in sums)
    assert "openai/gpt-4o-mini (simulated)" in shown
    assert "$0.75" not in shown
    assert "are in no sum" in shown


def test_a_project_is_worth_what_was_bought(root, capsys):
    """
    What buying its answers again costs, and what they have saved, on the command line too.
    """
    (summary,) = projects.list_projects(root)
    main(["cache", "--cache-dir", str(root), "list"])

    assert (summary.usd, summary.saved_usd, summary.answers) == (PAID, PAID, 2)
    assert "$0.75" not in capsys.readouterr().out
