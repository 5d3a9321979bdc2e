"""Files of one JSON object a line as requests, read lazily; a line that is none keeps its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from llmnb.errors import UnreadableFile

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


class RequestLines:
    """The requests of a file: as many as it has lines that are not blank.

    Args:
        path: The file.

    Raises:
        UnreadableFile: If it is missing, no file, or empty; nothing was sent.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
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

    def _read(self, text: bytes, number: int) -> Line | UnreadableFile:
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            return self._unreadable(text, number, f"is not JSON ({error})")
        if not isinstance(found, dict):
            return self._unreadable(text, number, "is JSON, but not an object")
        return Line(found, text)

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
