"""The explorer's widget: a list, an open row, a search, chips, and the table as a rail.

Rows travel as messages to the page that shows them, a hundred at a time, with their texts cut. The
page says what it wants by numbers that are looked at here before anything is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from llmnb.engine.status import Clock
from llmnb.errors import InputError
from llmnb.frames.exploring import IS_MARKED, MARK, OUTCOME, Explorer
from llmnb.frames.row_sources import OUTCOMES
from llmnb.notebook import explorer_view as view
from llmnb.notebook.explorer_row import OpenRow, name_shown
from llmnb.notebook.request_surface import RequestSurface
from llmnb.notebook.surface import Bundle

LOOK_SECONDS = 1.0
"""How often it looks for answers that have come, while a run goes on."""

REST_SECONDS = 5.0
"""And how often where nothing runs, for answers that others bring or clear."""

RESTS = 20
"""It rests so many times as long as the last look has taken, where that is longer."""

BREATH_SECONDS = 0.001
"""Comparing two runs lets everybody else have their turn between some rows and the next."""

DRAW_SECONDS = 0.2
"""Pages are told no more often than this."""


class ExplorerWidget(RequestSurface):
    """An explorer as a widget.

    Args:
        explorer: The rows; an `Explorer`.
    """

    scripts = ("parts.js", "requests.js", "reading.js", "explorer_list.js", "explorer.js")
    styles = ("tokens.css", "reading.css", "explorer.css")
    overtaken = frozenset({"search", "around", "row", "values"})

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._opened = ""
        self._version = 0
        self._was_shown: Any = None
        self._ended = threading.Event()
        self._wanted = threading.Event()
        line = "This card cannot be drawn here: use the explorer in code."
        super().__init__(snapshot={"kind": "explorer", "line": line})
        self._end_listening = explorer.listen(self._wanted.set)
        for act, name in ((self._draw, "llmnb-explorer"), (self._follow, "llmnb-explorer-look")):
            threading.Thread(target=act, name=name, daemon=True).start()

    # ------------------------------------------------------------------- its threads

    def _draw(self) -> None:
        """Tell the pages of changes, a few times a second at most."""
        while not self._ended.is_set():
            if self._wanted.wait(REST_SECONDS):
                self._wanted.clear()
                if self._ended.is_set():
                    return
                self._jobs.put(self._tell_state, only="state")
                self._ended.wait(DRAW_SECONDS)

    def _follow(self) -> None:
        """Compare two runs, then take answers that come, for as long as the widget is open."""
        was_running = self._explorer.source.is_running
        pause = LOOK_SECONDS if self._explorer.rows_compared is None else BREATH_SECONDS
        while not self._ended.wait(pause):
            if self._explorer.rows_compared is not None:
                self._explorer.compare_some()
                pause = BREATH_SECONDS
                continue
            began = Clock.monotonic()
            has_changed = self._explorer.refresh()
            took = Clock.monotonic() - began
            is_running = self._explorer.source.is_running
            if not is_running and (has_changed or was_running):
                self._wanted.set()
                self.renew()
            was_running = is_running
            pause = max(LOOK_SECONDS if is_running else REST_SECONDS, RESTS * took)

    def _state(self) -> dict[str, Any]:
        explorer = self._explorer
        positions = explorer.listed
        if positions is not self._was_shown:
            self._was_shown = positions
            self._version += 1
        return view.state(explorer, self._opened, self._version)

    def _tell_state(self) -> None:
        self.tell("state", state=self._state())

    def on_close(self) -> None:
        """End a search, and what listens."""
        self._ended.set()
        self._wanted.set()
        self._explorer.stop()
        self._end_listening()

    def static(self) -> Bundle:
        """Return the first rows as they stand where no widget shows."""
        return {"text/html": self._explorer._repr_html_(), "text/plain": str(self._explorer)}

    # ------------------------------------------------------------------- from the page

    def job(self, request: dict[str, Any], turn: str) -> Callable[[], None] | None:
        """Return what does a request of the page; None where it is none."""
        explorer = self._explorer
        match request:
            case {"do": "hello"}:
                return lambda: self._start(turn)
            case {"do": "rows", "first": int(first)}:
                return lambda: self._send_rows(first, turn)
            case {"do": "around", "position": int(position)}:
                return lambda: self._send_around(position, turn)
            case {"do": "row", "position": int(position)}:
                return lambda: self._send_row(position, turn)
            case {"do": "text", "position": int(position), "part": str(part), "length": int(size)}:
                return lambda: self._send_text(position, part, size, turn)
            case {"do": "answer", "position": int(position)}:
                return lambda: self.reply(
                    turn, "answer", text=explorer.row(self._checked(position))["answer"] or ""
                )
            case {"do": "failed", "position": int(position)}:
                return lambda: self._send_failed(position, turn)
            case {"do": "search", "text": str(text)}:
                return lambda: explorer.begin_search(text)
            case {"do": "stop"}:
                return explorer.stop
            case {"do": "outcome", "value": int(number)} if 0 <= number < len(OUTCOMES):
                return lambda: explorer.choose(OUTCOME, number)
            case {"do": "marked"}:
                return lambda: explorer.choose(MARK, IS_MARKED)
            case {"do": "choose", "facet": str(name), "value": int(number)}:
                return lambda: self._choose(name, number)
            case {"do": "facet", "name": str(name)}:
                return lambda: self._open_facet(name)
            case {"do": "values", "name": str(name), "text": str(text)}:
                return lambda: self.reply(
                    turn, "values", values=view.values(explorer, name, text[:200])
                )
            case {"do": "clear"}:
                return explorer.filter
            case {"do": "mark", "position": int(position), "on": bool(on)}:
                return lambda: explorer.mark(self._checked(position), on)
            case {"do": "correct", "position": int(position), "texts": list(texts)}:
                return lambda: self._correct(position, texts, turn)
            case {"do": "take back", "position": int(position)}:
                return lambda: self._take_back(position, turn)
            case {"do": "retry", "position": int(position)}:
                return lambda: self._retry(position)
        return None

    def _checked(self, position: int) -> int:
        if not 0 <= position < len(self._explorer):
            raise InputError(f"There is no row {position:,}.")
        return position

    def _start(self, turn: str) -> None:
        self.reply(turn, "state", state=self._state())
        if not (self._explorer.has_facets or self._explorer.rows_compared is not None):
            self._explorer.facets  # noqa: B018 - of many rows this takes a moment
            self._tell_state()

    def _send_rows(self, first: int, turn: str) -> None:
        positions = self._explorer.listed
        first = max(0, min(first, max(0, len(positions) - 1)))
        first -= first % view.PAGE
        rows = self._explorer.source.read(positions[first : first + view.PAGE].tolist())
        lines = [view.list_line(self._explorer, row) for row in rows]
        self.reply(turn, "rows", first=first, lines=lines, version=self._version)

    def _send_around(self, position: int, turn: str) -> None:
        """Send the page of rows that a position stands in, and which shown row is nearest to it."""
        positions = self._explorer.listed
        if not len(positions):
            self.reply(turn, "rows", first=0, lines=[], version=self._version)
            return
        rank = min(self._explorer.rank(position), len(positions) - 1)
        self.reply(turn, "place", rank=rank, position=int(positions[rank]))
        self._send_rows(rank, turn)

    def _send_failed(self, position: int, turn: str) -> None:
        found = self._explorer.next_failed(position)
        if found is not None:
            self._send_around(found, turn)

    def _send_row(self, position: int, turn: str) -> None:
        row = OpenRow(self._explorer, self._checked(position))
        self.reply(turn, "row", row=row.as_json())

    def _send_text(self, position: int, part: str, size: int, turn: str) -> None:
        block = OpenRow(self._explorer, self._checked(position)).block(part, size)
        if block is not None:
            self.reply(turn, "text", block=block)

    def _choose(self, name: str, number: int) -> None:
        for facet in self._explorer.facets:
            if name_shown(facet.name) == name and 0 <= number < len(facet.values):
                self._explorer.choose(facet.name, number)

    def _open_facet(self, name: str) -> None:
        self._opened = name
        self._tell_state()

    def _correct(self, position: int, texts: list[Any], turn: str) -> None:
        """Keep what was typed; a field that was left as it is has no text."""
        names = OpenRow(self._explorer, self._checked(position)).fields() or [""]
        typed = {name: text for name, text in zip(names, texts, strict=False) if type(text) is str}
        self._explorer.correct(position, typed.get("", typed))
        self._send_row(position, turn)

    def _take_back(self, position: int, turn: str) -> None:
        self._explorer.take_back(self._checked(position))
        self._send_row(position, turn)

    def _retry(self, position: int) -> None:
        self._explorer.source.retry(self._checked(position))
        self._explorer.refresh()
        self._wanted.set()
