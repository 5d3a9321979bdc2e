"""A GGUF file from an address: fetched once into the data folder, whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from llmnb.adapters import egress, files, network
from llmnb.adapters.weights import Progress, data_folder
from llmnb.display import numbers
from llmnb.errors import ConfigurationError, RealRequestForbidden, UnsafeURL

BLOCK_BYTES = 1 << 20
MOST_BREAKS = 5
"""Connections that may break, one after another without a byte between, before it is given up."""

TIMEOUT_SECONDS = 60.0
"""Seconds without a byte after which a connection counts as broken."""

_MAGIC = b"GGUF"
_BROKEN = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


def is_address(model: str) -> bool:
    """Whether a local model's name is where its file is to be fetched from.

    Example:
        >>> is_address("https://models.example/tiny.gguf"), is_address("tiny.gguf")
        (True, False)
    """
    return model.lower().startswith(("https://", "http://"))


def name_of(url: str) -> str:
    """Return the name of the model at an address, as far as it is safe in a file's name.

    Example:
        >>> name_of("https://models.example/some/tiny%20Q4.gguf?token=x")
        'tiny_Q4'
    """
    stem = PurePosixPath(unquote(urlsplit(url).path)).stem
    return re.sub(r"[^\w.-]+", "_", stem).strip(".")[:80] or "model"


def place_of(url: str) -> Path:
    """Return where the file of an address is kept; the part behind ``?`` is no part of it."""
    digest = hashlib.sha256(_bare(url).encode()).hexdigest()[:12]
    return data_folder() / "fetched" / digest / f"{name_of(url)}.gguf"


def fetch(url: str, *, progress: Progress | None = None) -> Path:
    """Return a GGUF file's place, after fetching it where it is not here yet.

    A connection that breaks is taken up again where it broke; what cannot be
    finished leaves nothing behind. Redirects are followed: no key is sent.

    Args:
        url: Address of the file.
        progress: Called with the bytes that have come and the bytes expected.

    Raises:
        ConfigurationError: If it cannot be fetched, is no GGUF file, or cannot be kept.
        UnsafeURL: If it is an address that must not be asked.
    """
    place = place_of(url)
    if place.is_file():
        return place
    try:
        files.make_folder(place.parent, is_private=False)
        with files.whole_file(place) as file:
            _Fetching(url, file, progress).run()
    except (UnsafeURL, RealRequestForbidden):
        raise
    except urllib.error.HTTPError as error:
        with error:
            raise _cannot_fetch(url, f"HTTP {error.code}") from None
    except _Refused as error:
        raise _cannot_fetch(url, str(error)) from None
    except _BROKEN as error:
        why = str(getattr(error, "reason", "") or error) or type(error).__name__
        raise _cannot_fetch(url, why) from None
    except OSError as error:
        raise ConfigurationError(
            f"{name_of(url)} cannot be kept in {place.parent.parent}: "
            f"{error.strerror or error}; nothing was kept. Make room, or name another folder "
            "with LLMNB_DATA_DIR."
        ) from None
    return place


class _Refused(Exception):
    """What came is not what was wanted."""


class _Fetching:
    """One file on its way, through as many connections as it takes."""

    def __init__(self, url: str, file: IO[bytes], progress: Progress | None) -> None:
        self._url = url
        self._file = file
        self._progress = progress
        self._come = 0
        self._expected: int | None = None
        self._version: str | None = None

    def run(self) -> None:
        """Fetch until it is whole.

        Raises:
            _Refused: If it is no GGUF file, or cannot become whole.
            OSError: If it cannot be reached or kept.
        """
        breaks, come = 0, 0
        while self._expected is None or self._come < self._expected:
            try:
                self._connect()
            except urllib.error.HTTPError:
                raise
            except _BROKEN:
                breaks = 1 if self._come > come else breaks + 1
                come = self._come
                # The first connection must come about; later ones may break and be taken up.
                if not self._come or breaks >= MOST_BREAKS:
                    raise

    def _connect(self) -> None:
        headers = {"Accept-Encoding": "identity"}
        if self._come:
            headers["Range"] = f"bytes={self._come}-"
            if self._version:
                headers["If-Range"] = self._version
        with _open(self._url, headers) as reply:
            if self._come and reply.status != 206:
                self._begin_anew()
            self._read_headers(reply.headers)
            while block := reply.read(BLOCK_BYTES):
                self._take(block)
        if self._expected is None:
            self._expected = self._come  # nobody said how long it is: the end is the end
        if self._come < self._expected:
            raise ConnectionError("the connection ended early")

    def _begin_anew(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._come, self._expected = 0, None

    def _read_headers(self, headers: Mapping[str, str]) -> None:
        if self._expected is not None:
            return
        length = headers.get("Content-Length") or ""
        self._version = headers.get("ETag")
        if not length.isdecimal():
            return
        self._expected = int(length)
        free = shutil.disk_usage(os.path.dirname(self._file.name)).free
        if free < self._expected:
            raise _Refused(
                f"it has {numbers.size(self._expected)} and only {numbers.size(free)} are free"
            )

    def _take(self, block: bytes) -> None:
        if not self._come and not block.startswith(_MAGIC):
            raise _Refused("what came is no GGUF file")
        self._file.write(block)
        self._come += len(block)
        if self._progress is not None:
            self._progress(self._come, self._expected or self._come)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to where a model may be, and nowhere else."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        try:
            address = egress.checked(newurl, has_key=False)
        except ConfigurationError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, address)


def _open(url: str, headers: Mapping[str, str]) -> Any:
    address = egress.checked(url, has_key=False)
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=network.tls_context()), _Redirects
    )
    request = urllib.request.Request(address, headers=dict(headers))
    return opener.open(request, timeout=TIMEOUT_SECONDS)


def _bare(url: str) -> str:
    """Return an address without what may be secret in it."""
    return url.partition("?")[0].partition("#")[0]


def _cannot_fetch(url: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{_bare(url)[:200]} could not be fetched: {why[:200]}; nothing was kept.\n"
        "With a connection, ask again. Without one: fetch the file elsewhere and name its place, "
        "local/path/to/model.gguf."
    )
