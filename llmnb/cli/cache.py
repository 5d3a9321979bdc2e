"""`llmnb cache`: list, show, clear, export and import the answers of projects."""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from llmnb import settings
from llmnb.cli import text
from llmnb.display import durations, numbers
from llmnb.display.escape import visible
from llmnb.display.money import usd
from llmnb.display.texts import counted, cut
from llmnb.errors import ConfigurationError, LLMNBError
from llmnb.options import ROWS
from llmnb.store import clearing, layout, projects, search, transfer
from llmnb.store.entry import Entry
from llmnb.targets.resolve import choose, resolve


def add_cache_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        "--cache-dir",
        type=Path,
        metavar="FOLDER",
        help="the folder of all projects, named before ACTION; default: LLMNB_CACHE_DIR, else "
        ".cache/llmnb",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    def add(name: str, description: str, do: Callable[..., int]) -> argparse.ArgumentParser:
        sentence = f"{description[0].upper()}{description[1:]}."
        action = actions.add_parser(name, help=description, description=sentence)
        action.set_defaults(do=do)
        return action

    add("list", "list projects, their answers, and what these cost", _list)
    action = add("show", "show prompts and answers of a project", _show)
    action.add_argument("project", help="the project's name")
    action.add_argument("--search", metavar="TEXT", help="only those that hold these words")
    action.add_argument(
        "--limit", type=int, default=20, metavar="N", help="how many, the oldest first (20)"
    )
    action = add("clear", "take answers away; `llmnb cache undo` brings them back", _clear)
    action.add_argument("projects", nargs="*", metavar="PROJECT", help="the projects' names")
    action.add_argument("--all", action="store_true", help="every project")
    action.add_argument("--now", action="store_true", help="delete at once, for good")
    action.add_argument("--yes", action="store_true", help="do not ask")
    add("undo", "bring back what was cleared last", _undo)
    action = add("export", "write a project's answers to a JSONL or CSV file", _export)
    action.add_argument("project", help="the project's name")
    action.add_argument("file", type=Path, help="JSONL, which can be imported again, or NAME.csv")
    action.add_argument(
        "--raw", action="store_true", help="write texts into CSV as they are, formulas included"
    )
    action = add("import", "read an export, or a folder of dataformer's cache", _import)
    action.add_argument("source", type=Path, help="a file that `llmnb cache export` wrote")
    action.add_argument(
        "--project", metavar="NAME", help="default: the project it was exported from"
    )
    action.add_argument("--model", help="for dataformer's requests that name none: provider/model")


def cache(options: argparse.Namespace) -> int:
    """Run the command."""
    return int(options.do(options, settings.cache_dir(options.cache_dir)))


def _list(options: argparse.Namespace, root: Path) -> int:
    summaries = projects.list_projects(root)
    if not summaries:
        print(f"No answers kept yet in {root}. They are kept as soon as a model has answered.")
        return 0
    now = time.time()
    rows = [
        (
            summary.name,
            f"{summary.answers:,}",
            numbers.size(summary.size_bytes),
            durations.ago(now - summary.last_used) if summary.last_used else "never",
            f"{summary.hits:,}",
            usd(summary.saved_usd),
            usd(summary.worth_usd),
        )
        for summary in summaries
    ]
    header = ("project", "answers", "size", "last used", "used again", "saved", "to buy again")
    print(text.table(header, rows, right=(1, 2, 4, 5, 6)))
    print(f"\nin {root}")
    if trashed := clearing.list_trash(root):
        print(f"In the trash: {len(trashed):,}; `llmnb cache undo` brings the last one back.")
    return 0


def _show(options: argparse.Namespace, root: Path) -> int:
    project = layout.project_named(root, options.project)
    limit = ROWS.checked("--limit", options.limit)
    entries = list(islice(search.holding(project, options.search or ""), limit))
    if not entries:
        print("No answer holds these words." if options.search else "No answers kept yet.")
        return 0
    for entry in entries:
        age = durations.ago(time.time() - entry.created)
        marks = [f"{entry.provider}/{entry.model}", age, usd(entry.usd)]
        marks += ["simulated"] * entry.simulated + [entry.quality] * (entry.quality != "good")
        print(visible(" · ".join(marks)))
        for name, words in (("asked", search.question(entry)), ("answered", search.answer(entry))):
            print(f"  {name:<10}" + cut(visible(words), text.terminal_width() - 12))
    return 0


