"""Promises of the cards of scores, comparisons and shares in a real browser."""

from __future__ import annotations

import pandas as pd
import pytest

import llmnb
from llmnb.evaluation.comparison_card import ComparisonCard, RankedRival
from llmnb.evaluation.scores import rank

pytestmark = pytest.mark.browser

TEXT = "The kettle came back on the 2nd, and I have not seen a cent of my money since. " * 2

OVERFLOW = """() => [...document.querySelectorAll("main, main *")]
  .filter((one) => one.localName == "main" || getComputedStyle(one).overflowX != "visible")
  .filter((one) => one.scrollWidth > one.clientWidth + 4)
  .map((one) => `${one.scrollWidth} of ${one.clientWidth}: ${one.textContent.slice(0, 60)}`)"""
"""What is cut, or stands out further than the half of a dot at the end of its axis."""


PARTED = """() => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), parted = [];
  while (texts.nextNode()) {
    for (const found of texts.currentNode.data.matchAll(/[0-9] %/g)) {
      const range = document.createRange();
      range.setStart(texts.currentNode, found.index);
      range.setEnd(texts.currentNode, found.index + 3);
      const pieces = [...range.getClientRects()].filter((piece) => piece.width);
      if (new Set(pieces.map((piece) => piece.top)).size > 1) parted.push(texts.currentNode.data);
    }
  }
  return parted;
}"""
"""Figures whose percent sign stands on the next line."""


def cards() -> list[str]:
    """Return cards with names of all lengths."""
    llmnb.register_accessor("llm")
    short = ["billing", "delivery", "returns", "account", "other"] * 8
    long = [f"a rather long label of number {number % 14} in the table" for number in range(42)]
    shown = []
    for labels in (short, long):
        frame = pd.DataFrame({"text": TEXT, "label": labels}, index=range(1200, 1200 + len(labels)))
        truth = [None if place % 9 == 8 else label for place, label in enumerate(labels[1:])]
        shown.append(frame.llm.score("label", [*labels[:1], *truth]))
    shown.append(pd.DataFrame({"label": short}).llm.shares("label", [*short[:30], *[None] * 10]))
    prices = pd.DataFrame({"price": [float(place) for place in range(40)], "text": TEXT})
    shown.append(prices.llm.score("price", [19.5] * 40))
    answers = [short, [*short[1:], "billing"], [*short[:20], *["other"] * 20]]
    rivals = rank(answers, short)
    names = ["openai/gpt-5-mini, prompt 2", "local/smollm2", "short"]
    comparison = ComparisonCard(
        rivals=[
            RankedRival(names[rival.number], rival, failed=2, usd_per_row=0.0112, seconds=12.5)
            for rival in rivals
        ],
        rows=40,
        whole=2400,
        disputed=[["1,204", "returns", "billing", "delivery", "returns", TEXT]],
        others_disputed=12,
    )
    return [*(card._repr_html_() for card in shown), comparison.html()]


@pytest.mark.parametrize("width", [480, 900])
def test_no_figure_is_cut(browser, width):
    """
    In a page of 480 pixels, of which a notebook's margins take 46, as in one of 900.
    """
    page = browser.new_page(viewport={"width": width - 46, "height": 800})
    pieces = "".join(f"<main>{card}</main>" for card in cards())
    page.set_content(f"<!doctype html><style>body {{ margin: 0 }}</style>{pieces}")
    assert page.locator("main").count() == 5
    assert page.evaluate(OVERFLOW) == []


def test_no_figure_is_parted_from_its_percent_sign(browser):
    """
    In a page of any width from 260 pixels: where a sign is parted, it is over 20 of them.
    """
    page = browser.new_page()
    page.set_content("<!doctype html>" + "".join(f"<main>{card}</main>" for card in cards()))
    for width in range(260, 520, 4):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(PARTED) == [], width
