"""Promises about the card of a batch run and the list of runs: true, static, and only text."""

from __future__ import annotations

import pytest
from markup import PAYLOADS, Census, about
from shells import new_shell

import llmnb
from llmnb.batches.listing import RunList, RunNote
from llmnb.engine.status import FailureCause, StatusSnapshot, StatusTracker
from llmnb.notebook import dashboard

openai_only = pytest.mark.parametrize("provider", ["openai"], indirect=True)
"""The page does not know the protocol."""


def text(html):
    return Census(html).text


def until_polled(sim, run):
    while not sim.batches.polls:
        run.wait(0.01)


@openai_only
def test_the_card_of_a_running_batch_says_how_far_and_what_to_type_later(start, sim):
    """State, rows, the provider's name of the batch, what it waits on, and how to attach."""
    start("a").result(30)
    sim.batches.script.polls = 10**9
    sim.batches.polls.clear()
    run = start("a", "b", "c")
    until_polled(sim, run)
    said = text(run._repr_html_())
    run.stop()
    assert "1 of 3 rows running" in said
    assert f"llmnb.attach('{run.run_id}')" in said
    assert "the provider's batch: 0 of 2 done" in said
    assert "batch_" in said


@openai_only
def test_a_finished_card_tells_failures_and_cost(start):
    """What was answered and what failed, by cause; and how the failed rows are tried again."""
    run = start("a", "fail b", "a")
    run.result(30)
    said = text(run._repr_html_())
    assert "3 of 3 rows finished" in said
    assert "1, 1 RequestRejected" in said
    assert "half of what it costs to ask now" in said
    assert "llmnb.last_run().retry_failed()" in said


def hostile(payload):
    """Return a run in which everything that is text holds the payload."""
    return StatusSnapshot(
        state="running",
        total=1,
        launched=1,
        completed=1,
        counts=StatusTracker(num_tasks_failed=1),
        causes=(FailureCause(kind=payload, words=payload, rows=1, first_row=0, example=payload),),
        waiting_on=payload,
        in_flight=0,
        seconds=1.0,
        project=payload,
        models={},
        simulated=True,
    )


def note(payload):
    """Return a run that is written down, in which everything that is text holds the payload."""
    names = ("run_id", "state", "verb", "prompt", "column", "model", "project")
    return RunNote(**dict.fromkeys(names, payload), rows=1, begun=0.0, batches=(payload,))


def test_whatever_stands_in_it_is_text():
    """Names of projects and models, words of providers: nothing of them is markup."""
    known = {"div", "p", "strong", "table", "tr", "th", "td", "code", "span"}
    for payload in PAYLOADS:
        with about(payload):
            whole = hostile(payload).page(asked=payload, facts={payload: payload}, foot=payload)
            whole += RunList([note(payload)])._repr_html_()
            outcome = Census(whole)
            assert outcome.elements <= known
            assert outcome.attributes <= {
                *("class", "style", "align", "cellpadding", "scope", "aria-hidden")
            }
            assert outcome.others == outcome.open == []


@openai_only
def test_the_list_of_runs_is_a_table(start, cache):
    """Each run with its state and model; where there is none, how one begins."""
    assert "df.llm.generate" in text(llmnb.runs()._repr_html_())
    run = start("a")
    run.result(30)
    said = text(llmnb.runs()._repr_html_())
    assert run.run_id in said
    assert "finished" in said
    assert "openai/gpt-4o-mini" in said


@openai_only
def test_a_batch_is_followed_in_a_widget_too(start, sim):
    """The card changes as the batch goes on, and says how it ended; no button stands on it."""
    sim.batches.script.polls = 10**9
    run = start("a")
    until_polled(sim, run)
    card = dashboard.RunDashboard(run, ticks=False)
    assert "running" in card.snapshot["html"]
    assert "buttons" not in card.snapshot
    sim.batches.script.polls = 0
    run.result(30)
    card.end(run.status())
    assert "finished" in card.snapshot["html"]
    assert "finished" in card.static()["text/html"]
    assert card.state == "finished"


@openai_only
def test_llm_status_shows_the_batch_run(start):
    """The magic shows whatever began last, a batch run too; a waiting cell gets its card."""
    run = start("a")
    run.result(30)
    assert llmnb.last_run() is run
    assert run.is_batch
    with new_shell() as shell:
        shell.ip.extension_manager.load_extension("llmnb")
        assert run.run_id in shell.run("%llm_status").shown[0]["text/plain"]


@openai_only
def test_a_live_run_has_its_dashboard(start, asking):
    """What is asked now is not taken for a batch."""
    from llmnb.running.start import start as start_live

    run = start_live([{"prompt": "a"}], asking)
    run.result(30)
    assert not run.is_batch
