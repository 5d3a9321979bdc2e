"""Promises about answers that are not good ones."""

from __future__ import annotations

import pytest

from llmnb import errors
from llmnb.decide.quality import objection
from llmnb.records import Reply


def test_an_answer_cut_at_the_length_the_caller_chose_is_an_answer():
    """
    With `max_tokens` the caller asked for it.
    """
    assert objection(Reply(text="Once", quality="truncated"), {"max_tokens": 1}, b"") is None


@pytest.mark.parametrize(
    ("quality", "kind"),
    [
        ("truncated", errors.Truncated),
        ("refused", errors.Refused),
        ("filtered", errors.Filtered),
    ],
)
def test_other_answers_that_are_not_good_are_typed_errors_with_their_bytes(quality, kind):
    """
    The row fails, and what was paid for stays on the error.
    """
    error = objection(Reply(text="No.", quality=quality), {}, b"raw")

    assert type(error) is kind
    assert error.raw == b"raw"
    assert error.maybe_billed
