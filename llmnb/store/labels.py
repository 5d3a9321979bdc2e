"""What people said of a project's rows: labels, and corrections of a model's answers.

One append-only log per project; clearing answers leaves it alone. A line is one act: a label, a
row passed over, an act taken back, or which fields a question is about. It is on the disk before
the call returns. A row is known by its content, so labels outlive sorting, new columns and the
kernel, and a row whose content changed has none.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from llmnb import settings
from llmnb.adapters import files
from llmnb.adapters.file_lock import locked
from llmnb.display.texts import counted, mended
from llmnb.errors import InputError, StoreError
from llmnb.store import layout
from llmnb.user_code import warn

Label = str | int | float | bool
"""What a person says of a row: plain text, or another plain value."""

RANDOM = "random"

_HEAD_BYTES = 64
"""By so much of its beginning, which holds a moment, a file is known again."""

LOCK_SECONDS = 10.0
"""How long a label waits for another process that is writing one."""


def row_keys(cells: Mapping[str, Sequence[str | None]]) -> list[str]:
    """Return a key for each row, which is the same for rows of the same content only.

    Args:
        cells: The fields that a row is known by, as texts, None where one is missing; the order
            of the fields does not matter.

    Example:
        >>> keys = row_keys({"text": ["so good", "so bad", "so good"]})
        >>> keys[0] == keys[2], keys[0] == keys[1], len(keys[0])
        (True, False, 32)
    """
    columns = [_encoded_cells(name, cells[name]) for name in sorted(cells)]
    return [
        hashlib.blake2b(b"".join(row), digest_size=16).hexdigest()
        for row in zip(*columns, strict=True)
    ]


def _encoded_cells(name: str, cells: Sequence[str | None]) -> list[bytes]:
    """Return each cell with its name; a missing one is another content than an empty one."""
    encoded_name = name.encode("utf-8", "surrogatepass")
    head = len(encoded_name).to_bytes(8, "big") + encoded_name
    missing, present = head + b"\0", head + b"\1"
    # Each text with its length before it, so that no two lists of texts run together.
    return [
        missing
        if cell is None
        else present + len(data := cell.encode("utf-8", "surrogatepass")).to_bytes(8, "big") + data
        for cell in cells
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What was said of a row, once."""

    id: str
    key: str
    """The row's, as `row_keys` returns it."""

    label: Label | None
    """None: the row was passed over."""

    sample: str
    """How the row was chosen, such as `RANDOM`."""

    at: float
    """Seconds since the epoch."""


def plain_label(label: Label) -> Label:
    """Return a label as it can be kept.

    Raises:
        InputError: If it is a number that cannot, or no plain value.
    """
    if not isinstance(label, Label):
        raise InputError(f"A label is a text or a number, not {type(label).__name__}.")
    if isinstance(label, str):
        return mended(label)
    if not -(2**63) <= label < 2**64:  # neither is what is no number, or infinite
        raise InputError(f"A label is a text or a number of at most 64 bits, not {label!r}.")
    return label


def new_act(key: str, label: Label | None, sample: str = RANDOM) -> Act:
    """Return an act that is not kept yet.

    Raises:
        InputError: If it is a number that cannot be kept.
    """
    label = None if label is None else plain_label(label)
    return Act(id=secrets.token_hex(6), key=key, label=label, sample=sample, at=time.time())


def open_labels(question: str, project: str | None = None) -> LabelStore:
    """Return the labels of a question in a project; nothing is made until one is given.

    Args:
        question: Its name, such as the column that its answers stand in.
        project: Any text; None: `LLMNB_PROJECT`, else ``default``.

    Raises:
        InvalidProjectName: If it cannot be a name.
        StoreError: If the labels cannot be read.

    Example:
        >>> store = open_labels("mood", "example")
        >>> key = row_keys({"text": ["so good"]})[0]
        >>> act = store.give(key, "kind")
        >>> open_labels("mood", "example").labels == {key: "kind"}
        True
        >>> store.undo(act.id)
        >>> store.labels
        {}
    """
    name = settings.project_name(project)
    return LabelStore(layout.paths_of(settings.cache_dir(), name), question)


