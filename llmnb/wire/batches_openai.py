"""OpenAI's files and batches, as their bytes: what is sent, and what comes back.

Source: OpenAI API reference, "Files" and "Batch"; "Batch API" guide for the limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from llmnb.errors import BadReply
from llmnb.wire.batches import Capacity, Result, Standing, count, document, lines

CAPACITY = Capacity(requests=50_000, size=200_000_000)
WINDOW = "24h"
TAG = "llmnb"
"""Name of our mark in a batch's metadata."""

_REFUSED = ("failed",)
_OVER = ("completed", "expired", "cancelled")
_BOUNDARY = "llmnb-9d1c2f7e5b8a4c60"


def line(name: str, body: bytes, path: str) -> bytes:
    r"""Return the line of one request.

    Args:
        name: Its custom id.
        body: Its body as JSON.
        path: The endpoint, such as ``"/v1/chat/completions"``.

    Example:
        >>> line("a-0", b'{"model":"m"}', "/v1/responses")
        b'{"custom_id":"a-0","method":"POST","url":"/v1/responses","body":{"model":"m"}}\n'
    """
    head = b'{"custom_id":"%b","method":"POST","url":"%b","body":' % (name.encode(), path.encode())
    return head + body + b"}\n"


def upload(file_name: str, content: bytes) -> tuple[str, bytes]:
    """Return content type and body of the request that uploads the lines of a batch.

    Example:
        >>> kind, body = upload("part.jsonl", b"{}")
        >>> kind.partition(";")[0], b'filename="part.jsonl"' in body
        ('multipart/form-data', True)
    """
    boundary = _BOUNDARY
    while boundary.encode() in content:
        boundary += "x"
    head = (
        f"--{boundary}\r\n"
        'content-disposition: form-data; name="purpose"\r\n\r\n'
        "batch\r\n"
        f"--{boundary}\r\n"
        f'content-disposition: form-data; name="file"; filename="{file_name}"\r\n'
        "content-type: application/jsonl\r\n\r\n"
    )
    tail = f"\r\n--{boundary}--\r\n"
    return f"multipart/form-data; boundary={boundary}", b"".join(
        (head.encode(), content, tail.encode())
    )


def uploaded(raw: bytes) -> str:
    """Return the name of an uploaded file.

    Raises:
        BadReply: If there is none.
    """
    return _text(document(raw, "word on the uploaded file"), "id", raw)


def creation(file: str, path: str, tag: str) -> bytes:
    """Return the body that makes a batch of an uploaded file."""
    return orjson.dumps(
        {
            "input_file_id": file,
            "endpoint": path,
            "completion_window": WINDOW,
            "metadata": {TAG: tag},
        }
    )


def standing(raw: bytes) -> Standing:
    """Read how far a batch is.

    Raises:
        BadReply: If it cannot be read.

    Example:
        >>> standing(b'{"id": "b", "status": "completed", "output_file_id": "f"}').results
        ('f',)
    """
    return _standing(document(raw, "word on the batch"), raw)


def listed(raw: bytes) -> tuple[list[Standing], str | None]:
    """Read a page of the list of batches, and the name after which the next one begins."""
    page = document(raw, "list of batches")
    rows = page.get("data")
    found = [_standing(row, raw) for row in rows if isinstance(row, dict)] if rows else []
    return found, found[-1].name if found and page.get("has_more") is True else None


def results(raw: bytes) -> Iterator[Result]:
    """Yield the results of an output or error file, in whatever order they stand there."""
    for one in lines(raw):
        name = one.get("custom_id")
        if not isinstance(name, str):
            continue
        response = one.get("response")
        if isinstance(response, dict) and isinstance(response.get("body"), dict):
            status = count(response.get("status_code")) or 200
            yield Result(name=name, status=status, body=orjson.dumps(response["body"]))
            continue
        error = one.get("error")
        code = error.get("code") if isinstance(error, dict) else None
        if code == "batch_expired":
            yield Result(name=name, kind="expired")
        elif code == "batch_cancelled":
            yield Result(name=name, kind="withdrawn")
        else:
            yield Result(name=name, status=400, body=orjson.dumps({"error": error}))


def _standing(found: Mapping[str, Any], raw: bytes) -> Standing:
    status = found.get("status")
    counts = found.get("request_counts")
    counts = counts if isinstance(counts, dict) else {}
    files = (found.get("output_file_id"), found.get("error_file_id"))
    metadata = found.get("metadata")
    tag = metadata.get(TAG) if isinstance(metadata, dict) else None
    created = found.get("created_at")
    return Standing(
        name=_text(found, "id", raw),
        state="refused" if status in _REFUSED else "ended" if status in _OVER else "working",
        done=count(counts.get("completed")) + count(counts.get("failed")),
        total=count(counts.get("total")) or None,
        words=_words(found),
        results=tuple(one for one in files if isinstance(one, str)),
        tag=tag if isinstance(tag, str) else None,
        created=float(created) if isinstance(created, int | float) else None,
    )


def _words(found: Mapping[str, Any]) -> str:
    errors = found.get("errors")
    rows = errors.get("data") if isinstance(errors, dict) else None
    said = [row.get("message") for row in rows or () if isinstance(row, dict)]
    return "; ".join(one for one in said[:3] if isinstance(one, str))[:600]


def _text(found: Mapping[str, Any], name: str, raw: bytes) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not value:
        raise BadReply(f"The provider's word on the batch has no {name}.", raw=raw)
    return value
