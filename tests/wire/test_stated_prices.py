"""Promises of what a reply says of its price and its tokens, in each provider's own shape."""

from __future__ import annotations

import dataclasses

import orjson
import pytest
from script_server import ScriptServer
from script_server import reply as script_reply

from llmnb import LLM, errors
from llmnb.adapters import prices
from llmnb.records import Usage
from llmnb.targets.resolve import resolve
from llmnb.wire import (
    anthropic_messages,
    gemini,
    openai_embeddings,
    openai_responses,
)
from llmnb.wire.dialect import dialect
from llmnb.wire.usage import openai_usage
from llmnb.wire.usage import tier as tier_of

XAI = {
    "prompt_tokens": 468,
    "completion_tokens": 82,
    "total_tokens": 870,
    "completion_tokens_details": {"reasoning_tokens": 320},
}


def chat(usage=None, **body):
    """Return a chat's reply with a usage."""
    message = {"role": "assistant", "content": "fine"}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"id": "1", "model": "m", "choices": choices, "usage": usage, **body}


def streamed(usage, **body):
    """Return the same reply as a stream."""
    piece = {"index": 0, "delta": {"content": "fine"}, "finish_reason": "stop"}
    events = [
        {"id": "1", "model": "m", "choices": [piece]},
        {"id": "1", "model": "m", "choices": [], "usage": usage, **body},
    ]
    lines = [b"data: " + orjson.dumps(event) + b"\n\n" for event in events]
    return b"".join([*lines, b"data: [DONE]\n\n"])


def read_both(usage, **body):
    """Return the usage of a reply as it comes whole and streamed, which is the same."""
    speaks = dialect("openai.chat")
    whole = speaks.parse(orjson.dumps(chat(usage, **body))).usage
    assert speaks.parse(speaks.assembler().whole(streamed(usage, **body))).usage == whole
    return whole


def cost_of(model, reply, gen_type="chat"):
    """Return what a provider's reply cost, in dollars."""
    target = resolve(model, api_key="k", gen_type=gen_type)
    read = target.read(orjson.dumps(reply))
    return target.price(read.usage, read.model)


# ------------------------------------------------------------------------------- tokens


def test_reasoning_that_is_counted_beside_the_answer_is_counted_in():
    """
    xAI's total tells that its completion leaves the reasoning out, streamed or whole.
    """
    usage = read_both(XAI)

    assert (usage.prompt, usage.completion, usage.reasoning, usage.total) == (468, 402, 320, 870)


@pytest.mark.parametrize(
    ("total", "reasoning"), [(550, 320), (600, 320), (870, 0), (1190, 320), (None, 320)]
)
def test_a_total_that_the_reasoning_does_not_fill_changes_nothing(total, reasoning):
    """
    What else a total may hold, such as the input of tools, is no answer.
    """
    details = {"reasoning_tokens": reasoning}
    usage = read_both({**XAI, "total_tokens": total, "completion_tokens_details": details})

    assert (usage.prompt, usage.completion) == (468, 82)


def test_a_total_of_gemini_holds_the_input_of_tools():
    """
    There nothing is taken from the total: the prompt of tools is input.
    """
    usage = gemini.usage(
        {
            "usageMetadata": {
                "promptTokenCount": 100,
                "toolUsePromptTokenCount": 30,
                "candidatesTokenCount": 10,
                "thoughtsTokenCount": 40,
                "totalTokenCount": 180,
            }
        }
    )

    assert (usage.prompt, usage.completion, usage.reasoning) == (130, 50, 40)


