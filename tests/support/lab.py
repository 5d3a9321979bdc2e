"""A person at a notebook: JupyterLab in a headless browser, on this machine only."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

_SETTINGS = {
    # Else a pop-up about news covers the corner, and the state of widgets is not saved.
    "@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True},
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
}

WAIT = 60_000
"""Milliseconds; a busy machine takes its time to start a kernel."""


class Lab:
    """A running JupyterLab or Notebook over a folder.

    Args:
        folder: Where its notebooks and private settings lie.
        environment: Further variables of its kernels.
        program: ``"jupyterlab"``, or ``"notebook"`` for Notebook 7.
    """

    def __init__(
        self, folder: Path, environment: dict[str, str], *, program: str = "jupyterlab"
    ) -> None:
        self._program = program
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._token = secrets.token_hex(8)
        self._log = (folder / "lab.log").open("w")
        private = {
            "IPYTHONDIR": "ipython",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        }
        for name, value in _SETTINGS.items():
            path = folder / "settings" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(value))
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", program, "--no-browser", "--allow-root"),
                *("--ip=127.0.0.1", f"--port={self.port}", "--ServerApp.port_retries=0"),
                *(f"--IdentityProvider.token={self._token}",),
                *(f"--ServerApp.root_dir={self.notebooks}",),
                "--LabApp.extension_manager=readonly",
            ],
            env={
                **os.environ,
                **{name: str(folder / place) for name, place in private.items()},
                **environment,
            },
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._wait_until(lambda: self.get("/api/status") is not None)

    def get(self, path: str) -> Any:
        """Return what the server says, None while it does not."""
        url = f"http://127.0.0.1:{self.port}{path}?token={self._token}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return None

    def _wait_until(self, is_met: Any) -> None:
        end = time.monotonic() + WAIT / 1000
        while not is_met():
            assert self._process.poll() is None, "JupyterLab ended; see lab.log"
            assert time.monotonic() < end, "JupyterLab does not come up; see lab.log"
            time.sleep(0.1)

    def open(
        self, browser: Browser, name: str, cells: list[str], *, dark: bool = False
    ) -> Notebook:
        """Write a notebook, open it, and wait until its kernel is idle."""
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        path = self.notebooks / name
        nbformat.write(notebook, path)
        page = browser.new_page(
            viewport={"width": 1280, "height": 1000},
            color_scheme="dark" if dark else "light",
        )
        door = "notebooks" if self._program == "notebook" else "lab/tree"
        page.goto(
            f"http://127.0.0.1:{self.port}/{door}/{name}?token={self._token}",
            wait_until="domcontentloaded",
        )
        page.locator(".jp-NotebookPanel:visible").wait_for(timeout=WAIT)
        self._wait_until(self._has_idle_kernel)
        if self._program == "jupyterlab":
            expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=WAIT)
        return Notebook(page, path)

    def _has_idle_kernel(self) -> bool:
        sessions = self.get("/api/sessions") or []
        return any(
            one["kernel"]["execution_state"] == "idle" and one["kernel"]["connections"] > 0
            for one in sessions
        )

    def close(self) -> None:
        """End the server and its kernels."""
        self._process.terminate()
        self._process.wait(20)
        self._log.close()


class Notebook:
    """An open notebook."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.path = path
        self.panel = page.locator(".jp-NotebookPanel:visible")

    def cell(self, number: int) -> Locator:
        """Return a code cell, from 0."""
        return self.panel.locator(".jp-CodeCell").nth(number)

    def run(self, number: int) -> None:
        """Run one cell without waiting for its end."""
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def wait(self, number: int) -> None:
        """Wait until a cell is done."""
        prompt = self.cell(number).locator(".jp-InputPrompt")
        expect(prompt).to_have_text(re.compile(r"\[\d+\]:"), timeout=WAIT)

    def done(self, number: int) -> Locator:
        """Run a cell, wait for its end and return its output."""
        self.run(number)
        self.wait(number)
        return self.output(number)

    def output(self, number: int) -> Locator:
        """Return a cell's output."""
        return self.cell(number).locator(".jp-OutputArea")

    def interrupt(self) -> None:
        """Press ■."""
        self.panel.locator('[data-command="notebook:interrupt-kernel"]').first.click()

    def save(self) -> None:
        """Save, and wait for it."""
        self.page.keyboard.press("Control+s")
        bar = self.page.locator("#jp-main-statusbar")
        expect(bar).to_contain_text("Saving completed", timeout=WAIT)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium."""
    path = next(
        one for one in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if os.path.exists(one)
    )
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=path, headless=True, args=ARGUMENTS)
        yield browser
        browser.close()
