"""Promises of `df.llm.plan`: the figures of the run that `generate` would make."""

from __future__ import annotations

import pandas as pd


def test_a_plan_tells_what_generate_would_do(sim):
    """
    And sends nothing.
    """
    frame = pd.DataFrame({"text": ["a", "a", None, "b", "c"]})
    frame.head(1).llm.generate("text")
    sent = len(sim.ledger.received)

    plan = frame.llm.plan("text", max_requests_per_minute=2, budget_usd=1.5)

    assert (plan.rows, plan.empty, plan.merged, plan.kept, plan.to_ask) == (5, 1, 1, 1, 2)
    assert plan.minutes == 1.0
    assert plan.budget_usd == 1.5
    assert len(sim.ledger.received) == sent


def test_a_plan_can_be_started(sim, asked):
    """
    Over a few rows, whose answers the whole run then reuses.
    """
    frame = pd.DataFrame({"text": [None, "a", "b", "c"]})
    plan = frame.llm.plan("text", into="said")

    answers = plan.start(2).result(60)
    assert answers["said"].fillna("?").tolist() == ["?", "> a", "> b", "?"]
    assert plan.start().result(60)["said"].fillna("?").tolist() == ["?", "> a", "> b", "> c"]
    assert len(asked) == 3


def test_samples_are_planned_as_requests(sim):
    """
    Rows stay rows.
    """
    plan = pd.DataFrame({"text": ["a", "b", None]}).llm.plan("text", n=3)

    assert (plan.rows, plan.samples, plan.to_ask, plan.empty) == (3, 3, 6, 1)
    assert "3 answers each" in str(plan)
