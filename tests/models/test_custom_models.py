"""Promises about models of one's own: accepted wherever a model is, and asked by the engine."""

from __future__ import annotations

import asyncio
import threading

import pandas as pd
import pytest
from pydantic import BaseModel

from llmnb import (
    GLOBAL_COST_TRACKER,
    LLM,
    AsyncLLM,
    GenerationMaster,
    LLMModel,
    LLMResult,
    last_run,
    set_price,
)
from llmnb.errors import (
    AuthenticationError,
    BadReply,
    ConfigurationError,
    MaybeBilled,
    RequestRejected,
)
from llmnb.records import ToolCall
from llmnb.testing import SimulatedProvider

NO_ANSWER = [LLMResult()]


class Upper(LLMModel):
    """Answers in capitals, and counts what it was asked."""

    asked: list[dict] = []  # noqa: RUF012 - each test begins with an empty one

    def __init__(self, **attributes):
        vars(self).update(attributes)

    async def acompletion(self, messages, **kw):
        self.asked.append({"text": messages[-1].text, **kw})
        return [LLMResult(text=messages[-1].text.upper(), prompt_count=2, completion_count=1)]


@pytest.fixture(autouse=True)
def nobody_was_asked():
    Upper.asked.clear()


def ask(model, *texts, **options):
    return pd.Series(texts).llm.generate(model=model, progress=False, **options)


def test_a_model_with_a_single_method_is_accepted_wherever_a_model_is():
    """
    Tables, lists of requests, `GenerationMaster`, and its own calls, in pieces too.
    """
    model = Upper()

    assert ask(model, "a", "b").tolist() == ["A", "B"]
    rows = AsyncLLM(model=model).generate([{"prompt": "c"}], progress=False)
    assert rows[0][1]["choices"][0]["message"]["content"] == "C"
    assert asyncio.run(GenerationMaster([model], ["d"], bars=False).run()) == ["D"]
    fragments: list[str] = []
    assert model.call_single_sync("e", callbacks=[fragments.append]).text == "E"
    assert fragments == ["E"]


def test_it_is_asked_by_the_names_of_its_own_method():
    """
    Turns and fields as `acompletion` has them, under OpenAI's names; n stays with the engine.
    """
    ask(Upper(), "a", params={"temperature": 0, "stop_tokens": ["."]}, n=2, system="Shout.")

    assert Upper.asked == [{"text": "a", "temperature": 0, "stop": ["."]}] * 2


def test_rows_have_its_figures():
    """
    Name, tokens and the price that it told stand with each row, and with the cost tracker.
    """

    class Dear(LLMModel):
        name = "dear"

        async def acompletion(self, messages, **kw):
            return [LLMResult(text="yes", prompt_count=7, completion_count=3, cost=0.25)]

    before = GLOBAL_COST_TRACKER.lifetime_cost_usd
    was_enabled, GLOBAL_COST_TRACKER.enabled = GLOBAL_COST_TRACKER.enabled, True
    try:
        (row,) = ask(Dear(), "a", details=True).to_dict("records")
    finally:
        GLOBAL_COST_TRACKER.enabled = was_enabled

    figures = {name: row[name] for name in ("provider", "model", "prompt_tokens", "usd")}
    assert figures == {"provider": "own", "model": "dear", "prompt_tokens": 7, "usd": 0.25}
    assert GLOBAL_COST_TRACKER.lifetime_cost_usd - before == pytest.approx(0.25)


def test_no_answer_is_bought_twice_while_the_object_lives():
    """
    The same rows of the same object come from the store; those of another object do not.
    """
    model = Upper()
    ask(model, "a", "a", "b")
    assert len(Upper.asked) == 2

    ask(model, "a", "b", "c")
    assert [request["text"] for request in Upper.asked] == ["a", "b", "c"]

    ask(Upper(), "a")
    assert len(Upper.asked) == 4


def test_a_changed_attribute_is_another_model():
    """
    What was answered before the change is not taken for an answer after it.
    """
    model = Upper(manner="loud")
    ask(model, "a")
    model.manner = "louder"
    ask(model, "a")
    assert len(Upper.asked) == 2

    model.manner = "loud"
    ask(model, "a")
    assert len(Upper.asked) == 2


def test_attributes_of_every_kind_are_borne():
    """
    Circles, odd keys, lone surrogates, locks: what cannot be written down is known by its kind.
    """
    circle: list[object] = []
    circle.append(circle)
    odd = {(1, 2): 3, "a": b"b", 4: None}

    model = Upper(circle=circle, odd=odd, text="\ud800", lock=threading.Lock(), at=pd)

    assert ask(model, "a").tolist() == ["A"]


