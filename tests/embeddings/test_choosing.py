"""Promises about which model makes vectors where nobody names one."""

from __future__ import annotations

import llmnb
from llmnb.embeddings.factory import choose_model


def test_the_variable_comes_first(monkeypatch):
    """
    Unless a model is named in the call.
    """
    monkeypatch.setenv("LLMNB_EMBEDDING_MODEL", "ollama/all-minilm")
    assert choose_model(None) == ("ollama/all-minilm", None)
    assert choose_model("mistral/mistral-embed") == ("mistral/mistral-embed", None)


def test_the_configured_providers_own_is_next():
    """
    A chat model is never asked for vectors.
    """
    llmnb.configure(model="mistral/mistral-small-latest")
    assert choose_model(None)[0] == "mistral/mistral-embed"


def test_then_the_first_that_has_a_key(monkeypatch):
    """
    Also where the configured provider has no vectors.
    """
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    llmnb.configure(model="anthropic/claude-sonnet-4-5")
    name, line = choose_model(None)

    assert name == "openai/text-embedding-3-small"
    assert name in line
