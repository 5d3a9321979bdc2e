"""The bytes of a request that decide its answer.

Fields of the top level stand in sorted order, because the order in which a
caller writes them changes nothing. Messages, tools and schemas keep their own
order, because there it can.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.errors import InputError
from llmnb.wire import json_bytes

UNDECIDING = frozenset(("stream", "stream_options", "user", "metadata"))
"""Fields that change how an answer travels or whom it is counted for, not the answer."""


def canonical(body: Mapping[str, Any]) -> bytes:
    """Return a request body as bytes that are equal when the answer would be.

    Raises:
        InputError: If the body holds something that JSON cannot say.

    Example:
        >>> canonical({"model": "m", "messages": [], "user": "me"})
        b'{"messages":[],"model":"m"}'
    """
    try:
        names = sorted(body)
    except TypeError:
        raise _unwritable("a field's name is not text") from None
    return encoded({name: body[name] for name in names if name not in UNDECIDING})


def encoded(body: Mapping[str, Any]) -> bytes:
    """Return a whole request body as bytes to send, its fields in their own order.

    Raises:
        InputError: If the body holds something that JSON cannot say.
    """
    try:
        return json_bytes.write(body)
    except json_bytes.NotJSON as error:
        raise _unwritable(str(error)) from None


def _unwritable(cause: str) -> InputError:
    return InputError(
        f"The request cannot be written as JSON: {cause}. Nothing was sent for this row."
    )