def test_with_an_identity_answers_are_kept_for_good():
    """
    The author's word for what decides the answers: other objects of that identity share them.
    """
    ask(Upper(identity="v1"), "a")
    ask(Upper(identity="v1"), "a")
    assert len(Upper.asked) == 1

    ask(Upper(identity="v2"), "a")
    assert len(Upper.asked) == 2


def test_limits_and_places_hold_it():
    """
    Never more at once than the places that were named.
    """
    at_once, most = 0, 0

    class Slow(LLMModel):
        async def acompletion(self, messages, **kw):
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            for _ in range(20):
                await asyncio.sleep(0)
            at_once -= 1
            return [LLMResult(text="x")]

    ask(Slow(), *map(str, range(40)), max_concurrent_requests=3, max_requests_per_minute=60_000)

    assert 1 <= most <= 3
    assert last_run().status().pools[0].requests_per_minute == 60_000


def test_a_model_that_blocks_holds_up_no_other_run():
    """
    Its code runs on a thread of its own: while it blocks, another model is asked and answers.
    """
    entered, may_leave = threading.Event(), threading.Event()

    class Blocks(LLMModel):
        async def acompletion(self, messages, **kw):
            entered.set()
            may_leave.wait(30)
            return [LLMResult(text="late")]

    run = pd.Series(["a"]).llm.start(model=Blocks(), progress=False)
    assert entered.wait(30)
    try:
        assert ask("sim/quick", "b").notna().all()
    finally:
        may_leave.set()
    assert run.result().tolist() == ["late"]


def test_a_model_made_of_ours_may_call_them():
    """
    Inside, both the awaited and the blocking forms work.
    """
    with SimulatedProvider(reply=lambda prompt: prompt[::-1]) as sim:
        inner = LLM(url=sim.base_url, api_key="k", model="m")

        class Twice(LLMModel):
            async def acompletion(self, messages, **kw):
                once = await inner.call_single(messages[-1].text + "1")
                return [LLMResult(text=inner.call_single_sync(once.text + "2").text)]

        assert ask(Twice(), "ab").tolist() == ["2ab1"]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (ValueError("bad weights"), RequestRejected),
        (ConnectionResetError("gone"), MaybeBilled),
        (AuthenticationError("no such account"), AuthenticationError),
        (asyncio.CancelledError(), MaybeBilled),
    ],
)
def test_what_it_raises_is_a_typed_error_of_its_row(fault, expected):
    """
    A fault of its code ends the row, a lost connection may be tried once more.
    """

    class Fails(LLMModel):
        async def acompletion(self, messages, **kw):
            raise fault

    run = pd.Series(["a"]).llm.start(model=Fails(), progress=False, on_error="column")
    run.result()

    (failed,) = run.failures()
    assert isinstance(failed.error, expected)
    assert str(fault) in failed.error.message


@pytest.mark.parametrize(
    "result",
    [
        *("a text", [], [None], NO_ANSWER, [LLMResult(text=5)]),
        *([LLMResult(text="x", cost="1")], [LLMResult(text="x", cost=-1.0)]),
        *([LLMResult(text="x", prompt_count="9")], [LLMResult(text="x", prompt_count=2**80)]),
        *([LLMResult(error="no")], [LLMResult(tool_calls=("x",))], [LLMResult(messages=("x",))]),
    ],
)
def test_what_is_no_result_is_a_bad_reply(result):
    """
    A row of its own failed, whichever value is of the wrong kind; nothing is kept of it.
    """

    class Wrong(LLMModel):
        async def acompletion(self, messages, **kw):
            return result

    run = pd.Series(["a"]).llm.start(model=Wrong(), progress=False, on_error="column")
    run.result()

    assert isinstance(run.failures()[0].error, BadReply)
    if result and result is not NO_ANSWER:
        with pytest.raises(BadReply, match="Wrong\\.acompletion"):
            Wrong().call_sync("a")


def test_half_a_character_in_its_answer_is_replaced():
    """
    As in answers of providers, U+FFFD stands in its place.
    """

    class Half(LLMModel):
        async def acompletion(self, messages, **kw):
            return [LLMResult(text="a\ud83d", model="\ud83d")]

    assert ask(Half(), "a").tolist() == ["a\ufffd"]


@pytest.mark.parametrize("model", [str.upper, Upper, object(), b"sim/a"])
def test_what_is_no_model_is_refused_with_what_is_one(model):
    """
    A function, a class in place of its object, bytes: the error says what to write.
    """
    with pytest.raises(ConfigurationError, match="subclass of LLMModel"):
        ask(model, "a")


