"""OpenAI's embeddings: texts go in, one vector for each comes out.

Source: OpenAI API reference, "Create embeddings".
"""

from __future__ import annotations

import base64
import binascii
import math
import sys
from array import array
from collections.abc import Mapping
from typing import Any

from llmnb.errors import InputError
from llmnb.records import Delta, Reply, Usage
from llmnb.wire import ends, openai_replies, openai_requests
from llmnb.wire.event_stream import EventAssembler

_BYTES_PER_NUMBER = 4


class OpenAIEmbeddings:
    """Dialect ``openai.embeddings``."""

    name = "openai.embeddings"

    def body(
        self, request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a new request body with an ``input``: a text, or several.

        Raises:
            InputError: If there is nothing to embed, or something that is no text.

        Example:
            >>> OpenAIEmbeddings().body({"input": ["a", "b"]}, model="m", params={})
            {'model': 'm', 'input': ['a', 'b']}
        """
        body = openai_requests.merged(request, params, model)
        name = openai_requests.question_in(body)
        if name == "messages":
            raise InputError(
                "An embedding is made of texts, not of messages: give input=…. "
                "Nothing was sent for it."
            )
        texts = body.pop(name)
        if not _is_embeddable(texts):
            raise InputError(
                f"{name} is {_described(texts)}; what can be embedded is a text, or a list of "
                "texts or tokens with at least one. Nothing was sent for it."
            )
        body["input"] = texts
        return body

    def stream_body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the same body: a vector comes whole or not at all."""
        return dict(body)

    def parse(self, raw: bytes) -> Reply:
        """Read a reply; how many vectors it must have is for `checked` to say.

        One that is null or not made of finite numbers is empty, as long as another one is good.

        Raises:
            BadReply: If it cannot be read, lacks a vector that its own numbering
                names, has no good one, or has some of different lengths; its bytes are kept.
            LLMNBError: Of another type, if it says what went wrong.
        """
        body, readable = openai_replies.load_object(raw)
        data = body.get("data")
        if not isinstance(data, list) or not data:
            raise openai_replies.unusable(raw, "has no vectors")
        if not all(isinstance(one, dict) for one in data):
            raise openai_replies.unusable(raw, "has a vector that is no object")
        if any("index" in one for one in data):
            data = sorted(data, key=openai_replies.index_of)
            if [one.get("index") for one in data] != list(range(len(data))):
                raise openai_replies.unusable(raw, "has vectors whose numbers leave gaps")
        vectors = tuple(_vector(one.get("embedding")) for one in data)
        lengths = {len(vector) for vector in vectors if vector}
        if not lengths:
            raise openai_replies.unusable(raw, NOT_FINITE)
        if len(lengths) > 1:
            raise openai_replies.unusable(raw, "has vectors of different lengths")
        return Reply(
            text="",
            model=openai_replies.text_or_none(body.get("model")),
            response_id=openai_replies.text_or_none(body.get("id")),
            usage=_usage(body),
            vectors=vectors,
            raw=readable,
        )

    def assembler(self, *, samples: int = 1) -> EventAssembler:
        """Return what reads a stream, which can bring no vector but an error."""
        return _NoVectors()


def _usage(body: Mapping[str, Any]) -> Usage | None:
    """Return the tokens of a reply, which are its prompt's: a vector has none of its own."""
    found = body.get("usage")
    if not isinstance(found, dict):
        return None
    count = openai_replies.count
    prompt, total = count(found.get("prompt_tokens")), count(found.get("total_tokens"))
    usd = openai_replies.dollars(found)
    if prompt is None and total is None and usd is None:
        return None
    return ends.counted(prompt, 0, total, wrote=False, usd=usd)


def inputs_in(body: Mapping[str, Any]) -> int:
    """Return how many texts a request body asks to embed.

    Example:
        >>> inputs_in({"input": "a"}), inputs_in({"input": ["a", "b"]}), inputs_in({"input": [7]})
        (1, 2, 1)
    """
    texts = body["input"]
    if isinstance(texts, str) or type(texts[0]) is int:
        return 1
    return len(texts)


def checked(reply: Reply, inputs: int) -> Reply:
    """Return a reply that has as many vectors as there were texts.

    Raises:
        BadReply: If it has more or fewer: nobody can tell which belongs to which text.

    Example:
        >>> checked(Reply(text="", vectors=(b"four",)), 1).vectors
        (b'four',)
    """
    if len(reply.vectors) != inputs:
        vectors = "vector" if len(reply.vectors) == 1 else "vectors"
        raise openai_replies.unusable(
            reply.raw, f"has {len(reply.vectors):,} {vectors} for {inputs:,} texts"
        )
    return reply


def numbers(vector: bytes) -> list[float]:
    """Return a vector's numbers.

    Example:
        >>> numbers(packed([0.5, -1.0]))
        [0.5, -1.0]
    """
    found = array("f", vector)
    if sys.byteorder == "big":
        found.byteswap()
    return found.tolist()


def packed(values: list[float]) -> bytes:
    r"""Return numbers as a vector: little-endian, 32 bits each, as the models make them.

    Raises:
        TypeError: If one of them is no number.

    Example:
        >>> packed([1.0])
        b'\x00\x00\x80?'
    """
    found = array("f", values)
    if sys.byteorder == "big":
        found.byteswap()
    return found.tobytes()


def _is_embeddable(texts: Any) -> bool:
    if isinstance(texts, str):
        return True
    if not isinstance(texts, (list, tuple)) or not texts:
        return False
    kind = type(texts[0])
    if kind not in (str, int, list, tuple):
        return False
    return all(type(text) is kind for text in texts)


def _described(texts: Any) -> str:
    if isinstance(texts, (list, tuple)) and texts:
        return f"a list of {' and '.join(sorted({type(text).__name__ for text in texts}))}"
    return "an empty list" if isinstance(texts, (list, tuple)) else type(texts).__name__


NOT_FINITE = "has a vector that is not made of finite numbers"


def _vector(embedding: Any) -> bytes:
    """Return a vector that came as a list of numbers or as their bytes in base64; else nothing."""
    try:
        if isinstance(embedding, str):
            vector = base64.b64decode(embedding, validate=True)
        elif isinstance(embedding, list):
            vector = packed(embedding)
        else:
            return b""
    except (TypeError, OverflowError, ValueError, binascii.Error):
        return b""
    # The sum of what is not finite is not finite either; a model that overflowed says NaN.
    if len(vector) % _BYTES_PER_NUMBER or not math.isfinite(sum(numbers(vector))):
        return b""
    return vector


class _NoVectors(EventAssembler):
    """Reads what comes as a stream all the same."""

    __slots__ = ()

    def take(self, chunk: dict[str, Any]) -> list[Delta]:
        """Find nothing of an answer."""
        return []

    def assembled(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def has_begun(self) -> bool:
        """Whether anything of an answer came: never."""
        return False

    def is_whole(self) -> bool:
        """Whether it came to its end: never."""
        return False
