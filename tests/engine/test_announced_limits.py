"""Promises about announced limits in the engine: what is left is spent, and nobody is refused."""

from __future__ import annotations

import pytest
from asking import ask, questions, texts
from laboratory import Laboratory
from laboratory.ledger_queries import worst_window_of

from llmnb import AsyncLLM
from llmnb.decide.announced_limits import HANDFUL
from llmnb.engine.account_limits import AccountLimits
from llmnb.engine.lanes import Lanes
from llmnb.errors import ConfigurationError
from llmnb.records import Limits

FULL = {"requests_per_minute": 500, "burst_seconds": 60}


def seconds_of(sim: Laboratory) -> float:
    """Return the seconds from the first request that came to the last."""
    rows = sim.ledger.rows
    return rows[-1].received - rows[0].received


@pytest.mark.alone
def test_a_full_bucket_is_spent_at_once():
    """
    A hundred rows at 500 a minute, all of it left: no time of the limit's passes, none is refused.
    """
    with Laboratory(latency=0.1, **FULL) as sim:
        assert None not in texts(ask(sim, questions(100)))

        assert sim.ledger.totals().refused == 0
        assert seconds_of(sim) < 4.0  # evenly it is eleven


@pytest.mark.alone
def test_smooth_keeps_a_limit_that_is_announced_evenly():
    """
    As much as the person wants it: a second's worth at once, then one after the other.
    """
    with Laboratory(latency=0.05, **FULL) as sim:
        assert None not in texts(ask(sim, questions(40), burst="smooth"))

        assert sim.ledger.totals().refused == 0
        assert seconds_of(sim) > 2.5


@pytest.mark.alone
def test_a_limit_that_a_person_sets_bounds_what_is_announced():
    """
    However much is left, the person's own figure holds.
    """
    with Laboratory(latency=0.05, **FULL) as sim:
        ask(sim, questions(60), max_requests_per_minute=1200).result(60)

        assert worst_window_of(sim.ledger, 1200).amount <= worst_window_of(sim.ledger, 1200).allowed


def test_a_burst_is_announced_or_smooth():
    """
    Anything else is an error before anything is sent.
    """
    with Laboratory() as sim, pytest.raises(ConfigurationError, match="'smooth'"):
        AsyncLLM(model="m", api_key="k", url=sim.base_url).generate(questions(1), burst="quick")


def test_a_run_that_goes_smoothly_holds_the_account_while_it_lasts():
    """
    Of what several runs say of one account the careful one counts, until it ends.
    """
    account = AccountLimits(Limits(), Lanes(), now=0.0)

    account.claim("quick", Limits(), 0.0)
    account.claim("slow", Limits(burst="smooth"), 0.0)
    assert account.announced.burst == "smooth"
    account.release_claim("slow", 1.0)
    assert account.announced.burst == "announced"


def test_a_handful_goes_first_and_all_of_it_is_announced():
    """
    The line on the card says what the others wait for.
    """
    with Laboratory(**FULL) as sim:
        sim.hold()
        run = ask(sim, questions(30))
        sim.wait_received(HANDFUL)
        waiting = run.status().waiting_on
        sim.release()

        assert None not in texts(run)
        assert waiting.startswith("Waiting on the first replies of openai")


def test_the_status_tells_whose_a_limit_is_and_what_is_left():
    """
    Announced, with what is left of it; given, where a smaller one was given.
    """
    with Laboratory(**FULL) as sim:
        run = ask(sim, questions(5))
        run.result(60)
        [announced] = run.status().pools
        run = ask(sim, questions(1, first=9), max_requests_per_minute=100)
        run.result(60)
        [pool] = run.status().pools

    assert (announced.requests_per_minute, announced.requests_from) == (500.0, "announced")
    assert 490 <= announced.requests_left <= 500
    assert (pool.requests_per_minute, pool.requests_from) == (100.0, "given")


def test_two_runs_at_once_share_what_is_left():
    """
    Sixty in the bucket are thirty for each, and nobody is refused.
    """
    with Laboratory(latency=0.05, requests_per_minute=600, burst_seconds=6) as sim:
        runs = [ask(sim, questions(35, first=first)) for first in (0, 100)]
        assert all(None not in texts(run) for run in runs)

        assert sim.ledger.totals().refused == 0


@pytest.mark.parametrize("headers", [True, False])
def test_it_is_noticed_that_prompt_and_longest_answer_count_together(headers):
    """
    A provider that counts more than we think refuses a handful, not row after row.
    """
    with Laboratory(
        latency=0.02,
        tokens_per_minute=60_000,
        burst_seconds=2,
        charge="sum",
        limit_headers=headers,
    ) as sim:
        limit = None if headers else 60_000
        run = ask(sim, questions(60), params={"max_tokens": 40}, max_tokens_per_minute=limit)
        assert None not in texts(run)

        assert sim.ledger.totals().refused <= 2 * HANDFUL
