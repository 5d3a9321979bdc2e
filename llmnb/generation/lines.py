"""Read files of requests, one JSON object a line; a line that is none becomes an error."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from llmnb.errors import UnreadableFile
from llmnb.wire import json_bytes
from llmnb.wire.json_text import exact_json

_SHAPE = bytes.maketrans(b"123456789E", b"000000000e")
_LONG_DIGITS, _LONG_POWER = b"0" * 16, b"e000"
"""What a line translated by `_SHAPE` contains if one of its numbers may not fit into a float."""

_LONG_NUMBER = re.compile(rb"[:,\[]\s*-?(?=[\d.]{16}|[\d.]+[eE][+-]?\d{3})")
"""Matches a number that may not fit into a float; a number within a text may match, too."""

_BOM = b"\xef\xbb\xbf"

_READ_BYTES = 1 << 20
"""Bytes that are read at a time: each time the lock of Python is given up, and must be had back."""


class RequestLine(dict[str, Any]):
    """A request, with the line that it was read from.

    Example:
        >>> request = RequestLine({"prompt": "Hi"}, b'{"prompt": "Hi"}')
        >>> request["prompt"], request.written
        ('Hi', b'{"prompt": "Hi"}')
    """

    __slots__ = ("written",)

    def __init__(self, request: dict[str, Any], written: bytes | None = None) -> None:
        super().__init__(request)
        self.written = written


def unwrap(row: dict[str, Any]) -> dict[str, Any]:
    """Return the request that a line of OpenAI's batch input holds; any other row as it is.

    Such a line has a ``custom_id`` and a ``body``, and as its ``url`` only a path. The row is
    written as it stood in the file, so its answer is found by its ``custom_id``.

    Example:
        >>> line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions",
        ...         "body": {"messages": []}}
        >>> unwrap(line)
        {'messages': []}
    """
    body = row.get("body")
    if "custom_id" not in row or not isinstance(body, dict) or "messages" in row:
        return row
    request = RequestLine(body, getattr(row, "written", None))
    url = row.get("url")
    if isinstance(url, str) and not url.startswith("/"):
        request["url"] = url  # an address of its own; the preparer refuses it
    return request


class RequestLines:
    """The requests of a file: as many as it has lines that are not blank.

    Args:
        path: The file.
        is_exact: Whether numbers are read to their last digit, as cells of a table are; those of
            requests are what the provider's own reader makes of them.

    Raises:
        UnreadableFile: If it is missing, no file, or empty; nothing was sent.
    """

    def __init__(self, path: Path, *, is_exact: bool = False) -> None:
        self._path = path
        self._is_exact = is_exact
        try:
            is_empty = not any(_texts(path))
        except OSError as error:
            raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}.") from None
        if is_empty:
            raise UnreadableFile(f"{path} is empty: it holds one JSON object a line.")

    def __len__(self) -> int:
        return self._count

    @functools.cached_property
    def _count(self) -> int:
        with self._readable():
            return sum(map(bool, _texts(self._path)))

    def __iter__(self) -> Iterator[RequestLine | UnreadableFile]:
        read = self._read
        with self._readable():
            for number, text in enumerate(_texts(self._path), start=1):
                if text:
                    yield read(text, number)

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        """Say what is the matter with a file that could be read before."""
        try:
            yield
        except OSError as error:
            raise UnreadableFile(
                f"{self._path} can no longer be read: {error.strerror or error}. What was answered "
                "is kept: run again once it can."
            ) from error

    def first(self) -> RequestLine:
        """Return the first line that is a request.

        Raises:
            UnreadableFile: If none is.
        """
        trouble = ""
        for line in self:
            if isinstance(line, RequestLine):
                return line
            trouble = trouble or line.message
        raise UnreadableFile(f"No line of {self._path} is a request. {trouble}")

    def _read(self, text: bytes, number: int) -> Any:
        try:
            value = self._value(text)
        except ValueError as error:
            why = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else "is not JSON"
            return self._unreadable(text, number, f"{why} ({error})")
        if not isinstance(value, dict):
            return self._unreadable(text, number, "is JSON, but not an object")
        line: RequestLine = dict.__new__(
            RequestLine
        )  # `__init__` would be a call more for each line
        line.update(value)
        line.written = text
        return line if self._is_exact else unwrap(line)

    def _value(self, text: bytes) -> Any:
        """Return what a line holds; NaN and halves of characters are read as well.

        Raises:
            ValueError: If it is no JSON.
        """
        if self._is_exact and _may_lose_digits(text):
            return exact_json(text)
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            fault = error
        try:
            return exact_json(text) if self._is_exact else json_bytes.read(text, mend=False)
        except UnicodeDecodeError:
            raise
        except ValueError:
            raise fault from None

    def _unreadable(self, text: bytes, number: int, why: str) -> UnreadableFile:
        return UnreadableFile(
            f"Line {number} of {self._path.name} {why}. Nothing was sent for it, the other lines "
            "are not touched by it: mend it and run again, only it is asked then.",
            raw=text,
        )


def _may_lose_digits(text: bytes) -> bool:
    """Whether a number in a line may have more digits than a float."""
    shape = text.translate(_SHAPE, b".+-")
    is_likely = _LONG_DIGITS in shape or _LONG_POWER in shape
    return is_likely and _LONG_NUMBER.search(text) is not None


def _texts(path: Path) -> Iterator[bytes]:
    """Yield a file's lines without the white space around them, and without a byte order mark."""
    with path.open("rb", buffering=_READ_BYTES) as file:
        yield file.readline().removeprefix(_BOM).strip()
        yield from map(bytes.strip, file)
