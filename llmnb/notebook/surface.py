"""What the widgets of a run share: their files, their outputs, and the thread that drives them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import anywidget
import traitlets
from IPython.display import DisplayHandle

from llmnb.engine.handle import AnyRun
from llmnb.engine.status import StatusSnapshot

STATIC = Path(__file__).with_name("static")

TICK_SECONDS = 0.2
"""A page is told of a run no more often than this: the eye sees no more, and it costs half."""

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"

Bundle = dict[str, Any]
"""What an output holds, by media type."""


def static_text(*names: str) -> str:
    """Return files of ``static/``, one after the other."""
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in names)


class Surface(anywidget.AnyWidget):
    """A widget whose whole state is one small dictionary of text and numbers."""

    _esm: str = static_text("parts.js", "run_dashboard.js")
    _css: str = static_text("tokens.css", "run_dashboard.css")
    snapshot = traitlets.Dict().tag(sync=True)
    """What the page shows. Setting it sends one message, and none where nothing changed."""

    def bundle(self, text: str) -> Bundle:
        """Return what an output holds while the widget lives; `text` where none can show."""
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {WIDGET_MIME: view, "text/plain": text}

    def take_down(self) -> None:
        """Close the widget and its layout, so that a saved notebook holds neither."""
        layout = self.layout
        # Programs that execute notebooks keep the last state even of what was closed.
        self.snapshot = {}
        self.close()
        layout.close()


class Place:
    """One output of a cell, which can be given something else to hold later.

    Args:
        bundle: What it holds at first; nothing to see where none is given.
    """

    def __init__(self, bundle: Bundle | None = None) -> None:
        self._handle = cast(Any, DisplayHandle)()
        self._handle.display(bundle or {"text/html": "", "text/plain": ""}, raw=True)

    def put(self, bundle: Bundle) -> None:
        """Replace what it holds, from any thread and whichever cell runs."""
        self._handle.update(bundle, raw=True)


def watch(
    run: AnyRun,
    draw: Callable[[StatusSnapshot], None],
    close: Callable[[StatusSnapshot], None],
) -> None:
    """Call `draw` with a run's status five times a second, and `close` when it is done.

    The thread that does it is a daemon: it keeps no process alive.
    """

    def tick() -> None:
        pause = threading.Event()
        while not run.is_done:
            draw(run.status())
            pause.wait(TICK_SECONDS)
        close(run.status())

    threading.Thread(target=tick, name="llmnb-dashboard", daemon=True).start()
