"""What the document of the request service demands: redundancy, retries, a time limit."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from llmnb import LLM, GenerationMaster, LLMParams
from llmnb.models.llm import redundant_llms
from llmnb.testing import SimulatedProvider, redirect

TOGETHER, OPENAI = "https://api.together.xyz", "https://api.openai.com"


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("TOGETHER_API_KEY", "tk-test")


@pytest.fixture
def providers():
    """Give together and openai, each with what befalls it."""

    def made(together=None, openai=None, **options):
        first = SimulatedProvider(reply="from together", faults=together, **options)
        return first, SimulatedProvider(reply="from openai", faults=openai)

    return made


def asked(first, second, texts, **options):
    with first, second, redirect({TOGETHER: first.base_url, OPENAI: second.base_url}):
        work = GenerationMaster(redundant_llms(), texts, num_workers=4, bars=False, **options)
        return asyncio.run(work.run()), work.outcomes


def test_two_providers_with_two_models_each(providers):
    """
    Mixtral and Llama at one, GPT-3.5 and GPT-4 at the other, alternating.
    """
    names = [llm.model for llm in redundant_llms()]

    assert [name.partition("/")[0] for name in names] == ["together", "openai"] * 2
    assert [
        word in name for word, name in zip(["Mixtral", "3.5", "Llama", "4"], names, strict=True)
    ] == [True] * 4


def test_a_request_that_fails_is_sent_again(providers):
    """
    A text that met a server error is answered by the same provider.
    """
    first, second = providers(together=lambda request: 500 if request.attempt == 1 else None)

    texts, outcomes = asked(first, second, ["one"])

    assert texts == ["from together"]
    assert outcomes[0].provider == "together"


def test_where_the_first_provider_fails_the_second_answers(providers):
    """
    Every text is answered, and its outcome says by whom.
    """
    first, second = providers(together=lambda request: 401)

    texts, outcomes = asked(first, second, ["one", "two"])

    assert texts == ["from openai"] * 2
    assert {outcome.provider for outcome in outcomes} == {"openai"}


def test_a_text_that_is_late_is_asked_of_the_others(providers):
    """
    Within the time limit redundant requests go to the other providers.
    """
    first, second = providers(latency=60.0)

    texts, _ = asked(first, second, ["one"], time_limit=4.0)

    assert texts == ["from openai"]


def test_the_names_of_the_design_are_there():
    """
    Fields and methods of the design's three classes, by their names.
    """
    params = set(inspect.signature(LLMParams).parameters)
    assert {"max_tokens", "temperature", "top_p", "top_k", "stop_tokens"} <= params
    llm = inspect.signature(LLM).parameters
    assert list(llm)[:5] == ["url", "api_key", "model", "llm_params", "session"]
    assert all(
        hasattr(LLM, item) for item in ("set_session", "_agenerate", "_generate", "generate")
    )
    master = list(inspect.signature(GenerationMaster).parameters)
    assert master[:5] == ["llms", "input_text_list", "num_workers", "session", "max_retries"]
    work = GenerationMaster([LLM(model="sim/echo")], ["one"])
    names = ("_responses", "_todo", "_pbar", "run", "_worker", "_process_one")
    assert all(hasattr(work, name) for name in names)
