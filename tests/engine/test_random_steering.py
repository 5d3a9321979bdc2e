"""Promises that hold whatever is done to runs, in whatever order, beside whatever failures."""

from __future__ import annotations

import random
import threading
from collections import Counter

import pytest
from asking import ask, kinds, questions
from laboratory import Laboratory
from laboratory.hostile_replies import truncated_json
from short_waits import shorten_waits

from llmnb.records import Limits
from llmnb.testing import faults, prompt_hash
from llmnb.testing.request import uniform

ROWS = 60
"""Questions that all runs choose from, so that several want the same."""

PLACES = 4
"""What binds all runs together."""

FAULTS = (
    *(500, 503, 529, 400, "rate_limited", "reset", "closed", "html", "garbage", "content_filter"),
    *("lost_reply", "short_body", truncated_json()),
    faults.status(429, retry_after=0),
    faults.status(503, retry_after=0.02),
)

ACTS = (
    *("start", "start", "start", "pause", "resume", "stop", "retry", "limits"),
    *("hold", "release", "release some", "fail", "be well", "serve some"),
)


class Steering:
    """Does things at random to runs and to their provider, and remembers what.

    Args:
        sim: The provider.
        seed: Decides everything but when replies come.
    """

    def __init__(self, sim, seed):
        self.sim = sim
        self.seed = seed
        self.dice = random.Random(seed)
        self.runs = []
        """Runs with their questions' numbers; those of retries have none."""

        self.log = []
        self._never = threading.Event()

    def act(self):
        """Do one thing, then nothing for a moment."""
        what = self.dice.choice(ACTS)
        self.log.append(what)
        getattr(self, f"_{what.replace(' ', '_')}", self._to_a_run)(*self._arguments(what))
        self._never.wait(self.dice.choice((0, 0, 0.002, 0.01, 0.03)))

    def _arguments(self, what):
        return (what,) if what in ("pause", "resume", "stop", "limits") else ()

    def _start(self):
        if sum(not run.is_done for run, _ in self.runs) >= 5:
            return
        many, dice = self.dice.choice((1, 7, 30)), self.dice
        first = dice.randrange(ROWS - many + 1)
        run = ask(
            self.sim,
            questions(many, first=first),
            max_concurrent_requests=dice.choice((None, 1, 3)),
            max_requests_per_minute=dice.choice((None, None, 6000)),
            max_wait=dice.choice((0.2, 5, None)),
            account=Limits(concurrency=PLACES),
        )
        self.runs.append((run, range(first, first + many)))

    def _to_a_run(self, what):
        live = [run for run, _ in self.runs if not run.is_done]
        if not live:
            return
        run = self.dice.choice(live)
        if what == "limits":
            run.set_limits(max_concurrent_requests=self.dice.randrange(1, PLACES + 1))
        else:
            getattr(run, what)()

    def _retry(self):
        failed = [run for run, _ in self.runs if run.is_done and run.failures()]
        if failed:
            self.runs.append((self.dice.choice(failed).retry_failed(), None))

    def _hold(self):
        self.sim.hold()

    def _release(self):
        self.sim.release()

    def _release_some(self):
        self.sim.release(self.dice.randrange(5))

    def _fail(self):
        rate, chosen, seed = self.dice.choice((0.1, 0.5, 1)), self.dice.sample(FAULTS, 3), self.seed

        def fault(request):
            if uniform(seed, request.number, 9) < rate:
                return chosen[int(uniform(seed, request.number, 10) * len(chosen))]
            return None

        self.sim.set_faults(fault)

    def _be_well(self):
        self.sim.set_faults(None)

    def _serve_some(self):
        self.sim.set_limits(concurrency=self.dice.choice((None, 2, 8)))

    def leave(self):
        """Let the provider be well and every run go on, but for one that is left paused."""
        self.sim.set_faults(None)
        self.sim.set_limits()
        self.sim.release()
        paused = self.dice.choice(self.runs)[0]
        paused.pause()
        others = [run for run, _ in self.runs if run is not paused]
        for run in others:
            run.resume()
        still = [run.status() for run in others if not run.wait(30)]
        assert not still, (self.seed, "beside a paused run", still, self.log)
        paused.resume()
        assert paused.wait(30), (self.seed, "resumed", paused.status(), self.log)


def steer(seed, steps):
    """Do so many things, then look at everything that was promised."""
    with Laboratory(latency=0.005, seed=seed, reply=lambda prompt: prompt) as sim:
        steering = Steering(sim, seed)
        steering._start()
        for _ in range(steps):
            steering.act()
        steering.leave()
        for run, asked in steering.runs:
            if asked is None:
                continue
            outcomes = run.result(1)
            assert [outcome.row for outcome in outcomes] == list(range(len(asked))), seed
            for outcome, number in zip(outcomes, asked, strict=True):
                assert outcome.error is not None or outcome.text == f"question {number}", seed
        sim.wait_idle()
        assert sim.ledger.totals().max_in_flight <= PLACES, seed
        assert kinds(ask(sim, questions(ROWS))) == [""] * ROWS, seed

        good = Counter(
            request.prompt_hash
            for request in sim.ledger.rows
            if request.end == "finished" and request.fault is None
        )
        assert good == {prompt_hash(f"question {row}"): 1 for row in range(ROWS)}, seed


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Wait hundredths of seconds where a run would wait seconds."""
    shorten_waits(monkeypatch, 25)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_done_to_runs_they_end_and_buy_no_row_twice(seed):
    """
    Rows in are rows out, each answer is its question's, and the account's limit holds.
    """
    steer(seed, steps=40)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_whatever_is_done_for_longer_they_end_and_buy_no_row_twice(seed):
    """
    The same over many more orders of events.
    """
    steer(seed, steps=80)
