"""Promises of the rule by which a quote is found in a cell."""

from __future__ import annotations

import pytest

from llmnb.evaluation.quotes import CellTexts, is_supported

LETTER = (
    "It came three days\n  late, “again”, for $15.50.\n"
    "The deliv-\nery of 3, 4, 15 well-known boxes…"
)


@pytest.mark.parametrize(
    "quote",
    [
        "three days late",
        "THREE  DAYS\tLATE",
        '"three days late, again,"',
        "'again'",
        "«again»",
        "for $15.50",
        "The delivery",
        "well‑known",
        "wellknown",
        "boxes...",
        "boxes.",
        "came … late",
        "It came [...] again, ... boxes",
        "3, 4, 15",
        "4",
        "three\u200b da\u00adys",
        "\u202bthree days\u202c",
    ],
)
def test_a_quote_is_found_whatever_its_capitals_white_space_and_typography(quote):
    """
    Hyphens at line breaks, kinds of quotation marks and dashes, characters that are not seen,
    ellipses between parts that stand in their order.
    """
    assert CellTexts([None, LETTER]).has(quote)


@pytest.mark.parametrize(
    "quote",
    [
        "four days late",
        "three days later",
        "late … three days",
        "It ... bo",
        "5",
        "$1",
        "15.5",
        "50",
        "three days late, again, for $16",
    ],
)
def test_what_is_not_in_the_text_is_not_found(quote):
    """
    Other words, parts in another order, parts too short to say anything, a piece of a number.
    """
    assert not CellTexts([LETTER]).has(quote)


@pytest.mark.parametrize("quote", ["", " \n", "…", '"', "...", "\u200b", "?!", "“”"])
def test_a_quote_that_says_nothing_is_never_found(quote):
    """
    Though its signs stand in the text.
    """
    assert not CellTexts(["He said: “” … ?! \u200b"]).has(quote)


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("ﬁne ofﬁce", "fine office"),
        ("ＦＵＬＬ　ｗｉｄｔｈ", "full width"),
        ("cafe\u0301 cre\u0300me", "CAFÉ CRÈME"),
        ("Straße", "STRASSE"),
        ("شُكْرًا \u200fجزيلا", "شُكْرًا جزيلا"),
        ("שלום עולם\u200f", "שלום\u00a0עולם"),
        ("一行目の終\nわりです", "一行目の終わり"),
        ("a 👍\ufe0f day", "👍"),
        ("half \ud83d of it", "half \ud83d of"),
        ("-5 degrees", "-5 degrees"),
    ],
)
def test_scripts_of_all_kinds_are_compared(text, quote):
    """
    Ligatures, full width, composed or not, from right to left, without spaces, half a character.
    """
    assert CellTexts([text]).has(quote)


def test_a_sign_is_part_of_a_number():
    """
    What is below zero is not found where the text is above.
    """
    assert not CellTexts(["It has 5 degrees."]).has("-5 degrees")


def test_a_quote_stands_in_one_cell():
    """
    Never across two.
    """
    texts = CellTexts(["three days", "late again"])
    assert texts.has("late again")
    assert not texts.has("three days late")


@pytest.mark.parametrize(
    ("text", "quote", "is_there"),
    [
        ("word “é” " * 120_000, "not there " * 10_000, False),
        ("word “é” " * 120_000, ("WORD  'é' " * 10_000).strip(), True),
        ("1" * 1_000_000, "1" * 50_000, False),
        ("a12" * 330_000, "a12" * 16_000 + "a1", False),
        ("ab" * 500_000, "ab" * 50_000 + "c", False),
        ("abcd" * 250_000, "abcd… " * 15_000, True),
        ("a" + "\u0301\u0316" * 500_000, "b" + "\u0316\u0301" * 50_000, False),
        ("'" * 1_000_000, "..'" * 30_000 + "x", False),
        ("- " * 500_000, "- " * 50_000 + "x", False),
    ],
    ids=range(9),
)
def test_a_large_text_and_a_large_quote_take_no_longer_than_their_length(text, quote, is_there):
    """
    A megabyte and a hundred kilobytes, made to be compared again and again: squared, one of these
    would take hours.
    """
    assert CellTexts([text]).has(quote) is is_there


@pytest.mark.parametrize(
    ("value", "quotes", "expected"),
    [
        (3, "three days", True),
        (3, "four days", False),
        (3, "", False),
        (3, None, False),
        (False, "again", True),
        (0, None, False),
        (None, "four days", None),
        ("", None, None),
        ([], [], None),
        (["a", "b"], ["three days", "again"], True),
        (["a", "b"], ["three days", "never"], False),
        (["a", "b"], ["three days"], False),
        ({"a": 1}, ["three days"], True),
        ({"a": 1}, [None], False),
    ],
)
def test_a_field_is_supported_where_all_of_its_quotes_are_there(value, quotes, expected):
    """
    A list needs one for each item; what is missing or empty claims nothing.
    """
    assert is_supported(value, quotes, CellTexts([LETTER])) is expected


def test_a_quote_may_stand_in_a_picture():
    """
    Then nobody knows; one that was not given is none all the same.
    """
    texts = CellTexts(["see the picture"])
    assert is_supported(3, "three", texts, has_pictures=True) is None
    assert is_supported(3, "picture", texts, has_pictures=True) is True
    assert is_supported(3, "", texts, has_pictures=True) is False
