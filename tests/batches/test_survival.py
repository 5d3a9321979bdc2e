"""Promises about batches that outlive whoever submitted them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from children import started

import llmnb
from llmnb import bridge
from llmnb.batches import attaching, records, service
from llmnb.batches.poller import pollers
from llmnb.batches.start import start_batch
from llmnb.errors import ConfigurationError, StoreError

_SUBMIT = """
import os, sys, llmnb
from llmnb.batches.start import start_batch
from llmnb.running.asking import Asking
asking = Asking(model=sys.argv[1], params={"max_tokens": 50})
run = start_batch([{"prompt": letter} for letter in ("a", "b", "c")], asking)
print(run.run_id, flush=True)
run.wait()
"""


def texts(run):
    return [outcome.text for outcome in run.result(30)]


def forget_pollers():
    """Do as a new process would: nothing in memory knows of any batch."""

    async def clear():
        known = pollers()
        for poller in list(known.values()):
            await poller.close()
        known.clear()

    bridge.call(clear())


def left_at_the_provider(start, sim, *prompts):
    sim.batches.script.polls = 10**9
    run = start(*prompts)
    until_polled(sim, run)
    run.stop()
    run.wait(30)
    forget_pollers()
    return run


def until_polled(sim, run):
    while not sim.batches.polls:
        run.wait(0.01)


def test_a_killed_process_loses_nothing(asking, sim, cache):
    """Killed while the provider works, the run is found, attached to and complete; one batch."""
    sim.batches.script.polls = 10**9
    with started(
        [sys.executable, "-c", _SUBMIT, asking.model],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "LLMNB_CACHE_DIR": str(cache)},
    ) as process:
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        while not sim.batches.polls:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    sim.batches.script.polls = 0
    [note] = llmnb.runs()
    assert (note.run_id, note.state, note.rows) == (run_id, "under way", 3)
    run = llmnb.attach(run_id)
    assert texts(run) == ["> a", "> b", "> c"]
    assert len(sim.batches.batches) == 1
    assert llmnb.runs()[0].state == "finished"
    assert all(outcome.usd > 0 for outcome in run.result())


def test_the_same_call_again_waits_for_the_same_batch(start, sim):
    """Stopped and run again, a cell submits only what no batch under way asks."""
    sim.batches.script.polls = 10**9
    first = start("a", "b")
    until_polled(sim, first)
    first.stop()
    assert [type(outcome.error).__name__ for outcome in first.result(30)] == ["Stopped", "Stopped"]
    assert first.run_id in first.failures()[0].error.message
    assert first.status().state == "stopped"
    forget_pollers()
    second = start("b", "a", "c")
    sim.batches.script.polls = 0
    assert texts(second) == ["> b", "> a", "> c"]
    assert [len(batch.requests) for batch in sim.batches.batches.values()] == [2, 1]


def test_an_answer_that_comes_while_a_run_begins_is_not_bought_again(start, sim, monkeypatch):
    """What an earlier run saves at the moment when the next one looks around is found by it."""
    sim.batches.script.polls = 10**9
    first = start("a")
    until_polled(sim, first)
    read = records.open_parts

    def open_parts(folder):
        sim.batches.script.polls = 0
        first.result(30)
        return read(folder)

    monkeypatch.setattr(records, "open_parts", open_parts)
    assert texts(start("a")) == ["> a"]
    assert len(sim.batches.batches) == 1


def test_a_stop_says_once_how_to_go_on(start, sim, caplog):
    """The line names the run to attach to; further stops say nothing."""
    sim.batches.script.polls = 10**9
    run = start("a")
    until_polled(sim, run)
    run.stop()
    run.cancel()
    run.wait(30)
    run.stop()
    report = [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]
    assert [f"llmnb.attach('{run.run_id}')" in case for case in report] == [True]


def test_a_stop_before_the_submission_does_not_claim_it(start, sim, monkeypatch, caplog):
    """Neither the line nor the rows' errors say that the batch goes on at the provider."""
    began = threading.Event()

    async def create(self, part):
        began.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(service.Service, "create", create)
    run = start("a")
    assert began.wait(30)
    run.stop()
    report = [*caplog.messages, run.result(30)[0].error.message]
    assert len(report) == 2
    for message in report:
        assert "may not be submitted yet" in message
        assert f"llmnb.attach({run.run_id!r})" in message
    forget_pollers()


_LEAVE = """
import sys
from llmnb.batches.start import start_batch
from llmnb.running.asking import Asking
run = start_batch([{"prompt": "a"}], Asking(model=sys.argv[1], params={"max_tokens": 50}))
while not run.status().in_flight:
    run.wait(0.01)
"""


