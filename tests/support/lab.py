"""A person at a notebook: JupyterLab in a headless browser, on this machine only."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from browsers import Chromium, tolerated
from isolation import public_environment
from playwright.sync_api import Locator, Page, expect
from programs import Program, free_port

_SETTINGS = {
    # Else a pop-up about news covers the corner.
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
}

DOORS = {"jupyterlab": "lab/tree", "notebook": "notebooks"}
"""Where a program's page is."""

_KERNEL = "tried"

_CLOSE = """async () => {
  for (const one of [...jupyterapp.shell.widgets("main")]) one.dispose();
}"""

_EXCHANGE = """async (path) => {
  for (const one of [...jupyterapp.shell.widgets("main")]) one.dispose();
  await jupyterapp.commands.execute("docmanager:open", { path });
}"""


class Lab:
    """A running JupyterLab, which serves Notebook 7 as well.

    Args:
        folder: Where its notebooks and private settings lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._notebooks = folder / "notebooks"
        self._notebooks.mkdir()
        self._token = secrets.token_hex(8)
        self.port = free_port()
        private = {
            "HOME": "home",
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
        self._program = Program(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                *("--ip=127.0.0.1", f"--port={self.port}", "--ServerApp.port_retries=0"),
                *(f"--IdentityProvider.token={self._token}",),
                *(f"--ServerApp.root_dir={self._notebooks}",),
                *("--LabApp.extension_manager=readonly", "--LabApp.expose_app_in_browser=True"),
            ],
            folder / "lab.log",
            public_environment() | {name: str(folder / path) for name, path in private.items()},
            folder,
        )
        self._program.come_up(lambda: self._ask("/api/status") is not None)

    def _ask(self, path: str, method: str = "GET") -> Any:
        """Return what the server says, None while it does not."""
        url = f"http://127.0.0.1:{self.port}{path}"
        headers = {"Authorization": f"token {self._token}"}
        request = urllib.request.Request(url, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read() or "null")
        except OSError:
            return None

    def open(
        self,
        chromium: Chromium,
        name: str,
        cells: list[str],
        environment: dict[str, str],
        *,
        program: str = "jupyterlab",
    ) -> Notebook:
        """Write a notebook, open it, and wait until its kernel is idle.

        Args:
            chromium: The browser, lent. A program's page is kept: the notebook takes the place
                of the one before.
            name: The notebook's name, which no other has, without its ending.
            cells: Code of each.
            environment: Further variables of its kernel.
            program: ``"jupyterlab"``, or ``"notebook"`` for Notebook 7.
        """
        self._describe_kernel(environment)
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": _KERNEL, "display_name": _KERNEL}},
        )
        path = self._notebooks / name / f"{name}.ipynb"
        path.parent.mkdir()
        nbformat.write(notebook, path)
        page = chromium.page(program, width=1280, height=1000)
        self.show(page, program, f"{name}/{name}.ipynb")
        return Notebook(page, path, self, program)

    def _describe_kernel(self, environment: dict[str, str]) -> None:
        """Say what the next kernel is; the server reads it when it starts one."""
        spec = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": _KERNEL,
            "language": "python",
            "env": environment,
        }
        spec_path = self._folder / "data" / "kernels" / _KERNEL / "kernel.json"
        spec_path.parent.mkdir(parents=True, exist_ok=True)
        spec_path.write_text(json.dumps(spec))

    def show(self, page: Page, program: str, path: str) -> None:
        """Open a notebook in a page, and wait until its kernel is idle."""
        self._show(page, program, path)
        page.locator(".jp-NotebookPanel:visible").wait_for()
        self._program.wait_until(lambda: self._has_idle_kernel(path))
        if program == "jupyterlab":
            expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle")

    def _show(self, page: Page, program: str, path: str) -> None:
        """Open a notebook in a page; in JupyterLab without loading the page again."""
        address = f"http://127.0.0.1:{self.port}/"
        is_there = program == "jupyterlab" and page.url.startswith(address)
        # What a failed test may have left open would lie before everything.
        if is_there and not page.locator(".jp-Dialog").count():
            page.evaluate(_EXCHANGE, path)
            return
        page.goto(
            f"{address}{DOORS[program]}/{path}?reset&token={self._token}",
            wait_until="domcontentloaded",
        )

    def _has_idle_kernel(self, path: str) -> bool:
        return any(
            session["path"] == path
            and session["kernel"]["execution_state"] == "idle"
            and session["kernel"]["connections"] > 0
            for session in self._ask("/api/sessions") or []
        )

    def end_kernels(self) -> None:
        """End every kernel, whatever it does."""
        for session in self._ask("/api/sessions") or []:
            self._ask(f"/api/sessions/{session['id']}", "DELETE")

    def close(self) -> None:
        """End the server and its kernels."""
        self._program.close()


class Notebook:
    """An open notebook."""

    def __init__(self, page: Page, path: Path, lab: Lab, program: str) -> None:
        self.page = page
        self.path = path
        self._lab = lab
        self._program = program
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
        expect(prompt).to_have_text(re.compile(r"\[\d+\]:"))

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

    def restart(self) -> None:
        """Restart the kernel, and say yes to the question."""
        self.panel.locator('[data-command="notebook:restart-kernel"]').first.click()
        # A kernel that ends before JupyterLab has heard of its restart is an error there.
        with self.page.expect_response(lambda response: "/restart" in response.url):
            self.page.locator(".jp-Dialog button.jp-mod-accept").click()
        expect(self.page.locator(".jp-Dialog")).to_have_count(0)

    def close(self) -> None:
        """Close the notebook; its kernel goes on."""
        self.page.evaluate(_CLOSE)
        expect(self.panel).to_have_count(0)

    def open(self) -> None:
        """Open the closed notebook again."""
        self._lab.show(self.page, self._program, f"{self.path.parent.name}/{self.path.name}")

    def reload(self) -> None:
        """Load the page again, with the notebook as it was saved."""
        self.page.goto("about:blank")
        self.open()

    @contextlib.contextmanager
    def without_models(self) -> Iterator[None]:
        """Take it as no error that JupyterLab does not find a saved widget's model.

        It finds that out a while after the outputs show; later it would be the next test's error.
        """
        with tolerated("widget model not found"):
            yield
            expect(self.panel).to_contain_text("Error displaying widget: model not found")

    def save(self) -> None:
        """Save, and wait for it."""
        self.page.keyboard.press("Control+s")
        bar = self.page.locator("#jp-main-statusbar")
        expect(bar).to_contain_text("Saving completed")