@pytest.mark.parametrize(
    "said",
    [
        {"num_cached_tokens": 64},
        {"cached_tokens": 64},
        {"prompt_cache_hit_tokens": 64},
        {"prompt_tokens_details": {"cached_tokens": 64}},
        {"prompt_tokens_details": {"cached_tokens": 0}, "num_cached_tokens": 64},
        {"prompt_tokens_details": None, "cached_tokens": 64},
    ],
)
def test_cached_tokens_are_read_under_each_name(said):
    """
    Mistral's, Moonshot's, DeepSeek's and OpenAI's, beside an empty one or alone.
    """
    usage = read_both({"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, **said})

    assert (usage.prompt, usage.cache_read) == (100, 64)


def test_a_total_alone_is_the_prompt_of_vectors():
    """
    Voyage tells nothing else, and a vector has no tokens of its own.
    """
    usage = openai_embeddings._usage({"usage": {"total_tokens": 12}})

    assert (usage.prompt, usage.completion, usage.unknown) == (12, 0, ())


def test_cache_writes_of_an_hour_are_distinguished():
    """
    Anthropic counts both kinds apart, and an hour never holds more than was written.
    """
    said = {"input_tokens": 3, "output_tokens": 1, "cache_creation_input_tokens": 100}
    kinds = {"ephemeral_5m_input_tokens": 40, "ephemeral_1h_input_tokens": 60}
    usage = anthropic_messages.usage({"usage": {**said, "cache_creation": kinds}})
    odd = anthropic_messages.usage(
        {"usage": {**said, "cache_creation": {"ephemeral_1h_input_tokens": 900}}}
    )

    assert (usage.prompt, usage.cache_write, usage.cache_write_hour) == (103, 100, 60)
    assert odd.cache_write_hour == 100


# ------------------------------------------------------------------------------- dollars


@pytest.mark.parametrize(
    ("said", "usd"),
    [
        ({"cost": 0.0123}, 0.0123),
        ({"cost": 0}, 0.0),
        ({"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.5}}, 0.51),
        ({"cost": 0.01, "is_byok": False, "cost_details": {"upstream_inference_cost": 9}}, 0.01),
        ({"cost": {"input_tokens_cost": 1, "total_cost": 0.006}}, 0.006),
        ({"cost_in_usd_ticks": 37_756_000}, 0.0037756),
        ({"estimated_cost": 0.00002}, 0.00002),
        ({"cost": "0.01"}, None),
        ({"cost": -1}, None),
        ({"cost": True}, None),
        ({"cost": 1e300}, None),
        ({}, None),
    ],
)
def test_a_reply_that_tells_its_price_is_believed(said, usd):
    """
    OpenRouter's, xAI's, Perplexity's and DeepInfra's shapes; what is no price is none.
    """
    usage = read_both({"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, **said})

    assert usage.usd == (None if usd is None else pytest.approx(usd))


def test_the_price_that_a_reply_tells_wins_over_the_table():
    """
    A chat, a response and vectors of OpenRouter cost what it says, also nothing.
    """
    tokens = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
    model = "openrouter/openai/gpt-4o-mini"
    vectors = {"data": [{"index": 0, "embedding": [0.5]}], "usage": {"total_tokens": 4}}
    response = {
        "status": "completed",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "fine"}]}],
        "usage": {"input_tokens": 9, "output_tokens": 5},
    }

    assert cost_of(model, chat({**tokens, "cost": 0.25})) == 0.25
    assert cost_of(model, chat({**tokens, "cost": 0})) == 0.0
    assert cost_of(model, chat({"cost": 0.25})) == 0.25
    response["usage"]["cost"] = 0.5
    assert cost_of(model, response, "responses") == 0.5
    vectors["usage"]["cost"] = 0.125
    assert cost_of("openrouter/openai/text-embedding-3-small", vectors, "embedding") == 0.125


def test_a_price_of_nothing_is_believed_only_where_prices_are_stated():
    """
    A gateway that fills in a zero does not make a model free of charge.
    """
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 1, "total_tokens": 1_000_001}

    assert cost_of("openai/gpt-4o-mini", chat({**usage, "cost": 0})) == pytest.approx(
        0.15, abs=1e-5
    )


def test_a_service_tier_that_the_reply_names_has_its_price():
    """
    Half for flex, the listed price for priority, and the usual one for what is not sold apart.
    """
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000, "total_tokens": 2_000_000}
    costs = {
        tier: cost_of("openai/gpt-4.1", chat(usage, service_tier=tier))
        for tier in ("default", "flex", "priority", "scale")
    }

    assert costs["default"] == costs["scale"] == pytest.approx(10.0)
    assert costs["flex"] == pytest.approx(5.0)
    assert costs["priority"] == pytest.approx(17.5)
    assert cost_of("groq/llama-3.1-8b-instant", chat(usage, service_tier="flex")) == pytest.approx(
        cost_of("groq/llama-3.1-8b-instant", chat(usage))
    )
    streams = dialect("openai.chat").assembler().whole(streamed(usage, service_tier="flex"))
    assert dialect("openai.chat").parse(streams).usage.tier == "flex"
    assert openai_responses.usage({"service_tier": "flex", "usage": {"input_tokens": 1}}).tier == (
        "flex"
    )
    assert openai_usage({"usage": usage}).tier is None


