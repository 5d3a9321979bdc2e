"""Promises of what a model says while it works: told apart, and never mixed into the answer."""

from __future__ import annotations

import orjson
import pytest
from conversations import raw
from script_server import ScriptServer
from streams import event

from llmnb import LLM
from llmnb.wire.dialect import dialect

RESPONSES = dialect("openai.responses")
CALL = {"type": "function_call", "call_id": "c1", "name": "now", "arguments": "{}"}


def message(text, phase=None):
    """Return a message of one part."""
    item = {"type": "message", "role": "assistant", **({"phase": phase} if phase else {})}
    return {**item, "content": [{"type": "output_text", "text": text}]}


def body(*output):
    return {"id": "r", "model": "m", "status": "completed", "output": list(output)}


def streamed(*output):
    """Return a response as a stream, each text in pieces of three characters."""
    events = [{"type": "response.created", "response": {**body(), "status": "in_progress"}}]
    for index, item in enumerate(output):
        at = {"output_index": index, "content_index": 0}
        if item["type"] == "message":
            text = item["content"][0]["text"]
            start = {**item, "content": []}
            events.append({"type": "response.output_item.added", **at, "item": start})
            events += [
                {"type": "response.output_text.delta", **at, "delta": text[cut : cut + 3]}
                for cut in range(0, len(text), 3)
            ]
        else:
            events.append({"type": "response.output_item.added", **at, "item": item})
        events.append({"type": "response.output_item.done", **at, "item": item})
    events.append({"type": "response.completed", "response": body(*output)})
    return b"".join(map(event, events))


WORKING = message("I look at the clock. ", "commentary")
ANSWER = message("It is noon.", "final_answer")
CASES = {
    "before the answer": ((WORKING, ANSWER), "It is noon.", "I look at the clock. "),
    "between two": ((WORKING, ANSWER, WORKING), "It is noon.", "I look at the clock. " * 2),
    "before a call": ((WORKING, CALL), "", "I look at the clock. "),
    "alone": ((WORKING,), "I look at the clock. ", None),
    "none": ((message("It is noon."),), "It is noon.", None),
}


@pytest.mark.parametrize("case", CASES)
def test_the_fragments_joined_are_the_answers_text(case):
    """
    Streamed or whole the text is the answer alone, and what was said on the way stands apart.
    """
    output, text, commentary = CASES[case]
    assembler = RESPONSES.assembler()
    raw = streamed(*output)
    deltas = [
        delta for index in range(len(raw)) for delta in assembler.feed(raw[index : index + 1])
    ]
    result = RESPONSES.parse(assembler.finish())
    whole = RESPONSES.parse(orjson.dumps(body(*output)))

    assert (result.text, result.commentary) == (whole.text, whole.commentary) == (text, commentary)
    assert "".join(delta.text for delta in deltas) == text
    if commentary:
        assert "".join(delta.commentary for delta in deltas) == commentary


async def test_a_callback_hears_the_answer_and_the_commentary_apart():
    """
    What it is given as text, joined, is the result's text.
    """
    heard = []
    stream = "HTTP/1.1 200 OK\ncontent-type: text/event-stream\nconnection: close"
    with ScriptServer([raw(stream, streamed(WORKING, ANSWER))]) as server:
        model = LLM(f"{server.base_url}/responses", "k", "m", api_provider="openai")
        chunks = [
            entry
            async for entry in model.acompletion_iter(["What time is it?"], gen_type="responses")
        ]
    heard = [entry.text for entry in chunks if entry.text]

    assert "".join(heard) == "It is noon."
    assert "".join(entry.commentary or "" for entry in chunks[:-1]) == "I look at the clock. "
    assert chunks[-1].messages[0].text == "It is noon."
    assert chunks[-1].commentary == "I look at the clock. "


@pytest.mark.parametrize("kind", [[], {}, None, 7])
def test_an_item_of_no_kind_brings_nothing_down(kind):
    """
    Beside commentary it is no answer and no call.
    """
    odd = {"type": kind}
    result = RESPONSES.parse(orjson.dumps(body(WORKING, odd)))
    assembler = RESPONSES.assembler()
    assembler.feed(streamed(WORKING, odd))

    assert result.text == RESPONSES.parse(assembler.finish()).text == "I look at the clock. "
