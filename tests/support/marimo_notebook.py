"""A person at marimo: its editor in a headless browser, on this machine only."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page

WAIT = 60_000
"""Milliseconds; a busy machine takes its time to start a kernel."""

HEAD = "import marimo\n\napp = marimo.App()\n"
CELL = "\n\n@app.cell\ndef _({takes}):\n{body}\n    return\n"


class Marimo:
    """A running marimo over one notebook.

    Args:
        folder: Where the notebook and its private settings lie.
        environment: Further variables of its kernel.
        cells: Code of each, with the names that it takes from others and those it gives.
    """

    def __init__(
        self, folder: Path, environment: dict[str, str], cells: list[tuple[str, str, str]]
    ) -> None:
        self.path = folder / "notebook.py"
        self.path.write_text(HEAD + "".join(map(_cell, cells)))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        home = folder / "home"
        home.mkdir()
        settings = home / "marimo" / "marimo.toml"
        settings.parent.mkdir()
        settings.write_text("[runtime]\nauto_instantiate = true\n")  # as the page opens
        private = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_STATE_HOME": str(home)}
        self._log = (folder / "marimo.log").open("w")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "marimo", "edit", str(self.path), "--headless"),
                *("--no-token", "--host", "127.0.0.1", "--port", str(self._port)),
                "--skip-update-check",
            ],
            env={**os.environ, **private, **environment},
            cwd=folder,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        end = time.monotonic() + WAIT / 1000
        while not self._is_up():
            assert self._process.poll() is None, "marimo ended; see marimo.log"
            assert time.monotonic() < end, "marimo does not come up; see marimo.log"
            time.sleep(0.1)

    def _is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}health", timeout=5) as answer:
                return json.load(answer)["status"] == "healthy"
        except OSError:
            return False

    @property
    def address(self) -> str:
        """Where its page is."""
        return f"http://127.0.0.1:{self._port}/"

    def open(self, browser: Browser) -> Page:
        """Open the notebook; its cells run."""
        page = browser.new_page(viewport={"width": 1280, "height": 1800})
        page.goto(self.address)
        page.locator("[data-testid='cell-editor']").first.wait_for(timeout=WAIT)
        return page

    def close(self) -> None:
        """End it and its kernel."""
        self._process.terminate()
        self._process.wait(20)
        self._log.close()


def _cell(cell: tuple[str, str, str]) -> str:
    takes, body, gives = cell
    lines = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    text = CELL.format(takes=takes, body=lines)
    return text if not gives else text.replace("    return\n", f"    return ({gives},)\n")


def output(page: Page, number: int) -> Locator:
    """Return what a cell shows, from 0."""
    return page.locator(".marimo-cell").nth(number).locator(".output-area")
