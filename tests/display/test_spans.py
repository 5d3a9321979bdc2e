"""Texts in spans, and changed words: every character is there once, and nothing in it acts."""

from __future__ import annotations

import random

from markup import PAYLOADS

from llmnb.display import changed_words, spans


def joined(parts, without=None):
    return "".join(text for kind, text in parts if kind != without)


def test_hostile_texts_stand_in_spans_unchanged():
    """
    Markup, formulas and commands are the text of a span as they came, whatever is marked in them.
    """
    for payload in PAYLOADS:
        half = len(payload) // 2
        parts = spans.spans(payload, [(0, half, "fill"), (half // 2, len(payload), "mark")])
        shown = [text for kinds, text in parts if "hid" not in kinds]
        assert set("".join(shown)) <= set(payload)
        if payload.isprintable():
            assert "".join(shown) == payload


def test_controls_and_directions_are_written_out():
    """
    What would turn a line around or cannot be seen is a span of its own, with its number.
    """
    text = (
        "pay" + chr(0x202E) + "x\x1b[31m\x00" + chr(0x2066) + chr(0xFEFF) + "\n\ttab" + chr(0xD800)
    )

    hidden = [text for kinds, text in spans.spans(text) if kinds == "hid"]

    assert hidden == ["202e", "1b", "00", "2066", "feff", "d800"]
    assert spans.spans("a\r\nb")[0] == ("", "a\nb")


def test_a_cut_text_says_how_much_is_left():
    """
    2,000 characters of an open text, then more on request, never above 100,000.
    """
    text = "ab " * 70_000

    assert spans.block(text)["more"] == 98_000
    assert len(joined(spans.block(text, shown=4_000)["spans"])) == 4_000
    whole = spans.block(text, shown=10**9)
    assert whole["more"] == 0
    assert len(joined(whole["spans"])) == 100_001


def test_both_versions_can_be_read_from_the_changes():
    """
    Without what was removed the new text stands there, without what was added the old words.
    """
    dice = random.Random(1)
    for _ in range(300):
        size = dice.choice((3, 8, 100))
        old, new = (
            "".join(
                str(dice.randrange(size)) + dice.choice((" ", ", ", "  ", ".\n"))
                for _ in range(dice.randrange(40))
            )
            for _ in range(2)
        )
        parts = changed_words.changed(old, new)
        assert "".join(joined(parts, "ins").split()) == "".join(old.split())
        assert "".join(joined(parts, "del").split()) == "".join(new.split())
        assert all(text for _, text in parts)


def test_scripts_without_spaces_change_by_characters():
    """
    In Japanese, Chinese and Thai one character differs, not the whole line.
    """
    assert changed_words.changed("返金を待つ", "返金は待つ") == [
        ("", "返金"),
        ("del", "を"),
        ("ins", "は"),
        ("", "待つ"),
    ]
    assert changed_words.counts("返金を待つ", "返金は待つ") == (1, 1)


def test_a_short_text_between_two_changes_goes_with_them():
    """
    A sentence said anew is one change, not confetti.
    """
    parts = changed_words.changed(
        "The second payment of 49 was refunded today and reaches you.",
        "One of the two payments was returned today and reaches you.",
    )

    assert [kind for kind, text in parts if text.strip()] == ["del", "ins", ""]
    assert parts[-1][1].strip() == "today and reaches you."


def test_long_texts_that_differ_all_over_are_compared_at_once():
    """
    100,000 words against 100,000 others are one change; their same beginning and end stay.
    """
    old = "Same start. " + "x y " * 50_000 + "same end."
    new = "Same start. " + "z w " * 50_000 + "same end."

    parts = changed_words.changed(old, new)

    assert [kind for kind, text in parts if text.strip()] == ["", "del", "ins", ""]
    assert changed_words.counts(old, new) == (100_000, 100_000)
