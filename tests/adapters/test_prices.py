"""Promises of prices: the table's own figures, quickly; None for what nobody knows."""

from __future__ import annotations

import datetime
import math
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from unittest import mock

import genai_prices
import pytest
from genai_prices import data_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from llmnb.adapters import prices
from llmnb.adapters.prices import price, rates, set_price
from llmnb.errors import ConfigurationError
from llmnb.records import Usage

# Some of every kind: plain, tiered by prompt length, with a price list for reasoning,
# changing with the hour of the day, and through a gateway.
MODELS = [
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-4o-mini-2024-07-18"),
    ("openai", "text-embedding-3-small"),
    ("anthropic", "claude-sonnet-4-5"),
    ("gemini", "gemini-2.5-pro"),
    ("deepseek", "deepseek-chat"),
    ("groq", "llama-3.1-8b-instant"),
    ("xai", "grok-4"),
    ("perplexity", "sonar-deep-research"),
    ("openrouter", "openai/gpt-4o-mini"),
    ("litellm", "openai/gpt-4o-mini"),
]

NOON = datetime.datetime(2026, 1, 5, 12, tzinfo=datetime.UTC).timestamp()
NIGHT = datetime.datetime(2026, 1, 5, 20, tzinfo=datetime.UTC).timestamp()


def estimate(provider, model, prompt, completion):
    """Return what a request costs of which nothing was cached."""
    return price(provider, model, Usage(prompt=prompt, completion=completion))


@pytest.fixture(autouse=True)
def nothing_set() -> Iterator[None]:
    """Leave no price set by hand, and nothing remembered."""
    yield
    prices._manual.clear()
    prices._known.clear()


def price_at(when: float, provider: str, model: str, usage: Usage) -> float | None:
    """Return what a request costs at some moment, in seconds since the epoch."""
    prices._known.clear()
    with mock.patch.object(prices, "time", SimpleNamespace(time=lambda: when)):
        return price(provider, model, usage)


def table_price(provider: str, model: str, usage: Usage, when: float) -> float:
    """Return what genai-prices itself says."""
    return float(
        genai_prices.calc_price(
            genai_prices.Usage(
                input_tokens=usage.prompt,
                output_tokens=usage.completion,
                cache_read_tokens=usage.cache_read,
                cache_write_tokens=usage.cache_write,
                output_reasoning_tokens=usage.reasoning,
            ),
            model,
            provider_id=provider,
            genai_request_timestamp=datetime.datetime.fromtimestamp(when, datetime.UTC),
        ).total_price
    )


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    prompt = draw(st.integers(0, 600_000))
    completion = draw(st.integers(0, 50_000))
    read = draw(st.integers(0, prompt))
    return Usage(
        prompt=prompt,
        completion=completion,
        cache_read=read,
        cache_write=draw(st.integers(0, prompt - read)),
        reasoning=draw(st.integers(0, completion)),
    )


# ---------------------------------------------------------------- the table's prices


