"""Files of one JSON object a line as requests, read lazily; a line that is none keeps its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from llmnb.errors import UnreadableFile
from llmnb.wire.json_text import exact_json

_SHAPE = bytes.maketrans(b"123456789E", b"000000000e")
_LONG = (b"0" * 16, b"e000", b"e+000")
"""How numbers look that may have more digits than a float, or a larger one."""

_BOM = b"\xef\xbb\xbf"


class Line(dict[str, Any]):
    """A request, with the line that it was read from.

    Example:
        >>> request = Line({"prompt": "Hi"}, b'{"prompt": "Hi"}')
        >>> request["prompt"], request.written
        ('Hi', b'{"prompt": "Hi"}')
    """

    __slots__ = ("written",)

    def __init__(self, request: dict[str, Any], written: bytes | None = None) -> None:
        super().__init__(request)
        self.written = written


def unwrapped(row: dict[str, Any]) -> dict[str, Any]:
    """Return the request that a line of OpenAI's batch input holds; any other row as it is.

    Such a line has a ``custom_id`` and a ``body``, and as its ``url`` only a path. The row is
    written as it stood in the file, so its answer is found by its ``custom_id``.

    Example:
        >>> line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions",
        ...         "body": {"messages": []}}
        >>> unwrapped(line)
        {'messages': []}
    """
    body = row.get("body")
    if "custom_id" not in row or not isinstance(body, dict) or "messages" in row:
        return row
    request = Line(body, getattr(row, "written", None))
    url = row.get("url")
    if isinstance(url, str) and not url.startswith("/"):
        request["url"] = url  # an address of its own, which is data's to name and ours to refuse
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
            self._count = _count_lines(path)
        except IsADirectoryError:
            raise UnreadableFile(f"{path} is a folder, not a file of requests.") from None
        except FileNotFoundError:
            raise UnreadableFile(f"There is no file {path}.") from None
        except OSError as error:
            raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}.") from None
        if not self._count:
            raise UnreadableFile(f"{path} is empty: it holds one JSON object a line.")

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Line | UnreadableFile]:
        try:
            with self._path.open("rb") as file:
                for number, line in enumerate(file, start=1):
                    text = line.strip() if number > 1 else line.removeprefix(_BOM).strip()
                    if text:
                        yield self._read(text, number)
        except OSError as error:
            raise UnreadableFile(
                f"{self._path} can no longer be read: {error.strerror or error}. What was answered "
                "is kept: run again once it can."
            ) from error

    def first(self) -> Line:
        """Return the first line that is a request.

        Raises:
            UnreadableFile: If none is.
        """
        trouble = ""
        for one in self:
            if isinstance(one, Line):
                return one
            trouble = trouble or one.message
        raise UnreadableFile(f"No line of {self._path} is a request. {trouble}")

    def _read(self, text: bytes, number: int) -> Any:
        try:
            found = self._value(text)
        except ValueError as error:
            why = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else "is not JSON"
            return self._unreadable(text, number, f"{why} ({error})")
        if not isinstance(found, dict):
            return self._unreadable(text, number, "is JSON, but not an object")
        line = Line(found, text)
        return line if self._is_exact else unwrapped(line)

    def _value(self, text: bytes) -> Any:
        """Return what a line holds; of cells, NaN and halves of characters are read as well.

        Raises:
            ValueError: If it is no JSON.
        """
        if not self._is_exact:
            return orjson.loads(text)
        shape = text.translate(_SHAPE)
        if not any(long in shape for long in _LONG):
            try:
                return orjson.loads(text)
            except orjson.JSONDecodeError as error:
                fault = error
            try:
                return exact_json(text)
            except UnicodeDecodeError:
                raise
            except ValueError:
                raise fault from None
        return exact_json(text)

    def _unreadable(self, text: bytes, number: int, why: str) -> UnreadableFile:
        return UnreadableFile(
            f"Line {number} of {self._path.name} {why}. Nothing was sent for it, the other lines "
            "are not touched by it: mend it and run again, only it is asked then.",
            raw=text,
        )


def _count_lines(path: Path) -> int:
    """Return the number of lines that are not blank."""
    count = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            text = line if number > 1 else line.removeprefix(_BOM)
            count += not text.isspace() and bool(text)
    return count
