"""The bytes of a request that decide its answer.

Fields of the top level stand in sorted order, because the order in which a
caller writes them changes nothing. Messages, tools and schemas keep their own
order, because there it can.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from llmnb.errors import InputError

UNDECIDING = frozenset(("stream", "stream_options", "user"))
"""Fields that change how an answer travels or is billed to, not the answer."""


def canonical(body: Mapping[str, Any]) -> bytes:
    """Return a request body as bytes that are equal when the answer would be.

    Raises:
        InputError: If the body holds something that JSON cannot say.

    Example:
        >>> canonical({"model": "m", "messages": [], "user": "me"})
        b'{"messages":[],"model":"m"}'
    """
    chosen = {name: body[name] for name in sorted(body) if name not in UNDECIDING}
    try:
        return orjson.dumps(chosen)
    except TypeError as error:
        return _patiently(chosen, error)


def _patiently(body: dict[str, Any], cause: TypeError) -> bytes:
    """Write what the fast writer refuses: lone surrogates, integers beyond 64 bits."""
    try:
        return json.dumps(body, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (TypeError, ValueError, RecursionError):
        raise InputError(
            f"The request cannot be written as JSON: {cause}. Nothing was sent for this row."
        ) from None
