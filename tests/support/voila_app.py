"""A person before an application: Voilà serves a notebook to a headless browser."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

from browsers import patient
from playwright.sync_api import Browser, Page
from programs import Program, free_port


class Voila:
    """A running Voilà over the notebooks of a folder.

    Args:
        folder: The notebooks; private settings lie beside it.
        environment: Further variables of their kernels.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._port = free_port()
        home = folder.parent / "voila"
        home.mkdir()
        private = {
            "HOME": str(home),
            "IPYTHONDIR": str(home / "ipython"),
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        }
        self._program = Program(
            [
                *(sys.executable, "-m", "voila", str(folder), "--no-browser"),
                *(f"--port={self._port}", "--Voila.ip=127.0.0.1"),
                # Notebook 7's own extension throws there, whatever the notebook holds, and so does
                # that of jupytext, which comes with the site's programs.
                "--VoilaConfiguration.extension_denylist=@jupyter-notebook/lab-extension",
                "--VoilaConfiguration.extension_denylist=jupyterlab-jupytext",
                # nbclient 0.11 sends what an Output widget holds on the very socket that it polls
                # for a cell's reply, past pyzmq's asyncio socket, and can sleep through a reply
                # that comes just then. It looks again when this many seconds are over.
                "--VoilaExecutor.timeout=40",
            ],
            home / "voila.log",
            {**os.environ, **private, **environment},
            folder,
        )
        self._program.come_up(self._is_up)

    def _is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._address}/voila/static/", timeout=30):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    @property
    def _address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def open(self, browser: Browser, name: str, *, width: int = 1280, theme: str = "light") -> Page:
        """Open a notebook, which runs in a kernel of its own.

        Args:
            browser: The browser, lent.
            name: The notebook's name, without its ending.
            width: Pixels of the page.
            theme: ``"light"`` or ``"dark"``.
        """
        page = patient(browser.new_context(viewport={"width": width, "height": 1400}))
        page.goto(f"{self._address}/voila/render/{name}.ipynb?theme={theme}")
        return page

    def close(self) -> None:
        """End it and its kernels."""
        self._program.close()
