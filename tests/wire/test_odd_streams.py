"""Promises of streams in shapes of their own: the same reply as whole, split at every byte."""

from __future__ import annotations

import dataclasses

import orjson
import pytest

from llmnb import errors
from llmnb.records import Usage
from llmnb.wire.dialect import dialect


def events(*values):
    """Return a stream of events."""
    return b"".join(b"data: " + orjson.dumps(case) + b"\n\n" for case in values)


def chat(*deltas, **last):
    """Return a chat's stream, a piece for each delta."""
    chunks = [{"choices": [{"index": 0, "delta": case}]} for case in deltas]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **last}
    return events(*chunks, end)


def whole(message, **rest):
    """Return the same chat's body in one piece."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return orjson.dumps({"choices": [choice], **rest})


def read(name, stream):
    """Return a stream's reply, and the pieces told on the way, which are the same at any cut."""
    result = []
    for cut in (*range(1, len(stream)), 0):
        assembler = dialect(name).assembler()
        parts = (stream[:cut], stream[cut:]) if cut else map(bytes, zip(stream, strict=True))
        report = [delta for part in parts for delta in assembler.feed(part)]
        reply = dataclasses.replace(dialect(name).parse(assembler.finish()), raw=b"")
        result.append((reply, "".join(delta.text for delta in report)))
    assert all(case == result[0] for case in result)
    return result[0]


# ------------------------------------------------------------------------- content


@pytest.mark.parametrize(
    "contents",
    [
        (5,),
        (True,),
        (False,),
        (0,),
        (1.5,),
        ([1, 2],),
        ({"stars": 4},),
        ([{"name": "Ada"}],),
        ([{"type": "text", "text": "Hi"}, {"type": "text", "text": "!"}],),
    ],
)
def test_a_piece_that_is_a_value_is_its_json(contents):
    """
    As whole, and what was told on the way, joined, is the text.
    """
    (content,) = contents
    expected = dialect("openai.chat").parse(whole({"content": content}))
    reply, report = read("openai.chat", chat({"content": content}))

    assert reply.text == report == expected.text != ""
    assert reply.quality == expected.quality == "good"


def test_values_between_texts_keep_their_position():
    """
    In the order in which they came, parts among them.
    """
    stream = chat(
        {"content": "a"}, {"content": 5}, {"content": [{"type": "text", "text": "b"}]},
        {"content": None}, {"content": True}, {"content": [1]}, {"content": "c"},
    )  # fmt: skip
    reply, report = read("openai.chat", stream)

    assert reply.text == report == "a5btrue[1]c"


@pytest.mark.parametrize("value", [5, True, {"a": 1}])
def test_a_text_completion_that_is_a_value_is_its_json(value):
    """
    Whole and streamed, as in a chat.
    """
    choice = {"index": 0, "text": value, "finish_reason": "stop"}
    expected = orjson.dumps(value).decode()
    reply, report = read("openai.text", events({"choices": [choice]}))

    assert reply.text == report == expected
    assert dialect("openai.text").parse(orjson.dumps({"choices": [choice]})).text == expected


def test_a_text_completion_without_a_text_is_none():
    """
    Null is still no answer.
    """
    with pytest.raises(errors.BadReply, match="without a text"):
        dialect("openai.text").parse(b'{"choices": [{"text": null}]}')


@pytest.mark.parametrize("refusal", ["I cannot.", True, {"why": "no"}])
def test_a_refusal_is_recognised_in_any_form(refusal):
    """
    Whole and streamed.
    """
    message = {"content": "Well.", "refusal": refusal}

    assert dialect("openai.chat").parse(whole(message)).quality == "refused"
    assert read("openai.chat", chat(message))[0].quality == "refused"


# --------------------------------------------------------------------- calls of tools


def piece(index=None, id=None, **function):
    """Return a piece of a call; what is None is left out."""
    made = {"index": index, "id": id, "function": function or None}
    return {name: value for name, value in made.items() if value is not None}


