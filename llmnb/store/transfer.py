"""Answers into files and out of them: JSONL, CSV, and the cache folders of dataformer."""

from __future__ import annotations

import base64
import csv
import io
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from llmnb.adapters import files
from llmnb.display.escape import inert_cell
from llmnb.display.texts import mended
from llmnb.errors import UnreadableFile
from llmnb.store import layout, projects, search
from llmnb.store.entry import Entry
from llmnb.store.layout import ProjectPaths
from llmnb.store.project import ProjectStore
from llmnb.user_code import warn
from llmnb.wire import json_bytes

FORMAT = "llmnb answers 1"
_FIELDS = [name for name in Entry.__dataclass_fields__ if name != "reused_from"]
_QUESTIONS = ("messages", "prompt", "input")

Resolve = Callable[[dict[str, Any]], "Entry | None"]
"""Turns a request into an entry without its reply: key, canonical request, who was asked."""


def export_project(project: ProjectPaths, path: Path) -> int:
    """Write a project's answers to a file, one a line; returns how many.

    Bytes that are not text travel as base64, so nothing is lost: `import_file`
    makes the project anew from it. A file that stands there is replaced once
    the new one is whole.
    """
    count = 0
    with files.whole_file(path) as file:
        file.write(orjson.dumps({"format": FORMAT, "project": project.name}) + b"\n")
        for entry in projects.each(project):
            line = {name: _plain(getattr(entry, name)) for name in _FIELDS}
            file.write(orjson.dumps(line) + b"\n")
            count += 1
    return count


_COLUMNS = (
    *("question", "answer", "provider", "model", "quality", "usd", "prompt_tokens"),
    *("completion_tokens", "seconds", "created", "simulated", "key"),
)


def export_csv(project: ProjectPaths, path: Path, *, lossless: bool = False) -> int:
    """Write a project's questions and answers to a CSV file; returns how many.

    Text that a spreadsheet would take for a formula gets an apostrophe before
    it, and control characters of a terminal are taken out.

    Args:
        project: Where it is kept.
        path: Replaced once the new file is whole.
        lossless: Leave every text as it is, for programs that read it as data only.
    """
    count = 0
    with (
        files.whole_file(path) as binary,
        io.TextIOWrapper(binary, encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(_COLUMNS)
        for entry in projects.each(project):
            cells = (_cell(entry, name) for name in _COLUMNS)
            writer.writerow([cell if lossless else _guarded(cell) for cell in cells])
            count += 1
    return count


def _cell(entry: Entry, column: str) -> Any:
    match column:
        case "question":
            return mended(search.question(entry))
        case "answer":
            return mended(search.answer(entry))
        case "created":
            return datetime.fromtimestamp(entry.created, UTC).isoformat(timespec="seconds")
        case "simulated":
            return "yes" if entry.simulated else ""
    return getattr(entry, column)


def _guarded(cell: Any) -> Any:
    """Return a cell without control characters of a terminal, that is no formula."""
    if not isinstance(cell, str):
        return cell
    return inert_cell(
        "".join(sign for sign in cell if sign in "\t\r\n" or unicodedata.category(sign) != "Cc")
    )


def import_file(path: Path, cache_dir: Path, *, project: str | None = None) -> tuple[int, str]:
    """Read an export into a project; returns how many answers and the project's name.

    Of a file that was cut off, as by a full disk, the whole lines are read, with a warning.

    Raises:
        UnreadableFile: If it is no export.
    """
    try:
        data = path.read_bytes()
        lines = data.splitlines()
        head = orjson.loads(lines[0])
        if head["format"] != FORMAT:
            raise KeyError
        name = project or str(head["project"])
        if not data.endswith(b"\n") and not _is_json(lines[-1]):
            warn(f"{path.name} ends in the middle of an answer: those before it are imported.")
            del lines[-1]
        entries = [_entry(orjson.loads(line)) for line in lines[1:]]
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror}.") from None
    except (KeyError, TypeError, IndexError, ValueError, AttributeError):
        raise UnreadableFile(f"{path} is not an export of llmnb's.") from None
    return _keep(entries, name, cache_dir), name


def import_dataformer(
    folder: Path, cache_dir: Path, *, resolve: Resolve, project: str | None = None
) -> tuple[int, int]:
    """Import a cache folder of dataformer's, so that its answers need not be paid for again.

    Args:
        folder: Holds ``association.jsonl`` and one JSONL file for each list of requests.
        cache_dir: Folder of all projects.
        resolve: Says under which key a request's answer is kept.
        project: Project for all of them; None keeps dataformer's own.

    Returns:
        Answers kept, and lines that were errors or could not be read.
    """
    owners = _owners(folder)
    kept: dict[str, list[Entry]] = {}
    skipped = 0
    for path in sorted(folder.glob("*.jsonl")):
        if path.name == "association.jsonl":
            continue
        owner = project or owners.get(path.stem, "dataformer")
        for request, response in _answers(path):
            entry = None if request is None else resolve(request)
            if entry is None or not isinstance(response, dict):
                skipped += 1
                continue
            raw = json_bytes.write(response, is_strict=False)
            kept.setdefault(owner, []).append(replace(entry, raw=raw, created=time.time()))
    return sum(_keep(entries, name, cache_dir) for name, entries in kept.items()), skipped


def _owners(folder: Path) -> dict[str, str]:
    """Return the project of each file of requests."""
    try:
        associations = orjson.loads((folder / "association.jsonl").read_bytes())
        pairs = associations["project_requests"].items()
        return {str(name): str(project) for project, names in pairs for name in names}
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return {}


def _answers(path: Path) -> Iterator[tuple[dict[str, Any] | None, Any]]:
    """Yield request and response of each line; the request is None where it cannot be read."""
    for line in path.read_bytes().splitlines():
        try:
            parts = json_bytes.read(line)
        except json_bytes.NotJSON:
            parts = None
        # [{hash: id}, request, response(, metadata)], or the same without its first part.
        for request, response in pairwise(parts if isinstance(parts, list) else ()):
            if isinstance(request, dict) and not request.keys().isdisjoint(_QUESTIONS):
                yield request, response
                break
        else:
            yield None, None


def _keep(entries: list[Entry], name: str, cache_dir: Path) -> int:
    store = ProjectStore(layout.paths_of(cache_dir, name), share=False)
    known = store.lookup([entry.key for entry in entries])
    new = [entry for entry in entries if entry.key not in known]
    if new:
        store.commit(new, is_bought=False)
    return len(new)


def _is_json(line: bytes) -> bool:
    try:
        json_bytes.read(line)
    except json_bytes.NotJSON:
        return False
    return True


def _plain(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode("ascii")}


def _entry(line: dict[str, Any]) -> Entry:
    values = {name: line[name] for name in _FIELDS if name in line}
    for name in ("request", "raw"):
        value = values[name]
        values[name] = (
            base64.b64decode(value["base64"]) if isinstance(value, dict) else value.encode("utf-8")
        )
    if not all(isinstance(value, _KINDS.get(name, str)) for name, value in values.items()):
        raise ValueError("a value of another type")
    return Entry(**values)


_KINDS: dict[str, Any] = {
    **dict.fromkeys(("request", "raw"), bytes),
    **dict.fromkeys(("usd", "prompt_tokens", "completion_tokens", "seconds"), int | float | None),
    **{"created": int | float, "simulated": bool},
}
"""Types of an entry's fields; the others are texts."""
