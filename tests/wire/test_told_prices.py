"""Promises of what a reply says of its price and its tokens, in each provider's own shape."""

from __future__ import annotations

import orjson
import pytest

from llmnb.models.resolve import resolve
from llmnb.wire import (
    anthropic_messages,
    gemini,
    openai_embeddings,
    openai_replies,
    openai_responses,
)
from llmnb.wire.dialect import dialect

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
def test_cached_tokens_are_found_under_each_name(said):
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


def test_cache_writes_of_an_hour_are_told_apart():
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


def test_a_price_of_nothing_is_believed_only_where_prices_are_told():
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
    assert openai_replies.usage({"usage": usage}).tier is None


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
