"""Two processes that embed on one project: no text is bought twice."""

from __future__ import annotations

import sys

import pytest
from claims import in_use
from embedding import embed, order, right
from two_processes import OWNER, WITH_ITS_PARENT, program

from llmnb import settings
from llmnb.embeddings.run import EmbeddingRun
from llmnb.engine.status import Clock
from llmnb.records import REQUEST_SECONDS
from llmnb.store import layout, projects
from llmnb.store.claims import Claims
from llmnb.store.project import ProjectStore

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="two processes are played by one, with its locks"
)

TEXTS = [f"text {number}" for number in range(4)]

KERNEL = (
    WITH_ITS_PARENT
    + """
from llmnb.embeddings.order import EMBEDS, Order
from llmnb.embeddings.run import EmbeddingRun
from llmnb.running.asking import Asking
url, folder = sys.argv[1:]
asking = Asking(
    model="text-embedding-3-small", gen_type=EMBEDS, params={"dimensions": 8}, api_key="k", url=url
)
run = EmbeddingRun(
    [f"text {number}" for number in range(2400)],
    Order(asking=asking, batch_size=20, cache_dir=folder, project_name="both",
          options={"max_concurrent_requests": 4}),
)
print(sum(vector is not None for vector in run.result()), flush=True)
"""
)


@pytest.fixture
def bought(sim, asked):
    """What a project that shares with nobody keeps of four texts, by text."""
    entries = {}
    for text in TEXTS:
        embed(sim, [text], project_name=text, share=False)
        paths = layout.paths_of(settings.cache_dir(), text)
        (entries[text],) = ProjectStore(paths).lookup(list(projects.keys(paths))).values()
    asked.clear()
    sim.ledger.reset()
    return entries


@pytest.fixture
def other():
    """Another process on the project "both", as its claims and its commits show it."""
    store = ProjectStore(layout.paths_of(settings.cache_dir(), "both"))
    store.claims = Claims(store.paths)
    with in_use(store.claims):
        yield store


@pytest.fixture
def looks(monkeypatch):
    """Note every look whether another process still asks for a text."""
    is_taken, done = Claims.is_taken_elsewhere, []
    monkeypatch.setattr(
        Claims, "is_taken_elsewhere", lambda self, key: done.append(key) or is_taken(self, key)
    )
    return done


def here(sim, **changes):
    """Start to embed the four texts in this process, on the same project."""
    return EmbeddingRun(TEXTS, order(sim, project_name="both", share=False, **changes))


def until_it_looks(run, looks, times=2):
    """Return once a text was found to be asked for elsewhere, so many times from now on."""
    wanted = len(looks) + times
    while len(looks) < wanted:
        assert not run.wait(0.005), "it ended without waiting"


def test_two_kernels_that_embed_the_same_texts_buy_each_once(sim, asked, tmp_path):
    """
    Both have all vectors, and every text was sent once.
    """
    sim.hold()
    with (
        program(KERNEL, sim.base_url, tmp_path) as first,
        program(KERNEL, sim.base_url, tmp_path) as second,
    ):
        sim.wait_received(8, timeout=60)  # four each: both are at it
        sim.release()
        assert [int(kernel.stdout.read()) for kernel in (first, second)] == [2400, 2400]

    assert len(asked.texts) == len(set(asked.texts)) == 2400


def test_texts_that_another_process_asks_for_are_waited_for_and_the_others_are_not(
    sim, asked, bought, other, looks
):
    """
    What it saved is taken from there; what it gave up without a vector is asked for here.
    """
    assert all(other.claims.take(bought[text].key) for text in TEXTS[:2])
    run = here(sim)
    until_it_looks(run, looks)
    assert asked == [TEXTS[2:]]

    other.commit([bought[TEXTS[0]]])
    for text in TEXTS[:2]:
        other.claims.release(bought[text].key)

    assert run.result(60) == [right(text) for text in TEXTS]
    assert asked == [TEXTS[2:], [TEXTS[1]]]


def test_texts_of_a_process_that_was_killed_are_asked_for_here(sim, asked, bought, looks):
    """
    `kill -9` gives up all that it has claimed.
    """
    with program(OWNER, settings.cache_dir(), bought[TEXTS[3]].key) as owner:
        assert owner.stdout.readline() == "taken\n"
        run = here(sim)
        until_it_looks(run, looks)
        owner.kill()

        assert run.result(60) == [right(text) for text in TEXTS]
    assert asked == [TEXTS[:3], TEXTS[3:]]


def test_a_process_that_stands_still_is_waited_for_no_longer_than_a_request_takes(
    sim, asked, bought, other, looks, monkeypatch
):
    """
    After twice that time its texts are asked for here.
    """
    monotonic, ahead = Clock.monotonic, 0.0
    assert all(other.claims.take(bought[text].key) for text in TEXTS)
    monkeypatch.setattr(Clock, "monotonic", lambda: monotonic() + ahead)
    run = here(sim)
    until_it_looks(run, looks)
    ahead = 2 * REQUEST_SECONDS - 60
    until_it_looks(run, looks)
    assert asked == []

    ahead = 2 * REQUEST_SECONDS + 1

    assert run.result(60) == [right(text) for text in TEXTS]
    assert asked == [TEXTS]


def test_a_text_that_could_not_be_had_is_free_for_others(sim, bought, other):
    """
    So is one that was answered: nothing stays claimed after the end.
    """
    embed(sim, [TEXTS[0], "fail"], project_name="both", share=False)

    assert other.claims.take(bought[TEXTS[0]].key)


def test_without_the_cache_nobody_is_waited_for(sim, asked, bought, other):
    """
    With use_cache=False every text is asked for, whoever else does.
    """
    assert all(other.claims.take(bought[text].key) for text in TEXTS)

    assert here(sim, use_cache=False).result(60) == [right(text) for text in TEXTS]
    assert asked == [TEXTS]
