"""OpenAI's and Anthropic's batch APIs as bytes: building their requests, reading their replies.

Source: OpenAI API reference, "Files" and "Batch", and its guide "Batch API" for the limits;
Anthropic API reference, "Message Batches", and its guide for the limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import orjson

from llmnb.errors import BadReply, LLMNBError, ProviderError, Stopped
from llmnb.wire import json_bytes
from llmnb.wire.classify import STATUS_OF_CODE
from llmnb.wire.limits import moment_of
from llmnb.wire.untrusted import count_in, dict_in, dicts_in, text_in

PRICE_FACTOR = 0.5
"""Price of a request in a batch, as a fraction of its price when it is asked directly.

Source: OpenAI, "Batch API" guide; Anthropic, "Message Batches" guide: half of the standard price.
"""

State = Literal["working", "ended", "refused"]
"""Not over yet; over, with results for some or all; refused as a whole."""

Kind = Literal["answered", "expired", "withdrawn"]

_SEPARATOR = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What one batch may hold at most."""

    requests: int
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a batch is."""

    name: str
    """The provider's name for it."""

    state: State
    done: int = 0
    """Requests that have ended, with an answer or without."""

    total: int | None = None
    message: str = ""
    """What the provider says of it, where it was refused or ended early."""

    results: tuple[str, ...] = ()
    """Paths below the API's address at which the results lie."""

    tag: str | None = None
    """Our own mark on it, where the provider keeps one."""

    created: float | None = None
    """Seconds since the epoch, where it is told as a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one request of a batch."""

    name: str
    """Its custom id."""

    kind: Kind = "answered"
    status: int = 200
    """The HTTP status that the same request would have had."""

    body: bytes = b""
    """The reply."""


def name_of(key: str, row: int) -> str:
    """Return the custom id of a request: the answer's key and its row.

    Example:
        >>> name_of("ab12", 7)
        'ab12-7'
    """
    return f"{key}{_SEPARATOR}{row}"


def key_of(name: str) -> str:
    """Return the answer's key that a custom id begins with.

    Example:
        >>> key_of("ab12-7")
        'ab12'
    """
    return name.partition(_SEPARATOR)[0]


def split(sizes: Iterable[int], capacity: Capacity) -> Iterator[int]:
    """Yield how many of the requests go into each batch, in order.

    Args:
        sizes: Bytes of each request's line.
        capacity: What one batch holds.

    Example:
        >>> list(split([4, 4, 4, 9], Capacity(requests=2, size=10)))
        [2, 1, 1]
    """
    count = filled = 0
    for size in sizes:
        if count and (count == capacity.requests or filled + size > capacity.size):
            yield count
            count = filled = 0
        count += 1
        filled += size
    if count:
        yield count


def document(raw: bytes, what: str) -> Mapping[str, Any]:
    """Return the object that a reply about batches holds.

    Raises:
        BadReply: If it holds none.
    """
    try:
        value = json_bytes.read(raw)
    except json_bytes.NotJSON:
        value = None
    if not isinstance(value, dict):
        raise BadReply(f"The provider's {what} cannot be read. It is asked for again.", raw=raw)
    return value


def lines(raw: bytes) -> Iterator[Mapping[str, Any]]:
    r"""Yield the objects of a file of lines; a line that cannot be read is left out.

    Raises:
        BadReply: If none can: it is somebody else's page, not the file that was paid for.

    Example:
        >>> list(lines(b'{"a": 1}\n\n{"a": oops\n[2]\n'))
        [{'a': 1}]
    """
    is_any = False
    for line in raw.splitlines():
        if not line.strip():
            continue
        try:
            value = json_bytes.read(line)
        except json_bytes.NotJSON:
            continue
        if isinstance(value, dict):
            is_any = True
            yield value
    if not is_any and raw.strip():
        raise BadReply("The provider's results cannot be read. They are asked for again.", raw=raw)


def unanswered_error(kind: Kind, batch: str) -> LLMNBError:
    """Return the error for a request that the provider did not process.

    Example:
        >>> type(unanswered_error("expired", "batch_1")).__name__
        'ProviderError'
    """
    if kind == "expired":
        return ProviderError(
            f"The provider did not come to this request within the batch's time ({batch}). "
            "Nothing was billed for it; run again to ask only what is missing."
        )
    return Stopped(
        f"The batch was withdrawn before the provider came to this request ({batch}). "
        "Nothing was billed for it; run again to ask only what is missing."
    )


