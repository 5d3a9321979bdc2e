"""Finding answers by words of their prompt or their answer."""

from __future__ import annotations

import orjson
from entries import chat, entry, key_of

from llmnb.store import search
from llmnb.store.layout import paths_of
from llmnb.store.project import databases, open_project


def filled(root, *entries):
    store = open_project("p", root, share=False)
    store.commit(entries)
    return store.paths


def keys(page):
    return [match.entry.key for match in page.matches]


def test_pages_hold_the_newest_first_and_count_all(root):
    """
    45 answers are three pages; the page after the last is the last.
    """
    paths = filled(root, *(chat(number, f"q{number}", "a") for number in range(45)))

    first, last, beyond = (search.find(paths, page=page) for page in (0, 2, 9))

    assert keys(first) == [key_of(number) for number in range(44, 24, -1)]
    assert keys(last) == [key_of(number) for number in range(4, -1, -1)]
    assert keys(beyond) == keys(last)
    assert (beyond.number, beyond.total, beyond.answers) == (2, 45, 45)


def test_all_keywords_must_stand_in_the_prompt_or_in_the_answer(root):
    """
    Anywhere, in any case, in any order, instructions included.
    """
    paths = filled(
        root,
        chat(1, "When is my REFUND due?", "On Monday."),
        chat(2, "When?", "The refunded sum comes on Monday."),
        chat(3, "When is my refund due?", "On Friday."),
    )

    assert keys(search.find(paths, "monday refund")) == [key_of(2), key_of(1)]
    assert keys(search.find(paths, "BRIEF fri")) == [key_of(3)]
    assert search.find(paths, "tuesday").total == 0


def test_what_json_writes_differently_matches_all_the_same(root):
    """
    Umlauts, quotes, line breaks, and accents in either way of writing them.
    """
    escaped = orjson.dumps({"messages": [{"role": "user", "content": "x"}]}).replace(
        b'"x"', b'"Stra\\u00dfe \\"5\\"\\nCaf\\u0065\\u0301"'
    )
    paths = filled(root, chat(1, "", "a", key=key_of(1)), entry(2, request=escaped))

    for keywords in ('Straße "5"', "caf\u00e9", "cafe\u0301", '"5"'):
        assert keys(search.find(paths, keywords)) == [key_of(2)]


def test_a_search_is_text_and_never_a_pattern(root):
    """
    Brackets, stars and backslashes match themselves; very long ones are cut.
    """
    paths = filled(root, chat(1, "a (b", "c.*d\\"), chat(2, "ab", "cxd"))

    assert keys(search.find(paths, "(b .*")) == [key_of(1)]
    assert keys(search.find(paths, "\\")) == [key_of(1)]
    assert search.find(paths, "(" * 100_000).total == 0


def test_what_cannot_be_read_is_shown_as_that(root):
    """
    A broken request, a broken reply, an unknown dialect: never an error.
    """
    paths = filled(
        root,
        entry(1, request=b"{", raw=b"<html>"),
        entry(2, request=b"[1]", dialect="nobody.knows"),
        entry(3, request=b'{"messages":[{"content":[[[[[[[[[[[["deep"]]]]]]]]]]]]}]}'),
    )

    page = search.find(paths)

    assert [(match.question, match.answer) for match in page.matches[1:]] == [
        (search.UNREADABLE, search.UNREADABLE)
    ] * 2


def test_rows_that_llmnb_has_not_written_are_passed_over(root):
    """
    They are neither found nor shown.
    """
    paths = filled(root, chat(1, "mine", "a"))
    databases.open(paths).put_many([(key_of(9), b"not an entry: mine")])

    assert keys(search.find(paths, "mine")) == [key_of(1)]
    assert keys(search.find(paths)) == [key_of(1)]
    assert search.find_answer(paths, key_of(9)) is None
    assert search.find_answer(paths, "ключ") is None


def test_a_project_that_is_not_there_has_an_empty_page(root):
    """
    And none is made by looking.
    """
    page = search.find(paths_of(root, "nobody"), "x")

    assert (page.total, page.answers, page.matches) == (0, 0, ())
    assert not root.exists()


def test_every_dialect_says_what_was_asked(root):
    """
    Parts of messages, plain prompts, pictures, and the fields of other providers.
    """
    bodies = {
        b'{"prompt":"Hi"}': ["Hi"],
        b'{"input":["a","b"]}': ["a", "b"],
        b'{"system":"S","messages":[{"role":"user","content":[{"type":"text","text":"T"},'
        b'{"type":"image_url","image_url":{"url":"u"}}]}]}': ["S", "T\n[image_url]"],
        b'{"systemInstruction":{"parts":[{"text":"S"}]},"contents":[{"role":"user","parts":'
        b'[{"text":"T"},{"inlineData":{"data":"x"}}]}]}': ["S", "T\n[image]"],
        b'{"instructions":"S","input":[{"role":"user","content":"T"}]}': ["S", "T"],
        b"null": [],
    }

    for body, texts in bodies.items():
        assert search.questions(entry(1, request=body)) == texts
