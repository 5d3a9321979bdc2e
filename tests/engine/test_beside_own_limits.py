"""Promises to a run whose rows a slower run waits to ask as well."""

from __future__ import annotations

import time

from asking import ask, questions, texts

from llmnb.testing import SimulatedProvider


def until(holds) -> None:
    """Wait until something holds, ten seconds at most."""
    end = time.monotonic() + 10.0
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_rate_of_a_run_holds_back_no_other_that_wants_the_same_row():
    """
    The other one asks it at once; the slow run finds the answer, and the row is bought once.
    """
    with SimulatedProvider(reply=lambda prompt: prompt) as sim:
        slow = ask(sim, questions(4), max_requests_per_minute=60)
        until(lambda: slow.status().counts.num_rows_done == 1)
        other = ask(sim, questions(4))

        assert texts(other) == [f"question {row}" for row in range(4)]
        assert not slow.is_done
        assert texts(slow) == [f"question {row}" for row in range(4)]
        assert [sim.ledger.count(f"question {row}") for row in range(4)] == [1] * 4
