"""Turn pictures in cells (paths, addresses, bytes) into parts of messages.

A picture is read when its request is prepared, not when the run begins, so that
no more of them are in memory than are on their way. One that lies on the web is
left to the provider, unless the caller has asked that it be fetched here.
"""

from __future__ import annotations

import asyncio
import base64
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmnb import bridge
from llmnb.adapters.files import open_to_read
from llmnb.adapters.http import HttpClient
from llmnb.display.escape import visible
from llmnb.engine.source import Slow
from llmnb.errors import InputError, LLMNBError, RedirectRefused
from llmnb.frames.template import is_missing

LARGEST_BYTES = 20 * 2**20
"""Largest size of a picture; providers refuse larger ones anyway."""

MOST_IN_HAND = 64
"""Rows with pictures that are under way at once."""

_WEB = ("http://", "https://")


@dataclass(eq=False, repr=False)
class Pictured(Mapping[str, Any]):
    """A request whose pictures are read each time that its messages are.

    Args:
        before: Messages before the question.
        text: The question; may be empty.
        cells: Pictures: paths, addresses or bytes.
        fields: Further fields of the request.
        root: Folder below which texts may name files.
    """

    before: Sequence[Mapping[str, Any]]
    text: str
    cells: Sequence[Any]
    fields: Mapping[str, Any]
    root: str | os.PathLike[str] | None = None

    def __getitem__(self, name: str) -> Any:
        if name == "messages":
            return self._messages()
        return self.fields[name]

    def __iter__(self) -> Iterator[str]:
        yield from self.fields
        yield "messages"

    def __len__(self) -> int:
        return len(self.fields) + 1

    def _messages(self) -> list[Mapping[str, Any]]:
        parts: list[dict[str, Any]] = [{"type": "text", "text": self.text}] if self.text else []
        urls = (self._address(picture) for picture in self.cells)
        parts += [{"type": "image_url", "image_url": {"url": url}} for url in urls]
        return [*self.before, {"role": "user", "content": parts}]

    def _address(self, picture: Any) -> str:
        return address(picture, root=self.root)


@dataclass(eq=False, repr=False)
class Fetched(Pictured, Slow):
    """A request whose pictures on the web are fetched before its messages are read.

    Until then, as where a run is only planned, it holds their addresses.
    """

    def __post_init__(self) -> None:
        self._fetched: dict[str, str | InputError] = {}
        self._turn = asyncio.Lock()  # shared by all samples of the request

    async def get_ready(self) -> None:
        """Fetch the pictures that are missing, those that failed before included."""
        urls = list(dict.fromkeys(cell for cell in self.cells if _is_on_the_web(cell)))
        async with self._turn:
            missing = [url for url in urls if not isinstance(self._fetched.get(url), str)]
            results = await asyncio.gather(*map(fetch, missing))
            self._fetched.update(zip(missing, results, strict=True))

    def _address(self, picture: Any) -> str:
        result = self._fetched.get(picture) if _is_on_the_web(picture) else None
        if isinstance(result, InputError):
            raise result
        return super()._address(picture) if result is None else result


def _is_on_the_web(picture: Any) -> bool:
    return isinstance(picture, str) and picture[:8].lower().startswith(_WEB)


def pictures_in(cell: Any) -> list[Any]:
    """Return the pictures that a cell holds: none, one, or a list of them.

    Example:
        >>> pictures_in(None), pictures_in("a.png"), pictures_in(["a.png", None])
        ([], ['a.png'], ['a.png'])
    """
    if isinstance(cell, (list, tuple)):
        return [picture for picture in cell if not is_missing(picture)]
    return [] if is_missing(cell) else [cell]


def address(picture: Any, *, root: str | os.PathLike[str] | None = None) -> str:
    """Return a picture's address: its own on the web, or all of it in a ``data:`` address.

    A table that was downloaded must not decide what leaves the machine: a text opens only a file
    below `root`, links followed. A `pathlib.Path` was made by the program and is trusted.

    Args:
        picture: A path, an address (``https:``, ``http:``, ``data:``) or bytes.
        root: Folder below which texts may name files; None: the working folder.

    Raises:
        InputError: If it lies elsewhere, cannot be read, is too large, or is no picture that
            models take.

    Example:
        >>> address("https://example.org/cat.png")
        'https://example.org/cat.png'
        >>> address(bytes.fromhex("89504e470d0a1a0a"))
        'data:image/png;base64,iVBORw0KGgo='
    """
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return _data_url(bytes(picture), f"A cell of {len(picture):,} bytes")
    if isinstance(picture, str):
        if _is_on_the_web(picture):
            return picture
        if picture[:5].lower() == "data:":
            return _check_data_url(picture)
        if "://" in picture[:32]:
            raise _refusal(
                f"{_shown(picture)} is no picture that can be sent: give a path, an http or https "
                "address, or bytes."
            )
        return _data_url(_read(_file_below(picture, root), is_resolved=True), _shown(picture))
    if isinstance(picture, os.PathLike):
        return _data_url(_read(picture), _shown(picture))
    raise _refusal(f"A picture is a path, an address or bytes, not {type(picture).__name__}.")