def test_a_process_that_ends_says_how_to_go_on(asking, sim, cache):
    """A script that ends while its batch is under way says so in one line, and nothing else."""
    sim.batches.script.polls = 10**9
    done = subprocess.run(
        [sys.executable, "-c", _LEAVE, asking.model],
        env={**os.environ, "LLMNB_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    [note] = llmnb.runs()
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        f"Batch run {note.run_id} goes on at the provider and will be billed: "
        f"llmnb.attach({note.run_id!r}) or the same call again waits for it.\n"
    )
    assert note.state == "under way"


def test_a_step_that_breaks_at_the_end_is_no_error(start, sim, monkeypatch):
    """A poller whose step ends in any error while the process ends is closed all the same."""
    sim.batches.script.polls = 10**9

    async def look(self, batch):
        try:
            await asyncio.sleep(3600)
        finally:
            raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr(service.Service, "look", look)
    run = start("a")
    while not run.status().in_flight:
        run.wait(0.01)
    forget_pollers()
    with pytest.raises(RuntimeError):
        run.result(30)


def test_two_runs_of_a_process_share_a_batch(start, sim):
    """Two runs that ask the same at once submit it once and both have the answers."""
    sim.batches.script.polls = 3
    first, second = start("a", "b"), start("a", "b")
    assert texts(first) == texts(second) == ["> a", "> b"]
    assert len(sim.batches.batches) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_process_that_died_while_it_submitted(start, sim, moment):
    """Whether the batch was made or not, attaching ends with exactly one."""
    run = left_at_the_provider(start, sim, "a", "b")
    folder = records.root(Path(os.environ["LLMNB_CACHE_DIR"])) / run.run_id
    part = records.part_named(folder.parent, f"{run.run_id}/0")
    part.save(state="submitting", batch=None)
    if moment == "before":
        sim.batches.batches.clear()
    sim.batches.script.polls = 0
    assert texts(llmnb.attach(run.run_id)) == ["> a", "> b"]
    assert len(sim.batches.batches) == 1


def test_an_attached_run_knows_cached_failed_and_wrong_rows(start, asking, sim):
    """Every row has its outcome again: from the store, from the batch, or why it has none."""
    start("a").result(30)
    rows = [{"prompt": "a"}, {"prompt": "fail b"}, {"nothing": 1}, {"prompt": "c"}]
    run = start_batch(rows, asking)
    run.result(30)
    forget_pollers()
    attached = llmnb.attach(run.run_id)
    again = attached.result(30)
    assert [outcome.text for outcome in again] == ["> a", None, None, "> c"]
    assert again[0].source == "cached"
    assert [type(outcome.error).__name__ for outcome in again[1:3]] == [
        "RequestRejected",
        "InputError",
    ]
    with pytest.raises(ConfigurationError, match="same cell"):
        attached.retry_failed()


def test_no_key_is_written_down_and_no_prompt_stays(start, sim, cache, monkeypatch, provider):
    """Records hold no key; the requests' texts go once the results are kept; files are private."""
    secret = "sk-very-secret-1234567890"
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", secret)
    run = start("a prompt of mine")
    run.result(30)
    files = [path for path in (cache / records.FOLDER).rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        assert secret.encode() not in content
        assert b"prompt of mine" not in content or path.suffix == ".jsonl"
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("front", "query"), [("", "?api_key={}"), ("me:{}@", "")])
def test_no_secret_of_an_address_is_written_down(
    start, sim, cache, monkeypatch, provider, front, query
):
    """Neither a key in its query nor a password; it is attached to by the address of today."""
    hidden = "pw-very-secret-1234567890"
    address = sim.base_url.replace("//", f"//{front.format(hidden)}") + query.format(hidden)
    monkeypatch.setenv(f"{provider.upper()}_BASE_URL", address)
    run = start("a")
    run.result(30)
    for path in (cache / records.FOLDER).rglob("*.json"):
        assert hidden not in path.read_text()
    if not front:
        forget_pollers()
        assert texts(run) == texts(llmnb.attach(run.run_id)) == ["> a"]


def test_a_strangers_batch_is_not_taken_for_ours_twice(start, sim, cache):
    """A batch of as many requests that bears other ids is set aside; then the run is asked."""
    run = left_at_the_provider(start, sim, "a")
    part = records.part_named(cache / records.FOLDER, f"{run.run_id}/0")
    [batch] = sim.batches.batches.values()
    batch.requests = [("somebody-else", *batch.requests[0][1:])]
    part.save(state="submitted", batch=batch.name)
    sim.batches.script.polls = 0
    assert "not ours" in str(llmnb.attach(run.run_id).result(30)[0].error)
    forget_pollers()
    batch.metadata = None
    assert texts(llmnb.attach(run.run_id)) == ["> a"]
    assert len(sim.batches.batches) == 2


def test_a_name_is_no_path(cache):
    """Names that lead elsewhere, and names of nothing, are refused with what to do."""
    for name in ("../other", "no-such-run", "/etc"):
        with pytest.raises(ConfigurationError, match=r"llmnb\.runs"):
            llmnb.attach(name)


def test_a_finished_run_can_be_forgotten(start, sim):
    """Its record goes, its answers stay; one that is under way is not forgotten."""
    sim.batches.script.polls = 10**9
    run = start("a")
    with pytest.raises(ConfigurationError, match="under way"):
        attaching.forget(run.run_id)
    sim.batches.script.polls = 0
    assert texts(run) == ["> a"]
    attaching.forget(run.run_id)
    assert list(llmnb.runs()) == []
    assert start("a").result(30)[0].source == "cached"


@pytest.mark.parametrize("days", [1, 40])
def test_a_batch_that_the_provider_does_not_know(start, sim, cache, days):
    """A young one may be another account's, so it stays; an old one is gone and asked anew."""
    run = left_at_the_provider(start, sim, "a")
    part = records.part_named(cache / records.FOLDER, f"{run.run_id}/0")
    part.save(since=part.standing.since - days * 86400)
    sim.batches.batches.clear()
    sim.batches.script.polls = 0
    again = start("a").result(30)
    assert again[0].error is not None
    is_open = llmnb.runs()[0].state == "under way"
    assert is_open == (days == 1)
    if is_open:
        attaching.forget(run.run_id, even_if_open=True)
        forget_pollers()
    assert texts(start("a")) == ["> a"]


def test_damaged_requests_do_not_cost_their_answers(start, sim, cache):
    """The rows say as well what was asked: an answer is kept though its request is gone."""
    run = left_at_the_provider(start, sim, "a", "b")
    requests = cache / records.FOLDER / run.run_id / "part-0000.jsonl"
    requests.write_bytes(requests.read_bytes()[:40])
    sim.batches.script.polls = 0
    assert texts(llmnb.attach(run.run_id)) == ["> a", "> b"]
    assert [outcome.source for outcome in start("a", "b").result(30)] == ["cached", "cached"]


@pytest.mark.parametrize("name", ["part-0000.json", "rows.jsonl"])
@pytest.mark.parametrize("content", [b"", b'{"state": "subm', b"[1]"])
def test_a_damaged_record_is_reported_and_harms_no_other(start, sim, cache, name, content, caplog):
    """Other runs go on and are listed, who attaches is told, and what may be paid for again."""
    run = left_at_the_provider(start, sim, "a", "b")
    (cache / records.FOLDER / run.run_id / name).write_bytes(content)
    sim.batches.script.polls = 0
    assert texts(start("c")) == ["> c"]
    assert f"{name} of batch run {run.run_id} cannot be read" in caplog.text
    assert "paid for, again" in caplog.text
    assert {note.run_id for note in llmnb.runs()} > {run.run_id}
    with pytest.raises(StoreError, match=f"{name} of batch run"):
        llmnb.attach(run.run_id)
    attaching.forget(run.run_id, even_if_open=True)


def test_runs_lists_without_asking_anybody(start, sim, cache):
    """`runs` reads what is written down; it says so where there is nothing."""
    assert repr(llmnb.runs()) == "no runs"
    run = start("a")
    run.result(30)
    polls = len(sim.batches.polls)
    assert run.run_id in repr(llmnb.runs())
    assert len(sim.batches.polls) == polls


def test_the_key_of_a_provider_never_goes_to_a_strangers_address(asking, sim, cache, monkeypatch):
    """Attached where the address is no longer the provider's, no key is found for it."""
    sim.batches.script.polls = 10**9
    run = start_batch([{"prompt": "a"}], asking)
    until_polled(sim, run)
    run.stop()
    run.wait(30)
    forget_pollers()
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    sim.batches.script.polls = 0
    if asking.model.startswith("openai"):
        again = llmnb.attach(run.run_id)
        assert type(again.result(30)[0].error).__name__ == "AuthenticationError"
        forget_pollers()
    assert texts(llmnb.attach(run.run_id, api_key="k-1")) == ["> a"]
