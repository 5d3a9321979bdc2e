"""A person at marimo: its editor in a headless browser, on this machine only."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import urllib.request
from pathlib import Path

from browsers import patient
from playwright.sync_api import Browser, Locator, Page
from programs import Program, free_port

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
        self._port = free_port()
        home = folder / "home"
        home.mkdir()
        settings = home / "marimo" / "marimo.toml"
        settings.parent.mkdir()
        settings.write_text("[runtime]\nauto_instantiate = true\n")  # as the page opens
        private = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_STATE_HOME": str(home)}
        self._program = Program(
            [
                *(sys.executable, "-m", "marimo", "edit", str(self.path), "--headless"),
                *("--no-token", "--host", "127.0.0.1", "--port", str(self._port)),
                "--skip-update-check",
            ],
            folder / "marimo.log",
            {**os.environ, **private, **environment},
            folder,
        )
        self._program.come_up(self._is_up)

    def _is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}health", timeout=30) as answer:
                return json.load(answer)["status"] == "healthy"
        except OSError:
            return False

    @property
    def address(self) -> str:
        """Where its page is."""
        return f"http://127.0.0.1:{self._port}/"

    def open(self, browser: Browser) -> Page:
        """Open the notebook; its cells run."""
        page = patient(browser.new_context(viewport={"width": 1280, "height": 1800}))
        page.goto(self.address)
        page.locator("[data-testid='cell-editor']").first.wait_for()
        return page

    def close(self) -> None:
        """End it and its kernel."""
        self._program.close()


def _cell(cell: tuple[str, str, str]) -> str:
    takes, body, gives = cell
    lines = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    text = CELL.format(takes=takes, body=lines)
    return text if not gives else text.replace("    return\n", f"    return ({gives},)\n")


def output(page: Page, number: int) -> Locator:
    """Return what a cell shows, from 0."""
    return page.locator(".marimo-cell").nth(number).locator(".output-area")
