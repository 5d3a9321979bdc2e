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

TIERS = frozenset(("service_tier", "serviceTier"))
"""Fields that say how fast, and at what price, an answer is wanted."""

_ALWAYS_UNDECIDING = frozenset(("stream", "stream_options", "user", "metadata"))

UNDECIDING = _ALWAYS_UNDECIDING | TIERS
"""Fields that change how an answer is delivered or accounted for, not the answer itself."""


def canonical_in_0_1(body: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes as release 0.1.0 wrote them: with the service tier.

    Example:
        >>> canonical_in_0_1({"service_tier": "flex", "user": "me"})
        b'{"service_tier":"flex"}'
    """
    return canonical(body, _ALWAYS_UNDECIDING)


def canonical(body: Mapping[str, Any], without: frozenset[str] = UNDECIDING) -> bytes:
    """Return a request body as bytes that are equal for bodies which ask for the same answer.

    Args:
        body: The body.
        without: Fields that are left out.

    Raises:
        InputError: If the body holds something that JSON cannot say.

    Example:
        >>> canonical({"model": "m", "messages": [], "user": "me"})
        b'{"messages":[],"model":"m"}'
    """
    try:
        fields = dict(sorted(body.items()))  # no two names are the same: values are not compared
    except TypeError:
        raise _unwritable("a field's name is not text") from None
    if not without.isdisjoint(fields):
        for name in without:
            fields.pop(name, None)
    return json_body(fields)


def with_plain_numbers(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body whose parameters spell whole numbers without a fraction; the same if all do.

    A temperature of 0, 0.0 or -0.0 asks for the same answer. Gemini's parameters stand one
    step deeper, in ``generationConfig``; messages, tools and schemas are left as they are.

    Example:
        >>> with_plain_numbers({"temperature": -0.0, "top_p": 0.5})
        {'temperature': 0, 'top_p': 0.5}
    """
    if _NO_FLOATS.issuperset(map(type, body.values())) and _GEMINI_PARAMETERS not in body:
        return body
    changed: dict[str, Any] = {
        name: int(value)
        for name, value in body.items()
        if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_EXACT
    }
    config = body.get(_GEMINI_PARAMETERS)
    if type(config) is dict and (plain := with_plain_numbers(config)) is not config:
        changed[_GEMINI_PARAMETERS] = plain
    return {**body, **changed} if changed else body


_GEMINI_PARAMETERS = "generationConfig"
_NO_FLOATS = frozenset((str, int, bool, list, dict, type(None)))
"""Types of parameters that cannot be fractions; most bodies have no others."""

_LARGEST_EXACT = 2.0**53
"""From here on a float does not tell neighbouring whole numbers apart."""


def json_body(body: Mapping[str, Any]) -> bytes:
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
