"""Promises of names, keys and entries: any text is safe, nothing that matters is left out."""

from __future__ import annotations

import unicodedata

import pytest
from entries import entry
from hypothesis import given
from hypothesis import strategies as st

from llmnb.errors import InvalidProjectName
from llmnb.store import layout
from llmnb.store.entry import answer_key, decode, encode
from llmnb.wire.canonical import canonical

AWKWARD = [
    "..",
    "/etc/passwd",
    "C:\\x",
    "con",
    "NUL.txt",
    "a" * 200,
    "\u202etxt",
    "🙂",
    ".",
    "~",
    " x ",
]


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names_stay_inside(name):
    """
    Dots, slashes, drives, reserved words, right-to-left, emoji: one plain folder each.
    """
    folder = layout.folder_name(layout.check_name(name))

    assert folder.replace("-", "").isalnum()
    assert folder.isascii()
    assert len(folder) < 64


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "a\nb", "x" * 300, "\ud800", 7])
def test_what_cannot_be_a_name_is_an_input_error(name):
    """
    Empty, too long, control characters, half a character, not text.
    """
    with pytest.raises(InvalidProjectName):
        layout.check_name(name)


def test_names_are_compared_by_what_they_mean():
    """
    NFC and NFD, upper and lower case: one project. Others: others.
    """
    assert layout.folder_name("Café") == layout.folder_name(unicodedata.normalize("NFD", "CAFÉ"))
    assert layout.folder_name("a/b") != layout.folder_name("a b")


@given(st.text(min_size=1, max_size=100), st.text(min_size=1, max_size=100))
def test_two_names_share_a_folder_only_if_they_are_equal(first, other):
    """
    Whatever the texts.
    """
    assert (layout.folder_name(first) == layout.folder_name(other)) == (
        layout.normal_name(first) == layout.normal_name(other)
    )


KEY = {
    "dialect": "openai.chat",
    "endpoint": "https://host/v1/chat/completions",
    "body": canonical({"model": "m", "messages": [{"role": "user", "content": "a"}]}),
    "sample": 0,
    "extra": b"",
}


@pytest.mark.parametrize(
    "change",
    [
        {"dialect": "openai.text"},
        {"endpoint": "https://other/v1/chat/completions"},
        {"body": canonical({"model": "m2", "messages": [{"role": "user", "content": "a"}]})},
        {"body": canonical({"model": "m", "messages": [{"role": "user", "content": "b"}]})},
        {"body": canonical({"model": "m", "messages": [{"role": "system", "content": "a"}]})},
        {"sample": 1},
        {"extra": b"1"},
    ],
)
def test_everything_that_changes_the_answer_changes_the_key(change):
    """
    Field by field.
    """
    assert answer_key(**{**KEY, **change}) != answer_key(**KEY)


@given(st.dictionaries(st.text(max_size=8), st.one_of(st.integers(0, 9), st.text(max_size=8))))
def test_the_order_of_fields_changes_nothing_at_the_top(body):
    """
    And nothing else may be lost: equal bytes only for equal bodies.
    """
    turned = dict(reversed(body.items()))

    assert canonical(body) == canonical(turned)


def test_schema_properties_keep_their_order():
    """
    Models answer in the order they are asked in.
    """
    first = {"response_format": {"properties": {"a": 1, "b": 2}}}
    other = {"response_format": {"properties": {"b": 2, "a": 1}}}

    assert canonical(first) != canonical(other)


def test_what_changes_no_answer_is_not_in_the_key():
    """
    Streaming and the user's name.
    """
    body = {"model": "m", "messages": []}
    more = {**body, "stream": True, "stream_options": {"include_usage": True}, "user": "me"}

    assert canonical(body) == canonical(more)


@given(request=st.binary(max_size=300), raw=st.binary(max_size=300))
def test_an_entry_survives_the_disk(request, raw):
    """
    Whatever bytes a provider sent.
    """
    made = entry(1, request=request, raw=raw)

    assert decode(encode(made), made.key) == made


@given(st.binary(max_size=200))
def test_bytes_that_llmnb_has_not_written_are_no_entry(data):
    """
    Whatever they are, reading them raises nothing.
    """
    assert decode(data, "k") is None


def test_a_cut_entry_is_not_served():
    """
    Every proper beginning of an entry is refused.
    """
    data = encode(entry(1))

    for length in range(len(data)):
        assert decode(data[:length], entry(1).key) is None