@pytest.mark.parametrize(("provider", "model"), MODELS)
@settings(deadline=None)  # the first question loads the table
@given(usage=usages())
def test_rates_give_the_tables_own_price(provider, model, usage):
    """
    Cached, written and reasoning tokens, long prompts and all: to the last digit that counts.
    """
    ours = price_at(NOON, provider, model, usage)

    assert ours == pytest.approx(table_price(provider, model, usage, NOON), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("prompt", [200_000, 200_001])
def test_a_longer_prompt_costs_more_from_its_first_token(prompt):
    """
    At the edge of a tier the price of every token changes, on the table's side of the edge.
    """
    usage = Usage(prompt=prompt, completion=10)

    ours = price_at(NOON, "anthropic", "claude-sonnet-4-5", usage)

    assert ours == pytest.approx(table_price("anthropic", "claude-sonnet-4-5", usage, NOON))


def test_rates_give_nearly_every_price_of_the_table():
    """
    The quick way is the usual one; the few prices it cannot tell are asked of the table.
    """
    from genai_prices.data_snapshot import get_snapshot

    schedules = [
        prices._schedule(provider.id, model.id, NOON)
        for provider in get_snapshot().providers
        for model in provider.models
    ]
    known = [schedule for schedule in schedules if schedule.rates]

    assert len(known) > 0.9 * len(schedules)
    assert sum(schedule.table is None for schedule in known) > 0.99 * len(known)


def test_a_known_price_is_what_the_provider_publishes():
    """
    A million tokens in and half a million out of gpt-4o-mini: 15 and 30 cents.
    """
    assert estimate("openai", "gpt-4o-mini", 1_000_000, 500_000) == pytest.approx(0.45)


def test_tokens_from_the_cache_cost_less():
    """
    What the provider served from its prompt cache is priced as such.
    """
    fresh = price("openai", "gpt-4o-mini", Usage(prompt=1000, completion=10))
    cached = price("openai", "gpt-4o-mini", Usage(prompt=1000, completion=10, cache_read=900))

    assert fresh is not None
    assert cached is not None
    assert cached < fresh


def test_a_price_of_the_hour_is_that_hours():
    """
    Where nights are cheaper, the moment of the request decides.
    """
    usage = Usage(prompt=1000, completion=1000)
    at = [price_at(when, "deepseek", "deepseek-chat", usage) for when in (NOON, NIGHT)]

    assert at == [
        pytest.approx(table_price("deepseek", "deepseek-chat", usage, when))
        for when in (NOON, NIGHT)
    ]
    schedule = prices._schedule("deepseek", "deepseek-chat", NOON)
    assert NOON < schedule.expires <= NOON + 60


def test_a_price_that_no_rates_tell_is_asked_of_the_table(monkeypatch):
    """
    Should a price ever not be a straight line, it is still the table's.
    """
    monkeypatch.setattr(prices._Priced, "_holds", lambda *_: False)
    usage = Usage(prompt=1000, completion=100, cache_read=10, reasoning=5)

    ours = price_at(NOON, "openai", "gpt-4o-mini", usage)

    assert ours == pytest.approx(table_price("openai", "gpt-4o-mini", usage, NOON))


def test_figures_that_contradict_each_other_are_priced_without_failing():
    """
    A reply that counts more cached than whole tokens never costs less than nothing.
    """
    odd = Usage(prompt=10, completion=5, cache_read=20, reasoning=50)

    cost = price("openai", "gpt-4o-mini", odd)

    assert cost is not None
    assert cost > 0


# ----------------------------------------------------------- unknown, local, by hand


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "no-such-model"),
        ("openai", ""),
        ("monsterapi", "any"),
        ("no-such-provider", "gpt-4o-mini"),
    ],
)
def test_an_unknown_price_is_none_and_never_nothing(provider, model):
    """
    Not knowing is not costing nothing.
    """
    assert price(provider, model, Usage(prompt=1000, completion=10)) is None
    assert estimate(provider, model, 0, 0) is None
    assert rates(provider, model) is None


@pytest.mark.parametrize("provider", sorted(prices.LOCAL))
def test_models_on_this_machine_cost_nothing(provider):
    """
    Whatever their name, and though the table has never heard of them.
    """
    assert price(provider, "anything", Usage(prompt=10**9, completion=10**9)) == 0.0


def test_a_price_set_by_hand_wins():
    """
    For every provider, for one, under its full name; and it can be taken back.
    """
    usage = Usage(prompt=1_000_000, completion=1_000_000)

    set_price("gpt-4o-mini", 1.0, 2.0)
    assert price("openai", "gpt-4o-mini", usage) == price("azure", "gpt-4o-mini", usage) == 3.0
    set_price("openai/gpt-4o-mini", 10.0, 20.0)
    assert price("openai", "gpt-4o-mini", usage) == 30.0
    set_price("gpt-4o-mini", 100.0, 200.0, provider="openai")
    assert price("openai", "gpt-4o-mini", usage) == 300.0

    set_price("gpt-4o-mini", None, provider="openai")
    set_price("openai/gpt-4o-mini", None)
    set_price("gpt-4o-mini", None)
    assert price("openai", "gpt-4o-mini", usage) == pytest.approx(0.75)


