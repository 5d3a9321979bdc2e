"""Promises of the embedded model as an embedding model."""

from __future__ import annotations

import math

import pytest

from llmnb import AsyncLLM, LiteLLMEmbeddingModel
from llmnb.embeddings.factory import choose_model
from llmnb.errors import ConfigurationError

pytestmark = pytest.mark.local_model


def near(vector: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(vector, other, strict=True)) / (
        math.hypot(*vector) * math.hypot(*other)
    )


def test_it_embeds_inside_this_process():
    """
    One vector for each text, the same alone and in a batch; like texts are nearer than unlike.
    """
    model = LiteLLMEmbeddingModel("local/smollm2")
    fox, vixen, empty, tax = model.embed_documents_sync(
        ["The fox runs.", "The fox ran.", "", "Tax returns are due in May."]
    )

    assert model.ndim == len(fox) == len(empty) == 576
    assert not any(empty)
    assert near(fox, vixen) > near(fox, tax)
    assert model.embed_documents_sync(["The fox runs."]) == [fox]  # kept


def test_it_is_what_is_asked_where_nobody_named_a_model():
    """
    No key, no model: this machine does it, and one line says so.
    """
    name, line = choose_model(None)

    assert name == "local/all-minilm"
    assert "LLMNB_EMBEDDING_MODEL" in line


ORIGINAL = {  # by sentence-transformers 5 itself, of the same weights: the first six numbers
    "A kitten sleeps on the sofa.": [0.113518, -0.054937, -0.035411, 0.052098, 0.025773, 0.04358],
    "Crème brûlée, naïve façade — 東京 🙂 antidisestablishmentarianism!!": [
        0.101802,
        0.061178,
        0.0564,
        -0.065926,
        -0.046078,
        -0.06588,
    ],
    "word " * 120: [0.012272, -0.066054, -0.02898, 0.016289, -0.039502, 0.020268],
    "IT'S 5.99€ (or $7) @home\n\ttab": [
        0.046851,
        -0.038786,
        -0.040788,
        -0.018476,
        0.096403,
        0.009666,
    ],
}


def test_all_minilm_gives_the_vectors_of_its_authors():
    """
    Accents, other scripts, long words and blanks included: the same to three digits.
    """
    model = LiteLLMEmbeddingModel("local/all-minilm")

    vectors = model.embed_documents_sync(list(ORIGINAL))

    assert model.ndim == len(vectors[0]) == 384
    for vector, original in zip(vectors, ORIGINAL.values(), strict=True):
        assert vector[:6] == pytest.approx(original, abs=3e-4)


def test_a_model_of_vectors_writes_no_answers():
    """
    Asked for words it says what it is for, before anything is loaded.
    """
    with pytest.raises(ConfigurationError, match=r"makes vectors.*embed"):
        AsyncLLM(model="local/all-minilm").generate([{"prompt": "Hi"}])
