"""Every usage example of the LMI document on models, cost and limits in a config, renamed."""

from __future__ import annotations

import inspect
import os

import pytest
from limits import RateLimitItemPerMinute, RateLimitItemPerSecond

from llmnb import (
    GLOBAL_COST_TRACKER,
    LiteLLMModel,
    LLMModel,
    LLMResult,
    Message,
    cost_tracking_ctx,
    enable_cost_tracking,
    last_run,
)
from llmnb.testing import SimulatedProvider, redirect


@pytest.fixture
def sim(monkeypatch):
    """OpenAI's own address leads to a simulated provider, with a key in the environment."""
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    with (
        SimulatedProvider(reply="42") as sim,
        redirect({"https://api.openai.com": sim.base_url}),
    ):
        yield sim


async def test_the_quick_start(sim):
    """
    The default model answers a message.
    """
    llm = LiteLLMModel()

    messages = [Message(content="What is the meaning of life?")]

    completion = await llm.call_single(messages)
    assert completion.text == "42"


async def test_a_config_with_a_model_list(sim):
    """
    LiteLLM's own schema; five answers, because `n` says so.
    """
    config = {
        "model_list": [
            {
                "model_name": "gpt-4o",
                "litellm_params": {
                    "api_key": os.getenv("OPENAI_API_KEY"),
                    "frequency_penalty": 1.5,
                    "top_p": 0.9,
                    "max_tokens": 512,
                    "temperature": 0.1,
                    "n": 5,
                },
            }
        ]
    }

    llm = LiteLLMModel(name="gpt-4o", config=config)
    results = await llm.call("Hi")

    assert [result.text for result in results] == ["42"] * 5
    assert {row.model for row in sim.ledger.finished} == {"gpt-4o"}


async def test_a_config_with_the_parameters_themselves(sim):
    """
    The document writes it as a set, ``{{…}}``; tested as the dict it means.
    """
    config = {
        "name": "gpt-4o",
        "temperature": 0.1,
        "max_tokens": 512,
        "n": 5,
    }

    llm = LiteLLMModel(config=config)

    assert llm.name == "gpt-4o"
    assert len(await llm.call("Hi")) == 5


async def test_an_llm_is_a_class_with_two_methods(sim):
    """
    Who inherits from `LLMModel` and brings these two is a model; signatures as documented.
    """

    class Mine(LLMModel):
        async def acompletion(self, messages: list[Message], **kwargs) -> list[LLMResult]:
            return [LLMResult(text="mine")]

        async def acompletion_iter(self, messages: list[Message], **kwargs):
            yield LLMResult(text="mine")

    heard = []

    assert (await Mine().call_single("Hi")).text == "mine"
    assert (await Mine().call("Hi", callbacks=[heard.append]))[0].text == "mine"
    assert heard == ["mine"]
    for name in ("acompletion", "acompletion_iter"):
        parameters = inspect.signature(getattr(LLMModel, name)).parameters
        assert list(parameters)[:2] == ["self", "messages"]
        assert parameters[list(parameters)[-1]].kind is inspect.Parameter.VAR_KEYWORD


async def test_callbacks_tools_and_output_schemas(sim):
    """
    `LLMModel.call` takes all three; `call_single` gives one result.
    """

    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    llm, heard = LiteLLMModel(name="gpt-4o"), []

    results = await llm.call("Hi", callbacks=[heard.append])
    value = (await llm.call_single("Hi", output_type=int)).value
    tooled = await llm.call_single("Hi", tools=[add], tool_choice="auto")

    assert ("".join(heard), results[0].text, value, tooled.text) == ("42", "42", 42, "42")


async def test_cost_tracking_in_both_ways(sim):
    """
    Tokens and dollars with each result, and a tracker that can be switched on and off.
    """
    llm = LiteLLMModel(name="gpt-4o")
    GLOBAL_COST_TRACKER.reset()
    enable_cost_tracking()
    result = await llm.call_single("one")
    enable_cost_tracking(False)
    await llm.call_single("two")
    with cost_tracking_ctx():
        other = await llm.call_single("three")

    assert (result.prompt_count, result.completion_count) == (
        sim.ledger.finished[0].prompt_tokens,
        sim.ledger.finished[0].completion_tokens,
    )
    assert GLOBAL_COST_TRACKER.simulated_usd == pytest.approx(result.cost + other.cost)
    GLOBAL_COST_TRACKER.reset()


@pytest.mark.parametrize(
    ("rate", "per_minute"),
    [
        ("100/minute", 100),
        ("5 per second", 300),
        ("1000/day", 1000 / 1440),
        (RateLimitItemPerSecond(30, 1), 1800),
        (RateLimitItemPerMinute(1000, 1), 1000),
    ],
)
async def test_rate_limits_in_the_config(sim, rate, per_minute):
    """
    By model, in the document's formats; they count tokens.
    """
    config = {
        "rate_limit": {
            "gpt-4": rate,
        }
    }

    # A key of its own: an account that an earlier test has used up would have to wait.
    llm = LiteLLMModel(name="gpt-4", config={**config, "api_key": f"key-for-{per_minute:.0f}"})
    await llm.call_single("Hi", max_tokens=1)

    (pool,) = last_run().status().pools
    assert pool.tokens_per_minute == pytest.approx(per_minute)
