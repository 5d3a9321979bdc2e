"""Promises of embedding models: n texts, n vectors, whatever makes them."""

from __future__ import annotations

import asyncio
import functools
import os
import pickle
import subprocess
import sys

import pandas as pd
import pytest
from embedding import KEY, SIZE, model_at, right

from llmnb import (
    EmbeddingModel,
    HybridEmbeddingModel,
    LiteLLMEmbeddingModel,
    SparseEmbeddingModel,
    embedding_model_factory,
)
from llmnb.adapters.tokens import count_tokens
from llmnb.embeddings.run import EmbeddingRun
from llmnb.errors import BadReply, ConfigurationError, InputError, MissingExtra, RequestRejected
from llmnb.testing import SimulatedProvider
from llmnb.wire.openai_embeddings import numbers

TEXTS = ["a red fox", "", "a blue whale", "a red fox"]


# ------------------------------------------------------------------------------ HTTP


def test_awaited_and_blocking_are_the_same(sim):
    """
    On any loop, and without one.
    """
    made = model_at(sim)
    expected = [numbers(right(text)) if text else [0.0] * SIZE for text in TEXTS]

    assert asyncio.run(made.embed_documents(TEXTS)) == expected
    assert made.embed_documents_sync(TEXTS) == expected
    assert asyncio.run(made.embed_document("a red fox")) == expected[0]
    assert made.embed_document_sync("a red fox") == expected[0]
    assert made.embed_documents_sync([]) == []


async def test_it_can_be_awaited_beside_others(sim, asked):
    """
    Ten at once buy each text once.
    """
    made = model_at(sim)
    vectors = await asyncio.gather(*(made.embed_documents(["x", f"text {n}"]) for n in range(10)))

    assert len(asked.texts) == 11
    assert {tuple(vector[0]) for vector in vectors} == {tuple(numbers(right("x")))}


def test_the_size_of_batches_in_both_places(sim, asked):
    """
    In the call and in the config; the call counts.
    """
    texts = [f"text {number}" for number in range(8)]
    model_at(sim, batch_size=4).embed_documents_sync(texts)
    assert [len(batch) for batch in asked] == [4, 4]

    by_config = LiteLLMEmbeddingModel(config={"batch_size": 3})
    assert by_config.batch_size == 3
    assert LiteLLMEmbeddingModel(batch_size=2, config={"batch_size": 3}).batch_size == 2


def test_the_number_of_dimensions(sim):
    """
    Known beforehand, asked for, or learned from the first vector.
    """
    assert LiteLLMEmbeddingModel().ndim == 1536
    assert LiteLLMEmbeddingModel("text-embedding-3-large").ndim == 3072
    assert model_at(sim).ndim == SIZE
    unknown = LiteLLMEmbeddingModel(
        "openai/new-one", config={"kwargs": {"api_key": "k", "url": sim.base_url}}
    )
    assert unknown.ndim is None
    unknown.embed_document_sync("a")
    assert unknown.ndim == 1536


def test_limits_in_the_config_bind(sim):
    """
    `rate_limit` counts tokens, `request_limit` requests.
    """
    run = EmbeddingRun(["a"], model_at(sim, rate_limit="6000/minute", request_limit=600).order())
    run.result(60)
    (pool,) = run.status().pools
    assert (pool.tokens_per_minute, pool.requests_per_minute) == (6000, 600)


def test_what_is_too_long_is_cut_and_said(sim, asked):
    """
    The warning counts, and names the first with its tokens; short ones are whole.
    """
    made = model_at(sim, max_tokens=10)
    with pytest.warns(UserWarning, match=r"1 of 3 texts are longer .* text 1 with \d+ tokens"):
        vectors = made.embed_documents_sync(["short", "word " * 50, ""])

    (batch,) = asked
    assert batch[0] == "short"
    assert 4 <= len(batch[1].split()) <= 10
    assert len(vectors) == 3


def test_openais_models_have_their_limit_by_themselves(sim, asked):
    """
    8,191 tokens, a tenth less where they can only be estimated; the run tells what was cut.
    """
    run = model_at(sim).start(["word " * 10_000, None, "fine"])
    run.result(60)

    assert list(run.truncated) == [0]
    assert 9_000 <= run.truncated[0] <= 11_000
    is_estimate = count_tokens("word").is_estimate
    assert (7_200 if is_estimate else 8_000) <= len(asked.texts[0].split()) <= 8_191