def test_an_error_in_its_result_is_the_rows():
    """
    A result that carries an error is no answer.
    """

    class Refuses(LLMModel):
        async def acompletion(self, messages, **kw):
            return [LLMResult(error=RequestRejected("not this one"))]

    run = pd.Series(["a"]).llm.start(model=Refuses(), progress=False, on_error="column")
    run.result()

    assert "not this one" in run.failures()[0].error.message


def test_it_may_stand_in_a_list_of_fallbacks_and_in_a_comparison():
    """
    Where it fails the next model answers; beside others it has a column of its own.
    """

    class Fails(LLMModel):
        async def acompletion(self, messages, **kw):
            raise AuthenticationError("closed")

    assert ask([Fails(), Upper()], "a").tolist() == ["A"]
    outcome = pd.Series(["a"]).llm.compare(models=[Upper(), "sim/any"], progress=False)
    assert outcome.answers["own/Upper"].tolist() == ["A"]


def test_structured_answers_are_checked_and_mended_once():
    """
    It is given the form as `response_format`, and asked again where its answer does not fit.
    """

    class City(BaseModel):
        name: str

    class Learns(LLMModel):
        def __init__(self):
            self.rounds = []

        async def acompletion(self, messages, **kw):
            self.rounds.append(kw["response_format"]["json_schema"]["schema"]["properties"])
            return [LLMResult(text="Kyiv" if len(self.rounds) == 1 else '{"name": "Kyiv"}')]

    model = Learns()

    assert ask(model, "where", schema=City)["name"].tolist() == ["Kyiv"]
    assert [list(fields) for fields in model.rounds] == [["name"], ["name"]]


def test_tool_calls_and_reasoning_survive_the_store():
    """
    A reply of its making is read like any other, from the store too.
    """

    class Calls(LLMModel):
        async def acompletion(self, messages, **kw):
            calls = (ToolCall(id="1", name="now", arguments="{}"),)
            return [LLMResult(text=None, tool_calls=calls, reasoning_content="hm")]

    model = Calls()
    for _ in range(2):
        rows = AsyncLLM(model=model).generate([{"prompt": "c"}], progress=False)
        message = rows[0][1]["choices"][0]["message"]
        assert message["tool_calls"][0]["function"]["name"] == "now"
        assert message["reasoning_content"] == "hm"


def test_its_fragments_are_handed_over_as_they_come():
    """
    Where a run listens, `acompletion_iter` is asked, and each piece is told in order.
    """

    class Streams(LLMModel):
        async def acompletion(self, messages, **kw):
            raise AssertionError("it was to be streamed")

        async def acompletion_iter(self, messages, **kw):
            for word in ("one ", "two ", "three"):
                yield LLMResult(text=word)

    texts = ask(Streams(), "a", time_limit=60, details=True)

    assert texts["response"].tolist() == ["one two three"]
    assert texts["first_token_seconds"].notna().all()


def test_a_budget_needs_its_price():
    """
    Without one it is a configuration error; `set_price` gives it one.
    """

    class Priced(Upper):
        name = "priced-by-hand"

    with pytest.raises(ConfigurationError, match="price of own/priced-by-hand is not known"):
        ask(Priced(), "a", budget_usd=1.0)
    set_price("own/priced-by-hand", 1.0, 1.0)
    assert ask(Priced(), "a", budget_usd=1.0).tolist() == ["A"]
    with pytest.warns(match="budget"):
        assert ask(Priced(), "b", budget_usd=1e-9).isna().all()


def test_what_it_cannot_do_is_refused_before_anything_is_sent():
    """
    It answers chats; and a thing that is no model is named as such.
    """
    with pytest.raises(ConfigurationError, match="answers chats"):
        AsyncLLM(model=Upper(), gen_type="text").generate([{"prompt": "a"}])
    with pytest.raises(ConfigurationError, match="not int"):
        ask([7], "a")
    with pytest.raises(ConfigurationError, match="makes no vectors"):
        pd.Series(["a"]).llm.embed(model=Upper())


def test_a_plan_sends_it_nothing():
    """
    Rows, merged and kept ones are reckoned; it is not asked.
    """
    model = Upper()
    ask(model, "a")
    outcome = pd.Series(["a", "b", "b"]).llm.plan(model=model)

    assert (outcome.model, outcome.to_ask, outcome.cached, outcome.merged) == ("own/Upper", 1, 1, 1)
    assert len(Upper.asked) == 1
