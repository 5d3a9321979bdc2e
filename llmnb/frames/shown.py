"""What a notebook shows as a widget of its own, where it can show any."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from llmnb.display.escape import html_text
from llmnb.display.html_fragments import box, details, facts, strong
from llmnb.progress import print_line
from llmnb.user_code import shell


class Shown:
    """An object that is its widget in a notebook, and its static form everywhere else.

    Nothing below the notebook's room knows a widget; so a class names its own, which is loaded
    when it is first shown, as the formatter of a library's type is. One object has one widget,
    however often it is shown.
    """

    _widget_name: ClassVar[str]
    """Module and class of the widget, which is made of the object alone."""

    _widget: Any = None

    def widget(self) -> Any:
        """Return the widget, which stands wherever ipywidgets do.

        Raises:
            ImportError: If no widgets are installed.
        """
        if self._widget is None or self._widget.comm is None:  # not yet, or closed
            module, name = self._widget_name.rsplit(".", 1)
            self._widget = getattr(importlib.import_module(module), name)(self)
        return self._widget

    def _ipython_display_(self) -> None:
        if not hasattr(shell(), "kernel"):
            raise NotImplementedError  # a terminal: IPython goes on to the text
        try:
            widget = self.widget()
        except ImportError:
            raise NotImplementedError from None
        widget._ipython_display_()

    def _display_(self) -> Any:
        """Return what marimo shows."""
        marimo: Any = sys.modules["marimo"]
        try:
            return marimo.as_html(self.widget())
        except ImportError:
            return marimo.Html(self._repr_html_())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        raise NotImplementedError


class Followed(Shown):
    """An object that is shown, and whose widget follows what is done to it in code."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function called whenever anything changes, on whichever thread; it must be quick.

        Returns:
            What ends that.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _notify(self) -> None:
        for listener in list(self._listeners):
            listener()


def show_receipt(first: str, rest: str, figures: Iterable[tuple[str, str]]) -> None:
    """Show what was done where nothing was sent: a receipt in a notebook, a line elsewhere.

    Args:
        first: The beginning of the sentence, which is the news.
        rest: The rest of it.
        figures: What stands folded, by its name.
    """
    text = f"llmnb · {first}{rest}"
    if not hasattr(shell(), "kernel"):
        print_line(text)
        return
    html = box(details(strong(first) + html_text(rest), facts(figures)), name="llmnb-receipt")
    shell().display_pub.publish(data={"text/html": html, "text/plain": text})