def test_a_failure_says_which_text_and_what_was_kept(sim, asked):
    """
    The error is the text's own, after every other text is done.
    """
    made = model_at(sim)
    with pytest.raises(
        RequestRejected, match=r"1 of 3 texts failed; the first is text 1"
    ) as caught:
        made.embed_documents_sync(["a", "fail", "b"])
    assert "others are kept" in str(caught.value)
    before = len(asked)
    made.embed_documents_sync(["a", "b"])
    assert len(asked) == before


@pytest.mark.parametrize("texts", ["one text", ["a", None], ["a", 7]])
def test_what_is_no_list_of_texts_is_refused(sim, asked, texts):
    """
    Before anything is sent.
    """
    with pytest.raises(InputError):
        model_at(sim).embed_documents_sync(texts)
    assert asked == []


def test_modes_put_prefixes_and_fields(sim, asked):
    """
    Models that tell questions from documents get what they want; both are kept apart.
    """
    made = model_at(
        sim, query_prefix="query: ", document_prefix="doc: ", query_kwargs={"user": "q"}
    )
    made.embed_document_sync("a")
    made.set_mode("query")
    made.embed_document_sync("a")

    assert asked == [["doc: a"], ["query: a"]]
    with pytest.raises(ValueError, match="neither"):
        made.set_mode("neither")


def test_the_key_is_never_shown(sim):
    """
    Neither by the model nor by its run or its errors.
    """
    made = model_at(sim)
    run = made.start(["a", "fail"])
    run.result(60)

    shown = repr(made) + repr(run) + repr(made.order()) + str(run.failures())
    assert KEY not in shown


@pytest.mark.parametrize(
    "config", [{"batch": 3}, {"batch_size": 0, "kwargs": {}}, {"kwargs": {}, "api_key": "k"}]
)
def test_a_config_that_nobody_understands_is_refused(config):
    """
    With what there is, and at once.
    """
    if config.get("batch_size") == 0:
        with pytest.raises(ConfigurationError, match="at least 1"):
            LiteLLMEmbeddingModel(batch_size=-1)
        return
    for limit, unit in (("rate_limit", "tokens"), ("request_limit", "requests")):
        expected = f"^{limit} is the number of {unit} a minute.*: a rate above 0, not 'often'"
        with pytest.raises(ConfigurationError, match=expected):
            LiteLLMEmbeddingModel(config={limit: "often"})
    with pytest.raises(ConfigurationError, match="it has: batch_size"):
        LiteLLMEmbeddingModel(config=config)


def test_several_models_are_refused(sim):
    """
    There is no falling back between models whose vectors cannot be compared.
    """
    from llmnb.embeddings.order import Order
    from llmnb.running.asking import Asking

    with pytest.raises(ConfigurationError, match="name one model"):
        Order(asking=Asking(model=["a/b", "c/d"], gen_type="embedding"))


def test_a_missing_key_is_reported_at_use():
    """
    Making a model asks for nothing.
    """
    made = LiteLLMEmbeddingModel()
    with pytest.raises(ConfigurationError, match="needs an API key"):
        made.embed_document_sync("a")


# ---------------------------------------------------------------------------- others


class Letters(EmbeddingModel):
    """A model of one's own: it counts letters."""

    async def packed_vectors(self, texts):
        from llmnb.wire.openai_embeddings import pack

        return [pack([float(len(text))]) for text in texts]


def test_a_custom_model_needs_a_single_method():
    """
    The rest follows, and it goes into a hybrid.
    """
    letters = Letters("letters", 1)
    assert letters.embed_documents_sync(["", "abc"]) == [[0.0], [3.0]]

    both = HybridEmbeddingModel(models=[letters, SparseEmbeddingModel(ndim=4)])
    assert both.ndim == 5
    assert both.embed_document_sync("abc")[0] == 3.0


@pytest.mark.parametrize(
    "vectors", [None, [], [b"abc"], ["x"], [[1.0]], [b"\0\0\x80?"] * 3, [b"\0\0\x80?", b""]]
)
@pytest.mark.parametrize("embed", ["list", "hybrid", "column"])
def test_what_is_no_vector_for_each_text_is_an_error_that_says_so(vectors, embed):
    """
    Whichever way a model of one's own is asked: n texts never give fewer vectors in silence.
    """

    class Wrong(EmbeddingModel):
        async def packed_vectors(self, texts):
            return vectors

    model, texts = Wrong("wrong"), ["a", "b"]
    if embed == "hybrid":
        model = HybridEmbeddingModel([model, SparseEmbeddingModel()])
    ask = functools.partial(model.embed_documents_sync, texts)
    if embed == "column":
        ask = functools.partial(pd.Series(texts).llm.embed, model=model)
    with pytest.raises(BadReply, match=r"Wrong\.packed_vectors returned"):
        ask()