def _clear(options: argparse.Namespace, root: Path) -> int:
    if bool(options.projects) == options.all:
        raise ConfigurationError("Name the projects to clear, or --all, not both.")
    wanted = {}
    if options.all:
        wanted = {summary.name: summary for summary in projects.list_projects(root)}
    for name in options.projects:
        if (project := layout.find_project(root, name)) is None:
            print(f"There is no project {visible(name)!r}; nothing is cleared for it.")
        else:
            wanted[project.name] = projects.summary(project)
    if not wanted:
        print("Nothing to clear.")
        return 1 if options.projects else 0
    answers = counted(sum(summary.answers for summary in wanted.values()), "answer")
    worth = usd(sum(summary.usd for summary in wanted.values()))
    names = ", ".join(map(visible, wanted))
    if not options.yes:
        print(f"Clear {answers} of {names}? Buying them again would cost {worth}.")
        print("For good." if options.now else "`llmnb cache undo` brings them back.")
        print("Type yes to clear: ", end="", flush=True)
        if sys.stdin.readline().strip().lower() not in ("yes", "y"):
            print("Kept.")
            return 0
    report = clearing.clear(wanted, root, to_trash=not options.now)
    for name, count in report.removed.items():
        print(f"Cleared {counted(count, 'answer')} of {visible(name)}.")
    if report.elsewhere:
        print(f"{report.elsewhere:,} of them stand in other projects, too, and are still used.")
    return 0


def _undo(options: argparse.Namespace, root: Path) -> int:
    trashed = clearing.list_trash(root)
    if not trashed:
        print("There is nothing to undo.")
        return 0
    token, name = trashed[0]
    print(f"Brought {counted(clearing.undo(token, root), 'answer')} of {visible(name)} back.")
    return 0


def _export(options: argparse.Namespace, root: Path) -> int:
    project = layout.project_named(root, options.project)
    try:
        if options.file.suffix.lower() == ".csv":
            count = transfer.export_csv(project, options.file, lossless=options.raw)
        else:
            count = transfer.export_project(project, options.file)
    except OSError as error:
        why = error.strerror or error
        raise ConfigurationError(f"{options.file} cannot be written: {why}.") from None
    print(f"Wrote {counted(count, 'answer')} to {options.file}.")
    return 0


def _import(options: argparse.Namespace, root: Path) -> int:
    if options.source.is_dir():
        entry_of = functools.partial(_dataformer_entry, options.model)
        count, skipped = transfer.import_dataformer(
            options.source, root, resolve=entry_of, project=options.project
        )
        kept = counted(count, "answer")
        print(f"Kept {kept}; {skipped:,} lines were errors or could not be read.")
        return 0
    count, name = transfer.import_file(options.source, root, project=options.project)
    print(f"Kept {counted(count, 'answer')} in project {visible(name)}.")
    return 0


_NOT_BODY = ("model", "api_provider", "url", "api_key", "metadata")


def _dataformer_entry(model: str | None, request: dict[str, Any]) -> Entry | None:
    """Return the entry, without its answer, that a request of dataformer's is stored as.

    Args:
        model: ``provider/model`` for a request that names none of its own.
        request: The request.

    Returns:
        None where the request cannot be asked, or no server was asked.
    """
    gen_type = "chat" if "messages" in request else "text"
    name, provider = request.get("model") or model, request.get("api_provider")
    try:
        if choose(name, api_provider=provider, gen_type=gen_type).provider in ("local", "sim"):
            return None  # dataformer asked servers only
        url = request.get("url")
        target = resolve(name, api_provider=provider, url=url, gen_type=gen_type, needs_key=False)
        body = {name: value for name, value in request.items() if name not in _NOT_BODY}
        call = target.call(body, {})
    except LLMNBError:
        return None
    return Entry(
        key=call.key,
        request=call.canonical,
        raw=b"",
        dialect=target.dialect_name,
        provider=target.provider,
        model=target.model,
        quality="good",
    )
