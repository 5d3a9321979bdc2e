"""The list of projects as the cache manager shows it, and what it asks before clearing one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmnb.display import durations, html_fragments, money, numbers
from llmnb.display.aligned import columns
from llmnb.display.texts import counted, cut
from llmnb.notebook.shelf_words import answers, label, price, where
from llmnb.store.clearing import Weight
from llmnb.store.projects import ProjectSummary

FRESH_SECONDS = 60.0
"""A project that an answer was added to since then may be part of a run."""

EMPTY = (
    "No answers kept yet",
    "Every answer that you pay for is kept here, by project, so that the same row is never paid "
    "for twice. Nothing is ever evicted; clearing is up to you.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A project that was cleared and can still come back."""

    number: int
    token: str
    one: ProjectSummary


# ---------------------------------------------------------------------------- the list


def shelf(
    found: Sequence[ProjectSummary], gone: Sequence[Gone], root: Path, now: float
) -> dict[str, Any]:
    """Return what the list of projects shows.

    Args:
        found: The projects.
        gone: Those that were cleared and can come back.
        root: Their folder.
        now: Seconds since the epoch.
    """
    rows = [_row(one, now) for one in found]
    rows += [{**_row(one.one, now), "gone": one.number} for one in gone]
    used = [one.last_used for one in found] + [one.one.last_used for one in gone]
    order = sorted(range(len(rows)), key=lambda place: (-used[place], rows[place]["label"]))
    return {
        "view": "list" if rows else "empty",
        "where": where(root),
        "hero": _hero(found, gone),
        "projects": [rows[place] for place in order],
        "foot": _foot(gone),
        "blank": list(EMPTY),
    }


def _row(one: ProjectSummary, now: float) -> dict[str, Any]:
    rate = one.hit_rate
    return {
        "name": one.name,
        "label": label(one.name),
        "answers": numbers.count(one.answers),
        "size": numbers.size(one.size_bytes),
        "age": durations.age(now - one.created) if one.created else "–",
        "used": durations.ago(now - one.last_used) if one.last_used else "never",
        "rate": "–" if rate is None else numbers.share(rate),
        "saved": _saved(one),
        "about": " · ".join(
            (
                answers(one.answers),
                numbers.size(one.size_bytes),
                f"last use {durations.ago(now - one.last_used)}" if one.last_used else "never used",
            )
        ),
        "gone": 0,
    }


def _saved(one: ProjectSummary) -> str:
    if one.hits and not one.saved_usd and one.worth_usd is None:
        return "unknown"
    return money.usd(one.saved_usd)


def _hero(found: Sequence[ProjectSummary], gone: Sequence[Gone]) -> dict[str, Any]:
    every = [*found, *(one.one for one in gone)]  # what was saved stays saved
    hits = sum(one.hits for one in every)
    rows = hits + sum(one.answers for one in every)
    part = hits / rows if rows else 0.0
    total = sum(one.answers for one in found)
    return {
        "answers": numbers.count(total),
        "kept": "answer kept" if total == 1 else "answers kept",
        "about": f"{counted(len(found), 'project')}, "
        + numbers.size(sum(one.size_bytes for one in found)),
        "saved": money.usd(sum(one.saved_usd for one in every)),
        "share": f"{numbers.share(part)} reused",
        "part": round(part, 4),
        "says": f"{numbers.share(part)} of all rows were answered from the cache",
    }


def _foot(gone: Sequence[Gone]) -> dict[str, Any] | None:
    if not gone:
        return None
    count = sum(one.one.answers for one in gone)
    freed = numbers.size(sum(one.one.size_bytes for one in gone))
    who = label(gone[0].one.name) if len(gone) == 1 else counted(len(gone), "project")
    return {
        "parts": [
            "",
            f"Cleared {who}:",
            f" {answers(count)}, {freed}. It can be undone until this manager is closed.",
        ],
        "gone": [one.number for one in gone],
        "undo": "Undo" if len(gone) == 1 else f"Undo all {len(gone)}",
    }


