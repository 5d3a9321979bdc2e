"""Promises of models that the engine asks: `LLM` against a provider, in every dialect."""

from __future__ import annotations

import asyncio
import contextlib
import pickle

import pydantic
import pytest
from laboratory import Laboratory

from llmnb import LLM, LiteLLMModel, LLMParams, Message
from llmnb.errors import AuthenticationError, ConfigurationError, MaybeBilled, Truncated
from llmnb.testing import faults

DIALECTS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-haiku-5-5",
    "gemini": "gemini-3.5-flash-lite",
}


def llm_at(sim, provider="openai", **options):
    base = {"gemini": sim.base_url.replace("/v1", "/v1beta")}.get(provider, sim.base_url)
    return LLM(
        url=base, api_key="k" * 12, model=DIALECTS[provider], api_provider=provider, **options
    )


def recording(bodies):
    """Return a replier that notes what was asked."""

    def reply(prompt, request):
        bodies.append(dict(request.body))
        return "noted"

    return reply


@pytest.mark.parametrize("provider", DIALECTS)
def test_a_result_has_all_figures_in_every_dialect(provider):
    """
    Text, tokens, cost, reason to end, id, seconds: nothing is left out for any provider.
    """
    with Laboratory(reply="four tokens of text") as sim:
        result = llm_at(sim, provider).call_single_sync([Message("Hi")], name="mark")

    (row,) = sim.ledger.finished
    assert (str(result), result.provider, result.model) == (
        "four tokens of text",
        provider,
        DIALECTS[provider],
    )
    assert (result.prompt_count, result.completion_count) == (
        row.prompt_tokens,
        row.completion_tokens,
    )
    assert result.cost > 0
    assert result.seconds_to_last_token > 0
    assert (result.name, result.simulated, result.cached) == ("mark", True, False)
    assert result.finish_reason
    assert result.key
    assert pickle.loads(pickle.dumps(result)) == result


@pytest.mark.parametrize("provider", DIALECTS)
def test_as_many_callbacks_as_chunks_with_text(provider):
    """
    Each piece is told as it comes, and together they are the answer.
    """
    fragments = []
    with Laboratory(reply="one two three four", tokens_per_second=2000) as sim:
        result = llm_at(sim, provider).call_single_sync("Hi", callbacks=[fragments.append])

    (row,) = sim.ledger.finished
    assert len(fragments) == row.completion_tokens == 5
    assert "".join(fragments) == result.text == "one two three four"
    assert result.seconds_to_first_token <= result.seconds_to_last_token


async def test_the_first_fragment_comes_before_the_answer_is_whole():
    """
    The server holds the rest back until the first callback has been called.
    """
    heard = asyncio.Event()
    with Laboratory(
        reply="one two three four",
        latency=0,
        tokens_per_second=2000,
        faults=lambda request: faults.stall("body", after=1),
    ) as sim:
        task = asyncio.create_task(
            llm_at(sim).call_single("Hi", callbacks=[lambda text: heard.set()])
        )
        await asyncio.wait_for(heard.wait(), 20)

        assert not task.done()
        task.cancel()
        await asyncio.wait([task])


@contextlib.contextmanager
def breaking(first, second):
    """A model whose stream breaks in the midst of `first`, and one to fall back to."""
    script = {"faults": lambda request: faults.reset("body", after=2)}
    pace = {"tokens_per_second": 2000}
    with (
        Laboratory(reply=first, **pace, **script) as a,
        Laboratory(reply=second, **pace) as b,
    ):
        entries = [
            {"model_name": name, "litellm_params": {"api_base": sim.base_url, "api_key": "k"}}
            for name, sim in (("a", a), ("b", b))
        ]
        yield LiteLLMModel("a", {"model_list": entries, "fallbacks": [{"a": ["b"]}]})


async def test_an_answer_that_begins_anew_repeats_nothing():
    """
    The second model's pieces go on where the broken stream of the first one ended.
    """
    with breaking("one two three four", "one two three four") as model:
        fragments = [fragment async for fragment in model.acompletion_iter([Message("Hi")])]

    assert "".join(fragment.text for fragment in fragments) == "one two three four"
    assert not any(fragment.restarted for fragment in fragments)
    assert fragments[-1].messages[0].content == "one two three four"
    assert (fragments[-1].model, fragments[-1].completion_count) == ("b", 5)


