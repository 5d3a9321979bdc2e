"""Promises about what is bought: each text once, whatever batches it travels in."""

from __future__ import annotations

import threading

import pytest
from embedding import MODEL, SIZE, Asked, embed, order, right
from laboratory import Laboratory

from llmnb import settings
from llmnb.embeddings.order import EMBEDS, Order
from llmnb.embeddings.run import EmbeddingRun
from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.store import usage
from llmnb.store.layout import paths_of
from llmnb.testing import faults

TEXTS = [f"text number {number}" for number in range(50)]


@pytest.mark.parametrize("batch_size", [1, 7, 50, 64])
def test_each_text_gets_its_own_vector(sim, asked, batch_size):
    """
    n texts, n vectors, in their order, in no more requests than the size of batches allows.
    """
    run = embed(sim, TEXTS, batch_size=batch_size)

    assert run.partial() == [right(text) for text in TEXTS]
    assert len(asked) == -(-len(TEXTS) // batch_size)
    assert run.errors == {}


def test_nothing_is_bought_twice_across_runs_and_sizes(sim, asked):
    """
    Another size of batches, another order, more texts: only what is new is sent.
    """
    first = embed(sim, TEXTS[:30], batch_size=16)
    again = embed(sim, TEXTS[::-1], batch_size=7)

    assert again.partial() == [right(text) for text in TEXTS[::-1]]
    assert sorted(asked.texts) == sorted(TEXTS)
    assert again.status().counts.num_cached == 30
    assert again.status().counts.simulated_saved_usd == pytest.approx(
        first.status().counts.simulated_usd
    )


def test_a_text_that_stands_there_several_times_is_sent_once(sim, asked):
    """
    Every place gets its vector.
    """
    run = embed(sim, ["a", "b", "a", "a"])

    assert run.partial() == [right(text) for text in "abaa"]
    assert asked == [["a", "b"]]
    assert run.status().counts.num_merged == 2


def test_empty_texts_get_zeros_and_are_not_sent(sim, asked):
    """
    Among others, and where there is nothing else.
    """
    run = embed(sim, ["", "a", ""])
    assert run.partial() == [bytes(4 * SIZE), right("a"), bytes(4 * SIZE)]
    assert asked == [["a"]]
    assert embed(sim, ["", ""]).partial() == [bytes(4 * SIZE)] * 2
    assert len(asked) == 1


def test_the_length_of_an_unknown_models_vector_is_asked_for(asked):
    """
    Where every text is empty, one word is embedded to learn it.
    """
    with Laboratory(faults=asked) as sim:
        run = embed(sim, ["", ""], params={})
        assert run.partial() == [bytes(4 * 1536)] * 2
        assert asked == []  # this one is known by name
        asking = Asking(
            model="openai/who-knows", gen_type=EMBEDS, params={}, api_key="k", url=sim.base_url
        )
        assert EmbeddingRun(["", ""], Order(asking=asking)).result(60) == [bytes(4 * 1536)] * 2
        assert asked == [["text"]]


def test_what_is_no_text_gets_nothing(sim):
    """
    None stands for a missing cell: no vector and no error.
    """
    run = embed(sim, [None, "a", None])

    assert run.partial() == [None, right("a"), None]
    assert run.errors == {}
    assert run.status().total == 1


def test_asking_alone_and_in_a_batch_is_the_same_answer(sim, asked):
    """
    What a batch has brought answers a single request through the engine, and the other way.
    """
    embed(sim, ["a", "b"])
    asking = Asking(
        model=MODEL,
        api_key="k",
        url=sim.base_url,
        gen_type="embedding",
        params={"dimensions": SIZE},
    )
    (single,) = start([{"input": "b"}], asking).result(60)
    assert single.source == "cached"
    assert single.reply.vectors == (right("b"),)

    (new,) = start([{"input": "c"}], asking).result(60)
    assert new.source == "sent"
    assert embed(sim, ["c"]).status().counts.num_cached == 1
    assert asked == [["a", "b"], ["c"]]


def test_two_at_once_buy_a_text_once(sim, asked):
    """
    Whoever comes second waits for the first one's answer instead of buying it too.
    """
    sim.hold()
    first = EmbeddingRun(TEXTS[:30], order(sim, batch_size=10))
    sim.wait_received(3)
    second = EmbeddingRun(TEXTS[20:], order(sim, batch_size=8))
    sim.wait_received(3 + 3)
    sim.release()

    assert first.result(60) == [right(text) for text in TEXTS[:30]]
    assert second.result(60) == [right(text) for text in TEXTS[20:]]
    assert sorted(asked.texts) == sorted(TEXTS)
    assert second.status().counts.num_merged == 10


def test_a_text_that_another_did_not_get_is_asked_for(sim, asked):
    """
    The first run is stopped before it sends; the second does not wait for ever.
    """
    sim.hold()
    first = EmbeddingRun(["x", "y"], order(sim, options={"max_concurrent_requests": 1}))
    sim.wait_received(1)
    second = EmbeddingRun(["y", "z"], order(sim, options={"max_concurrent_requests": 1}))
    first.cancel()
    sim.release()

    assert second.result(60) == [right("y"), right("z")]


def test_many_threads_at_once_buy_each_text_once(sim, asked):
    """
    Eight threads, overlapping texts, several sizes of batches.
    """
    results = {}

    def work(number: int) -> None:
        texts = TEXTS[number : number + 40]
        results[number] = (texts, embed(sim, texts, batch_size=number + 3).partial())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for texts, vectors in results.values():
        assert vectors == [right(text) for text in texts]
    assert len(asked.texts) == len(set(asked.texts))


def test_without_the_cache_it_is_asked_anew_and_kept_all_the_same(sim, asked):
    """
    `use_cache=False` skips reading only.
    """
    embed(sim, ["a"])
    embed(sim, ["a"], use_cache=False)
    embed(sim, ["a"])

    assert asked == [["a"], ["a"]]


def test_other_projects_are_used_unless_share_is_off(sim, asked):
    """
    As everywhere in llmnb.
    """
    embed(sim, ["a"], project_name="one")
    shared = embed(sim, ["a"], project_name="two")
    assert shared.status().counts.num_reused == 1
    embed(sim, ["a"], project_name="three", share=False)

    assert asked == [["a"], ["a"]]


def test_tokens_and_dollars_of_texts_add_up_to_those_of_requests(sim):
    """
    The spend log knows texts; its sums are the engine's.
    """
    run = embed(sim, [f"{text} " * number for number, text in enumerate(TEXTS)], batch_size=20)
    (spent,) = usage.spending(paths_of(settings.cache_dir(None), run.project).spend)

    counts = run.status().counts
    assert (
        spent.prompt_tokens
        == counts.prompt_tokens
        == sum(row.prompt_tokens for row in sim.ledger.rows)
    )
    assert spent.usd == pytest.approx(counts.simulated_usd, rel=1e-12)
    assert spent.requests == 49


def test_a_wrong_number_of_vectors_is_no_answer():
    """
    Neither from a batch nor from one text; what came is an error, and nothing is served later.
    """
    with Laboratory(faults=["no_choices"]) as sim:
        run = embed(sim, ["a", "b"])
    assert {type(error).__name__ for error in run.errors.values()} == {"BadReply"}

    too_short = b'{"data":[{"index":0,"embedding":[0.5]}],"model":"m"}'
    with Laboratory(faults=lambda request: faults.reply(body=too_short)) as sim:
        run = embed(sim, ["a", "b"])
        assert "1 vector for 2 texts" in run.errors[1].message
        asking = Asking(model=MODEL, api_key="k", url=sim.base_url, gen_type="embedding")
        (outcome,) = start([{"input": ["a", "b"]}], asking).result(60)
        assert type(outcome.error).__name__ == "BadReply"


def test_vectors_of_another_length_are_refused():
    """
    A model that changed behind its name would make distances meaningless.
    """
    asked = Asked()

    def changing(request):
        asked(request)
        if "b" in request.parts:
            return faults.reply(body=b'{"data":[{"index":0,"embedding":[0.5]}],"model":"m"}')
        return None

    with Laboratory(faults=changing) as other:
        run = embed(other, ["a", "b"], batch_size=1, options={"max_concurrent_requests": 1})
    assert run.partial()[0] == right("a")
    assert "cannot be compared" in run.errors[1].message
