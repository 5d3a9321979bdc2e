"""Promises about items of a response whose type is no word."""

from __future__ import annotations

import orjson
import pytest

from llmnb.wire.dialect import dialect


def event(kind, **fields):
    """Return one event of a stream."""
    return b"data: " + orjson.dumps({"type": f"response.{kind}", **fields}) + b"\n\n"


@pytest.mark.parametrize("kind", [[], {}, ["function_call"], 5, None])
def test_an_item_whose_type_is_no_word_is_passed_over(kind):
    """
    Whole or as a stream, what stands beside it is read.
    """
    said = {
        "type": "message",
        "phase": "commentary",
        "content": [{"type": "output_text", "text": "Four."}],
    }
    odd = {"type": kind}
    response = {"object": "response", "status": "completed", "output": [odd, said]}
    responses = dialect("openai.responses")

    assert responses.parse(orjson.dumps(response)).text == "Four."

    stream = responses.assembler()
    stream.feed(event("output_item.added", output_index=0, item=odd))
    stream.feed(event("output_item.added", output_index=1, item={**said, "content": []}))
    index = {"output_index": 1, "content_index": 0}
    stream.feed(event("output_text.delta", delta="Four.", **index))
    stream.feed(event("completed", response=response))
    assert responses.parse(stream.finish()).text == "Four."
