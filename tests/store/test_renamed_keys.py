"""A key that changes takes the answers along that were kept under the older one."""

from __future__ import annotations

import pickle

import golden_store
import orjson
import pytest
from asking import ask

from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.store.entry import RenamedKey
from llmnb.store.project import open_project
from llmnb.testing import SimulatedProvider

ZEROES = (0, 0.0, -0.0)


def key_of(model, params, folder):
    """Return the key of one question; it is answered by nobody."""
    asking = Asking(model=model, params=params, api_key="k")
    (outcome,) = start(
        [{"prompt": "one"}], asking, cache_dir=folder, budget_usd=1e-12, max_attempts=1
    ).result(60)
    return outcome.key


def test_zero_is_the_same_temperature_however_it_is_written():
    """
    The same question at temperature 0, 0.0 and -0.0 is bought once.
    """
    with SimulatedProvider(latency=0) as sim:
        for zero in ZEROES:
            (outcome,) = ask(sim, [{"prompt": "one"}], params={"temperature": zero}).result(60)
            assert outcome.error is None

        assert len(sim.ledger.received) == 1


@pytest.mark.parametrize(
    "model", ["anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash", "openai/gpt-4o-mini"]
)
def test_the_dialects_spell_whole_numbers_alike(model, tmp_path):
    """
    Whole parameters share a key with or without a fraction, and 0.5 is another one.
    """
    whole = {key_of(model, {"temperature": 1, "top_p": share}, tmp_path) for share in (1, 1.0)}
    half = key_of(model, {"temperature": 1, "top_p": 0.5}, tmp_path)

    assert len(whole) == 1
    assert half not in whole


def test_numbers_in_schemas_and_tools_stay_as_they_are():
    """
    A number inside a tool's description travels as it was written.
    """
    seen = []
    tool = {"type": "function", "function": {"name": "f", "parameters": {"minimum": 2.0}}}
    with SimulatedProvider(latency=0, faults=lambda request: seen.append(request.body)) as sim:
        ask(sim, [{"prompt": "one", "tools": [tool]}], params={"temperature": 1.0}).result(60)

    assert b'"minimum":2.0' in orjson.dumps(seen[0])
    assert b'"temperature":1,' in orjson.dumps(seen[0]) + b","


def test_an_answer_under_an_older_key_is_copied_once(tmp_path):
    """
    It is found under the older key, then stands under the new one by itself.
    """
    golden_store.load(golden_store.KEPT, tmp_path)
    (outcome,) = golden_store.ask_everything(tmp_path)["chat, cold"]
    store = open_project("golden", tmp_path, share=False)
    assert store.flush()
    older = outcome.key.older

    entries = store.peek([str(outcome.key), older])
    assert set(entries) == {outcome.key, older}
    assert entries[outcome.key].raw == entries[older].raw
    assert entries[outcome.key].usd == entries[older].usd


def test_a_renamed_key_survives_a_pickle():
    """
    Dask and process pools carry both names.
    """
    key = pickle.loads(pickle.dumps(RenamedKey("new", "old")))

    assert (key, key.older) == ("new", "old")


@pytest.mark.parametrize("name", sorted(golden_store.TIERS))
def test_an_answer_kept_with_its_service_tier_is_not_bought_again(name, tmp_path):
    """
    The released code made the tier a part of the key; such an answer is found and copied.
    """
    golden_store.load(golden_store.KEPT_TIERS, tmp_path)
    outcomes = golden_store.ask_everything(tmp_path, {name: golden_store.TIERS[name]})[name]
    store = open_project("golden", tmp_path, share=False)
    assert store.flush()

    for outcome in outcomes:
        assert (outcome.source, outcome.usd, outcome.attempts) == ("cached", 0.0, 0), outcome.error
        assert set(store.peek([str(outcome.key), outcome.key.older])) == {
            outcome.key,
            outcome.key.older,
        }


def test_a_service_tier_is_no_part_of_a_question():
    """
    The same question in three tiers is bought once, in the tier that was asked for first.
    """
    seen = []
    tiers = ("flex", "priority", None)
    with SimulatedProvider(latency=0, faults=lambda request: seen.append(request.body)) as sim:
        for tier in tiers:
            request = {"prompt": "one", **({"service_tier": tier} if tier else {})}
            (outcome,) = ask(sim, [request]).result(60)
            assert outcome.error is None

    assert [body.get("service_tier") for body in seen] == ["flex"]
