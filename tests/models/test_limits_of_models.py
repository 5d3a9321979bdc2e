"""Promises about what a model's config brings to doors that are given the model as an object."""

from __future__ import annotations

import asyncio

import pandas as pd
import pytest

from llmnb import LLM, AsyncLLM, GenerationMaster, LiteLLMModel, LLMParams, last_run
from llmnb.errors import ConfigurationError
from llmnb.testing import SimulatedProvider

CONFIG = {"rate_limit": "60000/minute", "request_limit": "50 per second", "max_tokens": 5}


@pytest.fixture
def sim():
    with SimulatedProvider(reply=lambda prompt: prompt, latency=0) as sim:
        yield sim


def lite(sim, **config):
    return LiteLLMModel("gpt-4o", {"api_base": sim.base_url, "api_key": "k", **config})


def bound():
    """Return what the last run's first pool is held to."""
    pool = last_run().status().pools[0]
    return pool.tokens_per_minute, pool.requests_per_minute


def as_a_table(model, **options):
    pd.Series(["a", "b"]).llm.generate(model=model, progress=False, **options)


def as_a_list(model, **options):
    AsyncLLM(model=model, **options).generate([{"prompt": "a"}], progress=False)


def as_a_master(model):
    asyncio.run(GenerationMaster([model], ["a"], bars=False).run())


@pytest.mark.parametrize("door", [as_a_table, as_a_list, as_a_master])
def test_limits_of_a_config_hold_whoever_asks_the_model(sim, door):
    """
    Tables, lists of requests and `GenerationMaster` keep the limits of the model they are given.
    """
    door(lite(sim, **CONFIG))

    assert bound() == (60_000, 3_000)


@pytest.mark.parametrize("door", [as_a_table, as_a_list])
def test_of_the_models_limits_and_the_doors_the_smaller_hold(sim, door):
    """
    A door may ask for less, and not for more.
    """
    model = lite(sim, **CONFIG)

    door(model, max_requests_per_minute=600, max_tokens_per_minute=10**9)

    assert bound() == (60_000, 600)


def test_limits_set_while_it_runs_do_not_lift_the_models(sim):
    """
    `Run.set_limits` changes the run's own limits; those of the model hold besides.
    """
    run = pd.Series(["a"]).llm.start(model=lite(sim, **CONFIG), progress=False)
    run.set_limits(max_requests_per_minute=10**6, max_tokens_per_minute=1_000)
    run.result()

    assert bound() == (1_000, 3_000)


def test_each_model_of_a_list_keeps_to_its_own_limits(sim):
    """
    A limited model in a list of fallbacks does not limit the others.
    """
    with SimulatedProvider(faults=lambda request: 401) as broken:
        models = [lite(broken, **CONFIG), LLM(url=sim.base_url, api_key="k", model="free")]
        as_a_table(models)

    pools = {pool.model: pool.requests_per_minute for pool in last_run().status().pools}
    assert pools == {"gpt-4o": 3_000, "free": None}


def test_a_plan_reckons_with_the_models_limits(sim):
    """
    The shortest time is that under the limits which would hold.
    """
    figures = pd.Series(["a", "b"]).llm.plan(model=lite(sim, request_limit="1/minute"))

    assert (figures.max_requests_per_minute, figures.minutes) == (1, 2)


def test_several_answers_are_bought_only_where_all_of_them_are_returned(sim):
    """
    n among a model's parameters means nothing to doors that give one text for a question.
    """
    llm = LLM(url=sim.base_url, api_key="k", model="m", llm_params=LLMParams(n=3))
    as_a_table(llm)
    as_a_master(llm)
    llm.generate("c")
    assert sim.ledger.totals().completion_tokens == 3

    rows = AsyncLLM(model=llm).generate([{"prompt": "d"}], progress=False)
    assert len(rows[0][1]["choices"]) == 3


def test_several_texts_are_not_asked_of_what_gives_a_single_text(sim):
    """
    Where n is said in the call itself it is an error that names the right way.
    """
    llm = LLM(url=sim.base_url, api_key="k", model="m")
    with pytest.raises(ConfigurationError, match="call gives n"):
        llm.generate("a", n=3)
    with pytest.raises(ConfigurationError, match="n=3"):
        as_a_table(llm, params={"n": 3})
    assert sim.ledger.totals().received == 0


def test_the_same_model_twice_with_other_parameters_is_asked_with_each(sim):
    """
    Parameters belong to the object, not to the name: the fallback is asked with its own.
    """
    bodies = []

    def fails_once(request):
        bodies.append(request.body.get("temperature"))
        return 400 if len(bodies) == 1 else None

    with SimulatedProvider(faults=fails_once) as sim:
        at = {"url": sim.base_url, "api_key": "k", "model": "m"}
        as_a_list([LLM(**at, llm_params={"temperature": t}) for t in (0.0, 1.0)])

    assert bodies == [0.0, 1.0]


def test_a_request_may_name_its_model_as_an_object(sim):
    """
    As it may name it by a text; what is no model is an error of that row.
    """
    requests = [
        {"prompt": "a", "model": LLM(url=sim.base_url, api_key="k", model="m")},
        {"prompt": "b", "model": 7},
    ]

    rows = AsyncLLM(model="sim/any").generate(requests, progress=False)

    assert rows[0][1]["choices"][0]["message"]["content"] == "a"
    assert "model is a int" in rows[1][1][0]
