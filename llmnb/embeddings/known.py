"""What is known of models without asking them: numbers in a vector, and tokens they read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """One model."""

    ndim: int
    most_tokens: int | None = None
    """Tokens of one text; None: not known."""


MODELS = {
    "text-embedding-3-small": Known(1536, 8191),
    "text-embedding-3-large": Known(3072, 8191),
    "text-embedding-ada-002": Known(1536, 8191),
    "mistral-embed": Known(1024, 8192),
    "nomic-embed-text": Known(768, 8192),
    "mxbai-embed-large": Known(1024, 512),
    "all-minilm": Known(384, 512),
    "smollm2": Known(576, 2048),
}
"""By the provider's own name.

Source:
    The providers' lists of models: OpenAI's "Vector embeddings", Mistral's "Text embeddings",
    Ollama's library; for smollm2 the header of its weights.
"""


def of(model: str) -> Known | None:
    """Return what is known of a model.

    Example:
        >>> of("openai/text-embedding-3-large").ndim, of("no such model") is None
        (3072, True)
    """
    return MODELS.get(model.rpartition("/")[2].partition(":")[0])
