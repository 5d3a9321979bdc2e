"""Promises about the sentence that says why a run is not faster."""

from __future__ import annotations

import pytest

from llmnb.engine.run import waiting_on


@pytest.mark.parametrize(
    ("state", "in_flight", "sentence"),
    [
        ("paused", 0, "Waiting on you. Nothing is sent."),
        ("paused", 1, "Waiting on you. 1 request in flight is still stored; nothing new is sent."),
        (
            "paused",
            3,
            "Waiting on you. 3 requests in flight are still stored; nothing new is sent.",
        ),
        ("stopping", 1, "Stopping: 1 answer in flight is being stored."),
        ("stopping", 12, "Stopping: 12 answers in flight are being stored."),
        ("running", 0, "Looking up what is already answered."),
        ("running", 2, "Waiting on replies."),
        ("finished", 0, ""),
    ],
)
def test_a_single_request_is_not_named_as_several_are(state, in_flight, sentence):
    """
    Nothing in flight, one, and several each have their own sentence.
    """
    assert waiting_on(state, [], in_flight=in_flight, now=0.0, others={}) == sentence


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({"others": {"process": 1}}, "another process, which asks 1 row of this run."),
        (
            {"others": {"process": 0, "run": 2000}},
            "another run, which asks 2,000 rows of this run.",
        ),
        (
            {"in_flight": 3, "others": {"process": 2, "run": 1}},
            "replies, and on another process, which asks 2 rows of this run, "
            "and on another run, which asks 1 row of this run.",
        ),
    ],
)
def test_who_else_asks_the_rows_is_named(counts, sentence):
    """
    Another process and another run of this one are told apart.
    """
    said = waiting_on("running", [], **{"in_flight": 0, "now": 0.0, **counts})

    assert said == f"Waiting on {sentence}"
