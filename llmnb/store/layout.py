"""Where each project of a cache folder is kept, and which folders carry llmnb's own mark.

::

    <cache_dir>/
        maths-1a2b3c4d5e6f/      a project: project.json (the mark), cache.db, hits.json
            runs/                what became of the rows of each run: see run_index.py
        .locks/                  one lock a project, and who is asking which of its rows
        .spend/                  one append-only log a project; clearing leaves it alone
        .labels/                 what people said of rows, one append-only log a project; likewise
        .trash/                  projects cleared a moment ago

Project names are text, not paths: any name is safe, and stays spelled as it was first.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from llmnb.adapters import files
from llmnb.display.texts import cut
from llmnb.errors import ConfigurationError, InvalidProjectName

MARK = "project.json"
HITS = "hits.json"
OWN_FILES = (MARK, HITS, "cache.db", "cache.db-wal", "cache.db-shm", "cache.db-journal")
RUNS = "runs"
RUN_SUFFIX = ".idx"
LOCKS, SPEND, LABELS, TRASH = ".locks", ".spend", ".labels", ".trash"
MAX_CHARACTERS = 200
"""Characters of a project's name at most."""


# ----------------------------------------------------------------------------- names


def check_name(name: str) -> str:
    """Return a project's name in NFC if it can be one.

    Raises:
        InvalidProjectName: If it is empty, too long, or holds control characters.

    Example:
        >>> check_name("Träume/2026")
        'Träume/2026'
    """
    if not isinstance(name, str):
        raise InvalidProjectName(f"A project's name is text, not {type(name).__name__}.")
    name = unicodedata.normalize("NFC", name)
    if not name.strip():
        raise InvalidProjectName("A project's name must not be empty.")
    if len(name) > MAX_CHARACTERS:
        raise InvalidProjectName(
            f"A project's name has at most {MAX_CHARACTERS} characters, this one {len(name)}."
        )
    for position, character in enumerate(name, start=1):
        if unicodedata.category(character) in ("Cc", "Cs"):
            raise InvalidProjectName(
                f"A project's name holds no control characters; this one has one at {position}."
            )
    return name


def normal_name(name: str) -> str:
    """Return the form in which names are compared.

    Example:
        >>> normal_name("Generate_Data") == normal_name("generate_data")
        True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def folder_name(name: str) -> str:
    """Return the name of a project's folder, whatever the project is called.

    Readable letters come first, a hash of the whole name makes it unique and
    safe on every file system.

    Example:
        >>> folder_name("../etc/passwd")
        'etc-passwd-7fef78f53440'
    """
    compared = normal_name(name)
    plain = unicodedata.normalize("NFKD", compared).encode("ascii", "ignore").decode()
    readable = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or "project"
    return f"{readable}-{hashlib.sha256(compared.encode()).hexdigest()[:12]}"


# ----------------------------------------------------------------------------- paths


@dataclass
class ProjectPaths:
    """Where one project is kept.

    Args:
        root: The cache folder.
        name: The project's name as it was first spelled.
    """

    root: Path
    name: str

    def __post_init__(self) -> None:
        folder = folder_name(self.name)
        self.folder = self.root / folder
        self.runs = self.folder / RUNS
        self.lock = self.root / LOCKS / f"{folder}.lock"
        self.claims = self.root / LOCKS / f"{folder}.claims"
        """Which process is asking for which of its answers."""

        self.spend = self.root / SPEND / f"{folder}.jsonl"
        """The log of what was spent."""

        self.labels = self.root / LABELS / f"{folder}.jsonl"
        """The log of what people said of rows."""


def paths_of(root: Path, name: str) -> ProjectPaths:
    """Return where a project is kept, under the name it was first spelled with."""
    name = check_name(name)
    mark = read_mark(root / folder_name(name))
    return ProjectPaths(root, mark["name"] if mark is not None else name)


def stored_projects(root: Path) -> list[ProjectPaths]:
    """Return where all projects of a cache folder are kept, by name."""
    try:
        folders = [entry for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    projects = []
    for entry in folders:
        mark = None if entry.name.startswith(".") else read_mark(Path(entry.path))
        # A mark that was copied into another folder marks nothing.
        if mark is not None and folder_name(mark["name"]) == entry.name:
            projects.append(ProjectPaths(root, mark["name"]))
    return sorted(projects, key=lambda paths: normal_name(paths.name))


def find_project(root: Path, name: str) -> ProjectPaths | None:
    """Return where the project of that name is kept, however it is spelled; None: there is none."""
    wanted = normal_name(name)
    projects = stored_projects(root)
    return next((paths for paths in projects if normal_name(paths.name) == wanted), None)


def project_named(root: Path, name: str) -> ProjectPaths:
    """Return where the project of that name is kept, however it is spelled.

    Raises:
        ConfigurationError: If there is none; it names those there are.
    """
    if (project := find_project(root, name)) is None:
        known = ", ".join(repr(each.name) for each in stored_projects(root))
        raise ConfigurationError(
            f"There is no project {name!r} in {root}. "
            f"{'There is: ' + cut(known, 300) if known else 'No answers are kept there yet'}."
        )
    return project


def make_root(root: Path) -> None:
    """Make the cache folder and the private folders of locks and spend logs."""
    if not root.is_dir():  # the folder of all projects may be a link
        files.make_folder(root)
    for name in (LOCKS, SPEND):
        files.make_folder(root / name)


def own_files(folder: Path) -> list[Path]:
    """Return where in a project's folder llmnb's own files stand, those of its runs left out."""
    return [folder / name for name in OWN_FILES]


def run_files(folder: Path) -> list[Path]:
    """Return the indexes of runs in a project's folder, the oldest first; links are not followed.

    Args:
        folder: A project's, in its place or in the trash.
    """
    runs = folder / RUNS
    try:
        names = [] if runs.is_symlink() else sorted(os.listdir(runs))
    except OSError:
        return []
    return [runs / name for name in names if name.endswith(RUN_SUFFIX)]


def write_mark(paths: ProjectPaths) -> None:
    """Write the project's mark, unless it is there."""
    path = paths.folder / MARK
    if not path.exists():
        mark = {"llmnb": 1, "name": paths.name, "created": time.time()}
        files.write_private(path, orjson.dumps(mark))


def read_mark(folder: Path) -> dict[str, Any] | None:
    """Return a folder's mark, None where it is not a project of llmnb's.

    Links are not followed.
    """
    path = folder / MARK
    if folder.is_symlink() or path.is_symlink():
        return None
    try:
        mark = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    is_ours = (
        isinstance(mark, dict) and mark.get("llmnb") == 1 and isinstance(mark.get("name"), str)
    )
    return mark if is_ours else None
