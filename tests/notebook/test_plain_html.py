"""Promises about the pieces of pages without a script: whatever they are given is text."""

from __future__ import annotations

from markup import PAYLOADS, Census, about

from llmnb.notebook import plain_html


def parts(text: str) -> dict[str, str]:
    """Return each kind of piece with a text in one of its places."""
    return {
        "a line": plain_html.line(text),
        "the stressed words": plain_html.headline(text, "x"),
        "the words behind them": plain_html.headline("x", text),
        "what a rail says": plain_html.rail([("reused", 0.5)], text),
        "the head of a table": plain_html.table([text, text], [["x", "x"]]),
        "its cells": plain_html.table(["x", "x"], [[text, text]]),
    }


def test_every_piece_takes_text_for_text():
    """
    No element, attribute or comment comes from a text, and no control, in any place of a piece.
    """
    plain = {place: Census(html) for place, html in parts("x").items()}
    for payload in PAYLOADS:
        for place, html in parts(payload).items():
            with about(f"{place}: {payload}"):
                found = Census(html)

                assert found.elements == plain[place].elements
                assert found.attributes == plain[place].attributes
                assert found.others == found.open == []
                assert not set(html) & set("\x00\x07\x1b\n\r\u202e\u2028")