def missing_error(batch: str) -> LLMNBError:
    """Return the error for a request that the results of an ended batch do not name."""
    return BadReply(
        f"The batch is over and its results do not name this request ({batch}). "
        "Run again to ask only what is missing."
    )


# ------------------------------------------------------------------------ provider by provider


class BatchFormat:
    """What one provider's batch API is sent, and what it sends back."""

    capacity: ClassVar[Capacity]
    path: ClassVar[str]
    """Path of its batches below the API's address."""

    cursor: ClassVar[str]
    """Parameter that names the batch after which a page of the list begins."""

    takes_uploads: ClassVar[bool]
    """Whether the lines are uploaded as a file first, and the batch is made from that."""

    keeps_tags: ClassVar[bool]
    """Whether the provider keeps our mark on a batch, by which it can be recognised."""

    def line(self, name: str, body: bytes, endpoint: str) -> bytes:
        """Return the line of one request.

        Args:
            name: Its custom id.
            body: Its body as JSON.
            endpoint: Path that would answer it, such as ``"/v1/chat/completions"``.
        """
        raise NotImplementedError

    def creation(self, content: bytes, endpoint: str, tag: str) -> bytes:
        """Return the body of the request that makes a batch.

        Args:
            content: Its lines; where they are uploaded first, the reply to the upload.
            endpoint: Path that answers the lines.
            tag: Our mark on the batch, where the provider keeps one.

        Raises:
            BadReply: If the reply to the upload does not name the file.
        """
        raise NotImplementedError

    def standing(self, raw: bytes) -> Standing:
        """Read how far a batch is.

        Raises:
            BadReply: If it cannot be read.
        """
        return self._standing(document(raw, "word on the batch"), raw)

    def listed(self, raw: bytes) -> tuple[list[Standing], str | None]:
        """Read a page of the list of batches, and the name after which the next one begins."""
        page = document(raw, "list of batches")
        batches = [self._standing(batch, raw) for batch in dicts_in(page, "data")]
        return batches, batches[-1].name if batches and page.get("has_more") is True else None

    def results(self, raw: bytes) -> Iterator[Result]:
        """Yield the results of a file, in whatever order they stand there."""
        for line in lines(raw):
            name = line.get("custom_id")
            if isinstance(name, str) and (result := self._result(name, line)) is not None:
                yield result

    def _standing(self, batch: Mapping[str, Any], raw: bytes) -> Standing:
        raise NotImplementedError

    def _result(self, name: str, line: Mapping[str, Any]) -> Result | None:
        raise NotImplementedError


def _bytes(part: Any) -> bytes:
    """Return a part of a line as JSON; nothing where no reader of JSON would take it."""
    try:
        return json_bytes.write(part, is_strict=False)
    except json_bytes.NotJSON:
        return b""


def _id_in(fields: Mapping[str, Any], raw: bytes) -> str:
    if not (name := text_in(fields, "id")):
        raise BadReply("The provider's word on the batch has no id.", raw=raw)
    return name


def upload(file_name: str, content: bytes) -> tuple[str, bytes]:
    """Return content type and body of the request that uploads the lines of a batch.

    Example:
        >>> kind, body = upload("part.jsonl", b"{}")
        >>> kind.partition(";")[0], b'filename="part.jsonl"' in body
        ('multipart/form-data', True)
    """
    boundary = "llmnb-9d1c2f7e5b8a4c60"
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
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body


