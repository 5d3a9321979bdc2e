"""Anthropic's message batches, as their bytes: what is sent, and what comes back.

Source: Anthropic API reference, "Message Batches"; its guide for the limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson

from llmnb.errors import BadReply
from llmnb.wire.batches import Capacity, Result, Standing, count, document, lines

CAPACITY = Capacity(requests=100_000, size=256_000_000 - 64)

_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The HTTP status that belongs to each type of error; 500 to any other."""


def line(name: str, body: bytes, path: str) -> bytes:
    r"""Return the line of one request; the lines become one document.

    Example:
        >>> line("a-0", b'{"model":"m"}', "")
        b'{"custom_id":"a-0","params":{"model":"m"}}\n'
    """
    return b'{"custom_id":"%b","params":' % name.encode() + body + b"}\n"


def creation(content: bytes) -> bytes:
    r"""Return the body that makes a batch of lines.

    Example:
        >>> creation(b'{"custom_id":"a"}\n{"custom_id":"b"}\n')
        b'{"requests":[{"custom_id":"a"},{"custom_id":"b"}]}'
    """
    return b'{"requests":[' + content.strip(b"\n").replace(b"\n", b",") + b"]}"


def standing(raw: bytes) -> Standing:
    """Read how far a batch is.

    Raises:
        BadReply: If it cannot be read.
    """
    return _standing(document(raw, "word on the batch"), raw)


def listed(raw: bytes) -> tuple[list[Standing], str | None]:
    """Read a page of the list of batches, and the name after which the next one begins."""
    page = document(raw, "list of batches")
    rows = page.get("data")
    found = [_standing(row, raw) for row in rows if isinstance(row, dict)] if rows else []
    last = page.get("last_id")
    return found, last if page.get("has_more") is True and isinstance(last, str) else None


def results(raw: bytes) -> Iterator[Result]:
    """Yield the results, in whatever order they stand there."""
    for one in lines(raw):
        name, result = one.get("custom_id"), one.get("result")
        if not isinstance(name, str) or not isinstance(result, dict):
            continue
        kind = result.get("type")
        if kind == "succeeded":
            yield Result(name=name, body=orjson.dumps(result.get("message")))
        elif kind == "expired":
            yield Result(name=name, kind="expired")
        elif kind == "canceled":
            yield Result(name=name, kind="withdrawn")
        else:
            yield _errored(name, result.get("error"))


def _errored(name: str, error: Any) -> Result:
    inner = error.get("error", error) if isinstance(error, dict) else None
    kind = inner.get("type") if isinstance(inner, dict) else None
    status = _STATUS.get(kind, 500) if isinstance(kind, str) else 500
    return Result(name=name, status=status, body=orjson.dumps({"type": "error", "error": inner}))


def _standing(found: Mapping[str, Any], raw: bytes) -> Standing:
    name = found.get("id")
    if not isinstance(name, str) or not name:
        raise BadReply("The provider's word on the batch does not name it.", raw=raw)
    counts = found.get("request_counts")
    counts = counts if isinstance(counts, dict) else {}
    over = sum(count(counts.get(kind)) for kind in ("succeeded", "errored", "canceled", "expired"))
    is_over = found.get("processing_status") == "ended"
    return Standing(
        name=name,
        state="ended" if is_over else "working",
        done=over,
        total=over + count(counts.get("processing")) or None,
        results=("results",) if is_over else (),
        created=_seconds(found.get("created_at")),
    )


def _seconds(moment: Any) -> float | None:
    """Return a moment in seconds since the epoch.

    Example:
        >>> _seconds("1970-01-01T00:01:00Z"), _seconds(None)
        (60.0, None)
    """
    try:
        return datetime.fromisoformat(moment).timestamp()
    except (TypeError, ValueError):
        return None
