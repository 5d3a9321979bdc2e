"""An answer on show while it comes: plain text in a page or on a terminal, ten times a second."""

from __future__ import annotations

import sys
import threading
from typing import Any

from llmnb.display.escape import visible_lines
from llmnb.display.html_fragments import INERT
from llmnb.engine.status import Clock
from llmnb.notebook import markdown
from llmnb.notebook.surface import TICK_SECONDS, Bundle, OutputSlot
from llmnb.records import Delta

LONGEST_LIVE = 8_000
"""Characters on show while more are coming: the whole of it is sent with every update."""


class LiveText:
    """Takes pieces of an answer on any thread, and shows them when it is told to draw.

    Nothing is shown before the first piece, so an answer from the cache never flickers.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._lock = threading.Lock()
        self._drawn = float("-inf")
        self._count = 0

    def take(self, _row: int, delta: Delta) -> None:
        """Take a piece; called on the engine's thread."""
        if delta.text:
            with self._lock:
                self._pieces.append(delta.text)

    @property
    def text(self) -> str:
        """What has come so far."""
        with self._lock:
            if len(self._pieces) > 1:
                self._pieces = ["".join(self._pieces)]
            return self._pieces[0] if self._pieces else ""

    def draw(self) -> None:
        """Show what is new; call it as often as you like."""
        now = Clock.monotonic()
        if now - self._drawn < TICK_SECONDS:
            return
        text = self.text
        if len(text) > self._count:
            self._drawn = now
            self._show(text)
            self._count = len(text)

    def end(self, bundle: Bundle) -> bool:
        """Show the finished answer where its beginning stood; False where nothing stood."""
        return bool(self._count) and self._end(bundle)

    def _show(self, text: str) -> None:
        raise NotImplementedError

    def _end(self, bundle: Bundle) -> bool:
        raise NotImplementedError


class PageText(LiveText):
    """Text in an output of a notebook, replaced in place."""

    _place: OutputSlot | None = None

    def _show(self, text: str) -> None:
        tail = text[-LONGEST_LIVE:]
        shown = "… " + tail if len(tail) < len(text) else tail
        bundle = {
            "text/html": f'<div class="{INERT}">{markdown.preformatted(shown)}</div>',
            "text/plain": visible_lines(shown),
        }
        if self._place is None:
            self._place = OutputSlot(bundle)
        else:
            self._place.put(bundle)

    def _end(self, bundle: Bundle) -> bool:
        if self._place is not None:
            self._place.put(bundle)
        return True


class TerminalText(LiveText):
    """Text printed as it comes; what was printed stays."""

    def _show(self, text: str) -> None:
        print(visible_lines(text[self._count :]), end="", flush=True)

    def _end(self, bundle: Bundle) -> bool:
        text = self.text
        print(visible_lines(text[self._count :]), flush=True)
        return True


class NoText(LiveText):
    """Shows nothing before the end."""

    def _show(self, text: str) -> None:
        pass

    def _end(self, bundle: Bundle) -> bool:
        return False


def live_text(shell: Any, *, is_streamed: bool) -> LiveText:
    """Return what shows an answer as it comes, where that can be seen."""
    if not is_streamed:
        return NoText()
    if hasattr(shell, "kernel"):
        return PageText()
    return TerminalText() if sys.stdout is not None and sys.stdout.isatty() else NoText()