class OpenAIBatches(BatchFormat):
    r"""OpenAI's files and batches.

    Example:
        >>> OpenAIBatches().line("a-0", b'{"model":"m"}', "/v1/responses")
        b'{"custom_id":"a-0","method":"POST","url":"/v1/responses","body":{"model":"m"}}\n'
        >>> OpenAIBatches().standing(b'{"id": "b", "status": "completed"}').state
        'ended'
    """

    capacity = Capacity(requests=50_000, size=200_000_000)
    path, cursor = "/batches", "after"
    takes_uploads = keeps_tags = True

    _TAG = "llmnb"
    """Name of our mark in a batch's metadata."""

    _STATES: ClassVar[Mapping[str, State]] = {
        "failed": "refused",
        **dict.fromkeys(("completed", "expired", "cancelled"), "ended"),
    }

    def line(self, name: str, body: bytes, endpoint: str) -> bytes:
        """Return the line of one request."""
        head = b'{"custom_id":"%b","method":"POST","url":"%b","body":'
        return head % (name.encode(), endpoint.encode()) + body + b"}\n"

    def creation(self, content: bytes, endpoint: str, tag: str) -> bytes:
        """Return the body that makes a batch of an uploaded file."""
        return orjson.dumps(
            {
                "input_file_id": _id_in(document(content, "word on the uploaded file"), content),
                "endpoint": endpoint,
                "completion_window": "24h",
                "metadata": {self._TAG: tag},
            }
        )

    def _standing(self, batch: Mapping[str, Any], raw: bytes) -> Standing:
        counts = dict_in(batch, "request_counts")
        files = (text_in(batch, "output_file_id"), text_in(batch, "error_file_id"))
        errors = dicts_in(dict_in(batch, "errors"), "data")[:3]
        message = "; ".join(text for error in errors if (text := text_in(error, "message")))
        created = batch.get("created_at")
        return Standing(
            name=_id_in(batch, raw),
            state=self._STATES.get(str(batch.get("status")), "working"),
            done=(count_in(counts, "completed") or 0) + (count_in(counts, "failed") or 0),
            total=count_in(counts, "total") or None,
            message=message[:600],
            results=tuple(f"/files/{file}/content" for file in files if file),
            tag=text_in(dict_in(batch, "metadata"), self._TAG),
            created=float(created) if isinstance(created, int | float) else None,
        )

    def _result(self, name: str, line: Mapping[str, Any]) -> Result | None:
        response = dict_in(line, "response")
        if (body := response.get("body")) is not None:
            status = count_in(response, "status_code") or 200
            return Result(name=name, status=status, body=_bytes(body))
        code = dict_in(line, "error").get("code")
        if code == "batch_expired":
            return Result(name=name, kind="expired")
        if code == "batch_cancelled":
            return Result(name=name, kind="withdrawn")
        return Result(name=name, status=400, body=_bytes({"error": line.get("error")}))


class AnthropicBatches(BatchFormat):
    r"""Anthropic's message batches.

    Example:
        >>> AnthropicBatches().line("a-0", b'{"model":"m"}', "")
        b'{"custom_id":"a-0","params":{"model":"m"}}\n'
    """

    capacity = Capacity(requests=100_000, size=256_000_000 - 64)
    path, cursor = "/messages/batches", "after_id"
    takes_uploads = keeps_tags = False

    def line(self, name: str, body: bytes, endpoint: str) -> bytes:
        """Return the line of one request; the lines become one document."""
        return b'{"custom_id":"%b","params":' % name.encode() + body + b"}\n"

    def creation(self, content: bytes, endpoint: str, tag: str) -> bytes:
        r"""Return the body that makes a batch of lines.

        Example:
            >>> AnthropicBatches().creation(b'{"custom_id":"a"}\n{"custom_id":"b"}\n', "", "")
            b'{"requests":[{"custom_id":"a"},{"custom_id":"b"}]}'
        """
        return b'{"requests":[' + content.strip(b"\n").replace(b"\n", b",") + b"]}"

    def _standing(self, batch: Mapping[str, Any], raw: bytes) -> Standing:
        name, counts = _id_in(batch, raw), dict_in(batch, "request_counts")
        kinds = ("succeeded", "errored", "canceled", "expired")
        done = sum(count_in(counts, kind) or 0 for kind in kinds)
        is_over = batch.get("processing_status") == "ended"
        return Standing(
            name=name,
            state="ended" if is_over else "working",
            done=done,
            total=done + (count_in(counts, "processing") or 0) or None,
            results=(f"{self.path}/{name}/results",) if is_over else (),
            created=moment_of(text_in(batch, "created_at") or ""),
        )

    def _result(self, name: str, line: Mapping[str, Any]) -> Result | None:
        result = line.get("result")
        if not isinstance(result, dict):
            return None
        kind = result.get("type")
        if kind == "succeeded":
            return Result(name=name, body=_bytes(result.get("message")))
        if kind == "expired":
            return Result(name=name, kind="expired")
        if kind == "canceled":
            return Result(name=name, kind="withdrawn")
        error = dict_in(result, "error")
        error = dict_in(error, "error") if "error" in error else error
        status = STATUS_OF_CODE.get(str(error.get("type")), 500)
        return Result(name=name, status=status, body=_bytes({"type": "error", "error": error}))


FORMATS: Mapping[str, BatchFormat] = {
    **dict.fromkeys(("openai.chat", "openai.responses", "openai.text"), OpenAIBatches()),
    "anthropic.messages": AnthropicBatches(),
}
"""For each dialect in which a batch can ask, the batch API of the provider whose own it is."""