async def test_an_answer_that_begins_anew_otherwise_says_so():
    """
    The piece that begins it is marked, and the result is the second answer alone.
    """
    heard = []
    with breaking("one two three four", "one five six seven") as model:
        fragments = [fragment async for fragment in model.acompletion_iter([Message("Hi")])]
        result = await model.call_single("Hi", callbacks=[heard.append], use_cache=False)

    begins = [position for position, fragment in enumerate(fragments) if fragment.restarted]
    assert len(begins) == 1
    assert "".join(fragment.text for fragment in fragments[begins[0] :]) == "one five six seven"
    assert result.text == "one five six seven"
    assert "".join(heard) == "one two " + "one five six seven"


async def test_a_stream_that_breaks_for_good_ends_with_its_error():
    """
    What may have been billed is sent again once at most; the pieces are no answer.
    """
    broken = [faults.reset("body", after=1), faults.reset("body", after=1)]
    with Laboratory(reply="one two", tokens_per_second=2000, faults=broken) as sim:
        fragments = [fragment async for fragment in llm_at(sim).acompletion_iter([Message("Hi")])]
        sim.set_faults(broken)
        with pytest.raises(MaybeBilled):
            await llm_at(sim).call_single("Ho", callbacks=[lambda text: None])

    assert isinstance(fragments[-1].error, MaybeBilled)
    assert not fragments[-1].is_answer


def test_a_stored_answer_comes_in_a_single_piece_and_costs_nothing():
    """
    A streamed answer and one in one piece are the same answer in the store.
    """
    fragments = []
    with Laboratory(reply="one two three four") as sim:
        first = llm_at(sim).call_single_sync("Hi")
        again = llm_at(sim).call_single_sync("Hi", callbacks=[fragments.append])

    assert len(sim.ledger.received) == 1
    assert fragments == ["one two three four"]
    assert (again.cached, again.cost, again.key) == (True, 0.0, first.key)
    assert (again.prompt_count, again.seconds_to_first_token) == (first.prompt_count, None)


@pytest.mark.parametrize("provider", DIALECTS)
def test_n_answers_are_n_requests_on_every_provider(provider):
    """
    Also where the protocol has no n; one that is bought already is not bought again.
    """
    counter = iter(range(100))
    with Laboratory(reply=lambda prompt: f"answer {next(counter)}") as sim:
        llm = llm_at(sim, provider, llm_params=LLMParams(n=2))
        two = llm.call_sync("Hi")
        three = llm.call_sync("Hi", n=3)

    assert len({result.text for result in three}) == 3
    assert [result.text for result in two] == [result.text for result in three[:2]]
    assert len(sim.ledger.received) == 3
    assert [result.cached for result in three] == [True, True, False]


def test_log_probabilities_come_with_the_answer():
    """
    Their sum, and the likeliest tokens at each place.
    """
    with Laboratory(reply="one two") as sim:
        result = llm_at(sim).call_single_sync("Hi", logprobs=True, top_logprobs=2)

    assert result.logprob < 0
    assert [len(position) for position in result.top_logprobs] == [2] * result.completion_count


def test_hidden_reasoning_is_kept_apart():
    """
    It is not part of the text, streamed or not.
    """
    reply = {"content": "Four.", "reasoning_content": "two and two"}
    thoughts = []

    async def follow():
        thoughts.extend(
            [fragment async for fragment in llm_at(sim).acompletion_iter([Message("Ho")])]
        )

    with Laboratory(reply=lambda prompt: reply) as sim:
        result = llm_at(sim).call_single_sync("Hi")
        asyncio.run(follow())

    assert (result.text, result.reasoning_content) == ("Four.", "two and two")
    assert "".join(item.text for item in thoughts) == "Four."
    assert thoughts[-1].reasoning_content == "two and two"


class Stars(pydantic.BaseModel):
    stars: int


@pytest.mark.parametrize("provider", ["openai", "gemini"])
def test_an_output_type_is_read_and_mended_once(provider):
    """
    The engine asks once more for an answer that does not fit; the value is the model's own.
    """
    answers = iter(["no JSON", '{"stars": 4}'])
    with Laboratory(reply=lambda prompt: next(answers)) as sim:
        result = llm_at(sim, provider).call_single_sync("Hi", output_type=Stars)

    assert result.value == Stars(stars=4)
    assert len(sim.ledger.received) == 2