def test_a_price_set_by_hand_may_tell_cached_tokens_apart():
    """
    Where it does not, they cost what other input costs.
    """
    usage = Usage(prompt=1_000_000, completion=0, cache_read=500_000, cache_write=250_000)

    set_price("mine", 4.0)
    assert price("openai", "mine", usage) == 4.0
    set_price("mine", 4.0, cache_read_per_million=1.0, cache_write_per_million=6.0)
    assert price("openai", "mine", usage) == 1.0 + 0.5 + 1.5


def test_even_a_local_model_may_have_a_price():
    """
    Electricity is somebody's money too.
    """
    set_price("llama3.2", 0.5, provider="ollama")

    assert estimate("ollama", "llama3.2", 1_000_000, 0) == 0.5


@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf])
def test_a_price_that_is_none_is_refused(wrong):
    """
    Negative and unreal prices would break a budget.
    """
    with pytest.raises(ConfigurationError, match="at least 0"):
        set_price("mine", wrong)
    with pytest.raises(ConfigurationError, match="at least 0"):
        set_price("mine", 1.0, wrong)


def test_rates_are_read_as_price_lists_are():
    """
    Dollars for a million tokens, as every provider's page gives them.
    """
    known = rates("openai", "gpt-4o-mini")

    assert known is not None
    assert (known.input, known.output, known.cache_read) == (0.15, 0.6, 0.075)


# ------------------------------------------------------------------- its own cost


def test_the_tables_date_is_a_day_not_in_the_future():
    """
    Displays say how old the prices are at most.
    """
    day = datetime.date.fromisoformat(prices.prices_date())

    assert datetime.date(2025, 1, 1) < day <= datetime.datetime.now(datetime.UTC).date()


def test_neither_importing_nor_local_models_load_the_table():
    """
    Most of a second is spent only where a price must be looked up.
    """
    script = (
        "import sys\n"
        "from llmnb.adapters import prices\n"
        "from llmnb.records import Usage\n"
        "assert prices.price('local', 'smollm2', Usage(prompt=10, completion=10)) == 0.0\n"
        "prices.set_price('mine', 1.0)\n"
        "assert prices.price('openai', 'mine', Usage(prompt=1_000_000, completion=0)) == 1.0\n"
        "assert 'genai_prices' not in sys.modules\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_a_model_is_looked_up_once(monkeypatch):
    """
    A hundred thousand rows ask the table once.
    """
    asked = []
    look_up = prices._look_up
    monkeypatch.setattr(prices, "_look_up", lambda *names: asked.append(names) or look_up(*names))

    for _ in range(100):
        estimate("openai", "gpt-4o-mini", 100, 10)
        estimate("openai", "no-such-model", 100, 10)

    assert asked == [("openai", "gpt-4o-mini"), ("openai", "no-such-model")]


@pytest.mark.parametrize("fault", [AttributeError, ImportError, TypeError])
def test_a_table_that_is_made_otherwise_leaves_prices_unknown(monkeypatch, fault):
    """
    A release of the price table that cannot be read costs no answer that was paid for.
    """

    def unlike(*_):
        raise fault("not as it was")

    monkeypatch.setattr(data_snapshot, "get_snapshot", unlike)
    monkeypatch.setattr(prices, "_known", {})

    assert prices.price("openai", "gpt-4o-mini", Usage(prompt=10, completion=10)) is None
    assert prices.context_window.__wrapped__("openai", "gpt-4o-mini") is None
    assert prices.prices_date() == datetime.datetime.now(datetime.UTC).date().isoformat()
