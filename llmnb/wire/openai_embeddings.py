"""OpenAI's embeddings: texts go in, one vector for each comes out.

Source: OpenAI API reference, "Create embeddings".
"""

from __future__ import annotations

import base64
import math
from array import array
from collections.abc import Mapping
from typing import Any, ClassVar

from llmnb.records import Reply, Usage
from llmnb.wire import conversation
from llmnb.wire.conversation import input_error
from llmnb.wire.dialect import Dialect, bad_reply
from llmnb.wire.untrusted import count_in, dict_in, index_of, text_in
from llmnb.wire.usage import dollars, with_counts

_BYTES_PER_NUMBER = 4


class OpenAIEmbeddings(Dialect):
    """Dialect ``openai.embeddings``."""

    name = "openai.embeddings"
    stream_fields: ClassVar[Mapping[str, Any]] = {}  # a vector comes whole or not at all

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
        body = conversation.merge_fields(request, params, model)
        name = conversation.question_in(body)
        if name == "messages":
            raise input_error("An embedding is made of texts, not of messages: give input=….")
        texts = body.pop(name)
        if not _is_embeddable(texts):
            kind = type(texts).__name__
            if isinstance(texts, list | tuple):
                kinds = sorted({type(text).__name__ for text in texts})
                kind = f"a list of {' and '.join(kinds)}" if kinds else "an empty list"
            raise input_error(
                f"{name} is {kind}; what can be embedded is a text, or a list of texts or tokens "
                "with at least one."
            )
        body["input"] = texts
        return body

    def unstreamed(self, raw: bytes) -> bytes:
        """Return the bytes as they are: there is no vector in a stream."""
        return raw

    def reply(self, body: dict[str, Any], raw: bytes) -> Reply:
        """Read a reply's object; how many vectors it must have is for `with_every_vector` to say.

        A vector that is null or not made of finite numbers is empty, as long as another is good.

        Raises:
            BadReply: If it lacks a vector that its own numbering names, has no good one, or has
                some of different lengths.
        """
        data = body.get("data")
        if not isinstance(data, list) or not data:
            raise bad_reply(raw, "has no vectors")
        if not all(isinstance(entry, dict) for entry in data):
            raise bad_reply(raw, "has a vector that is no object")
        if any("index" in entry for entry in data):
            data = sorted(data, key=index_of)
            if [entry.get("index") for entry in data] != list(range(len(data))):
                raise bad_reply(raw, "has vectors whose numbers leave gaps")
        vectors = tuple(_vector(entry.get("embedding")) for entry in data)
        lengths = {len(vector) for vector in vectors if vector}
        if not lengths:
            raise bad_reply(raw, "has a vector that is not made of finite numbers")
        if len(lengths) > 1:
            raise bad_reply(raw, "has vectors of different lengths")
        return Reply(
            text="",
            model=text_in(body, "model"),
            response_id=text_in(body, "id"),
            usage=_usage(body),
            vectors=vectors,
            raw=raw,
        )


def _usage(body: Mapping[str, Any]) -> Usage | None:
    """Return the tokens of a reply, which are its prompt's: a vector has none of its own."""
    used = dict_in(body, "usage")
    prompt, total = count_in(used, "prompt_tokens"), count_in(used, "total_tokens")
    usd = dollars(used)
    if prompt is None and total is None and usd is None:
        return None
    return with_counts(Usage(usd=usd), prompt, 0, total, wrote=False)


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


def with_every_vector(reply: Reply, inputs: int) -> Reply:
    """Return a reply that has as many vectors as there were texts.

    Raises:
        BadReply: If it has more or fewer: nobody can tell which belongs to which text.

    Example:
        >>> with_every_vector(Reply(text="", vectors=(b"four",)), 1).vectors
        (b'four',)
    """
    if len(reply.vectors) != inputs:
        vectors = "vector" if len(reply.vectors) == 1 else "vectors"
        raise bad_reply(reply.raw, f"has {len(reply.vectors):,} {vectors} for {inputs:,} texts")
    return reply


def numbers(vector: bytes) -> list[float]:
    """Return a vector's numbers.

    Example:
        >>> numbers(pack([0.5, -1.0]))
        [0.5, -1.0]
    """
    return array("f", vector).tolist()


def pack(values: list[float]) -> bytes:
    r"""Return numbers as a vector: little-endian, 32 bits each, as the models make them.

    Raises:
        TypeError: If one of them is no number.

    Example:
        >>> pack([1.0])
        b'\x00\x00\x80?'
    """
    return array("f", values).tobytes()


def _is_embeddable(texts: Any) -> bool:
    if not isinstance(texts, (list, tuple)) or not texts:
        return isinstance(texts, str)
    kind = type(texts[0])
    return kind in (str, int, list, tuple) and all(type(text) is kind for text in texts)


def _vector(embedding: Any) -> bytes:
    """Return a vector that came as a list of numbers or as their bytes in base64; else nothing."""
    try:
        if isinstance(embedding, str):
            vector = base64.b64decode(embedding, validate=True)
        elif isinstance(embedding, list):
            vector = pack(embedding)
        else:
            return b""
    except (TypeError, OverflowError, ValueError):
        return b""
    # The sum of what is not finite is not finite either; a model that overflowed says NaN.
    if len(vector) % _BYTES_PER_NUMBER or not math.isfinite(sum(numbers(vector))):
        return b""
    return vector
