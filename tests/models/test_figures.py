"""Promises about words on any terminal: nothing hides in them."""

from __future__ import annotations

import unicodedata

from markup import PAYLOADS, about

from llmnb.models.figures import DIRECTIONS, visible


def test_nothing_hides_in_a_shown_text():
    """
    Controls, directions and line breaks are written out; what was visible stays as it was.
    """
    for text in (*PAYLOADS, *DIRECTIONS, "a\x7fb", "a\x9b31mb", "a\ud800b"):
        with about(text):
            shown = visible(text)

            assert not any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in shown)
            assert not set(shown) & DIRECTIONS
            assert not text.isprintable() or shown == text


def test_what_is_cut_is_cut_before_it_is_looked_at():
    """
    A cell of ten megabytes costs what is shown of it.
    """
    assert visible("x" * 10_000_000, longest=5) == "xxxx…"
    assert visible("\x1b" * 9, longest=3) == "\\x1b\\x1b…"