@pytest.mark.parametrize(
    ("model", "named", "factor"),
    [
        ("azure/gpt-4.1", "gpt-4.1-2025-04-14", 1.75),
        ("azure/gpt-5-mini", "gpt-5-mini-2025-08-07", 1.8),
        ("openai/gpt-5", "gpt-5-2025-08-07", 2.0),
        ("gemini/gemini-2.5-flash", "gemini-2.5-flash", 1.8),
    ],
)
def test_the_faster_tier_costs_what_its_provider_lists(model, named, factor):
    """
    By model, at Azure as at OpenAI, and at Gemini in either spelling of the tier.
    """
    resolved = resolve(model, api_key="k", url="https://mine.openai.azure.com/openai/v1")
    usage = Usage(prompt=1_000_000, completion=1000)
    plain = resolved.price(usage, named)

    assert plain > 0
    for tier in (
        "priority",
        "fast",
        tier_of("SERVICE_TIER_PRIORITY"),
    ):
        dearer = dataclasses.replace(usage, tier=tier)
        assert resolved.price(dearer, named) == pytest.approx(plain * factor)


@pytest.mark.parametrize(
    ("model", "tier"),
    [
        ("azure/gpt-4o-mini", "priority"),  # sold at OpenAI alone
        ("azure/gpt-5.5", "priority"),  # public lists disagree
        ("openai/gpt-5-nano", "priority"),
        ("openai/gpt-3.5-turbo", "priority"),
        ("fireworks/accounts/fireworks/models/kimi-k3", "priority"),
        ("xai/grok-4", "priority"),
        ("anthropic/claude-opus-4-6", "fast"),
        ("anthropic/claude-sonnet-4-5", "priority"),
        ("openai/gpt-4.1", "tomorrow"),
    ],
)
def test_a_tier_whose_price_nobody_lists_has_none(model, tier):
    """
    The usual price would be a wrong one; a price that the caller has set counts in every tier.
    """
    provider, _, name = model.partition("/")
    usage = Usage(prompt=1_000_000, completion=1000, tier=tier)

    assert prices.price(provider, name, usage) is None
    prices.set_price(name, 1.0, 1.0, provider=provider)
    try:
        assert prices.price(provider, name, usage) == pytest.approx(1.001)
    finally:
        prices.set_price(name, None, provider=provider)


@pytest.mark.parametrize(
    ("said", "tier", "factor"),
    [
        ({"speed": "fast"}, "fast", None),
        ({"service_tier": "priority"}, "priority", None),
        ({"service_tier": "standard", "speed": "standard"}, None, 1.0),
        ({"service_tier": "standard", "inference_geo": "us"}, "us", 1.1),
        ({"inference_geo": "not_available"}, None, 1.0),
    ],
)
def test_anthropic_tells_what_makes_an_answer_dearer(said, tier, factor):
    """
    Its speed, its tier and where it was made, whole and streamed.
    """
    usage = {"input_tokens": 1_000_000, "output_tokens": 1, **said}
    reply = {"content": [{"type": "text", "text": "4"}], "stop_reason": "end_turn", "usage": usage}
    cost = cost_of("anthropic/claude-haiku-4-5", reply)

    assert anthropic_messages.usage(reply).tier == tier
    assert cost is None if factor is None else cost == pytest.approx(1.000005 * factor)


