"""Promises about the content of an OpenAI message that is no text."""

from __future__ import annotations

import orjson
import pytest

from llmnb.wire.openai_chat import text_of


@pytest.mark.parametrize("value", [5, 1.5, True, False, [1, 2], ["a"], [{"name": "Ada"}], {"a": 1}])
def test_a_value_that_was_read_already_is_its_json(value):
    """
    What was paid for is never shown as an empty answer.
    """
    assert text_of(value) == orjson.dumps(value).decode()


@pytest.mark.parametrize("content", [None, "", [], [{"type": "image_url", "image_url": {}}]])
def test_what_holds_no_text_is_empty(content):
    """
    Parts that are not text are left out.
    """
    assert text_of(content) == ""