# -------------------------------------------------------------------- fetching

FETCH_SECONDS = 30.0
"""For one picture."""

MOST_FETCHES = 8
"""Pictures that are being fetched at once."""

_UNKNOWN_TYPES = ("", "application/octet-stream", "binary/octet-stream")
"""Media types of servers that do not know what they send; its first bytes decide."""


class _Fetcher:
    """Fetches pictures on one loop, without keys or cookies, and follows no redirect."""

    def __init__(self) -> None:
        self.client = HttpClient(
            total_timeout=FETCH_SECONDS, connect_timeout=10.0, max_body=LARGEST_BYTES
        )
        self.turn = asyncio.Semaphore(MOST_FETCHES)

    async def close(self) -> None:
        await self.client.close()


async def fetch(url: str) -> str | InputError:
    """Return a picture on the web as a ``data:`` address, or why there is none.

    The size of the reply is limited while it is read, and what is no picture by what its server
    says, or by its first bytes, goes nowhere.

    Args:
        url: Its address.
    """
    fetcher = bridge.per_loop("http-pictures", _Fetcher, _Fetcher.close)
    name = f"The picture at {_shown(url.partition('?')[0].partition('#')[0])}"
    failed = f"{name} could not be fetched: "
    try:
        async with fetcher.turn:
            reply = await fetcher.client.get_json(
                url,
                headers={"accept": "image/*"},
                origin_has_key=False,
                total_timeout=FETCH_SECONDS,
            )
    except RedirectRefused:
        return _refusal(f"{failed}its server sends elsewhere, which is not followed.")
    except LLMNBError as error:
        return _refusal(f"{failed}{error.message.rstrip('.')}.")
    if reply.status != 200:
        return _refusal(f"{failed}HTTP {reply.status}.")
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not (kind.startswith("image/") or kind in _UNKNOWN_TYPES):
        return _refusal(f"{failed}what came is {visible(kind, longest=60)}, no picture.")
    try:
        return _data_url(reply.body, name)
    except InputError as error:
        return error


def _refusal(why: str) -> InputError:
    return InputError(f"{why} Nothing was sent for it.")


# --------------------------------------------------------------------- reading


def _file_below(name: str, root: str | os.PathLike[str] | None) -> Path:
    """Return the file that a cell names, with every link in its path resolved."""
    try:
        folder = Path(os.curdir if root is None else root).expanduser().resolve()
        file = (folder / Path(name).expanduser()).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, an unknown home
        raise _refusal(f"The picture {_shown(name)} cannot be read: {error}.") from None
    if not file.is_relative_to(folder):
        where = "the working folder" if root is None else f"files_root={_shown(folder)}"
        raise _refusal(
            f"The picture {_shown(name)} does not lie below {where}, and a text in a table opens "
            "no file elsewhere: name its folder with files_root=…, or put a pathlib.Path into the "
            "cell."
        )
    return file


def _read(path: str | os.PathLike[str], *, is_resolved: bool = False) -> bytes:
    file_path = os.path.expanduser(os.fspath(path))
    try:
        # A pipe or a device would keep us waiting, or never end. Looked at again once it is open,
        # for it may have been exchanged.
        _check_file(path, os.stat(file_path))
        with open_to_read(file_path, through_links=not is_resolved) as file:
            _check_file(path, os.fstat(file.fileno()))
            return file.read(LARGEST_BYTES + 1)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _refusal(f"The picture {_shown(path)} cannot be read: {reason}.") from None


def _check_file(path: str | os.PathLike[str], status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _refusal(f"{_shown(path)} is no file.")
    if status.st_size > LARGEST_BYTES:
        raise _too_large(_shown(path), status.st_size)


def _data_url(content: bytes, name: str) -> str:
    if len(content) > LARGEST_BYTES:
        raise _too_large(name, len(content))
    # A WebP picture has its size between both marks.
    start = content[:4] + content[8:12] if content[:4] == b"RIFF" else content
    for mark, kind in _MARKS:
        if start.startswith(mark):
            return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    raise _refusal(f"{name} is no PNG, JPEG, GIF or WebP, which are the pictures that models take.")


_MARKS = (
    *((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"RIFFWEBP", "webp")),
    *((b"GIF87a", "gif"), (b"GIF89a", "gif")),
)
"""How a picture's bytes begin."""


def _check_data_url(url: str) -> str:
    if len(url) > LARGEST_BYTES * 4 // 3 + 100:
        raise _too_large("A data: address", len(url))
    if not url[:11].lower().startswith("data:image/"):
        raise _refusal("A data: address holds something else than a picture.")
    return url


def _too_large(name: str, size: int) -> InputError:
    return _refusal(
        f"{name} has {size / 2**20:,.1f} MiB; a picture may have {LARGEST_BYTES >> 20} MiB. "
        "Make it smaller."
    )


def _shown(path: str | os.PathLike[str]) -> str:
    return repr(visible(os.fspath(path), longest=120))