CALLS = {
    "every piece has another id": (
        [[piece(0, "a", name="w", arguments='{"x"')], [piece(0, "b", arguments=":1}")]],
        [("a", "w", '{"x":1}')],
    ),
    "all have the index 0, in turns": (
        [
            [piece(0, "a", name="w", arguments="{"), piece(0, "b", name="v", arguments="{")],
            [piece(0, "a", arguments="}"), piece(0, "b", arguments="}")],
        ],
        [("a", "w", "{}"), ("b", "v", "{}")],
    ),
    "neither index nor id, in one piece each": (
        [[piece(name="w", arguments='{"x":1}'), piece(name="w", arguments='{"x":2}')]],
        [("call_0", "w", '{"x":1}'), ("call_1", "w", '{"x":2}')],
    ),
    "neither index nor id, arguments that were read": (
        [[piece(name="w", arguments={"x": 1})], [piece(name="w", arguments={"x": 2})]],
        [("call_0", "w", '{"x":1}'), ("call_1", "w", '{"x":2}')],
    ),
    "neither index nor id, the name in every piece": (
        [
            [piece(name="w", arguments='{"x"')],
            [piece(name="w", arguments=":1}")],
            [piece(name="v", arguments="{}")],
        ],
        [("call_0", "w", '{"x":1}'), ("call_1", "v", "{}")],
    ),
    "a name that grows": (
        [[piece(0, "a", name="we")], [piece(0, name="weather", arguments="{}")]],
        [("a", "weather", "{}")],
    ),
    "the id before the name": (
        [
            [piece(0, "a")],
            [piece(0, name="w", arguments="{}")],
            [piece(0, "b")],
            [piece(0, name="v", arguments="{}")],
        ],
        [("a", "w", "{}"), ("b", "v", "{}")],
    ),
    "in turns by index, the ids once": (
        [
            [piece(0, "a", name="w", arguments="")],
            [piece(1, "b", name="w", arguments="")],
            [piece(0, arguments='{"x":'), piece(1, arguments="{}")],
            [piece(0, arguments="1}")],
        ],
        [("a", "w", '{"x":1}'), ("b", "w", "{}")],
    ),
}


@pytest.mark.parametrize("shape", CALLS)
def test_calls_come_whole_however_they_are_numbered(shape):
    """
    Nothing is multiplied, mixed up or lost.
    """
    chunks, expected = CALLS[shape]
    reply, _ = read("openai.chat", chat(*({"tool_calls": case} for case in chunks)))

    assert [(case.id, case.name, case.arguments) for case in reply.tool_calls] == expected


def test_calls_without_ids_can_be_distinguished():
    """
    Their results are matched by the ids that they are given here.
    """
    calls = [{"function": {"name": "w", "arguments": "{}"}}] * 2
    reply = dialect("openai.chat").parse(whole({"content": None, "tool_calls": calls}))

    assert [case.id for case in reply.tool_calls] == ["call_0", "call_1"]


# ----------------------------------------------------------------------------- tokens

USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}


@pytest.mark.parametrize("after", [{}, None, {"total_tokens": None}, []])
def test_a_usage_that_says_no_more_takes_nothing_back(after):
    """
    Totals are told once or with every piece; what came stands.
    """
    first = {"choices": [{"index": 0, "delta": {"content": "4"}}], "usage": USAGE}
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": after}

    assert read("openai.chat", events(first, end))[0].usage == Usage(prompt=9, completion=5)


def test_a_usage_within_the_choice_is_read():
    """
    Where Moonshot's streams have it.
    """
    piece_ = {"index": 0, "delta": {"content": "4"}, "finish_reason": "stop", "usage": USAGE}
    reply, _ = read("openai.chat", events({"choices": [piece_]}))

    assert reply.usage == Usage(prompt=9, completion=5)


# ------------------------------------------------------------- thoughts that go back

CALL = {"type": "function_call", "call_id": "c1", "name": "now", "arguments": "{}"}
SEALED = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
PLAIN = {
    "type": "reasoning",
    "id": "rs_2",
    "summary": [],
    "content": [{"type": "reasoning_text", "text": "The clock."}],
}
NAMED = {"type": "reasoning", "id": "rs_3", "summary": [{"type": "summary_text", "text": "Hm."}]}


@pytest.mark.parametrize(
    ("output", "rest", "kept"),
    [
        ([SEALED, CALL], {}, [SEALED, CALL]),
        ([PLAIN, CALL], {"store": False}, [PLAIN, CALL]),
        ([NAMED, CALL], {"store": True}, [NAMED, CALL]),
        ([SEALED, CALL, PLAIN, CALL], {}, [SEALED, CALL, PLAIN, CALL]),
        ([NAMED, SEALED, CALL], {"store": False}, [SEALED, CALL]),
        ([NAMED, CALL], {"store": False}, None),
        ([CALL], {}, None),
    ],
)
def test_the_items_of_a_turn_go_back(output, rest, kept):
    """
    All that hold something; a mere name of a thought only to who has kept the turn.
    """
    body = {"status": "completed", "output": output, **rest}
    added = [
        {"type": "response.output_item.done", "output_index": position, "item": item}
        for position, item in enumerate(output)
    ]
    end = {"type": "response.completed", "response": {**body, "output": []}}
    reply = dialect("openai.responses").parse(orjson.dumps(body))

    assert reply.handed_back == (None if kept is None else {"output_items": kept})
    assert read("openai.responses", events(*added, end))[0] == dataclasses.replace(reply, raw=b"")