# ------------------------------------------------------------------- what is asked twice


def question(one: ProjectSummary, weight: Weight, now: float) -> dict[str, Any]:
    """Return what is asked before a project is cleared."""
    said = f" {price(weight.answers, weight.usd, weight.unpriced)}"
    if weight.elsewhere:
        them = f"{numbers.count(weight.elsewhere)} of them also stand"
        if weight.elsewhere == weight.answers:
            them = "All of them also stand" if weight.answers > 1 else "It also stands"
        elif weight.elsewhere == 1:
            them = "1 of them also stands"
        stay = "stays" if weight.elsewhere == 1 else "stay"
        said += f" {them} in {_listed(weight.others)} and {stay} there."
    if 0 <= now - weight.last_written < FRESH_SECONDS:
        said += " Answers came in just now: a run that is under way keeps its next ones anew."
    return {
        "parts": [
            "",
            f"Clear the {answers(weight.answers)} of {label(one.name)}?",
            said + _UNDO,
        ],
        "yes": f"Clear {answers(weight.answers)}",
    }


_UNDO = " You can undo until this manager is closed."


def question_all(found: Sequence[ProjectSummary], now: float) -> dict[str, Any]:
    """Return what is asked before every project is cleared."""
    count = sum(one.answers for one in found)
    usd, unpriced = sum(one.usd for one in found), sum(one.unpriced for one in found)
    said = f" {price(count, usd, unpriced)}"
    if any(0 <= now - one.last_written < FRESH_SECONDS for one in found):
        said += " Answers came in just now: a run that is under way keeps its next ones anew."
    whose = f"all {counted(len(found), 'project')}" if len(found) > 1 else "the one project"
    return {
        "parts": ["", f"Clear the {answers(count)} of {whose}?", said + _UNDO],
        "yes": f"Clear {answers(count)}",
    }


def _listed(names: Sequence[str]) -> str:
    if len(names) <= 2:
        return " and ".join(label(name) for name in names)
    return f"{label(names[0])} and {len(names) - 1} more projects"


# ------------------------------------------------------------- without script: text, HTML

_HEAD = ("Project", "answers", "size", "age", "last use", "hit rate", "saved")
_FIELDS = ("label", "answers", "size", "age", "used", "rate", "saved")


def _cells(shown: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        tuple(str(row[name]) for name in _FIELDS) for row in shown["projects"] if not row["gone"]
    ]


def text(shown: dict[str, Any]) -> str:
    """Return the list as text, at most 90 columns wide."""
    title = f"llmnb cache · {shown['where']}"
    rows = _cells(shown)
    if not rows:
        return f"{title}\n\n{EMPTY[0]}. {EMPTY[1]}"
    hero = shown["hero"]
    lines = [
        cut(title, 90),
        "",
        f"{hero['answers']} {hero['kept']} in {hero['about']}; "
        f"{hero['saved']} saved so far, {hero['share']}",
        "",
    ]
    cells = [(_HEAD[0].lower(), *_HEAD[1:]), *rows]
    lines += [f"  {one}" for one in columns(cells, right=range(1, len(_HEAD)), width=86)]
    return "\n".join(lines)


def html(shown: dict[str, Any]) -> str:
    """Return the list as HTML without script, style sheet or address."""
    rows = _cells(shown)
    if not rows:
        return html_fragments.box(
            html_fragments.headline("Cache", shown["where"]),
            html_fragments.line(f"{EMPTY[0]}. {EMPTY[1]}"),
        )
    hero = shown["hero"]
    return html_fragments.box(
        html_fragments.headline("Cache", shown["where"]),
        html_fragments.line(
            f"{hero['answers']} {hero['kept']} in {hero['about']}; "
            f"{hero['saved']} saved so far, {hero['share']}"
        ),
        html_fragments.bar([("reused", hero["part"])], hero["says"]),
        html_fragments.figure_table(_HEAD, rows),
    )
