"""The explorer's widget: a list, an open row, a search, chips, and the table as a rail.

Rows travel as messages to the page that shows them, a hundred at a time, with their texts cut. The
page says what it wants by numbers that are looked at here before anything is done.
"""

from __future__ import annotations

import threading
from typing import Any

from llmnb.engine.status import Clock
from llmnb.errors import InputError
from llmnb.frames.exploring import IS_MARKED, MARK, OUTCOME, Explorer
from llmnb.frames.row_sources import OUTCOMES
from llmnb.notebook import explorer_view as view
from llmnb.notebook.explorer_row import OpenRow, name_shown
from llmnb.notebook.request_surface import FollowingSurface

LOOK_SECONDS = 1.0
"""How often it looks for answers that have come, while a run goes on."""

REST_SECONDS = 5.0
"""And how often where nothing runs, for answers that others bring or clear."""

RESTS = 20
"""It rests so many times as long as the last look has taken, where that is longer."""

BREATH_SECONDS = 0.001
"""Comparing two runs lets everybody else have their turn between some rows and the next."""


class ExplorerWidget(FollowingSurface):
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
        line = "This card cannot be drawn here: use the explorer in code."
        super().__init__(explorer, snapshot={"kind": "explorer", "line": line})
        threading.Thread(target=self._follow, name="llmnb-explorer", daemon=True).start()

    # ------------------------------------------------------------------- its threads

    def publish(self) -> None:
        """Tell the pages how the explorer is now."""
        self._jobs.put(self._tell_state, only="state")

    def _follow(self) -> None:
        """Compare two runs, then take answers that come, for as long as the widget is open."""
        was_running = self._explorer.source.is_running
        pause = LOOK_SECONDS if self._explorer.source.compared is None else BREATH_SECONDS
        while not self._ended.wait(pause):
            if self._explorer.source.compared is not None:
                self._explorer.compare_some()
                pause = BREATH_SECONDS
                continue
            began = Clock.monotonic()
            has_changed = self._explorer.refresh()
            took = Clock.monotonic() - began
            is_running = self._explorer.source.is_running
            if not is_running and (has_changed or was_running):
                self._on_change()
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
        super().on_close()
        self._explorer.stop()

    # ------------------------------------------------- from the page, by their names there

    def _checked(self, position: int) -> int:
        if not 0 <= position < len(self._explorer):
            raise InputError(f"There is no row {position:,}.")
        return position

    def _do_hello(self, turn: str) -> None:
        self.reply(turn, "state", state=self._state())
        if not (self._explorer.has_facets or self._explorer.source.compared is not None):
            self._explorer.facets  # noqa: B018 - of many rows this takes a moment
            self._tell_state()

    def _do_rows(self, turn: str, first: int) -> None:
        positions = self._explorer.listed
        first = max(0, min(first, max(0, len(positions) - 1)))
        first -= first % view.PAGE
        rows = self._explorer.source.read(positions[first : first + view.PAGE].tolist())
        lines = [view.list_line(self._explorer, row) for row in rows]
        self.reply(turn, "rows", first=first, lines=lines, version=self._version)

    def _do_around(self, turn: str, position: int) -> None:
        """Send the page of rows that a position stands in, and which shown row is nearest to it."""
        positions = self._explorer.listed
        if not len(positions):
            self.reply(turn, "rows", first=0, lines=[], version=self._version)
            return
        rank = min(self._explorer.rank(position), len(positions) - 1)
        self.reply(turn, "place", rank=rank, position=int(positions[rank]))
        self._do_rows(turn, rank)

    def _do_failed(self, turn: str, position: int) -> None:
        found = self._explorer.next_failed(position)
        if found is not None:
            self._do_around(turn, found)

    def _do_row(self, turn: str, position: int) -> None:
        row = OpenRow(self._explorer, self._checked(position))
        self.reply(turn, "row", row=row.as_json())

    def _do_text(self, turn: str, position: int, part: str, length: int) -> None:
        block = OpenRow(self._explorer, self._checked(position)).block(part, length)
        if block is not None:
            self.reply(turn, "text", block=block)

    def _do_answer(self, turn: str, position: int) -> None:
        answer = self._explorer.row(self._checked(position))["answer"]
        self.reply(turn, "answer", text=answer or "")

    def _do_search(self, text: str) -> None:
        self._explorer.begin_search(text)

    def _do_stop(self) -> None:
        self._explorer.stop()

    def _do_clear(self) -> None:
        self._explorer.filter()

    def _do_outcome(self, value: int) -> None:
        if 0 <= value < len(OUTCOMES):
            self._explorer.choose(OUTCOME, value)

    def _do_marked(self) -> None:
        self._explorer.choose(MARK, IS_MARKED)

    def _do_choose(self, facet: str, value: int) -> None:
        for own in self._explorer.facets:
            if name_shown(own.name) == facet and 0 <= value < len(own.values):
                self._explorer.choose(own.name, value)

    def _do_facet(self, name: str) -> None:
        self._opened = name
        self._tell_state()

    def _do_values(self, turn: str, name: str, text: str) -> None:
        self.reply(turn, "values", values=view.values(self._explorer, name, text[:200]))

    def _do_mark(self, position: int, on: bool) -> None:
        self._explorer.mark(self._checked(position), on)

    def _do_correct(self, turn: str, position: int, texts: list[Any]) -> None:
        """Keep what was typed; a field that was left as it is has no text."""
        names = OpenRow(self._explorer, self._checked(position)).fields() or [""]
        typed = {name: text for name, text in zip(names, texts, strict=False) if type(text) is str}
        self._explorer.correct(position, typed.get("", typed))
        self._do_row(turn, position)

    def _do_take_back(self, turn: str, position: int) -> None:
        self._explorer.take_back(self._checked(position))
        self._do_row(turn, position)

    def _do_retry(self, position: int) -> None:
        self._explorer.source.retry(self._checked(position))
        self._explorer.refresh()
        self._on_change()
