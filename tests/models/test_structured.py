"""Promises of structured answers: asked for in the provider's way, checked, mended once."""

from __future__ import annotations

import dataclasses

from laboratory import Laboratory

from llmnb.models.llm import LLM
from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.schemas import output_of
from llmnb.testing import SimulatedProvider

GOOD = '{"stars": 4, "words": "fine"}'
BAD = '{"stars": "many", "words": "fine"}'


@dataclasses.dataclass
class Review:
    stars: int
    words: str


def ask(sim, *, provider="openai", prompts=("rate it",), **options):
    model = LLM(url=sim.base_url, api_key="k", model="m", api_provider=provider)
    asking = Asking(model=model, output=output_of(Review))
    return start([{"prompt": prompt} for prompt in prompts], asking, **options)


def test_an_answer_that_fits_becomes_a_value():
    """
    A dataclass comes back as a dataclass; the schema travelled natively.
    """
    seen = []
    with SimulatedProvider(reply=lambda prompt: GOOD, faults=seen_by(seen)) as sim:
        (outcome,) = ask(sim).result(60)

    assert outcome.value == Review(4, "fine")
    assert seen[0]["response_format"]["json_schema"]["name"] == "Review"


def seen_by(seen):
    """Return a script of faults that only looks."""

    def look(request):
        seen.append(request.body)

    return look


def test_where_there_is_no_native_mode_the_prompt_asks():
    """
    The schema stands in the system's words.
    """
    seen = []
    with SimulatedProvider(reply=lambda prompt: GOOD, faults=seen_by(seen)) as sim:
        (outcome,) = ask(sim, provider="deepseek").result(60)

    assert outcome.value == Review(4, "fine")
    assert "response_format" not in seen[0]
    assert "JSON Schema" in seen[0]["messages"][0]["content"]


def test_a_misfit_is_mended_once_and_both_are_counted():
    """
    The model is told what was wrong; the row costs both answers.
    """
    seen = []
    answers = iter([BAD, GOOD])
    with SimulatedProvider(reply=lambda prompt: next(answers), faults=seen_by(seen)) as sim:
        run = ask(sim)
        (outcome,) = run.result(60)

    assert outcome.value == Review(4, "fine")
    assert run.status().counts.num_repaired == 1
    assert [turn["role"] for turn in seen[1]["messages"]] == ["user", "assistant", "user"]
    assert "stars" in seen[1]["messages"][2]["content"]


def test_a_second_misfit_is_an_error_that_keeps_the_text():
    """
    Two requests, no third.
    """
    with SimulatedProvider(reply=lambda prompt: BAD) as sim:
        (outcome,) = ask(sim).result(60)

        assert type(outcome.error).__name__ == "SchemaMismatch"
        assert BAD in (outcome.error.body or outcome.reply.text)
        assert len(sim.ledger.received) == 2


def test_a_mended_answer_is_never_bought_again():
    """
    The next run reads the misfit and its mending from the store and sends nothing.
    """
    answers = iter([BAD, GOOD])
    with SimulatedProvider(reply=lambda prompt: next(answers)) as sim:
        ask(sim).result(60)
        (again,) = ask(sim).result(60)

        assert again.value == Review(4, "fine")
        assert len(sim.ledger.received) == 2
        assert again.usd == 0


def test_a_mended_answer_from_the_store_counts_as_one():
    """
    It is cached, marked as simulated, and nothing is said to have been mended again.
    """
    answers = iter([BAD, GOOD])
    with SimulatedProvider(reply=lambda prompt: next(answers)) as sim:
        ask(sim).result(60)
        run = ask(sim, prompts=("rate it", "rate it"))
        outcomes = run.result(60)

    assert [outcome.value for outcome in outcomes] == [Review(4, "fine")] * 2
    assert [outcome.source for outcome in outcomes] == ["cached", "merged"]
    assert all(outcome.simulated and outcome.usd == 0 for outcome in outcomes)
    counts = run.status().counts
    assert (counts.num_cached, counts.num_merged, counts.num_tasks_succeeded) == (1, 1, 0)
    assert counts.num_repaired == 0


def test_a_stopped_run_has_nothing_mended():
    """
    A misfit that comes after the stop is kept; the next run sends its mending alone.
    """
    answers = iter([BAD, GOOD])
    with Laboratory(reply=lambda prompt: next(answers)) as sim:
        sim.hold()
        run = ask(sim)
        sim.wait_received(1)
        run.stop()
        sim.release()
        (outcome,) = run.result(60)
        sim.wait_idle()

        assert type(outcome.error).__name__ == "Stopped"
        assert len(sim.ledger.received) == 1
        assert ask(sim).result(60)[0].value == Review(4, "fine")
        assert len(sim.ledger.received) == 2


def test_values_from_the_store_are_checked_as_new_ones_are():
    """
    A warm run gives the same values.
    """
    with SimulatedProvider(reply=lambda prompt: GOOD) as sim:
        ask(sim, prompts=("a", "b")).result(60)
        run = ask(sim, prompts=("a", "b"))

        assert [item.value for item in run.result(60)] == [Review(4, "fine")] * 2
        assert run.status().counts.num_cached == 2


def test_a_row_that_did_not_fit_is_asked_again_on_the_next_run():
    """
    Neither the misfit nor its mended twin is taken from the store for ever.
    """
    answers = iter([BAD, BAD, GOOD])
    with SimulatedProvider(reply=lambda prompt: next(answers)) as sim:
        (first,) = ask(sim).result(60)
        (second,) = ask(sim).result(60)
        (third,) = ask(sim).result(60)

        assert type(first.error).__name__ == "SchemaMismatch"
        assert (second.value, second.error) == (Review(4, "fine"), None)
        assert (third.value, third.source) == (Review(4, "fine"), "cached")
        assert len(sim.ledger.received) == 3


def test_a_row_that_never_fits_costs_two_requests_a_run():
    """
    The next run asks anew and mends once, as the first did.
    """
    with SimulatedProvider(reply=lambda prompt: BAD) as sim:
        for run in (1, 2, 3):
            (outcome,) = ask(sim).result(60)
            assert type(outcome.error).__name__ == "SchemaMismatch"
            assert len(sim.ledger.received) == 2 * run


def test_what_was_wrong_with_an_answer_is_shown():
    """
    The error, and the warning that groups it, name the field and what was expected.
    """
    with SimulatedProvider(reply=lambda prompt: BAD) as sim:
        run = ask(sim)
        (outcome,) = run.result(60)

    assert "stars: input should be a valid integer" in run.status().causes[0].example
    assert "stars" in outcome.error.message
    assert "integer" in outcome.error.message
    assert '"many"' in outcome.error.message
