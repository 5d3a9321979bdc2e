"""Promises of `LiteLLMModel`: the catalog's providers directly, everything else by LiteLLM."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pandas as pd
import pytest

from llmnb import AsyncLLM, LiteLLMModel, LLMModel, Message, last_run
from llmnb.adapters import litellm
from llmnb.errors import AuthenticationError, MissingExtra, Unsent
from llmnb.rate_limiter import GLOBAL_LIMITER
from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.testing import SimulatedProvider

KEY = "not-a-key-at-all"
has_litellm = importlib.util.find_spec("litellm") is not None


def at(sim, name="gpt-4o-mini", **config):
    return LiteLLMModel(name, {"api_base": sim.base_url, "api_key": KEY, **config})


def test_a_model_of_the_catalog_needs_no_litellm(monkeypatch):
    """
    It is asked in its own dialect, by the engine, with nothing else installed.
    """
    monkeypatch.setattr(litellm, "load", lambda: pytest.fail("LiteLLM was asked for"))
    with SimulatedProvider(reply="42") as sim:
        llm = at(sim, temperature=0)
        result = llm.call_single_sync([Message("Why?")])

    assert isinstance(llm, LLMModel)
    assert (result.text, result.provider, result.model) == ("42", "openai", "gpt-4o-mini")
    assert result.cost > 0
    assert result.config == {"api_base": sim.base_url, "temperature": 0}
    assert KEY not in repr(llm) + repr(result)


def test_n_of_the_config_is_the_number_of_results():
    """
    `call` gives five, `call_single` one.
    """
    with SimulatedProvider() as sim:
        llm = at(sim, n=5)

        assert len(llm.call_sync("Hi")) == 5
        assert llm.call_single_sync("Hi").text
    assert len(sim.ledger.received) == 5


def test_it_is_accepted_wherever_a_model_is():
    """
    Alone and in a list of fallbacks, with all its own endpoints.
    """
    with (
        SimulatedProvider(faults=lambda request: 401) as a,
        SimulatedProvider(reply="from b") as b,
    ):
        entries = [
            {"model_name": name, "litellm_params": {"api_base": sim.base_url, "api_key": KEY}}
            for name, sim in (("a", a), ("b", b))
        ]
        llm = LiteLLMModel("a", {"model_list": entries, "fallbacks": ["b"]})
        alone = start([{"prompt": "1"}], Asking(model=llm)).result(60)
        listed = start([{"prompt": "2"}], Asking(model=[llm])).result(60)
        rows = AsyncLLM(model=llm).generate([{"prompt": "3"}], progress=False)

    assert [item.text for item in (*alone, *listed)] == ["from b"] * 2
    assert rows[0][1]["choices"][0]["message"]["content"] == "from b"


def test_limits_of_the_config_hold_the_run():
    """
    Tokens by `rate_limit`, requests by `request_limit`.
    """
    with SimulatedProvider(latency=0) as sim:
        llm = at(sim, rate_limit={"gpt-4o-mini": "6000/minute"}, request_limit="120/minute")
        llm.call_single_sync("Hi")
        status = last_run().status()

    assert (status.pools[0].tokens_per_minute, status.pools[0].requests_per_minute) == (
        6000.0,
        120.0,
    )


def test_limits_of_the_config_are_shared_where_a_redis_shares_limits(monkeypatch, redis):
    """
    Under the limiter's keys, and never against what was said there already.
    """
    monkeypatch.setenv("REDIS_URL", redis.url)
    rates = GLOBAL_LIMITER.rate_config
    try:
        rates["client", "gpt-4o-mini"] = "100000/minute"
        with SimulatedProvider(latency=0) as sim:
            llm = at(sim, rate_limit="90000/minute", request_limit="50/second")
            pd.Series(["a"]).llm.generate(model=llm, progress=False)

        assert dict(rates) == {
            ("client", "gpt-4o-mini"): "100000/minute",
            ("client|request", "gpt-4o-mini"): "50/second",
        }
    finally:
        rates.clear()


def test_without_litellm_the_error_names_three_ways_out(monkeypatch):
    """
    The extra, a provider that is known, a proxy; told before anything is sent.
    """
    monkeypatch.setattr(litellm, "is_installed", lambda: False)

    with pytest.raises(MissingExtra, match=r"llmnb\[litellm\]"):
        LiteLLMModel("bedrock/anthropic.claude-3").call_single_sync("Hi")


def test_importing_it_imports_no_litellm():
    """
    LiteLLM takes seconds, and is met at the first request that needs it.
    """
    code = (
        "import sys, llmnb; llmnb.LiteLLMModel('bedrock/x', {'aws_region_name': 'eu'}); "
        "sys.exit('litellm' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---------------------------------------------------------------- LiteLLM itself (slow lane)

real = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # LiteLLM's own, of its own dependencies
]


def through(sim, **config):
    return at(sim, "litellm/openai/gpt-4o-mini", **config)


class TestRealLiteLLM:
    """LiteLLM as the transport; it stands in the extra, so `make test-slow` installs it."""

    pytestmark = real

    def test_it_is_installed(self):
        """
        Otherwise the promises below were not tried.
        """
        assert has_litellm, "pip install litellm"

    def test_answers_figures_and_prices_come_through(self):
        """
        One request; the second time none: limits, store and cost are the engine's.
        """
        with SimulatedProvider(reply="one two three", api_key=KEY) as sim:
            result = through(sim).call_single_sync("Hi")
            again = through(sim).call_single_sync("Hi")

        (row,) = sim.ledger.received
        assert (result.text, result.provider) == ("one two three", "litellm")
        assert (result.prompt_count, result.completion_count) == (
            row.prompt_tokens,
            row.completion_tokens,
        )
        assert result.cost == pytest.approx(row.usd)
        assert again.cached

    def test_fragments_come_as_they_are_sent(self):
        """
        As many callbacks as chunks with text, and tools' calls and usage at the end.
        """
        fragments = []
        with SimulatedProvider(reply="one two three four", tokens_per_second=500) as sim:
            result = through(sim).call_single_sync("Hi", callbacks=[fragments.append])

        (row,) = sim.ledger.received
        assert len(fragments) == row.completion_tokens
        assert "".join(fragments) == result.text == "one two three four"
        assert result.completion_count == row.completion_tokens

    @pytest.mark.parametrize("fault", [429, 500, 503, "reset"])
    def test_it_is_the_engine_that_retries(self, fault):
        """
        Exactly one request for each of the engine's attempts: LiteLLM's own retries are off.
        """
        script = iter([fault])
        with SimulatedProvider(faults=lambda request: next(script, None)) as sim:
            result = through(sim).call_single_sync(f"after {fault}")

        assert result.text
        assert len(sim.ledger.received) == 2

    def test_errors_have_their_types_and_no_key(self):
        """
        A refused key, a server that is not there.
        """
        with (
            SimulatedProvider(faults=lambda request: 401) as sim,
            pytest.raises(AuthenticationError) as refused,
        ):
            through(sim).call_single_sync("Hi")
        with pytest.raises(Unsent) as unsent:
            LiteLLMModel(
                "litellm/openai/x", {"api_base": "http://127.0.0.1:9/v1", "api_key": KEY}
            ).call_single_sync("Hi", max_attempts=1)

        assert KEY not in repr(refused.value) + repr(unsent.value)

    def test_tools_and_schemas_of_answers(self):
        """
        The calls of a round and a validated value, through LiteLLM.
        """

        def add(a: int, b: int) -> int:
            """Add two numbers."""
            return a + b

        def reply(prompt, request):
            if "response_format" in request.body:
                return '{"value": 3}'
            if '"tool_call_id"' in str(request.body).replace("'", '"'):
                return "It is 3."
            call = {"name": "add", "arguments": '{"a": 1, "b": 2}'}
            return {"tool_calls": [{"id": "c1", "type": "function", "function": call}]}

        with SimulatedProvider(reply=reply) as sim:
            done = through(sim).run_tools_sync("1 + 2?", [add])
            value = through(sim).call_single_sync("1 + 2?", output_type=int).value

        assert (done.text, [use.result for use in done.uses], value) == ("It is 3.", ["3"], 3)

    def test_it_fetches_nothing_when_it_is_imported(self):
        """
        By itself it asks the network for its table of prices.
        """
        code = (
            "import socket\n"
            "def no(*a, **k): raise SystemExit('it asked for an address')\n"
            "socket.getaddrinfo = no\n"
            "from llmnb.adapters import litellm; litellm.load()"
        )

        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
