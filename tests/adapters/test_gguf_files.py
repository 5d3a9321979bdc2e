"""Promises about fetching a GGUF file, kept with a real server on this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llmnb.adapters import gguf_files
from llmnb.errors import ConfigurationError, RealRequestForbidden, UnsafeURL

BODY = b"GGUF" + bytes(range(256)) * 20_000


class Shelf(ThreadingHTTPServer):
    """Hands out one file, and breaks off where a test says so."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []
        self.breaks_after: list[int] = []
        self.body = BODY
        self.version = "1"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/some/tiny%20Q4.gguf?token=secret"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


class Handler(BaseHTTPRequestHandler):
    server: Shelf

    def do_GET(self) -> None:
        """Answer with the file, or with the rest of it."""
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        if self.path.startswith("/elsewhere"):
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/tiny.gguf")
            self.end_headers()
            return
        same = self.headers.get("If-Range") in (None, self.server.version)
        start = int(wanted.split("=")[1].rstrip("-")) if wanted and same else 0
        rest = self.server.body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("ETag", self.server.version)
        self.end_headers()
        if self.server.breaks_after:
            self.wfile.write(rest[: self.server.breaks_after.pop(0)])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.wfile.write(rest)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def shelf(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    monkeypatch.setenv("LLMNB_DATA_DIR", str(isolated / "data"))
    with Shelf() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def left(isolated: Path) -> list[str]:
    """Return the names of all files in the data folder."""
    return [one.name for one in (isolated / "data").rglob("*") if one.is_file()]


def test_a_file_is_fetched_once_and_its_progress_told(shelf, isolated):
    """
    The second time nothing is asked; no part of the address that may be secret is kept.
    """
    seen: list[tuple[int, int]] = []

    place = gguf_files.fetch(shelf.url, progress=lambda come, all_: seen.append((come, all_)))
    again = gguf_files.fetch(shelf.url)

    assert place == again
    assert place.read_bytes() == BODY
    assert place.name == "tiny_Q4.gguf"
    assert len(shelf.asked) == 1
    assert seen[-1] == (len(BODY), len(BODY))
    assert "secret" not in str(place)


def test_a_broken_connection_is_taken_up_where_it_broke(shelf):
    """
    What has come is not fetched again.
    """
    shelf.breaks_after = [1_000_000, 2_000_000]

    place = gguf_files.fetch(shelf.url)

    assert place.read_bytes() == BODY
    assert len(shelf.asked) == 3
    assert shelf.asked[0] is None
    assert all(one is not None and one.startswith("bytes=") for one in shelf.asked[1:])


def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(shelf):
    """
    Two halves of two files are never put together.
    """
    shelf.breaks_after = [1_000_000]

    changed = b"GGUF" + bytes(1_000_000)

    def swap(come: int, expected: int) -> None:
        shelf.version, shelf.body = "2", changed

    place = gguf_files.fetch(shelf.url, progress=swap)

    assert place.read_bytes() == changed


def test_a_server_that_always_breaks_off_is_given_up(shelf, isolated):
    """
    After five breaks in a row without a byte between them it is an error, and nothing is kept.
    """
    shelf.breaks_after = [1_000_000, *[0] * 20]

    with pytest.raises(ConfigurationError, match="nothing was kept"):
        gguf_files.fetch(shelf.url)

    assert len(shelf.asked) == gguf_files.MOST_BREAKS
    assert left(isolated) == []


def test_what_is_no_gguf_file_is_thrown_away(shelf, isolated):
    """
    A login page is not loaded as a model.
    """
    shelf.body = b"<html>please log in</html>"

    with pytest.raises(ConfigurationError, match="no GGUF file"):
        gguf_files.fetch(shelf.url)

    assert left(isolated) == []


@pytest.mark.parametrize("path", ["missing/x.gguf", "elsewhere/x.gguf"])
def test_an_address_without_a_file_is_an_error_that_says_so(shelf, path, isolated):
    """
    HTTP errors and redirects to where no model lives end it; nothing is kept.
    """
    url = f"http://127.0.0.1:{shelf.server_port}/{path}?token=secret"

    with pytest.raises((ConfigurationError, UnsafeURL)) as caught:
        gguf_files.fetch(url)

    assert "secret" not in str(caught.value)
    assert left(isolated) == []


def test_without_a_network_the_error_says_how_to_go_on(isolated, monkeypatch):
    """
    Nobody listens: the error names the way without a connection.
    """
    monkeypatch.setenv("LLMNB_DATA_DIR", str(isolated / "data"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

        with pytest.raises(ConfigurationError, match=r"local/path/to/model\.gguf"):
            gguf_files.fetch(f"http://127.0.0.1:{port}/m.gguf")


def test_tests_cannot_leave_this_machine(isolated, monkeypatch):
    """
    The switch that forbids real requests holds for files too.
    """
    monkeypatch.setenv("LLMNB_DATA_DIR", str(isolated / "data"))

    with pytest.raises(RealRequestForbidden):
        gguf_files.fetch("https://models.example/m.gguf")
