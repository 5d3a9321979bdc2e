"""Promises about numbers and words on the notebook's surfaces."""

from __future__ import annotations

import html
import random
import unicodedata

import pytest
from markup import PAYLOADS, about

from llmnb.notebook import words


def test_nothing_hides_in_a_shown_text():
    """
    Controls, directions and line breaks are written out; what was visible stays.
    """
    assert len(set(PAYLOADS)) >= 80
    for text in PAYLOADS:
        with about(text):
            shown = words.visible(text)

            assert not any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in shown)
            assert "\u202e" not in shown
            assert not text.isprintable() or shown == text


def test_joiners_of_scripts_and_emoji_stay():
    """
    A family and a Persian word look as they were written.
    """
    assert words.visible("👨\u200d👩\u200d👧 می\u200cخواهم") == "👨\u200d👩\u200d👧 می\u200cخواهم"


def test_escaped_text_fits_into_a_quoted_attribute():
    """
    No bracket and no quote is left, and no entity that was not made here; the text is whole.
    """
    for text in PAYLOADS:
        with about(text):
            shown = words.escaped(text)

            assert not set(shown) & set("<>\"'")
            assert shown.count("&") == sum(shown.count(one) for one in ENTITIES)
            assert html.unescape(shown) == words.visible(text)


ENTITIES = ("&lt;", "&gt;", "&quot;", "&#x27;", "&amp;")


def test_long_texts_are_cut_before_they_are_looked_at():
    """
    A cell of ten megabytes costs what is shown of it.
    """
    assert words.visible("x" * 10_000_000, longest=5) == "xxxx…"


@pytest.mark.parametrize(
    ("dollars", "text"),
    [
        (0.0, "$0"),
        (0.0123, "$0.0123"),
        (0.5, "$0.50"),
        (0.99999, "$1.00"),
        (1.589, "$1.59"),
        (1234.5, "$1,234.50"),
        (None, "unknown"),
    ],
)
def test_dollars(dollars, text):
    """
    Four decimals below one dollar unless they are whole cents, two above; unknown is not free.
    """
    assert words.usd(dollars) == text


def test_a_hundred_percent_is_said_only_when_done():
    """
    99.99 % is 99, and one row of a million is not nothing.
    """
    assert words.percent(999_999, 1_000_000) == "99"
    assert words.percent(1, 1_000_000) == "1"
    assert words.percent(0, 10) == "0"
    assert words.percent(10, 10, done=True) == "100"
    assert words.percent(0, 0) == "0"


def test_no_time_is_ever_written_with_sixty():
    """
    Rounding never gives 60 s or 60 min.
    """
    dice = random.Random(7)
    for _ in range(5000):
        seconds = dice.uniform(0, 10_000)
        for write in (words.span, words.remaining, words.elapsed, words.latency):
            assert "60 " not in write(seconds).replace("160 ", ""), seconds


def test_time_left_moves_in_steps_of_ten_seconds():
    """
    Above a minute the guess does not flicker.
    """
    assert {words.remaining(195 + tenth / 10) for tenth in range(1, 100)} == {"3 min 20 s"}


@pytest.mark.parametrize(
    ("number", "text"), [(999, "999"), (9_996, "10.0k"), (999_600, "1.00M"), (1_240_000, "1.24M")]
)
def test_tokens_have_three_figures(number, text):
    """
    The unit changes before a fourth figure appears.
    """
    assert words.tokens(number) == text


@pytest.mark.parametrize("number", [1, 60, 500, 1240, 500_000, 2_000_000, 1_500_000, 0.5])
def test_a_limit_in_its_field_loses_nothing(number):
    """
    Pressing Enter in an untouched field would give the same limit.
    """
    text = words.amount(number)
    size = {"k": 1e3, "M": 1e6}.get(text[-1], 1)

    assert float(text.rstrip("kM")) * size == number
