"""Promises of models that are reached through LiteLLM: the same engine, LiteLLM as transport."""

from __future__ import annotations

import pytest
from embedding import SIZE, right

from llmnb import LiteLLMEmbeddingModel
from llmnb.testing import SimulatedProvider
from llmnb.wire.openai_embeddings import numbers


def test_the_name_decides_who_is_asked():
    """
    The catalog's own providers directly, the others through LiteLLM, in either's spelling.
    """
    names = {
        "text-embedding-3-small": "openai/text-embedding-3-small",
        "together_ai/some/model": "together/some/model",
        "cohere/embed-v4": "litellm/cohere/embed-v4",
        "gemini/some-embedding": "litellm/gemini/some-embedding",
    }

    for name, full_name in names.items():
        (endpoint,) = LiteLLMEmbeddingModel(name).order().asking.models
        assert endpoint.model == full_name


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # LiteLLM's own, of which there are many
def test_litellm_is_a_transport_like_another(asked):
    """
    Real LiteLLM: batches, one vector a text, nothing bought twice, retries by the engine alone.
    """

    def faults(request):
        asked(request)
        return 500 if len(asked) == 1 else None

    with SimulatedProvider(faults=faults) as sim:
        fields = {"api_key": "k", "api_base": sim.base_url, "dimensions": SIZE}
        model = LiteLLMEmbeddingModel(
            "litellm/openai/text-embedding-3-small", batch_size=2, config={"kwargs": fields}
        )
        vectors = model.embed_documents_sync(["a", "b", "", "c"])
        model.embed_documents_sync(["c", "b", "a"])

    assert vectors == [numbers(right("a")), numbers(right("b")), [0.0] * SIZE, numbers(right("c"))]
    assert len(asked) == 3
    assert sorted(asked.texts) in (["a", "a", "b", "b", "c"], ["a", "b", "c", "c"])
