"""What the widgets of a run share: their files, their outputs, and the thread that drives them."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, cast

import anywidget
import ipywidgets
import traitlets
from IPython.display import DisplayHandle
from ipywidgets.widgets import widget as widgets_module

from llmnb import user_code
from llmnb.engine.handle import AnyRun, last_run, outermost
from llmnb.engine.status import StatusSnapshot
from llmnb.progress import DRAW_SECONDS, in_marimo

logger = logging.getLogger("llmnb")

STATIC = Path(__file__).with_name("static")

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"

Bundle = dict[str, Any]
"""What an output holds, by media type."""


def page_of(thing: Any) -> Bundle:
    """Return what shows itself as HTML and as text, such as a plan, or a batch that takes hours."""
    return {"text/html": thing._repr_html_(), "text/plain": str(thing)}


def line_of_code(run: AnyRun, call: str) -> str:
    """Return a line that does in any cell what a run's button does; empty where there is none.

    It has to work where nothing but ``%load_ext llmnb`` was run, so it names no variable.
    """
    is_last = last_run() is outermost(run)
    return f"import llmnb; llmnb.last_run().{call}()" if is_last else ""


def static_text(*names: str) -> str:
    """Return files of ``static/``, one after the other."""
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in names)


# ------------------------------------------------------------------------- the code


class Code(ipywidgets.Widget):  # type: ignore[misc]
    """The script and the style sheet of a kind of widget, once for all of them in a notebook.

    It has no look, and stays open for as long as the kernel lives. JupyterLab sends the messages
    of all widgets of a notebook to one subshell of the kernel, and deletes that one when the last
    widget closes. A widget that opens at this moment keeps the deleted subshell, and nothing that
    it sends ever arrives. So there is never a last widget.
    """

    esm = traitlets.Unicode().tag(sync=True)
    css = traitlets.Unicode().tag(sync=True)


_codes: dict[type[Surface], Code] = {}


def _code_of(kind: type[Surface]) -> Code:
    code = _codes.get(kind)
    if code is None or code.comm is None:  # somebody closed all widgets
        code = _codes[kind] = Code(esm=kind.script(), css=kind.style())
    return code


class Surface(anywidget.AnyWidget):
    """A widget whose whole state is one small dictionary of text and numbers.

    Whatever its page sends is answered at once, so that the page can tell a button that acts
    from one whose clicks arrive nowhere.
    """

    scripts: ClassVar[tuple[str, ...]] = ()
    """Files of its script, the last of which exports `render`."""

    styles: ClassVar[tuple[str, ...]] = ()

    _esm: str = static_text("loader.js")
    code = traitlets.Instance(Code, allow_none=True).tag(
        sync=True, **ipywidgets.widget_serialization
    )
    """What holds the script and the style sheet; None where a page knows no other model."""

    snapshot = traitlets.Dict().tag(sync=True)
    """What the page shows. Setting it sends one message, and none where nothing changed."""

    def __init__(self, *, snapshot: dict[str, Any]) -> None:
        kind = type(self)
        if in_marimo():  # which shows every widget by itself
            self._esm, self._css = kind.script(), kind.style()
            super().__init__(snapshot=snapshot)
        else:
            super().__init__(snapshot=snapshot, code=_code_of(kind))
        self.on_msg(self._acknowledge)
        self._outputs: list[CardOutput] = []

    @classmethod
    @functools.cache
    def script(cls) -> str:
        """Return the whole script."""
        return static_text(*cls.scripts)

    @classmethod
    @functools.cache
    def style(cls) -> str:
        """Return the whole style sheet."""
        return static_text(*cls.styles)

    def _acknowledge(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Tell the page that the kernel receives what it sends, before anything is done."""
        if isinstance(content, dict) and "do" in content:
            self.send({"kind": "heard"})

    def open(self) -> None:
        """Register it with the page."""
        super().open()
        self._hear_pages_where_they_send()

    def send_state(self, key: Any = None) -> None:
        """Send the page its state, or a part of it."""
        super().send_state(key)
        self._hear_pages_where_they_send()

    def send(self, content: Any, buffers: Any = None) -> None:
        """Send the page a message that is no part of the state."""
        super().send(content, buffers)
        self._hear_pages_where_they_send()

    def _hear_pages_where_they_send(self) -> None:
        """Undo that replies go to the subshell under which was sent last.

        ipykernel 7.4 notes at each message of a comm which subshell the latest request ran in,
        and hands over there what the page sends, instead of where the page sends it. What a
        thread sends is no reply: its latest request is anybody's. Of a page that was loaded anew
        it is one in a subshell that is deleted by now, and every click of the new page is lost.
        """
        if self.comm is not None:
            self.comm.__dict__.pop("_reply_subshell_id", None)

    def set_traits_safely(self, **traits: object) -> None:
        """Set some, one after the other; what an observer raises is logged and does no harm."""
        for name, value in traits.items():
            try:
                self.set_trait(name, value)
            except Exception:
                logger.exception("an observer of %s.%s failed", type(self).__name__, name)

    def static(self) -> Bundle:
        """Return what stands where no widget shows, and in a saved notebook: HTML and text."""
        raise NotImplementedError

    def _ipython_display_(self) -> None:
        self._outputs.append(CardOutput(self))

    def renew(self) -> None:
        """Put the static form anew, for whoever saves the notebook now."""
        if self._outputs:
            static = self.static()
            for output in list(self._outputs):
                output.renew(static)

    def bundle(self) -> Bundle:
        """Return what an output holds: the widget, and what stands for it where there is none."""
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {**self.static(), WIDGET_MIME: view}

    def _repr_mimebundle_(self, **_options: Any) -> tuple[Bundle, dict[str, Any]]:
        return self.bundle(), {}

    def close(self) -> None:
        """Close the widget and its layout, so that a saved notebook holds neither."""
        layout = self.layout
        # Programs that execute notebooks keep the last state even of what was closed.
        self.snapshot = {}
        super().close()
        layout.close()