@pytest.mark.parametrize("texts", [None, 5])
def test_what_is_no_list_of_texts_is_an_error(texts):
    """
    One that says what is.
    """
    with pytest.raises(InputError, match="takes a list of texts"):
        SparseEmbeddingModel().embed_documents_sync(texts)


@pytest.mark.parametrize(
    "config",
    [
        *(5, "x", {"kwargs": 5}, {"document_kwargs": 5}, {"max_tokens": -1}, {"max_tokens": "9"}),
        {"kwargs": {"api_base": 5}},
    ],
)
def test_a_config_of_wrong_kinds_is_refused_when_the_model_is_made(config):
    """
    Before any text is given to it.
    """
    with pytest.raises(ConfigurationError, match="Nothing was sent"):
        LiteLLMEmbeddingModel(config=config)


@pytest.mark.parametrize(
    "made", [lambda: HybridEmbeddingModel(["sparse"]), lambda: embedding_model_factory(None)]
)
def test_what_names_no_model_is_refused(made):
    """
    By both who make models of others.
    """
    with pytest.raises(ConfigurationError):
        made()


def test_sparse_vectors_are_the_same_in_every_process():
    """
    Whatever the seed of Python's own hashes.
    """
    code = (
        "from llmnb import SparseEmbeddingModel as M;"
        "print(M(ndim=32).embed_documents_sync(['Ein Füchslein 7', '', 'ß 漢字']))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    here = SparseEmbeddingModel(ndim=32).embed_documents_sync(["Ein Füchslein 7", "", "ß 漢字"])
    assert printed == {f"{here}\n"}


def test_hybrid_vectors_are_the_parts_in_order(sim):
    """
    Dense, then sparse; its dimensions are their sum; a mode reaches every part.
    """
    dense, sparse = model_at(sim), SparseEmbeddingModel(ndim=16)
    hybrid = HybridEmbeddingModel(models=[dense, sparse])

    vectors = asyncio.run(hybrid.embed_documents(TEXTS))

    assert hybrid.ndim == SIZE + 16
    parts = zip(dense.embed_documents_sync(TEXTS), sparse.embed_documents_sync(TEXTS), strict=True)
    assert vectors == [first + second for first, second in parts]
    hybrid.set_mode("query")
    assert dense.mode == sparse.mode == "query"
    with pytest.raises(ConfigurationError):
        HybridEmbeddingModel(models=[])


def test_names_mean_models():
    """
    Each prefix its kind; none, a model behind HTTP.
    """
    assert type(embedding_model_factory("sparse")) is SparseEmbeddingModel
    plain = embedding_model_factory("text-embedding-3-large", batch_size=7)
    assert (plain.name, plain.batch_size) == ("text-embedding-3-large", 7)
    assert embedding_model_factory("litellm-mistral/mistral-embed").name == "mistral/mistral-embed"
    hybrid = embedding_model_factory("hybrid-text-embedding-3-small")
    assert hybrid.ndim == 1536 + 256
    for name in ("", "st-", "hybrid-"):
        with pytest.raises(ConfigurationError, match="names no embedding model"):
            embedding_model_factory(name)


def test_without_the_extra_the_error_names_it(monkeypatch):
    """
    And says what works without it.
    """
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "sentence_transformers" else find(name, *rest),
    )
    with pytest.raises(MissingExtra, match=r"llmnb\[sentence-transformers\]"):
        embedding_model_factory("st-any/model")


def test_models_travel_to_other_processes(sim, monkeypatch):
    """
    They pickle, without their key: it is looked up where they arrive.
    """
    monkeypatch.setenv("OPENAI_API_KEY", "there")
    for model in (
        model_at(sim),
        SparseEmbeddingModel(),
        HybridEmbeddingModel([SparseEmbeddingModel()]),
    ):
        twin = pickle.loads(pickle.dumps(model))
        assert twin.name == model.name
        assert twin.embed_documents_sync(["a"]) == model.embed_documents_sync(["a"])


def test_nothing_is_sent_by_making_models():
    """
    Names and dimensions are known without a request.
    """
    with SimulatedProvider() as sim:
        made = model_at(sim)
        assert made.ndim == SIZE
        assert sim.ledger.received == []
