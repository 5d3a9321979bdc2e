"""Outcomes as lines of a file: rows as JSON, the bytes as they came."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from llmnb.errors import UnreadableFile
from llmnb.generation.lines import Line
from llmnb.models.response_rows import CALLERS_FIELDS, error_texts, without_callers_fields
from llmnb.records import Outcome
from llmnb.wire import json_bytes


def line(outcome: Outcome) -> bytes:
    """Return a row as a line of JSON, the request as it was written and the reply as it came."""
    asked, reply = outcome.tag, outcome.reply
    if outcome.error is None and reply is not None:
        # A line break in JSON is white space, or it would not have been read as JSON.
        response = reply.raw.replace(b"\n", b" ").replace(b"\r", b" ")
    else:
        response = orjson.dumps(error_texts(outcome.error))
    metadata = asked.get("metadata") if isinstance(asked, Mapping) else None
    parts = [_request(asked), response]
    if metadata:
        parts.append(_written(metadata))
    return b"[" + b", ".join(parts) + b"]\n"


def refused_addresses(count: int) -> str | None:
    """Return what is said at the end about lines that named an address; None where none did.

    Example:
        >>> refused_addresses(2).partition(":")[0]
        '2 lines named a url or an api_key of their own and were sent nowhere'
    """
    if not count:
        return None
    who = "1 line" if count == 1 else f"{count:,} lines"
    return (
        f"{who} named a url or an api_key of {'its' if count == 1 else 'their'} own and "
        f"{'was' if count == 1 else 'were'} sent nowhere: if you trust the file, type the command "
        "again with --allow-urls, or pass allow_urls=True."
    )


def _request(asked: Any) -> bytes:
    if isinstance(asked, Line):
        if asked.written is not None and CALLERS_FIELDS.isdisjoint(asked):
            return asked.written
    elif isinstance(asked, UnreadableFile):
        return orjson.dumps((asked.details.raw or b"").decode("utf-8", "replace"))
    if not isinstance(asked, Mapping):
        return _written(asked)
    return _written(without_callers_fields(asked))


def _written(value: Any) -> bytes:
    """Return what came with a request as JSON: NaN as it was read, what is no JSON as its text."""
    try:
        return json_bytes.write(value)
    except json_bytes.NotJSON:
        return json.dumps(value, default=str, separators=(",", ":")).encode()
