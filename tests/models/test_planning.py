"""Promises of a plan: what a run would take, with nothing sent, from the run's own figures."""

from __future__ import annotations

import dataclasses

import pytest
from markup import PAYLOADS, Census, about

from llmnb import errors
from llmnb.models.llm import LLM
from llmnb.running.asking import Asking
from llmnb.running.planning import UNLIMITED_ANSWER, Plan, plan
from llmnb.running.start import start
from llmnb.testing import SimulatedProvider


def ask(*prompts):
    return [None if prompt is None else {"prompt": prompt} for prompt in prompts]


def test_rows_are_sorted_by_what_becomes_of_them():
    """
    Empty, wrong, merged, kept, to be asked; together they are all.
    """
    with SimulatedProvider() as sim:
        asking = Asking(model=LLM(url=sim.base_url, api_key="k", model="m"))
        start(ask("kept"), asking, project_name="own").wait()
        start(ask("elsewhere"), asking, project_name="other").wait()
        sent = len(sim.ledger.received)

        figures = plan(
            [*ask("kept", "elsewhere", "new", "new", None), {"nothing": 1}, "no request"],
            asking,
            project_name="own",
        )

    assert len(sim.ledger.received) == sent
    assert (figures.rows, figures.empty, figures.wrong, figures.merged) == (7, 1, 2, 1)
    assert (figures.cached, figures.reused, figures.to_ask) == (1, 1, 1)
    assert figures.kept == 2
    assert figures.project == "own"


def test_what_is_kept_may_be_left_out_of_account():
    """
    As `use_cache=False` asks everything anew, and `share=False` what others hold.
    """
    with SimulatedProvider() as sim:
        asking = Asking(model=LLM(url=sim.base_url, api_key="k", model="m"))
        start(ask("kept"), asking, project_name="own").wait()

        assert plan(ask("kept"), asking, project_name="own", use_cache=False).to_ask == 1
        assert plan(ask("kept"), asking, project_name="two", share=False).to_ask == 1
        assert plan(ask("kept"), asking, project_name="two").reused == 1


def test_no_key_is_needed():
    """
    Nothing is sent, so there is nothing to sign: for one model, several, or an object.
    """
    for model in (
        "openai/gpt-4o-mini",
        ["openai/gpt-4o-mini", "groq/llama-3.1-8b-instant"],
        LLM(model="openai/gpt-4o-mini"),
    ):
        assert plan(ask("a"), Asking(model=model)).to_ask == 1


def test_the_cost_is_a_range():
    """
    From one token an answer to as long as it may be; unknown without a price.
    """
    limited = plan(ask("a", "b"), Asking(model="openai/gpt-4o-mini", params={"max_tokens": 10}))
    unlimited = plan(ask("a", "b"), Asking(model="openai/gpt-4o-mini"))
    unknown = plan(ask("a"), Asking(model="openai/nobody-knows-this"))

    assert limited.answer_tokens_bound == 20
    assert unlimited.answer_tokens_bound == 2 * UNLIMITED_ANSWER
    assert 0 < limited.usd_low < limited.usd_high < unlimited.usd_high
    assert unknown.usd_high is None
    assert unknown.cost_text == "unknown"


def test_several_models_are_reckoned_at_the_dearest():
    """
    Any of them may have to answer.
    """
    cheap = plan(ask("a"), Asking(model="openai/gpt-4o-mini"))
    both = plan(ask("a"), Asking(model=["openai/gpt-4o-mini", "openai/gpt-4o"]))

    assert both.usd_high > cheap.usd_high
    assert both.usd_low == cheap.usd_low
    assert both.model == "openai/gpt-4o-mini, then 1 more"


def test_the_time_follows_from_the_tightest_limit():
    """
    Requests or tokens; unknown where no limit was given.
    """
    asking = Asking(model="openai/gpt-4o-mini", params={"max_tokens": 100})
    prompts = ask(*(f"row {n}" for n in range(30)))

    by_requests = plan(prompts, asking, max_requests_per_minute=10)
    by_tokens = plan(prompts, asking, max_requests_per_minute=1000, max_tokens_per_minute=1000)

    assert by_requests.minutes == 3.0
    assert by_requests.bound_by == "10 requests/min"
    assert by_tokens.minutes > 3.0
    assert by_tokens.bound_by == "1,000 tokens/min"
    assert plan(prompts, asking).minutes is None
    assert plan(prompts, asking).bound_by == ""


def test_a_budget_is_compared_with_the_range():
    """
    In words, too.
    """
    asking = Asking(model="openai/gpt-4o-mini")

    assert plan(ask("a"), asking, budget_usd=0.000001).is_over_budget
    fits = plan(ask("a"), asking, budget_usd=5)
    assert not fits.is_over_budget
    assert "$5.00" in str(fits)
    assert "fits" in str(fits)


def test_names_are_text_in_every_form():
    """
    Escaped in the notebook, without controls in the terminal.
    """
    evil = "<img src=x>\x1b[2J"
    figures = plan(ask("a"), Asking(model=LLM(url="https://a.example/v1", api_key="k", model=evil)))

    assert "<img" not in figures._repr_html_()
    assert "\x1b" not in figures._repr_html_() + str(figures)
    assert str(figures).endswith("Nothing was sent.")
    assert "k" not in repr(figures.begin)[:1]


def test_every_name_in_a_plan_is_text():
    """
    Of a model, a project and a price table: no element and no attribute, no control in a terminal.
    """
    usual = plan(ask("a"), Asking(model=LLM(url="https://a.example/v1", api_key="k", model="m")))
    plain = Census(usual._repr_html_())
    for payload in PAYLOADS:
        with about(payload):
            names = {"model": payload, "project": payload, "prices_date": payload}
            hostile = dataclasses.replace(usual, **names)
            figures = Census(hostile._repr_html_())

            assert figures.elements == plain.elements
            assert figures.attributes == plain.attributes
            assert figures.others == figures.open == []
            assert {item for item in str(hostile) + figures.text if not item.isprintable()} == {
                "\n"
            }


def test_a_plan_that_holds_figures_only_cannot_be_started():
    """
    It says so.
    """
    with pytest.raises(errors.ConfigurationError):
        plan(ask("a"), Asking(model="sim/any")).start()


def test_a_plan_is_a_value():
    """
    Frozen, and equal to another one of the same figures.
    """
    one, other = (plan(ask("a"), Asking(model="sim/any")) for _ in range(2))

    assert one == other
    assert isinstance(one, Plan)
    with pytest.raises(AttributeError):
        one.rows = 5
