"""What the widgets of a run share: their files, their outputs, and the thread that drives them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import anywidget
import traitlets
from IPython.display import DisplayHandle
from ipywidgets import Layout

from llmnb.engine.handle import AnyRun, last_run
from llmnb.engine.status import StatusSnapshot

logger = logging.getLogger("llmnb")

STATIC = Path(__file__).with_name("static")

TICK_SECONDS = 0.2
"""A page is told of a run no more often than this: the eye sees no more, and it costs half."""

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"

Bundle = dict[str, Any]
"""What an output holds, by media type."""


def line_of_code(run: AnyRun, call: str) -> str:
    """Return a line that does in any cell what a run's button does; empty where there is none.

    It has to work where nothing but ``%load_ext llmnb`` was run, so it names no variable.
    """
    return f"import llmnb; llmnb.last_run().{call}()" if last_run() is run else ""


def static_text(*names: str) -> str:
    """Return files of ``static/``, one after the other."""
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in names)


_anchor: Layout | None = None
"""A widget without a look that stays open for as long as the kernel lives."""


def _drop_anchor() -> None:
    """Open the anchor before the first widget, and again where somebody closed all widgets.

    JupyterLab sends the messages of all widgets of a notebook to one subshell of the kernel, and
    deletes that one when the last widget closes. A widget that opens at this moment keeps the
    deleted subshell, and nothing that it sends ever arrives. So there is never a last widget.
    """
    global _anchor
    if _anchor is None or _anchor.comm is None:
        _anchor = Layout()


class Surface(anywidget.AnyWidget):
    """A widget whose whole state is one small dictionary of text and numbers.

    Whatever its page sends is answered at once, so that the page can tell a button that acts
    from one whose clicks arrive nowhere.
    """

    _esm: str = static_text("parts.js", "run_dashboard.js")
    _css: str = static_text("tokens.css", "run_dashboard.css")
    snapshot = traitlets.Dict().tag(sync=True)
    """What the page shows. Setting it sends one message, and none where nothing changed."""

    def __init__(self, *, snapshot: dict[str, Any]) -> None:
        _drop_anchor()
        super().__init__(snapshot=snapshot)
        self.on_msg(self._acknowledge)

    def _acknowledge(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Tell the page that the kernel receives what it sends, before anything is done."""
        if isinstance(content, dict) and "do" in content:
            self.send({"kind": "heard"})

    def set_traits_safely(self, **traits: object) -> None:
        """Set some, one after the other; what an observer raises is logged and does no harm."""
        for name, value in traits.items():
            try:
                self.set_trait(name, value)
            except Exception:
                logger.exception("an observer of %s.%s failed", type(self).__name__, name)

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


BLANK: Bundle = {"text/html": "", "text/plain": ""}
"""What an output holds that shows nothing."""


class OutputSlot:
    """One output of a cell, which can be given something else to hold later.

    Args:
        bundle: What it holds at first; nothing to see where none is given.
    """

    def __init__(self, bundle: Bundle | None = None) -> None:
        self._handle = cast(Any, DisplayHandle)()
        self._holds_widget = bundle is not None and WIDGET_MIME in bundle
        self._handle.display(bundle or BLANK, raw=True)

    def put(self, bundle: Bundle) -> None:
        """Replace what it holds, from any thread and whichever cell runs."""
        is_widget = WIDGET_MIME in bundle
        if is_widget and self._holds_widget:
            # JupyterLab would draw the new widget into the view of the old one, and hide both
            # when the old one closes.
            self._handle.update(BLANK, raw=True)
        self._holds_widget = is_widget
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
