"""Promises about models that cost nothing: whatever happens, nothing is said of money."""

from __future__ import annotations

import re

import pytest
from laboratory import Laboratory

from llmnb.errors import BadReply, MaybeBilled, ProviderError, TimedOut
from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.testing import faults
from llmnb.wire.catalog import load_catalog

MONEY = re.compile(r"(?i)bill|paid|pays?\b|bought|buy|money|spen[dt]|cost|charge|price|\$")

UNKNOWN_END = faults.Bend(name="unknown end", billed=True, finish_reason="odd")
FAULTS = {
    **{name: name for name in ("garbage", "empty", "null", "html", "error_in_200", "no_choices")},
    **{name: name for name in ("no_content", "content_filter", "refusal", "truncated")},
    **{name: name for name in ("lost_reply", "short_body", "closed")},
    **{name: int(name) for name in ("400", "401", "402", "404", "408", "429", "500", "503", "504")},
    "reset": faults.reset("body"),
    "stall": faults.stall(),
    "unknown end": UNKNOWN_END,
}
LAST = ("401", "402", "429")
"""After these nothing more is sent."""


def errors_of(provider, sim, names, **options):
    """Return the errors of rows that fail by the fault of each name."""
    asking = Asking(model=f"{provider}/m", url=sim.base_url, api_key="k")
    rows = [{"prompt": name} for name in names]
    settings = {"max_concurrent_requests": 64, "max_attempts": 1, "max_wait": 0.2, **options}
    outcomes = start(rows, asking, project_name=provider, **settings).result(60)
    assert all(outcome.error is not None for outcome in outcomes), outcomes
    return [outcome.error for outcome in outcomes]


@pytest.fixture(scope="module")
def sim():
    """Start a provider that fails as the prompt says."""

    def fault(request):
        return FAULTS.get(request.prompt)

    with Laboratory(latency=0, faults=fault) as provider:
        yield provider


def test_models_on_the_persons_own_machine_cost_nothing():
    """
    Ollama, LM Studio, llama.cpp, vLLM and the model inside this process, by the catalog.
    """
    free = {row.name for row in load_catalog().values() if row.is_local}

    assert free == {"ollama", "lmstudio", "llamacpp", "vllm", "local"}


@pytest.mark.usefixtures("impatient")
def test_no_error_of_a_model_that_costs_nothing_mentions_money(sim):
    """
    Lost, late, cut, garbled, refused and withheld replies: message, history and details.
    """
    errors = errors_of("ollama", sim, [name for name in FAULTS if name not in LAST])
    for name in LAST:
        errors += errors_of("ollama", sim, [name])

    assert {type(error) for error in errors} >= {BadReply, MaybeBilled, ProviderError, TimedOut}
    for error in errors:
        message = "\n".join([error.message, *error.details.history])
        assert MONEY.search(message) is None, message
        assert not error.details.maybe_billed


@pytest.mark.usefixtures("impatient")
def test_the_same_errors_of_a_paid_model_mention_what_may_have_been_billed(sim):
    """
    What is left out for one that costs nothing is there for the others.
    """
    names = ["lost_reply", "stall", "504", "500", "garbage", "truncated", "unknown end"]
    for name, error in zip(names, errors_of("openai", sim, names), strict=True):
        assert re.search(r"billed|bought|paid for", error.message), (name, error.message)
        assert error.details.maybe_billed == (name != "500")


def test_a_time_limit_and_a_stop_mention_no_money_either(sim):
    """
    A row out of time, and one that was dropped on its way.
    """
    (late,) = errors_of("ollama", sim, ["stall"], time_limit=0.1)
    before = len(sim.ledger.received)
    asking = Asking(model="ollama/m", url=sim.base_url)
    run = start([{"prompt": "stall"}], asking, project_name="stopped")
    sim.wait_received(before + 1, timeout=60)
    run.cancel()
    (dropped,) = run.result(60)

    for error in (late, dropped.error):
        assert MONEY.search(error.message) is None, error.message
