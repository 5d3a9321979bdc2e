"""Promises of the embedded model as an embedding model."""

from __future__ import annotations

import math

import pytest

from llmnb import LiteLLMEmbeddingModel
from llmnb.embeddings.factory import choose_model

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

    assert name == "local/smollm2"
    assert "LLMNB_EMBEDDING_MODEL" in line
