"""How texts are to be embedded: by which model, in which batches, within which limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmnb.adapters import prices
from llmnb.errors import ConfigurationError
from llmnb.option_kinds import whole_number
from llmnb.options import Option, checked
from llmnb.running.asking import Asking
from llmnb.targets.target import HTTPTarget

EMBEDS = "embedding"
"""The catalog's name for this kind of generation."""

BATCH_SIZE = 128
"""Texts of one request, where nobody says otherwise."""

MOST_BATCH_TOKENS = 100_000
"""Tokens of one request, counted roughly: a third of what OpenAI accepts.

Source:
    OpenAI API reference, "Create embeddings": at most 300,000 tokens and 2,048 texts.
"""

PACKED = frozenset(("openai", "azure", "vllm", "local", "lmstudio", "llamacpp"))
"""Providers that send vectors as base64 on request: a quarter of the bytes, read much faster."""

_KNOWN: Mapping[str, tuple[int, int]] = {
    "text-embedding-3-small": (1536, 8191),
    "text-embedding-3-large": (3072, 8191),
    "text-embedding-ada-002": (1536, 8191),
    "mistral-embed": (1024, 8192),
    "nomic-embed-text": (768, 8192),
    "mxbai-embed-large": (1024, 512),
    "all-minilm": (384, 512),
    "smollm2": (576, 2048),
}
"""Numbers in a vector, and tokens of a text that is read, by the provider's own name.

Source:
    The providers' lists of models: OpenAI's "Vector embeddings", Mistral's "Text embeddings",
    Ollama's library; for smollm2 the header of its weights.
"""


_MOST_TOKENS = Option("the tokens of one text at most", whole_number(1))


def _known_of(model: str | None) -> tuple[int | None, int | None]:
    return _KNOWN.get((model or "").rpartition("/")[2].partition(":")[0], (None, None))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A model of vectors with its batches, limits and project."""

    asking: Asking
    batch_size: int = BATCH_SIZE
    most_tokens: int | None = None
    """Tokens of one text; longer ones are cut. None: what is known of the model."""

    prefix: str = ""
    """What is put before every text, as some models want it."""

    project_name: str | None = None
    cache_dir: str | Path | None = None
    share: bool | list[str] = True
    use_cache: bool = True
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Limits, patience and budget, as `llmnb.running.start.start` takes them."""

    def __post_init__(self) -> None:
        checked({"batch_size": self.batch_size, "share": self.share, "use_cache": self.use_cache})
        _MOST_TOKENS.checked("max_tokens", self.most_tokens)
        if len(self.asking.models) > 1:
            raise ConfigurationError(
                "Vectors of different models cannot be compared, so there is no falling back "
                "from one to another: name one model. Nothing was sent."
            )

    @property
    def ndim(self) -> int | None:
        """Numbers in a vector, as far as can be told beforehand."""
        size = self.asking.params.get("dimensions")
        if isinstance(size, int):
            return size
        (model,) = self.asking.models
        return _known_of(model if isinstance(model, str) else getattr(model, "model", None))[0]

    def most_tokens_of(self, target: HTTPTarget) -> int | None:
        """Return the tokens of one text that are sent to a target; None: not known."""
        return (
            self.most_tokens
            or _known_of(target.model)[1]
            or prices.context_window(target.row.name, target.model)
        )
