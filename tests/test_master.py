"""What `GenerationMaster` gives of many texts over a list of models."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from llmnb import LLM, GenerationMaster, LLMResult
from llmnb.errors import ConfigurationError, InputError, RequestRejected
from llmnb.testing import SimulatedProvider


@pytest.fixture
def sim():
    def refused(request):
        return 400 if request.prompt == "bad" else None

    with SimulatedProvider(reply=lambda prompt: prompt.upper(), faults=refused) as sim:
        yield sim


def master(sim, texts, **options):
    llms = [LLM(url=sim.base_url, api_key="k", model="gpt-4o-mini")]
    return GenerationMaster(llms, texts, bars=False, **options)


def test_a_failed_row_is_none_among_the_texts_and_an_error_among_the_outcomes(sim):
    """
    n texts in order; every outcome is an `LLMResult`, with the answer or the error.
    """
    work = master(sim, ["one", "bad", "two"])

    assert asyncio.run(work.run()) == ["ONE", None, "TWO"]
    assert all(isinstance(outcome, LLMResult) for outcome in work.outcomes)
    assert [outcome.text for outcome in work.outcomes] == ["ONE", None, "TWO"]
    assert isinstance(work.outcomes[1].error, RequestRejected)


def test_an_outcome_has_the_figures_of_its_row(sim):
    """
    Question, model, tokens, cost and key stand in the result; it pickles.
    """
    work = master(sim, ["one"])
    asyncio.run(work.run())

    (outcome,) = pickle.loads(pickle.dumps(work.outcomes))
    assert [turn.text for turn in outcome.prompt] == ["one"]
    assert (outcome.provider, outcome.model) == ("openai", "gpt-4o-mini")
    assert min(outcome.prompt_count, outcome.completion_count, outcome.cost) > 0
    assert outcome.key is not None
    assert str(outcome) == "ONE"


def test_conversations_are_texts_too(sim):
    """
    A list of messages may stand where a text may.
    """
    turns = [{"role": "system", "content": "Be loud."}, {"role": "user", "content": "hi"}]
    work = master(sim, [turns])

    assert asyncio.run(work.run()) == ["HI"]
    assert [turn.role for turn in work.outcomes[0].prompt] == ["system", "user"]


def test_before_it_runs_everything_is_left_to_do(sim):
    """
    The names of the design tell where the work stands: before, and at its end.
    """
    work = master(sim, ["one", "two"])

    assert work.outcomes == [None, None]
    assert (work._todo, work._responses, work._pbar) == ([0, 1], [None, None], None)

    asyncio.run(work.run())

    assert (work._todo, work._responses) == ([], ["ONE", "TWO"])
    assert work._pbar is not None
    assert asyncio.run(work._worker()) is None


def test_a_text_can_be_asked_alone(sim):
    """
    `_process_one` asks one text with every retry and gives its result.
    """
    results = asyncio.run(master(sim, []).run()), asyncio.run(master(sim, [])._process_one("one"))

    assert results[0] == []
    assert isinstance(results[1], LLMResult)
    assert results[1].text == "ONE"


def test_no_model_at_all_is_an_error_before_anything_is_sent():
    """
    An empty list of models is told where it is given.
    """
    with pytest.raises(ConfigurationError, match="at least one model"):
        GenerationMaster([], ["one"])


def test_what_is_no_text_is_an_error_of_its_row(sim):
    """
    As in every other table: the others are answered, in order.
    """
    work = master(sim, ["one", None, 5, "two"])

    assert asyncio.run(work.run()) == ["ONE", None, None, "TWO"]
    assert isinstance(work.outcomes[1].error, InputError)


def test_a_single_model_needs_no_list_and_a_single_text_does(sim):
    """
    A text taken for a list would be asked letter by letter.
    """
    llm = LLM(url=sim.base_url, api_key="k", model="gpt-4o-mini")

    assert asyncio.run(GenerationMaster(llm, ["one"], bars=False).run()) == ["ONE"]
    with pytest.raises(ConfigurationError, match="list of texts"):
        GenerationMaster(llm, "one", bars=False)
