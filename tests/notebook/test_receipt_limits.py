"""Promises about limits on the receipt: how much, whose, and what is not believed."""

from __future__ import annotations

from markup import Census
from snapshots import pool, snapshot

from llmnb.notebook import receipt
from llmnb.notebook.receipt import Entry

ODD = "what is told to be left does not fall by what is sent"


def lines_of(**how) -> str:
    """Return the receipt of a run at one target, as a page shows it."""
    status = snapshot(state="finished", pools=(pool(**how),))
    return Census(receipt.html([Entry(status=status)])).text


def test_the_receipt_tells_whose_the_limits_were():
    """
    Announced, given, or found by trying.
    """
    text = lines_of(requests_from="announced", tokens_from="given")

    assert "gpt-5-mini: 500 requests/min (announced), 500,000 tokens/min (given)" in text
    assert "500 requests/min (found by trying)" in lines_of(requests_from="found")


def test_an_announcement_that_is_distrusted_has_one_line_with_the_cause():
    """
    And none where everything is believed.
    """
    text = lines_of(requests_from="announced", distrust=ODD)

    assert f"kept evenly: {ODD}" in text
    assert "kept evenly" not in lines_of(requests_from="announced")


def test_a_run_without_limits_says_nothing_of_them():
    """
    A heading with nothing below it tells nobody anything.
    """
    assert "Limits" not in lines_of(requests_from="", tokens_from="")
