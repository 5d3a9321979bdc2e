"""Promises about bytes that came in place of an answer: an error that says so and keeps them."""

from __future__ import annotations

import pytest

from llmnb import errors
from llmnb.wire.dialect import dialect
from llmnb.wire.openai_chat import OpenAIChat

OF_NOBODY = {
    b"": "is empty",
    b" \r\n\t": "is empty",
    b"<!DOCTYPE html><html><title>Sign in</title></html>": "a web page: Sign in",
    b"\n<html></html>": "a web page",
    b"null": "no object",
    b"[]": "no object",
    b"[7]": "no object",
    b'"Hello"': "no object",
    b"42": "no object",
    b"true": "no object",
    b"Hello": "not JSON",
    b'{"text":"\xff"}': "not JSON",
    b"[" * 100_000: "not JSON",
    b'{"choices":' * 100_000: "not JSON",
    b"{}": "has no",
}
OF_ONE = {
    "openai.chat": {
        b'{"choices":[{"message":{"content":"Hel': "not JSON",
        b'{"choices":null}': "no choices",
        b'{"choices":[]}': "no choices",
        b'{"choices":{}}': "no choices",
        b'{"choices":[null]}': "a choice that is no object",
        b'{"choices":["Hi"]}': "a choice that is no object",
        b'{"choices":[{}]}': "a choice without a message",
        b'{"choices":[{"message":null}]}': "a choice without a message",
        b'{"choices":[{"message":"Hi"}]}': "a choice without a message",
        b'{"choices":[{"message":{"content":"a"}},{"text":"b"}]}': "a choice without a message",
    },
    "openai.text": {
        b'{"choices":[{}]}': "a choice without a text",
        b'{"choices":[{"text":null}]}': "a choice without a text",
        b'{"choices":[{"message":{"content":"a"}}]}': "a choice without a text",
        b'{"choices":[{"text":"a"},{"text":null}]}': "a choice without a text",
    },
    "openai.responses": {
        b'{"output":null}': "no output",
        b'{"output":{}}': "no output",
        b'{"output":[]}': "nothing in its output",
        b'{"output":["Hello"]}': "no output",
        b'{"output":[],"status":"completed"}': "nothing in its output",
        b'{"output":[],"status":"in_progress"}': "the status 'in_progress'",
        b'{"output":[{"type":"message"}],"status":"queued"}': "the status 'queued'",
        b'{"output":[{"type":"message"}],"status":"failed"}': "the status 'failed'",
        b'{"output":[{"type":"message"}],"status":"cancelled"}': "the status 'cancelled'",
        b'{"choices":[{"message":{"content":"a"}}]}': "no output",
    },
    "openai.embeddings": {b'{"data":[]}': "no vectors"},
    "anthropic.messages": {
        b'{"content":[{"type":"text","text":"Hel': "not JSON",
        b'{"content":null}': "no content",
        b'{"content":"Hi"}': "no content",
        b'{"content":["Hi"]}': "a block of content that is no object",
        b'{"choices":[{"message":{"content":"Hi"}}]}': "no content",
    },
    "gemini.generate": {
        b'{"candidates":[{"content":{"parts":[{"text":"Hel': "not JSON",
        b'{"candidates":null}': "no candidates",
        b'{"candidates":[]}': "no candidates",
        b'{"candidates":[],"promptFeedback":{}}': "no candidates",
        b'{"candidates":["Hi"]}': "a candidate that is no object",
        b'{"candidates":[{}]}': "a candidate without content",
        b'{"candidates":[{"content":"Hi","finishReason":"STOP"}]}': "a candidate without content",
        (
            b'{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL","finishMessage":"f(\\n1"}]}'
        ): r"is no answer: MALFORMED_FUNCTION_CALL \(f\( 1\)",
        b'{"candidates":[{"finishReason":"UNEXPECTED_TOOL_CALL"}]}': "UNEXPECTED_TOOL_CALL",
        b'{"choices":[{"message":{"content":"Hi"}}]}': "no candidates",
    },
}


@pytest.mark.parametrize("name", OF_ONE)
def test_what_is_no_answer_is_a_bad_reply_that_keeps_its_bytes(name):
    """
    It may have been billed, so a better reader must be able to read it for nothing.
    """
    for raw, words in (OF_NOBODY | OF_ONE[name]).items():
        with pytest.raises(errors.BadReply, match=words) as caught:
            dialect(name).parse(raw)

        assert caught.value.raw == raw
        assert caught.value.status == 200
        assert caught.value.maybe_billed
        assert len(caught.value.body) <= 2000
        assert len(caught.value.message) < 600


def test_a_form_that_the_reader_fails_on_is_kept_as_a_bad_reply(monkeypatch):
    """
    What was paid for is kept, whatever is wrong with it or with its reader.
    """

    def fail(self, body, raw):
        raise TypeError("a shape that nobody has met")

    monkeypatch.setattr(OpenAIChat, "reply", fail)

    with pytest.raises(errors.BadReply, match="TypeError") as caught:
        OpenAIChat().parse(b'{"choices": []}')
    assert caught.value.raw == b'{"choices": []}'