@pytest.mark.parametrize(
    ("tells", "usd"),
    [({}, 1.75), ({"service_tier": "default"}, 1.0), ({"service_tier": None}, 1.75)],
)
def test_a_reply_that_names_no_tier_is_of_the_tier_that_was_asked(tells, usd):
    """
    One that was served in the usual tier after all says so.
    """
    usage = {"prompt_tokens": 500_000, "completion_tokens": 1, "total_tokens": 500_001}
    body = orjson.dumps(chat(usage, **tells))
    with ScriptServer([script_reply(body, "connection: close")]) as server:
        model = LLM(server.base_url, "k", "gpt-4.1", api_provider="openai")
        result = model.call_single_sync("Hi", service_tier="priority")

    assert result.cost == pytest.approx(usd, abs=1e-4)


def test_a_budget_refuses_a_tier_of_unknown_price():
    """
    Before anything is sent, and the message says which tier it is.
    """
    body = orjson.dumps(chat({"prompt_tokens": 1, "completion_tokens": 1}))
    with ScriptServer([script_reply(body, "connection: close")]) as server:
        model = LLM(server.base_url, "k", "gpt-5-nano", api_provider="openai")
        with pytest.raises(errors.ConfigurationError, match="service tier 'priority'"):
            model.call_single_sync("Hi", service_tier="priority", budget_usd=1.0)

        assert server.requests == []


def test_the_tier_that_is_asked_for_is_reserved():
    """
    A budget counts a request at the price of its own tier before it is answered.
    """
    target = resolve("openai/gpt-4.1", api_key="k")
    asked = {"prompt": "Hi", "max_tokens": 1000}
    plain, flex, fast = (
        target.highest_price(target.call({**asked, **tier}, {}))
        for tier in ({}, {"service_tier": "flex"}, {"service_tier": "priority"})
    )

    assert flex == pytest.approx(plain / 2, rel=0.01)
    assert fast == pytest.approx(plain * 1.75, rel=0.01)


def test_an_hour_in_anthropics_cache_costs_what_it_lists():
    """
    Twice the input's price, where five minutes are a quarter more.
    """
    kept = {"cache_creation_input_tokens": 1_000_000, "input_tokens": 0, "output_tokens": 0}
    reply = {"content": [], "stop_reason": "end_turn"}

    def cost(**kinds):
        return cost_of(
            "anthropic/claude-haiku-4-5",
            {**reply, "usage": {**kept, "cache_creation": kinds}},
        )

    assert cost(ephemeral_5m_input_tokens=1_000_000) == pytest.approx(1.25)
    assert cost(ephemeral_1h_input_tokens=1_000_000) == pytest.approx(2.0)
    assert cost(ephemeral_1h_input_tokens=500_000) == pytest.approx(1.625)


def test_who_has_answered_is_priced_where_the_asked_name_has_no_price():
    """
    A deployment of Azure and OpenRouter's router name the model in their replies.
    """
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}
    usage |= {"completion_tokens": 1}
    target = resolve("azure/deployed", api_key="k", url="https://mine.openai.azure.com")
    read = target.read(orjson.dumps(chat(usage, model="gpt-4o-mini-2024-07-18")))

    assert target.price(read.usage, read.model) == pytest.approx(0.15, abs=1e-5)
    assert cost_of(
        "openrouter/openrouter/auto", chat(usage, model="openai/gpt-4o-mini")
    ) == pytest.approx(0.15, abs=1e-5)
    assert cost_of("openrouter/openrouter/auto", chat(usage, model="nobody/knows")) is None