def test_the_error_of_the_answer_is_raised_and_others_are_kept():
    """
    One failed of two: a result with its error. All failed: the error.
    """
    script = iter([None, 400])
    with Laboratory(faults=lambda request: next(script, 401)) as sim:
        results = llm_at(sim).call_sync("Hi", n=2, max_concurrent_requests=1)
        with pytest.raises(AuthenticationError):
            llm_at(sim).call_single_sync("Ho")

    assert sorted(result.is_answer for result in results) == [False, True]


def test_an_answer_cut_off_is_raised_with_its_text_kept():
    """
    Not silently taken for good.
    """
    reply = {"content": "half", "finish_reason": "length"}
    with (
        Laboratory(reply=lambda prompt: reply) as sim,
        pytest.raises(Truncated),
    ):
        llm_at(sim).call_single_sync("Hi")


async def test_a_call_that_is_cancelled_sends_nothing_new():
    """
    What is on its way is finished and stored; the caller goes at once.
    """
    with Laboratory(latency=0, reply="kept") as sim:
        sim.hold()
        task = asyncio.create_task(llm_at(sim).call_single("Hi"))
        await asyncio.to_thread(sim.wait_until, lambda totals: totals.received == 1)
        task.cancel()
        await asyncio.wait([task])

        assert task.cancelled()
        sim.release()
        assert (await llm_at(sim).call_single("Hi")).text == "kept"
        assert len(sim.ledger.received) == 1


def test_run_options_and_fields_of_requests_are_kept_apart():
    """
    Both go into one call; wrong n is refused.
    """
    bodies = []
    with Laboratory(reply=recording(bodies)) as sim:
        llm = llm_at(sim, llm_params={"temperature": 0.5})
        llm.call_single_sync("Hi", max_attempts=1, use_cache=False, top_p=0.9, temperature=0)
        for n in (0, True, "2"):
            with pytest.raises(ConfigurationError):
                llm.call_sync("Hi", n=n)

    (body,) = bodies
    assert sorted(body) == ["messages", "model", "temperature", "top_p"]
    assert (body["temperature"], body["top_p"]) == (0, 0.9)


def test_messages_go_out_in_every_form_they_can_have():
    """
    Systems, images and earlier turns reach the provider as they are.
    """
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    bodies = []
    with Laboratory(reply=recording(bodies)) as sim:
        llm_at(sim).call_single_sync(
            [
                Message("Be brief.", role="system"),
                {"role": "user", "content": [{"type": "text", "text": "Look"}, image]},
            ]
        )

    sent = bodies[0]["messages"]
    assert [turn["role"] for turn in sent] == ["system", "user"]
    assert sent[1]["content"][1] == image


@pytest.mark.parametrize("turns", ["Hi", Message("Hi"), ["Hi"], [Message("Hi")]])
def test_generate_takes_conversations_as_call_does(turns):
    """
    In each of their forms, and answered from one place in the store.
    """
    with Laboratory(reply="Hello") as sim:
        model = llm_at(sim)
        assert model.generate(turns) == model.call_single_sync(turns).text == "Hello"

    assert sim.ledger.totals().received == 1


def test_a_key_of_a_call_goes_where_the_model_is():
    """
    Beside an `LLM` with an address and parameters of its own, not to the provider's address.
    """
    with Laboratory(api_key=["k" * 12, "other"]) as sim:
        model = llm_at(sim, temperature=0.5)
        model.call_single_sync("Hi")
        model.call_single_sync("Hi", api_key="other", use_cache=False)

    first, second = sim.ledger.rows
    assert first.body_hash == second.body_hash
    assert first.key_hash != second.key_hash


def test_any_name_of_the_catalog_is_asked_alike():
    """
    `LLM(model="sim/…")` needs no address.
    """
    assert LLM(model="sim/any").call_single_sync("Hi").provider == "sim"


@pytest.mark.local_model
def test_the_model_inside_this_process_is_such_a_model_too():
    """
    Pieces, log-probabilities, a form of answers and a price of nothing, from real weights.
    """
    llm, fragments = LLM(model="local/smollm2", llm_params={"max_tokens": 8, "temperature": 0}), []

    result = llm.call_single_sync(
        "Say yes.", callbacks=[fragments.append], logprobs=True, top_logprobs=2
    )
    stars = llm.call_single_sync("How many stars?", output_type=Stars, max_tokens=32)

    assert "".join(fragments) == result.text
    assert len(fragments) > 1
    assert (result.cost, result.provider) == (0.0, "local")
    assert result.logprob < 0
    assert len(result.top_logprobs) >= result.completion_count - 1
    assert isinstance(stars.value, Stars)
