"""Promises of the tool loop with models that think: their thoughts go back with the turn."""

from __future__ import annotations

import copy
import pickle

import orjson
import pytest
from script_server import ScriptServer, reply

from llmnb import LLM, Message
from llmnb.chat.messages import messages_of
from llmnb.records import AssistantTurn
from llmnb.store.entry import RenamedKey
from llmnb.targets.resolve import resolve


def now() -> str:
    """Tell the time."""
    return "noon"


def body_of(request: bytes):
    """Return the JSON of a request as it was read from the socket."""
    return orjson.loads(request.partition(b"\r\n\r\n")[2])


def chat(reason="stop", **message):
    """Return a chat's reply."""
    message = {"role": "assistant", "content": None, **message}
    choices = [{"index": 0, "message": message, "finish_reason": reason}]
    return {"id": "1", "model": "m", "choices": choices, "usage": None}


CALLS = [{"id": "c1", "type": "function", "function": {"name": "now", "arguments": "{}"}}]
DETAILS = [
    {"type": "reasoning.text", "text": "The clock.", "signature": "s1", "index": 0},
    {"type": "reasoning.encrypted", "data": "gAAA", "index": 1},
]
THINKING = [
    {"type": "thinking", "thinking": "The clock.", "signature": "s1"},
    {"type": "redacted_thinking", "data": "gAAA"},
]
SEALED = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
WORKING = {
    "type": "message",
    "role": "assistant",
    "phase": "commentary",
    "content": [{"type": "output_text", "text": "I look at the clock."}],
}
CALL_ITEM = {"type": "function_call", "call_id": "c1", "name": "now", "arguments": "{}"}

SIGNED = [{**CALLS[0], "extra_content": {"google": {"thought_signature": "c2ln"}}}]

LOOPS = {
    "signed calls": (
        "gemini",
        "chat/completions",
        chat("tool_calls", tool_calls=SIGNED),
        chat(content="It is noon."),
        lambda body: body["messages"][1]["tool_calls"] == SIGNED,
    ),
    "reasoning_content": (
        "deepseek",
        "chat/completions",
        chat("tool_calls", tool_calls=CALLS, reasoning_content="The clock."),
        chat(content="It is noon."),
        lambda body: body["messages"][1]["reasoning_content"] == "The clock.",
    ),
    "reasoning_details": (
        "openrouter",
        "chat/completions",
        chat("tool_calls", tool_calls=CALLS, reasoning_details=DETAILS),
        chat(content="It is noon."),
        lambda body: body["messages"][1]["reasoning_details"] == DETAILS,
    ),
    "thinking": (
        "anthropic",
        "messages",
        {
            "content": [*THINKING, {"type": "tool_use", "id": "c1", "name": "now", "input": {}}],
            "stop_reason": "tool_use",
        },
        {"content": [{"type": "text", "text": "It is noon."}], "stop_reason": "end_turn"},
        lambda body: body["messages"][1]["content"][:2] == THINKING,
    ),
    "sealed items": (
        "openai",
        "responses",
        {"status": "completed", "output": [SEALED, WORKING, CALL_ITEM]},
        {
            "status": "completed",
            "output": [
                {"type": "message", "content": [{"type": "output_text", "text": "It is noon."}]}
            ],
        },
        lambda body: body["input"][1:4] == [SEALED, WORKING, CALL_ITEM],
    ),
}


@pytest.mark.parametrize("name", sorted(LOOPS))
async def test_thoughts_go_back_with_the_turn_that_calls(name):
    """
    Each provider gets its own back as it gave them, with the tool's result, and answers.
    """
    provider, path, first, last, is_there = LOOPS[name]
    scripts = [[reply(orjson.dumps(body), "connection: close")] for body in (first, last)]
    with ScriptServer(*scripts) as server:
        model = LLM(f"{server.base_url}/{path}", "k", "m", api_provider=provider)
        kind = {"gen_type": "responses"} if path == "responses" else {}
        done = await model.run_tools("What time is it?", [now], **kind)
        asked = [body_of(request) for request in server.requests]

    assert done.text == "It is noon."
    assert is_there(asked[1])


def thinking_turn(provider="deepseek"):
    """Return a turn that calls a tool, with its provider's thoughts."""
    call = messages_of([{"role": "assistant", "tool_calls": CALLS}])[0].tool_calls
    return Message(
        role="assistant",
        tool_calls=call,
        handed_back={"reasoning_content": "The clock."},
        provider=provider,
    )


def request_with(turn):
    """Return a conversation in which a turn has called a tool."""
    result = Message(content="noon", role="tool", tool_call_id="c1")
    return {"messages": [message.body() for message in (Message(content="Hi"), turn, result)]}


@pytest.mark.parametrize("model", ["deepseek/m", "groq/m", "anthropic/m", "gemini/m"])
def test_nobody_is_sent_anothers_thoughts(model):
    """
    A fallback in the middle of a loop gets the turn without them.
    """
    call = resolve(model, api_key="k").call(request_with(thinking_turn()), {})

    assert (b"The clock." in call.wire) is (model == "deepseek/m")


@pytest.mark.parametrize("model", ["gemini/m", "openai/m", "mistral/m"])
def test_nobody_else_is_sent_what_gemini_has_sealed(model):
    """
    A field that they do not know would be refused; a turn that is read again is the same turn.
    """
    (call,) = messages_of([{"role": "assistant", "tool_calls": SIGNED}])[0].tool_calls
    turn = Message(role="assistant", tool_calls=(call,), provider="gemini")

    sent = resolve(model, api_key="k").call(request_with(turn), {})

    assert (b"c2ln" in sent.wire) is (model == "gemini/m")
    assert Message.of(turn.body()) == turn


def test_an_answer_kept_without_the_thoughts_is_used():
    """
    The released code did not send them; its key is the older one of the same question.
    """
    target = resolve("deepseek/m", api_key="k")
    bare = request_with(thinking_turn())
    bare["messages"][1] = bare["messages"][1].without_thoughts()
    before = target.call(bare, {}).key
    after = target.call(request_with(thinking_turn()), {}).key

    assert isinstance(after, RenamedKey)
    assert not isinstance(before, RenamedKey)
    assert (after.older, after == before) == (before, False)


def test_thoughts_that_the_caller_writes_are_a_question_of_their_own():
    """
    What somebody puts into a conversation by hand is sent everywhere and has no older key.
    """
    plain = request_with(thinking_turn())
    plain["messages"][1] = dict(plain["messages"][1])
    call = resolve("groq/m", api_key="k").call(plain, {})

    assert b"The clock." in call.wire
    assert not isinstance(call.key, RenamedKey)


def test_a_turn_keeps_its_thoughts_apart_through_every_conversion():
    """
    As a message again, as a copy and through a pickle.
    """
    turn = thinking_turn().body()

    assert isinstance(turn, AssistantTurn)
    assert Message.of(turn) == thinking_turn()
    for same in (copy.deepcopy(turn), pickle.loads(pickle.dumps(turn))):
        assert (same, same.handed_back, same.provider) == (turn, turn.handed_back, "deepseek")


def test_a_turn_without_calls_hands_nothing_back():
    """
    An ordinary conversation with a model that thinks is the same question as before.
    """
    speaks = resolve("deepseek/m", api_key="k")
    said = speaks.read(orjson.dumps(chat(content="4", reasoning_content="2 + 2")))

    assert said.reasoning == "2 + 2"
    assert said.handed_back is None
