"""The cache manager: one widget over all projects, to look into them, export and clear them.

Nothing that the page sends is believed: a message names a project of the store or something
that this manager has cleared, and is looked up again before anything is done. No path ever comes
from the page.

Whatever reads or writes answers happens on the widget's own thread, so that the kernel stays
free and a large cache holds nobody up.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from pathlib import Path
from typing import Any, Literal

import traitlets

from llmnb import settings
from llmnb.display.escape import visible
from llmnb.display.texts import counted
from llmnb.engine.status import Clock
from llmnb.errors import InputError, StoreError
from llmnb.notebook import cache_view
from llmnb.notebook.request_surface import RequestSurface
from llmnb.notebook.surface import Bundle
from llmnb.store import clearing, layout, projects, transfer
from llmnb.store.entry import Entry
from llmnb.store.layout import ProjectPaths
from llmnb.store.projects import ProjectSummary
from llmnb.store.search import answer, find, find_answer

logger = logging.getLogger("llmnb")

PATIENCE_SECONDS = 2.0
"""How long a new manager waits for a large cache to be added up before it shows itself."""

FOLLOW_SECONDS = 1.0
"""How often a manager looks whether the files have changed."""

RESTS = 20
"""It rests so many times as long as the last look has taken, where that is longer."""

LONGEST_REST_SECONDS = 10.0

AGE_SECONDS = 60.0
"""Ages such as "3 min ago" are told anew at least this often."""

_EXPORTS = {"csv": transfer.export_csv, "jsonl": transfer.export_project}


class CacheManager(RequestSurface):
    """The projects of a cache folder, with what can be done about them.

    It follows what happens in the folder within seconds, in this kernel and in others.

    Clearing moves a project into the trash folder, from where `undo` brings it
    back; what is still there when the manager is closed, or when the process
    ends, is deleted.

    It stands wherever ipywidgets do, and its traits (`state`, `projects`, `answers`,
    `saved_usd`) can be observed and linked from. They are read-only; observers are called on a
    thread of llmnb's own.

    Args:
        project: The one project to show, and to let be exported or cleared, whether or not it is
            there yet; None: all of them.
        cache_dir: Folder of all projects; None: the one in use.

    Raises:
        InvalidProjectName: If no project can be called so.

    Example:
        >>> manager = CacheManager(cache_dir="no/such/folder")
        >>> manager.state, manager.answers
        ('empty', 0)
        >>> print(manager.text.splitlines()[-1])
        No answers kept yet. Every answer that you pay for is kept here, by project, so ...
        >>> manager.close()
    """

    scripts = ("parts.js", "requests.js", "cache_manager.js")
    styles = ("tokens.css", "reading.css", "cache_manager.css")
    overtaken = frozenset({"open"})

    state = traitlets.Enum(("looking", "empty", "list", "closed"), "looking", read_only=True)
    """``"looking"`` while a large cache is added up for the first time, ``"empty"`` where no
    answer is kept, ``"list"``, or ``"closed"``."""

    projects = traitlets.Int(0, read_only=True)
    """Projects that keep answers."""

    answers = traitlets.Int(0, read_only=True)
    """Answers kept."""

    saved_usd = traitlets.Float(0.0, read_only=True)
    """Dollars that answers used again have saved."""

    def __init__(
        self,
        project: str | None = None,
        *,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self._project = None if project is None else layout.check_name(project)
        self._root = settings.cache_dir(cache_dir).absolute()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._cleared: dict[str, ProjectSummary] = {}
        """What was cleared here, by what brings it back."""

        super().__init__(snapshot={"view": "looking", "where": cache_view.folder_text(self._root)})
        changes = projects.changes(self._root)
        self._jobs.put(self.look)
        self._jobs.wait(PATIENCE_SECONDS)
        _open.add(self)
        threading.Thread(
            target=self._follow, args=(changes,), name="llmnb-cache", daemon=True
        ).start()

    # ------------------------------------------------------------------ from anywhere

    def look(self, *, stays: bool = False) -> None:
        """Show the projects as they are now, the one used last first.

        Args:
            stays: Whether each stays in its place, for whoever is about to click.
        """
        summaries = self._summaries()
        with self._lock:
            if self._is_closed:
                return
            places = [row["name"] for row in self.snapshot.get("projects", ())] if stays else []
            self.snapshot = shown = cache_view.list_view(
                summaries, self._cleared, self._root, Clock.wall(), places=places
            )
        self.set_traits_safely(
            projects=len(summaries),
            answers=sum(summary.answers for summary in summaries),
            saved_usd=sum(summary.saved_usd for summary in summaries),
            state=shown["view"],
        )
        self.renew()

    def _follow(self, seen: object) -> None:
        """Look whenever the files have changed, until the manager is closed."""
        pause, looked = FOLLOW_SECONDS, Clock.monotonic()
        while not self._ended.wait(pause):
            began = Clock.monotonic()
            changes = projects.changes(self._root)
            if changes != seen or began - looked >= AGE_SECONDS:
                seen, looked = changes, began
                self._jobs.put(lambda: self.look(stays=True), only="follow")
                self._jobs.wait(PATIENCE_SECONDS)
            rest = RESTS * (Clock.monotonic() - began)
            pause = max(FOLLOW_SECONDS, min(rest, LONGEST_REST_SECONDS))

    def _summaries(self) -> list[ProjectSummary]:
        if self._project is None:
            return projects.list_projects(self._root)
        return [projects.summary(project) for project in self._stored()]

    def _stored(self) -> list[ProjectPaths]:
        """Return where the projects are kept that are shown."""
        if self._project is None:
            return layout.stored_projects(self._root)
        project = layout.find_project(self._root, self._project)
        return [] if project is None else [project]

    def clear(self, project: str | None = None) -> None:
        """Move a project's answers into the trash; None: those of every project.

        Raises:
            StoreError: If they cannot be moved.
        """
        if project is None:
            summaries = self._summaries()
        else:
            summaries = [projects.summary(self._find_project(project))]
        try:
            for summary in summaries:
                report = clearing.clear([summary.name], self._root, to_trash=True)
                with self._lock:
                    self._cleared |= dict.fromkeys(report.tokens, summary)
        finally:
            self.look()

    def undo(self, *tokens: str) -> None:
        """Bring back what was cleared; without names of it all of it.

        Raises:
            StoreError: If it cannot be brought back.
        """
        try:
            for token in tokens or list(self._cleared):
                if token not in self._cleared:
                    raise InputError("There is nothing to undo any more.")
                clearing.undo(token, self._root)
                with self._lock:
                    self._cleared.pop(token, None)
        finally:
            self.look()

    def close(self) -> None:
        """Delete for good what was cleared here, and close the widget."""
        super().close()
        self.set_traits_safely(state="closed")

    def on_close(self) -> None:
        """Empty this manager's part of the trash."""
        _open.discard(self)
        self._ended.set()
        with self._lock:
            cleared, self._cleared = self._cleared, {}
        self._jobs.wait(PATIENCE_SECONDS)
        for token in cleared:
            try:
                clearing.discard(token, self._root)
            except StoreError as error:
                logger.warning("%s", error)

    # ---------------------------------------------------------------------- on display

    @property
    def text(self) -> str:
        """The list of projects as text."""
        return cache_view.text(self._listed())

    def static(self) -> Bundle:
        """Return the list of projects as it stands where no widget shows."""
        shown = self._listed()
        return {"text/html": cache_view.html(shown), "text/plain": cache_view.text(shown)}

    def _listed(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.snapshot
        if shown.get("view") not in ("list", "empty"):  # added up later than anybody would wait
            return cache_view.list_view([], {}, self._root, Clock.wall())
        return shown

    # ------------------------------------------------------------------- from the page

    def _do_look(self) -> None:
        self.look()

    def _do_clear(self, project: str | None) -> None:
        self.clear(project)

    def _do_undo(self, gone: list[Any]) -> None:
        if tokens := [token for token in gone if type(token) is str]:
            self.undo(*tokens)

    def _do_close(self) -> None:
        self.close()

    def _find_project(self, name: str) -> ProjectPaths:
        project = layout.find_project(self._root, name)
        shown = self._project
        if project is None or (
            shown is not None and layout.normal_name(shown) != layout.normal_name(name)
        ):
            raise InputError(f"There is no project {cache_view.label(name)} any more.")
        return project

    def _find_answer(self, name: str, key: str) -> Entry:
        entry = find_answer(self._find_project(name), key)
        if entry is None:
            raise InputError("This answer is not kept any more.")
        return entry

    def _do_open(self, project: str, search: str, page: int, turn: str) -> None:
        paths = self._find_project(project)
        found = find(paths, search, page=page)
        self.reply(turn, "page", page=cache_view.page_view(found, paths.name, Clock.wall()))

    def _do_weigh(self, project: str | None, turn: str) -> None:
        if project is None:
            question = cache_view.clear_all_question(self._summaries(), Clock.wall())
        else:
            weight = clearing.weigh(self._find_project(project))
            question = cache_view.clear_question(weight, Clock.wall())
        self.reply(turn, "weighed", question=question)

    def _do_answer(self, project: str, key: str, turn: str) -> None:
        self.reply(turn, "answer", text=answer(self._find_answer(project, key)))

    def _do_export(self, project: str | None, format: Literal["csv", "jsonl"], turn: str) -> None:
        exported = self._stored() if project is None else [self._find_project(project)]
        folder = Path.cwd()
        count, written = 0, ""
        try:
            for paths in exported:
                stem = f"{paths.folder.name.rpartition('-')[0]}-answers"
                path = _free_path(folder, stem, format)
                count += _EXPORTS[format](paths, path)
                written = path.name
        except OSError as error:
            raise StoreError(f"{folder} cannot be written to: {error.strerror}.") from None
        what = written if len(exported) == 1 else counted(len(exported), "file")
        parts = [
            "",
            f"Wrote {counted(count, 'answer')}",
            f" to {visible(what)} in {cache_view.folder_text(folder)}.",
        ]
        self.reply(turn, "exported", parts=parts)

    def _do_forget(self, project: str, key: str) -> None:
        self._find_answer(project, key)
        clearing.forget(self._find_project(project), key)
        self.look()


def _free_path(folder: Path, stem: str, suffix: str) -> Path:
    """Return a file that is not there yet."""
    path, number = folder / f"{stem}.{suffix}", 1
    while os.path.lexists(path):
        number += 1
        path = folder / f"{stem}-{number}.{suffix}"
    return path


_open: weakref.WeakSet[CacheManager] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    for manager in list(_open):
        manager.end()
