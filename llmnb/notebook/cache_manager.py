"""The cache manager: one widget over all projects, to look into them, export and clear them.

The page sends wishes, and nothing it sends is believed: a wish names a project
of the store or a number that this manager has given out, and is looked up
again before anything is done. No path ever comes from the page.

Whatever reads or writes answers happens on a thread of its own, one job after
another, so that the kernel stays free and a large cache holds nobody up.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmnb import settings
from llmnb.display.escape import visible
from llmnb.display.texts import counted
from llmnb.engine.status import Clock
from llmnb.errors import InputError, LLMNBError, StoreError
from llmnb.notebook import shelf, shelf_page, shelf_words
from llmnb.notebook.desk import Desk
from llmnb.notebook.surface import Bundle, OutputSlot, Surface, static_text
from llmnb.store import clearing, layout, projects, search, transfer
from llmnb.store.projects import ProjectSummary

logger = logging.getLogger("llmnb")

PATIENCE_SECONDS = 2.0
"""How long a new manager waits for a large cache to be added up before it shows itself."""

_EXPORTS = {"csv": transfer.export_csv, "jsonl": transfer.export_project}


class CacheManager(Surface):
    """The projects of a cache folder, with what can be done about them.

    Clearing moves a project into the trash folder, from where `undo` brings it
    back; what is still there when the manager is closed, or when the process
    ends, is deleted.

    Args:
        cache_dir: Folder of all projects; None: the one in use.

    Example:
        >>> manager = CacheManager("no/such/folder")
        >>> print(manager.text.splitlines()[-1])
        No answers kept yet. Every answer that you pay for is kept here, by project, so ...
        >>> manager.close()
    """

    _esm = static_text("parts.js", "cache_manager.js")
    _css = static_text("tokens.css", "cache_manager.css")
    _is_closed = True  # until it has been made

    def __init__(self, cache_dir: str | os.PathLike[str] | None = None) -> None:
        self._root = settings.cache_dir(cache_dir).absolute()
        self._desk = Desk()
        self._lock = threading.Lock()
        self._gone: dict[int, shelf.Gone] = {}
        self._number = 0
        self._places: list[OutputSlot] = []
        super().__init__(snapshot={"view": "looking", "where": shelf_words.where(self._root)})
        self._is_closed = False
        self.on_msg(self._on_message)
        self._desk.put(self.look)
        self._desk.wait(PATIENCE_SECONDS)
        _open.add(self)

    # ------------------------------------------------------------------ from anywhere

    def look(self) -> None:
        """Show the projects as they are now."""
        found = projects.list_projects(self._root)
        with self._lock:
            if self._is_closed:
                return
            gone = list(self._gone.values())
            self.snapshot = shelf.shelf(found, gone, self._root, Clock.wall())

    def clear(self, project: str | None = None) -> None:
        """Move a project's answers into the trash; None: those of every project.

        Raises:
            StoreError: If they cannot be moved.
        """
        found = projects.list_projects(self._root)
        chosen = found if project is None else [self._one(project, found)]
        try:
            for one in chosen:
                self._clear(one)
        finally:
            self.look()

    def _clear(self, one: ProjectSummary) -> None:
        report = clearing.clear([one.name], self._root, to_trash=True)
        with self._lock:
            for token in report.tokens:
                self._number += 1
                self._gone[self._number] = shelf.Gone(number=self._number, token=token, one=one)

    def undo(self, *numbers: int) -> None:
        """Bring back what was cleared; without numbers all of it.

        Raises:
            StoreError: If it cannot be brought back.
        """
        with self._lock:
            wanted = [self._gone.get(number) for number in numbers or list(self._gone)]
        try:
            for one in wanted:
                if one is None:
                    raise InputError("There is nothing to undo any more.")
                clearing.undo(one.token, self._root)
                with self._lock:
                    self._gone.pop(one.number, None)
        finally:
            self.look()

    def close(self) -> None:
        """Delete for good what was cleared here, and close the widget."""
        if not self._end():
            return
        shown = self._listed()
        static = {"text/html": shelf.html(shown), "text/plain": shelf.text(shown)}
        for place in self._places:
            place.put(static)
        box = self.layout
        # Programs that execute notebooks keep the last state even of what was closed.
        self.snapshot = {}
        super().close()
        box.close()

    def _end(self) -> bool:
        """Empty this manager's part of the trash; returns False where that was done before."""
        if self._is_closed:
            return False
        with self._lock:
            self._is_closed = True
            gone, self._gone = list(self._gone.values()), {}
        _open.discard(self)
        self._desk.wait(PATIENCE_SECONDS)
        for one in gone:
            try:
                clearing.discard(one.token, self._root)
            except StoreError as error:
                logger.warning("%s", error)
        return True

    # ---------------------------------------------------------------------- on display

    @property
    def text(self) -> str:
        """The list of projects as text."""
        return shelf.text(self._listed())

    def bundle(self, text: str | None = None) -> Bundle:
        """Return what an output holds: the widget, and what stands for it where there is none."""
        shown = self._listed()
        bundle = super().bundle(text if text is not None else shelf.text(shown))
        return {**bundle, "text/html": shelf.html(shown)}

    def _listed(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.snapshot
        if shown.get("view") not in ("list", "empty"):  # added up later than anybody would wait
            return shelf.shelf([], [], self._root, Clock.wall())
        return shown

    def _repr_mimebundle_(self, **_options: Any) -> tuple[Bundle, dict[str, Any]]:
        return self.bundle(), {}

    def _ipython_display_(self) -> None:
        self._places.append(OutputSlot(self.bundle()))

    # ------------------------------------------------------------------- from the page

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if not isinstance(content, dict) or self._is_closed:
            return
        turn = content.get("turn")
        turn = turn if isinstance(turn, str) and len(turn) <= 40 else ""
        job = self._job(content, turn)
        if job is not None:
            # An outdated search of the same page is not worth doing any more.
            only = turn.partition("#")[0] if content["do"] == "open" else ""
            self._desk.put(lambda: self._try(job, turn), only=only)

    def _job(self, wish: dict[str, Any], turn: str) -> Callable[[], None] | None:
        match wish:
            case {"do": "look"}:
                return self.look
            case {"do": "open", "project": str(name), "search": str(text), "page": int(page)}:
                return lambda: self._show_page(name, text, page, turn)
            case {"do": "weigh", "project": str() | None as one}:
                return lambda: self._weigh(one, turn)
            case {"do": "clear", "project": str() | None as one}:
                return lambda: self.clear(one)
            case {"do": "undo", "gone": list(numbers)} if numbers and all(
                type(number) is int for number in numbers
            ):
                return lambda: self.undo(*numbers)
            case {"do": "export", "project": str() | None as one, "format": "csv" | "jsonl" as to}:
                return lambda: self._export(one, to, turn)
            case {"do": "answer", "project": str(name), "key": str(key)}:
                return lambda: self._tell_answer(name, key, turn)
            case {"do": "forget", "project": str(name), "key": str(key)}:
                return lambda: self._forget(name, key, turn)
            case {"do": "close"}:
                return self.close
        return None

    def _try(self, job: Callable[[], None], turn: str) -> None:
        try:
            job()
        except LLMNBError as error:
            self._say(turn, "fault", text=visible(str(error).split("\n")[0], longest=400))
        except Exception as error:  # the page must hear of a fault of ours, too
            logger.exception("the cache manager could not do it; please report this")
            self._say(turn, "fault", text=f"This could not be done ({type(error).__name__}).")
        else:
            self._say(turn, "done")

    def _say(self, turn: str, kind: str, **more: Any) -> None:
        if not self._is_closed:
            self.send({"turn": turn, "kind": kind, **more})

    def _one(self, name: str, found: list[ProjectSummary]) -> ProjectSummary:
        place = self._place(name)
        for one in found:
            if one.folder == place.folder:
                return one
        raise InputError(f"There is no project {shelf_words.label(name)} any more.")

    def _place(self, name: str) -> layout.ProjectPaths:
        place = layout.find_project(self._root, name)
        if place is None:
            raise InputError(f"There is no project {shelf_words.label(name)} any more.")
        return place

    def _show_page(self, name: str, text: str, number: int, turn: str) -> None:
        place = self._place(name)
        found = search.find(place, text, page=number)
        page = shelf_page.page(found, place.name, Clock.wall())
        self._say(turn, "page", page=page)

    def _weigh(self, name: str | None, turn: str) -> None:
        now = Clock.wall()
        if name is None:
            asked = shelf.question_all(projects.list_projects(self._root), now)
        else:
            place = self._place(name)
            asked = shelf.question(projects.summary(place), clearing.weigh(place), now)
        self._say(turn, "weighed", question=asked)

    def _export(self, name: str | None, to: str, turn: str) -> None:
        places = layout.stored_projects(self._root) if name is None else [self._place(name)]
        folder = Path.cwd()
        count, written = 0, ""
        try:
            for place in places:
                path = _free(folder, f"{_plain(place.name)}-answers", to)
                count += _EXPORTS[to](place, path)
                written = path.name
        except OSError as error:
            raise StoreError(f"{folder} cannot be written to: {error.strerror}.") from None
        what = written if len(places) == 1 else counted(len(places), "file")
        said = [
            "",
            f"Wrote {shelf_words.answers(count)}",
            f" to {visible(what)} in {shelf_words.where(folder)}.",
        ]
        self._say(turn, "exported", parts=said)

    def _tell_answer(self, name: str, key: str, turn: str) -> None:
        found = self._find(name, key)
        self._say(turn, "answer", text=search.answer(found))

    def _find(self, name: str, key: str) -> Any:
        found = search.find_answer(self._place(name), key)
        if found is None:
            raise InputError("This answer is not kept any more.")
        return found

    def _forget(self, name: str, key: str, turn: str) -> None:
        self._find(name, key)
        clearing.forget(self._place(name), key)
        self.look()
        self._say(turn, "forgotten")


def _plain(name: str) -> str:
    return layout.folder_name(name).rpartition("-")[0]


def _free(folder: Path, stem: str, ending: str) -> Path:
    """Return a file that is not there yet."""
    number = 1
    while True:
        path = folder / f"{stem}{'' if number == 1 else f'-{number}'}.{ending}"
        if not os.path.lexists(path):
            return path
        number += 1


_open: weakref.WeakSet[CacheManager] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    for manager in list(_open):
        manager._end()
