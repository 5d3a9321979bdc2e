"""Every usage example of the embedding chapter, imports renamed, requests redirected."""

from __future__ import annotations

import inspect

import pytest

from llmnb import (
    EmbeddingModel,
    HybridEmbeddingModel,
    LiteLLMEmbeddingModel,
    SentenceTransformerEmbeddingModel,
    SparseEmbeddingModel,
)
from llmnb.testing import SimulatedProvider, redirect


@pytest.fixture
def sim(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    with SimulatedProvider() as sim, redirect({"https://api.openai.com": sim.base_url}):
        yield sim


async def test_a_model_and_its_embeddings(sim):
    """
    The default name, then another with its batch size, key and rate limit.
    """
    model = LiteLLMEmbeddingModel()
    assert model.name == "text-embedding-3-small"

    model = LiteLLMEmbeddingModel(
        name="text-embedding-ada-002",
        batch_size=16,
        config={
            "kwargs": {
                "api_key": "your-api-key",
            },
            "rate_limit": "100/minute",
        },
    )

    embeddings = await model.embed_documents(["text1", "text2", "text3"])

    assert [len(vector) for vector in embeddings] == [1536] * 3
    assert all(isinstance(number, float) for number in embeddings[0])
    assert len(sim.ledger.received) == 1


async def test_a_hybrid_model(sim):
    """
    Its dimensions are the sum: 1,536 and 256 make 1,792.
    """
    dense_model = LiteLLMEmbeddingModel(name="text-embedding-3-small")
    sparse_model = SparseEmbeddingModel()
    hybrid_model = HybridEmbeddingModel(models=[dense_model, sparse_model])

    assert hybrid_model.ndim == 1792
    (vector,) = await hybrid_model.embed_documents(["text1"])
    assert len(vector) == 1792


def test_what_the_chapter_says_of_the_interface():
    """
    All four are embedding models, whose `embed_documents` is awaited with a list of texts.
    """
    for kind in (
        LiteLLMEmbeddingModel,
        SparseEmbeddingModel,
        SentenceTransformerEmbeddingModel,
        HybridEmbeddingModel,
    ):
        assert issubclass(kind, EmbeddingModel)
    assert inspect.iscoroutinefunction(EmbeddingModel.embed_documents)
    named = list(inspect.signature(LiteLLMEmbeddingModel).parameters)
    assert named[:3] == ["name", "batch_size", "config"]
