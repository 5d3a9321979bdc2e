"""OpenAI's embeddings as the simulated provider makes them: texts with the same words lie near.

Each word changes a few numbers of the vector, the same ones in every process. So
equal texts have equal vectors, texts that share words have a larger product
the more they share, and those that share none are nearly at right angles.

Source:
    OpenAI API reference, "Embeddings": the embedding object. Numbers by the
    hash of words: K. Weinberger et al., *Feature Hashing for Large Scale Multitask
    Learning*, ICML 2009.
"""

from __future__ import annotations

import base64
import functools
import re
import struct
from hashlib import blake2b
from typing import Any

from llmnb.testing.answers import WholeAnswer
from llmnb.testing.api import Api
from llmnb.testing.body import Body, Rejected
from llmnb.testing.request import SimulatedRequest, mix

_SIZES = {"text-embedding-3-large": 3072}
_USUAL_SIZE = 1536
_LARGEST_SIZE = 16_384
_MOST_TEXTS = 2048
_NUMBERS_PER_WORD = 16
"""How many numbers of a vector a word changes."""

_WORD = re.compile(r"\w+")


class Embeddings(Api):
    """Embeddings, which are never streamed."""

    name = "embedding"
    path_end = "/embeddings"

    def read(self, body: Body) -> SimulatedRequest:
        """Return what the body of a request for embeddings asks for."""
        texts = body.prompts("input")
        if len(texts) > _MOST_TEXTS:
            raise Rejected(f"'input' holds more than {_MOST_TEXTS} texts.", "input")
        if not all(texts):
            raise Rejected("'input' cannot be an empty text.", "input")
        if body.get("encoding_format", "float") not in ("float", "base64"):
            raise Rejected("Invalid value for 'encoding_format'.", "encoding_format")
        if (body.whole_number("dimensions") or 1) > _LARGEST_SIZE:
            raise Rejected("Invalid value for 'dimensions': it is too large.", "dimensions")
        # Nothing is said about them, so nothing is billed but the prompt.
        return self.of_prompts(body, texts, samples=0, is_streamed=False)

    def reply(self, request: SimulatedRequest, answer: WholeAnswer) -> dict[str, Any]:
        """Return the body of a list of embeddings."""
        size = request.body.get("dimensions") or _SIZES.get(request.model, _USUAL_SIZE)
        vectors = [vector(text, size) for text in request.parts] if answer.has_choices else []
        is_packed = request.body.get("encoding_format") == "base64"
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": _packed(each) if is_packed else each,
            }
            for index, each in enumerate(vectors)
        ]
        body: dict[str, Any] = {"object": "list", "data": data, "model": request.model}
        if answer.has_usage:
            tokens = answer.prompt_tokens
            body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        return body


def _packed(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def vector(text: str, size: int) -> list[float]:
    """Return the vector of a text; its length is 1.

    Example:
        >>> fox, same = vector("a red fox", 64), vector("a red FOX!", 64)
        >>> fox == same, round(sum(number * number for number in fox), 5)
        (True, 1.0)
    """
    numbers = [0.0] * size
    for word in _WORD.findall(text.lower()) or [text]:
        for bits in _bits(word):
            numbers[(bits >> 1) % size] += 1.0 if bits & 1 else -1.0
    length = sum(number * number for number in numbers) ** 0.5
    if not length:  # its words cancel each other out, in a very small vector
        numbers[0] = length = 1.0
    # In 32 bits, so that both ways of writing it down say the same.
    packed = struct.pack(f"<{size}f", *(number / length for number in numbers))
    return list(struct.unpack(f"<{size}f", packed))


@functools.lru_cache(maxsize=65_536)
def _bits(word: str) -> tuple[int, ...]:
    digest = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    start = int.from_bytes(digest, "little")
    return tuple(mix(start + position) for position in range(_NUMBERS_PER_WORD))