class LabelStore:
    """The labels of one question in a project, those that other processes give included.

    Args:
        project: Where it is kept.
        question: The question's name.

    Raises:
        StoreError: If they cannot be read.
    """

    def __init__(self, project: layout.ProjectPaths, question: str) -> None:
        self.project = project
        self.question = mended(question)
        self._lock = threading.Lock()
        self._forget()
        self.refresh()

    def _forget(self) -> None:
        """Know of nothing, as before anything was read."""
        self.fields: tuple[str, ...] | None = None
        """The fields that rows were last known by; None before the first label."""

        self._acts: dict[str, Act] = {}
        self._taken_back: set[str] = set()
        self._of_row: dict[str, list[Act]] = {}
        self._last: dict[str, Act] = {}  # of each row what was said last and not taken back
        self._read_to = 0
        self._head = b""
        self._damaged: set[int] = set()

    # -------------------------------------------------------------------- what was said

    def said(self, key: str) -> Act | None:
        """Return what was last said of a row and not taken back."""
        return self._last.get(key)

    def all_said(self) -> dict[str, Act]:
        """Return what was last said of each row, rows passed over included."""
        return dict(self._last)

    def acts(self) -> list[Act]:
        """Return what was said and not taken back, the oldest first."""
        acts = list(self._acts.values())
        return [act for act in acts if act.id not in self._taken_back]

    @property
    def labels(self) -> dict[str, Label]:
        """The label of each row that has one, by the row's key."""
        said = self._last.copy()  # another thread may add to it
        return {key: act.label for key, act in said.items() if act.label is not None}

    # -------------------------------------------------------------------------- saying

    def give(self, key: str, label: Label, *, sample: str = RANDOM) -> Act:
        """Give a row a label; it is on the disk when this returns.

        Args:
            key: The row's, as `row_keys` returns it.
            label: What is said of it; it replaces what was said before.
            sample: How the row was chosen.

        Raises:
            StoreError: If it could not be kept; then nothing has changed.
        """
        act = new_act(key, label, sample)
        self.keep(act)
        return act

    def keep(self, act: Act) -> None:
        """Keep an act; one that is kept already, or was in doubt, is kept once.

        Raises:
            StoreError: If it could not be kept.
        """
        said = {"skip": True} if act.label is None else {"label": act.label}
        self._append({"id": act.id, "at": act.at, "key": act.key, "sample": act.sample, **said})

    def undo(self, act_id: str) -> None:
        """Take an act back: what was said of its row before holds again.

        Raises:
            StoreError: If that could not be kept.
        """
        self._append({"undo": act_id, "at": time.time()})

    def remember_fields(self, fields: Sequence[str]) -> None:
        """Note which fields rows are known by from now on.

        Raises:
            StoreError: If it could not be kept.
        """
        names = tuple(map(mended, fields))
        if names != self.fields:
            self._append({"at": time.time(), "fields": names})

    def _append(self, line: dict[str, Any]) -> None:
        data = orjson.dumps({**line, "question": self.question}) + b"\n"
        path = self.project.labels
        try:
            layout.make_root(self.project.root)
            files.make_folder(path.parent)
            with self._alone():
                self._forget_what_was_cut()
                files.append_private(path, data, is_synced=True)
        except OSError as error:
            why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or error
            raise StoreError(f"Not saved: {why}. The label would stand in {path}.") from None
        self.refresh()

    def _alone(self) -> AbstractContextManager[None]:
        """Keep other processes from writing: what is half written is then torn for good."""
        return locked(self.project.labels.with_suffix(".lock"), timeout=LOCK_SECONDS)

    # ------------------------------------------------------------------------- reading

    def refresh(self) -> None:
        """Read what was added since, by this process or another.

        Raises:
            StoreError: If the log cannot be read.
        """
        with self._lock:
            before = len(self._damaged)
            self._forget_what_was_cut()
            self._read(self.project.labels)
            if damaged := len(self._damaged) - before:
                was = "was" if damaged == 1 else "were"
                warn(
                    f"{counted(damaged, 'line')} of the labels of project {self.project.name!r} "
                    f"{was} cut off or damaged, and {was} passed over; the other labels are whole. "
                    f"They are in {self.project.labels}."
                )

    def _read(self, path: Path) -> None:
        try:
            with files.open_to_read(path, through_links=False) as file:
                if file.read(len(self._head)) != self._head:
                    self._forget()  # somebody has put another file there
                file.seek(self._read_to)
                data = file.read()
        except FileNotFoundError:
            self._forget()
            return
        except OSError as error:
            raise StoreError(f"Labels cannot be read: {error}") from None
        self._head = self._head or data[:_HEAD_BYTES]
        for line in data.splitlines(keepends=True):
            at, is_whole = self._read_to, line.endswith(b"\n")
            if is_whole:
                self._read_to += len(line)
            if not line.strip() or self._add(line):
                continue
            if is_whole or self._is_torn(path, at, line):
                self._damaged.add(at)

    def _forget_what_was_cut(self) -> None:
        """Read all of a file anew that has become shorter than what was read of it."""
        with contextlib.suppress(OSError):
            if os.stat(self.project.labels).st_size < self._read_to:
                self._forget()

    def _is_torn(self, path: Path, at: int, line: bytes) -> bool:
        """Whether nobody is about to finish the last line."""
        with self._alone(), files.open_to_read(path, through_links=False) as file:
            file.seek(at)
            return file.read() == line

    def _add(self, data: bytes) -> bool:
        """Add a line to what is known; returns False where it is none of ours."""
        try:
            line = orjson.loads(data)
            if line["question"] != self.question:
                return True
            if "undo" in line:
                self._take_back(str(line["undo"]))
            elif "fields" in line:
                self.fields = tuple(map(str, line["fields"]))
            else:
                self._add_act(line)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return False
        return True

    def _add_act(self, line: dict[str, Any]) -> None:
        label = None if line.get("skip") else line["label"]
        if label is not None and not isinstance(label, Label):
            raise TypeError("a label is a plain value")
        act = Act(
            id=str(line["id"]),
            key=str(line["key"]),
            label=label,
            sample=str(line["sample"]),
            at=float(line["at"]),
        )
        if act.id not in self._acts:  # else it was kept twice, because it was in doubt
            self._acts[act.id] = act
            self._of_row.setdefault(act.key, []).append(act)
            self._last[act.key] = act

    def _take_back(self, act_id: str) -> None:
        self._taken_back.add(act_id)
        if (act := self._acts.get(act_id)) is None:
            return
        left = [other for other in self._of_row[act.key] if other.id not in self._taken_back]
        if left:
            self._last[act.key] = left[-1]
        else:
            self._last.pop(act.key, None)
