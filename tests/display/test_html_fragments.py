"""Promises about the pieces of pages without a script: whatever they are given is text."""

from __future__ import annotations

import re

from markup import PAYLOADS, Census, about

from llmnb.display import html_fragments


def parts(text: str) -> dict[str, str]:
    """Return each kind of piece with a text in one of its places."""
    return {
        "a line": html_fragments.line(text),
        "the stressed words": html_fragments.headline(text, "x"),
        "the words behind them": html_fragments.headline("x", text),
        "what a bar says": html_fragments.bar([("reused", 0.5)], text),
        "the head of a table": html_fragments.figure_table([text, text], [["x", "x"]]),
        "a cell": html_fragments.table([[html_fragments.cell(text, head="row")]]),
        "stressed words inside": html_fragments.box(html_fragments.strong(text), name="one"),
        "its cells": html_fragments.figure_table(["x", "x"], [[text, text]]),
    }


def test_every_piece_takes_text_for_text():
    """
    No element, attribute or comment comes from a text, and no control, in any place of a piece.
    """
    plain = {name: Census(html) for name, html in parts("x").items()}
    for payload in PAYLOADS:
        for name, html in parts(payload).items():
            with about(f"{name}: {payload}"):
                census = Census(html)

                assert census.elements == plain[name].elements
                assert census.attributes == plain[name].attributes
                assert census.others == census.open == []
                assert not set(html) & set("\x00\x07\x1b\r\u202e\u2028")
                assert html.count("\n") == parts("x")[name].count("\n")


def test_what_stands_beside_a_text_of_several_lines_stands_at_its_top():
    """
    JupyterLab centres cells, so that a status would stand below the line that it is about.
    """
    rows = [["a sentence that is too long for one line", "answered", 3], ["a word", "failed", 1]]
    _, _, tall, low = html_fragments.figure_table(["text", "", ""], rows).split("<tr")

    assert tall.count("vertical-align:top") == 3
    assert "vertical-align" not in low


def test_a_bar_keeps_its_colours_where_patterns_are_taken_out():
    """
    Pages that do not trust a notebook drop gradients and variables; a plain colour stands before.
    """
    for name in ("reused", "merged", "answered", "failed", "rest"):
        for html in (html_fragments.bar([(name, 1.0)]), html_fragments.small_bar([(name, 1.0)])):
            style = Census(html).values[-1].split(";")
            colours = [rule for rule in style if rule.startswith("background")]

            assert re.fullmatch(r"background(-color)?:(#[0-9a-f]{6}|rgba\([\d.,]+\))", colours[0])
