"""Removing answers: for good, or into a trash folder from which they can be restored.

Only what carries llmnb's own mark is touched: known files of marked project
folders. A stranger's file stays, and so does the folder it lies in; links are
not followed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from llmnb.adapters import files
from llmnb.adapters.diskcache import FILE_NAME, Database
from llmnb.adapters.file_lock import locked
from llmnb.errors import StoreError
from llmnb.store import layout, projects, usage
from llmnb.store.layout import ProjectPaths
from llmnb.store.project import databases
from llmnb.store.projects import ProjectSummary
from llmnb.store.writer import writer

_SAVING_SECONDS = 10.0
"""How long clearing waits for answers that are being saved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearReport:
    """What clearing took away."""

    removed: dict[str, int] = field(default_factory=dict)
    """Answers removed, by project."""

    unknown: tuple[str, ...] = ()
    """Names that no project has; nothing was cleared for them."""

    elsewhere: int = 0
    """Removed answers that stand in other projects, too."""

    tokens: tuple[str, ...] = ()
    """What `undo` takes, for projects that went to the trash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What clearing a project would take away."""

    project: ProjectSummary
    elsewhere: int = 0
    """Answers that stand in projects that stay, too."""

    others: tuple[str, ...] = ()
    """Those projects, the one with the most of them first."""


def weigh(project: ProjectPaths) -> Weight:
    """Return what clearing a project would take away; nothing is changed."""
    own = set(projects.keys(project))
    shared = {
        other.name: both
        for other in layout.stored_projects(project.root)
        if other.folder != project.folder and (both := own.intersection(projects.keys(other)))
    }
    return Weight(
        project=projects.summary(project),
        elsewhere=len(set().union(*shared.values())),
        others=tuple(sorted(shared, key=lambda name: -len(shared[name]))),
    )


def clear(what: str | Iterable[str], cache_dir: Path, *, to_trash: bool = False) -> ClearReport:
    """Remove the answers of projects.

    Args:
        what: A project's name, several names, or the word ``"full"`` for all. A project that is
            itself called full is cleared by ``["full"]``.
        cache_dir: Folder of all projects.
        to_trash: Keep them in the trash folder, so that `undo` can bring them back.

    Raises:
        StoreError: If a project cannot be removed.
    """
    # Copies of another project's answers are saved soon after a run, and belong to what is cleared:
    # a project may not be there before they are saved, and would come back with them afterwards.
    writer().flush(_SAVING_SECONDS)
    wanted: dict[str, ProjectPaths] = {}
    unknown = []
    if what == "full":
        wanted = {project.name: project for project in layout.stored_projects(cache_dir)}
    else:
        for name in [what] if isinstance(what, str) else what:
            project = layout.find_project(cache_dir, name)
            if project is None:
                unknown.append(name)
            else:
                wanted[project.name] = project
    usage.save_hits()  # so that what was counted goes along, and can come back
    gone: set[str] = set()
    removed: dict[str, int] = {}
    tokens: list[str] = []
    for project in wanted.values():
        keys = projects.keys(project)
        with locked(project.lock):
            databases.forget(project.folder)
            if to_trash:
                tokens.append(_to_trash(project))
            else:
                _remove(project.folder)
        gone.update(keys)
        removed[project.name] = len(keys)
    others: set[str] = set()
    if gone:
        others = others.union(*map(projects.keys, layout.stored_projects(cache_dir)))
    return ClearReport(
        removed=removed,
        unknown=tuple(unknown),
        elsewhere=len(gone & others),
        tokens=tuple(tokens),
    )


def _remove(folder: Path) -> None:
    """Delete llmnb's own files of a folder, and the folder when nothing else is in it."""
    try:
        for path in (*layout.own_files(folder), *layout.run_files(folder)):
            if path.is_symlink() or path.is_file():
                path.unlink()  # a link itself, never what it points to
    except OSError as error:
        raise StoreError(f"{folder} cannot be cleared: {error}") from None
    _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    """Remove a project's folder when nothing is in it; a stranger's file keeps it."""
    for empty in (folder / layout.RUNS, folder):
        with suppress(OSError):
            empty.rmdir()


def _to_trash(project: ProjectPaths) -> str:
    token = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(3).hex()}-{project.folder.name}"
    target = project.root / layout.TRASH / token
    try:
        files.make_folder(target.parent)
        files.make_folder(target, must_be_new=True)
        _move(layout.own_files(project.folder), target)
        _move_runs(project.folder, target)
    except OSError as error:
        raise StoreError(f"Project {project.name!r} cannot be cleared: {error}") from None
    _remove_empty(project.folder)
    return token


def _move_runs(source: Path, target: Path) -> None:
    """Move the indexes of runs from one project's folder into another's."""
    runs = layout.run_files(source)
    if not runs:
        return
    if len(runs) == len(os.listdir(source / layout.RUNS)):
        with suppress(OSError):  # there are some already
            files.move(source / layout.RUNS, target / layout.RUNS)
            return
    files.make_folder(target / layout.RUNS)
    _move(runs, target / layout.RUNS)


def _move(paths: Iterable[Path], folder: Path) -> None:
    """Move the files that are there into a folder; of a link nothing but itself is removed."""
    for path in paths:
        if path.is_symlink():
            path.unlink()
        elif path.is_file():
            files.move(path, folder / path.name)


def undo(token: str, cache_dir: Path) -> int:
    """Bring a project back from the trash; returns how many answers came back.

    Where a project of that name has been made anew, the answers are added to
    it; an answer that both have stays as the newer project has it.

    Raises:
        StoreError: If nothing of that token lies in the trash.
    """
    folder = cache_dir / layout.TRASH / Path(token).name
    mark = layout.read_mark(folder)
    if mark is None:
        raise StoreError(f"There is nothing to undo under {token!r}.")
    project = layout.paths_of(cache_dir, mark["name"])
    with locked(project.lock):
        source = Database(folder)
        try:
            database = databases.open(project)
            there = set(database.keys())
            count = database.put_all(item for item in source.items() if item[0] not in there)
        finally:
            source.close()
        _move_runs(folder, project.folder)
    usage.add_hits(project.folder, usage.stored_hits(folder))
    _remove(folder)
    return count


def forget(project: ProjectPaths, key: str) -> bool:
    """Delete one answer for good; returns whether there was one.

    Raises:
        StoreError: If it cannot be deleted.
    """
    with locked(project.lock):
        if not (project.folder / FILE_NAME).exists():
            return False
        return databases.open(project).delete(key)


def discard(token: str, cache_dir: Path) -> None:
    """Delete one project that lies in the trash, for good; nothing where it does not.

    Raises:
        StoreError: If it cannot be deleted.
    """
    folder = cache_dir / layout.TRASH / Path(token).name
    if layout.read_mark(folder) is not None:
        _remove(folder)


def list_trash(cache_dir: Path) -> list[tuple[str, str]]:
    """Return token and name of what lies in the trash, the newest first."""
    try:
        folders = sorted((cache_dir / layout.TRASH).iterdir(), reverse=True)
    except OSError:
        return []
    return [
        (folder.name, mark["name"])
        for folder in folders
        if (mark := layout.read_mark(folder)) is not None
    ]