# ------------------------------------------------------------------------- outputs


BLANK: Bundle = {"text/html": "", "text/plain": ""}
"""What an output holds that shows nothing."""


class OutputSlot:
    """One output of a cell, which can be given something else to hold later.

    Args:
        bundle: What it holds at first; nothing to see where none is given.
    """

    def __init__(self, bundle: Bundle | None = None) -> None:
        self._handle = cast(Any, DisplayHandle)()
        self._handle.display(bundle or BLANK, raw=True)

    def put(self, bundle: Bundle) -> None:
        """Replace what it holds, from any thread and whichever cell runs."""
        self._handle.update(bundle, raw=True)


class CardOutput:
    """A card in a cell's output, and before it in an output of its own what a saved notebook keeps.

    The static form tells the truth when no card follows it: a page that knows no such widget any
    more shows nothing of a card. While one follows, its style sheet hides the static form.

    In an `Output` widget, which never hears of an output that is put anew, the card stands alone.

    Args:
        surface: The card.
    """

    def __init__(self, surface: Surface) -> None:
        self._static: OutputSlot | None = None
        self._shown = surface.static()
        if capturing():
            self._card = OutputSlot(surface.bundle())
        else:
            self._static = OutputSlot(_marked(self._shown, "llmnb-aside"))
            self._card = OutputSlot({**surface.bundle(), **BLANK})

    def renew(self, static: Bundle) -> None:
        """Put the static form anew."""
        if self._static is not None and static != self._shown:
            self._shown = static
            self._static.put(_marked(static, "llmnb-aside"))

    def finish(self, static: Bundle, *, is_live: bool) -> None:
        """Show the static form for good, and under it no more of the card than its buttons.

        Args:
            static: What stays.
            is_live: Whether there are any.
        """
        if self._static is not None:
            self._static.put(_marked(static, "llmnb-final"))
            if not is_live:
                self._card.put(BLANK)


def _marked(bundle: Bundle, name: str) -> Bundle:
    """Return a bundle whose HTML has a class that a card's style sheet knows."""
    if not bundle["text/html"]:
        return bundle
    return {**bundle, "text/html": f'<div class="{name}">{bundle["text/html"]}</div>'}


def joined(bundles: Iterable[Bundle]) -> Bundle:
    """Return bundles of HTML and text one after the other."""
    parts = list(bundles)
    return {
        "text/html": '<div style="height:8px"></div>'.join(part["text/html"] for part in parts),
        "text/plain": "\n\n".join(part["text/plain"] for part in parts),
    }


def message_header() -> dict[str, Any]:
    """Return the header of the message that the kernel acts on: a cell's, or a click's."""
    get_parent: Callable[[], Any] = getattr(user_code.shell(), "get_parent", dict)
    header: dict[str, Any] = (get_parent() or {}).get("header") or {}
    return header


def capturing() -> tuple[str, ...]:
    """Return the ids of the `Output` widgets that take what is displayed now."""
    message = message_header().get("msg_id")
    widgets = getattr(widgets_module, "_instances", {}) if message else {}
    return tuple(
        name for name, widget in list(widgets.items()) if getattr(widget, "msg_id", "") == message
    )


# -------------------------------------------------------------------------- driving


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
            pause.wait(DRAW_SECONDS)
        close(run.status())

    threading.Thread(target=tick, name="llmnb-dashboard", daemon=True).start()
