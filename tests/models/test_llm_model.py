"""Promises of the base class: what it makes of the two methods that a subclass brings."""

from __future__ import annotations

import asyncio
import threading

import pydantic
import pytest

from llmnb import LLMModel, LLMResult, Message, bridge
from llmnb.errors import ConfigurationError, LLMNBError, SchemaMismatch


class Scripted(LLMModel):
    """Answers what it is told to, and remembers what it was asked."""

    def __init__(self, *texts: str, awaits: bool = False) -> None:
        self.texts = texts or ("one ", "two")
        self.asked: list[dict] = []
        self.turns: list[list[Message]] = []

    async def acompletion(self, messages, **kw):
        self.turns.append(messages)
        self.asked.append(kw)
        return [LLMResult(text="".join(self.texts)) for _ in range(kw.get("n") or 1)]

    async def acompletion_iter(self, messages, **kw):
        self.turns.append(messages)
        self.asked.append(kw)
        for text in self.texts:
            yield LLMResult(text=text)
        yield LLMResult(text="", finish_reason="stop")


class Promised(Scripted):
    """Its `acompletion_iter` is a coroutine that gives an iterator, as the seed writes it."""

    async def acompletion_iter(self, messages, **kw):
        return Scripted.acompletion_iter(self, messages, **kw)


def test_a_model_without_the_two_methods_cannot_be_made():
    """
    `LLMModel` is abstract.
    """
    with pytest.raises(TypeError, match="acompletion"):
        LLMModel()


async def test_call_gives_a_list_and_call_single_a_result():
    """
    Both fill in the prompt, the turns to go on with, and the caller's mark.
    """
    model = Scripted()

    results = await model.call([Message("Hi")], name="mark", n=2)
    single = await model.call_single("Hi")

    assert [result.text for result in results] == ["one two", "one two"]
    assert results[0].prompt == (Message("Hi"),)
    assert results[0].messages == (Message("one two", role="assistant"),)
    assert results[0].name == "mark"
    assert single.text == "one two"
    assert model.asked == [{"n": 2}, {"n": 1}]


@pytest.mark.parametrize("kind", [Scripted, Promised])
async def test_callbacks_plain_and_async_get_every_piece_in_order(kind):
    """
    As many calls as fragments with text; the result is the whole.
    """
    heard, heard_async = [], []

    async def listen(text):
        await asyncio.sleep(0)
        heard_async.append(text)

    result = await kind().call_single("Hi", callbacks=[heard.append, listen])

    assert heard == heard_async == ["one ", "two"]
    assert (result.text, result.finish_reason) == ("one two", "stop")
    assert 0 <= result.seconds_to_first_token <= result.seconds_to_last_token


async def test_a_callback_that_fails_raises_for_the_caller():
    """
    Nothing is swallowed.
    """
    with pytest.raises(ZeroDivisionError):
        await Scripted().call("Hi", callbacks=[lambda text: 1 / 0])


@pytest.mark.parametrize("callbacks", [5, [5], "ab"])
async def test_what_is_no_callback_is_refused_before_anything_is_asked(callbacks):
    """
    An answer would have been bought and lost.
    """
    model = Scripted()

    with pytest.raises(ConfigurationError, match="callbacks"):
        await model.call("Hi", callbacks=callbacks)

    assert model.asked == []


async def test_callbacks_and_several_answers_exclude_each_other():
    """
    An error before anything is asked, not interleaved pieces.
    """
    model = Scripted()

    with pytest.raises(ConfigurationError, match="leave n out"):
        await model.call("Hi", callbacks=[print], n=2)
    with pytest.raises(ConfigurationError):
        await model.call_single("Hi", n=2)

    assert model.asked == []


class Stars(pydantic.BaseModel):
    stars: int


SCHEMA = {"type": "object", "properties": {"stars": {"type": "integer"}}, "required": ["stars"]}


@pytest.mark.parametrize(
    ("kind", "value"),
    [(Stars, Stars(stars=5)), (SCHEMA, {"stars": 5}), (dict[str, int], {"stars": 5})],
    ids=["pydantic", "JSON schema", "type"],
)
async def test_an_output_type_is_asked_for_and_read(kind, value):
    """
    The subclass gets a `response_format`; the answer is validated, with callbacks, too.
    """
    model = Scripted('{"stars"', ": 5}")

    whole = await model.call_single("Hi", output_type=kind)
    streamed = await model.call_single("Hi", output_type=kind, callbacks=[lambda text: None])

    assert whole.value == streamed.value == value
    assert model.asked[0]["response_format"]["type"] == "json_schema"


async def test_an_answer_that_does_not_fit_is_an_error_with_its_text():
    """
    The text was paid for and is kept.
    """
    with pytest.raises(SchemaMismatch):
        await Scripted("no stars at all").call_single("Hi", output_type=Stars)

    class Both(Scripted):
        async def acompletion(self, messages, **kw):
            return [LLMResult(text='{"stars": 1}'), LLMResult(text="none")]

    good, bad = await Both().call("Hi", output_type=Stars, n=2)

    assert good.value == Stars(stars=1)
    assert (bad.text, type(bad.error), bad.is_answer) == ("none", SchemaMismatch, False)


async def test_a_model_that_returns_nothing_is_an_error():
    """
    An empty list is no answer.
    """

    class Silent(Scripted):
        async def acompletion(self, messages, **kw):
            return []

    with pytest.raises(LLMNBError, match="no result"):
        await Silent().call_single("Hi")


def test_the_blocking_twins_run_callbacks_in_the_callers_thread():
    """
    In a script nothing happens behind the caller's back.
    """
    where = []

    result = Scripted().call_single_sync(
        "Hi", callbacks=[lambda text: where.append(threading.current_thread())]
    )

    assert result.text == "one two"
    assert where == [threading.current_thread()] * 2
    assert [result.text for result in Scripted().call_sync("Hi", n=2)] == ["one two"] * 2
    assert Scripted().acompletion_sync("Hi")[0].text == "one two"


async def test_the_blocking_twins_work_where_a_loop_runs_already():
    """
    As in a notebook's cell, whose loop is never entered again.
    """
    assert Scripted().call_single_sync("Hi").text == "one two"


async def test_what_a_coroutine_raises_comes_out_of_blocking():
    """
    Also its own time-out, which is not the waiting's.
    """

    async def late():
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        bridge.block(late)


def test_blocking_on_llmnbs_own_loop_is_refused():
    """
    It would wait for itself; the error says what to do.
    """

    async def block():
        return Scripted().call_single_sync("Hi")

    with pytest.raises(ConfigurationError, match="without _sync"):
        bridge.call(block())
