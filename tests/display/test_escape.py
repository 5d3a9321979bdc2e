"""Promises about text of others, wherever it is shown: nothing in it acts, and nothing hides."""

from __future__ import annotations

import html
import unicodedata

import pytest
from markup import PAYLOADS, Census, about

from llmnb.display import escape

DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"

HOSTILE = (*PAYLOADS, *DIRECTIONS, "a\x7fb", "a\x9b31mb", "a\ud800b", "a\u200bb", "\ufeffa")

ENTITIES = ("&lt;", "&gt;", "&quot;", "&#x27;", "&amp;")


def hidden(text: str, *, but: str = "") -> set[str]:
    """Return the characters of a text that nobody can see."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return {character for character in text if unicodedata.category(character) in kinds} - set(but)


def test_nothing_hides_in_a_shown_text():
    """
    Controls, directions and line breaks are written out; what was visible stays.
    """
    assert len(set(PAYLOADS)) >= 80
    for text in HOSTILE:
        with about(text):
            shown = escape.visible(text)

            assert hidden(shown, but="\u200c\u200d\u00ad") == set()
            assert not text.isprintable() or shown == text


def test_joiners_of_scripts_and_emoji_stay():
    """
    A family and a Persian word look as they were written.
    """
    for text in ("👨\u200d👩\u200d👧 می\u200cخواهم", "price\u00a0in\u3000yen"):
        assert escape.visible(text) == text


def test_what_is_cut_is_cut_before_it_is_looked_at():
    """
    A cell of ten megabytes costs what is shown of it.
    """
    assert escape.visible("x" * 10_000_000, longest=5) == "xxxx…"
    assert escape.visible("\x1b" * 9, longest=3) == "\\x1b\\x1b…"


def test_lines_stay_where_they_may():
    """
    Line ends and tabs are laid out; nothing else acts.
    """
    assert escape.visible_lines("a\tb\r\nc\rd") == "a    b\nc\\rd"
    for text in HOSTILE:
        with about(text):
            assert hidden(escape.visible_lines(text), but="\n\u200c\u200d\u00ad") == set()


def test_escaped_text_fits_into_a_quoted_attribute():
    """
    No bracket and no quote is left, and no entity that was not made here; the text is whole.
    """
    for text in HOSTILE:
        with about(text):
            shown = escape.html_text(text)

            assert not set(shown) & set("<>\"'")
            assert shown.count("&") == sum(shown.count(character) for character in ENTITIES)
            assert html.unescape(shown) == escape.visible(text)


@pytest.mark.parametrize(
    ("write", "shown"),
    [
        (escape.html_text, escape.visible),
        (escape.html_without_formulas, lambda text: escape.visible(text.replace("\t", " "))),
        (escape.html_lines, escape.visible_lines),
    ],
    ids=["text", "without formulas", "lines"],
)
def test_a_page_shows_exactly_the_text(write, shown):
    """
    No element and no attribute comes of it but our own `span`; its words are all there.
    """
    for text in HOSTILE:
        with about(text):
            census = Census(f"<p>{write(text)}</p>")

            assert set(census.elements) <= {"p", "span"}
            assert not census.attributes
            assert census.others == census.open == []
            assert census.text == shown(text)


def test_no_formula_is_recognised():
    """
    A dollar sign and a backslash stand alone in elements of their own.
    """
    for write in (escape.html_without_formulas, escape.html_lines):
        shown = write(r"$x$ \(y\)")

        assert shown.count("<span>") == shown.count("</span>") == 4
