"""A model of which only the provider is named."""

import pytest

from llmnb.errors import ConfigurationError
from llmnb.running.asking import Asking
from llmnb.running.preparer import Preparer


@pytest.mark.parametrize("model", ["openai/", "openai/ ", "OpenAI/", "anthropic/", "groq/"])
@pytest.mark.parametrize("provider", [None, "own"])
def test_an_empty_name_is_refused_before_anything_is_sent(monkeypatch, model, provider):
    """
    Whether the provider is said beside it or not; no other model is taken in its place.
    """
    for name in ("OPENAI", "ANTHROPIC", "GROQ"):
        monkeypatch.setenv(f"{name}_API_KEY", "k")
    head = model.partition("/")[0].lower() if provider else None
    if provider:
        model = model.lower()

    with pytest.raises(ConfigurationError, match="names a provider and no model"):
        _ = Preparer(Asking(model=model, api_provider=head)).default
