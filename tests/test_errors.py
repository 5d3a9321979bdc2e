"""Promises of the error tree: it pickles, it is short, it is the one that is drawn."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from llmnb import errors

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.LLMNBError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_pickles_and_copies_whole(kind):
    """
    Type, text and details survive a trip to another process.
    """
    error = kind("what happened", status=500, request_id="r", row=3, history=("a",), raw=b"x")

    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is kind
        assert str(twin) == "what happened"
        assert twin.details == error.details


@pytest.mark.parametrize("kind", KINDS)
def test_no_message_is_longer_than_ten_lines(kind):
    """
    Whatever a provider sends, the person reads a message.
    """
    assert len(kind("line\n" * 500).message.splitlines()) == errors.MAX_MESSAGE_LINES


def test_the_tree_drawn_is_the_tree_there_is():
    """
    The picture in the docstring names every class under its parent.
    """
    drawn, stack = {}, []
    for line in errors.__doc__.splitlines():
        match = re.match(r"^    ([│├└─ ]*)([A-Z]\w+)", line)
        if match:
            depth = len(match[1]) // 4
            del stack[depth:]
            drawn[match[2]] = stack[-1] if stack else None
            stack.append(match[2])

    real = {kind.__name__: kind.__bases__[0].__name__ for kind in KINDS}
    real["LLMNBError"] = None
    assert drawn == real


def test_details_are_attributes():
    """
    Nobody needs to parse text, and a mistyped name is an AttributeError.
    """
    error = errors.RateLimited("x", retry_after=2.0)

    assert error.retry_after == 2.0
    with pytest.raises(AttributeError):
        _ = error.retry_afer


def test_what_may_have_cost_money_says_so():
    """
    Lost and unreadable replies are marked as perhaps billed; refusals are not.
    """
    assert errors.TimedOut("x").maybe_billed
    assert errors.BadReply("x").maybe_billed
    assert not errors.RateLimited("x").maybe_billed
    assert not errors.Unsent("x").maybe_billed
