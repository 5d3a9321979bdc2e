"""What the cache manager shows, from summaries of projects and pages of answers, without a page.

The list of projects (on a page, as static HTML, as text), what is asked before one is cleared, and
one page of a project's answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmnb.display import durations, html_fragments, money, numbers
from llmnb.display.aligned import columns
from llmnb.display.escape import visible, visible_lines
from llmnb.display.texts import counted, cut
from llmnb.store.clearing import Weight
from llmnb.store.projects import ProjectSummary
from llmnb.store.search import PAGE, Match, Page, patterns

FRESH_SECONDS = 60.0
"""A project that an answer was added to since then may be part of a run."""

LABEL_LENGTH = 80

QUESTION_LENGTH = 3_000
ANSWER_LENGTH = 6_000
"""Characters of one answer that travel to the page; copying and exporting take all of it."""

BEFORE_WORD = 60
"""Characters shown before the first word that was searched for."""

EMPTY = (
    "No answers kept yet",
    "Every answer that you pay for is kept here, by project, so that the same row is never paid "
    "for twice. Nothing is ever evicted; clearing is up to you.",
)


def folder_text(folder: Path) -> str:
    """Return a folder as its owner would name it: from here, or from home."""
    for base, sign in ((Path.cwd(), ""), (Path.home(), "~/")):
        if folder != base and folder.is_relative_to(base):
            return label(sign + folder.relative_to(base).as_posix())
    return label(folder)


def label(name: object) -> str:
    """Return a name as it is shown."""
    return visible(name, longest=LABEL_LENGTH)


def buy_again(count: int, usd: float, unpriced: int) -> str:
    """Return what buying answers again would cost, as a sentence.

    Example:
        >>> buy_again(2272, 3.551, 0)
        'Buying them again costs about $3.55.'
        >>> buy_again(12, 0.5, 2)
        'Buying them again costs at least $0.50; the price of 2 is not known.'
    """
    them = "it" if count == 1 else "them"
    if not count:
        return "There is nothing to buy again."
    if unpriced == count:
        return f"What buying {them} again costs is not known."
    if unpriced:
        return (
            f"Buying {them} again costs at least {money.usd(usd)}; "
            f"the price of {numbers.count(unpriced)} is not known."
        )
    return f"Buying {them} again costs {'nothing' if not usd else 'about ' + money.usd(usd)}."


# ---------------------------------------------------------------------------- the list


def list_view(
    summaries: Sequence[ProjectSummary],
    cleared: Mapping[str, ProjectSummary],
    root: Path,
    now: float,
    *,
    places: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what the list of projects shows, those used last first.

    Args:
        summaries: The projects that there are.
        cleared: Those that were cleared and can come back, by the token that undoes it.
        root: The folder that holds them.
        now: Seconds since the epoch.
        places: Names of the projects shown so far, from the top: they keep their order, and others
            stand above them.
    """
    every = [("", summary) for summary in summaries] + list(cleared.items())
    place_of = {name: place for place, name in enumerate(places)}
    every.sort(
        key=lambda pair: (
            place_of.get(pair[1].name, -1),
            -pair[1].last_used,
            label(pair[1].name),
        )
    )
    return {
        "view": "list" if every else "empty",
        "where": folder_text(root),
        "hero": _hero(summaries, [summary for _, summary in every]),
        "projects": [{**_row(summary, now), "gone": token} for token, summary in every],
        "foot": _foot(cleared),
        "blank": list(EMPTY),
    }


def _row(summary: ProjectSummary, now: float) -> dict[str, Any]:
    answers, size = numbers.count(summary.answers), numbers.size(summary.size_bytes)
    used = durations.ago(now - summary.last_used) if summary.last_used else "never"
    saved = money.usd(summary.saved_usd)
    if summary.hits and not summary.saved_usd and summary.worth_usd is None:
        saved = "unknown"
    last_use = f"last use {used}" if summary.last_used else "never used"
    return {
        "name": summary.name,
        "label": label(summary.name),
        "answers": answers,
        "size": size,
        "age": durations.age(now - summary.created) if summary.created else "–",
        "used": used,
        "rate": "–" if summary.hit_rate is None else numbers.share(summary.hit_rate),
        "saved": saved,
        "about": " · ".join((counted(summary.answers, "answer"), size, last_use)),
    }


def _hero(kept: Sequence[ProjectSummary], every: Sequence[ProjectSummary]) -> dict[str, Any]:
    # What cleared projects have saved stays saved.
    hits = sum(summary.hits for summary in every)
    rows = hits + sum(summary.answers for summary in every)
    part = hits / rows if rows else 0.0
    total = sum(summary.answers for summary in kept)
    size = numbers.size(sum(summary.size_bytes for summary in kept))
    return {
        "answers": numbers.count(total),
        "kept": "answer kept" if total == 1 else "answers kept",
        "about": f"{counted(len(kept), 'project')}, {size}",
        "saved": money.usd(sum(summary.saved_usd for summary in every)),
        "share": f"{numbers.share(part)} reused",
        "part": round(part, 4),
        "says": f"{numbers.share(part)} of all rows were answered from the cache",
    }


def _foot(cleared: Mapping[str, ProjectSummary]) -> dict[str, Any] | None:
    if not cleared:
        return None
    count = counted(sum(summary.answers for summary in cleared.values()), "answer")
    freed = numbers.size(sum(summary.size_bytes for summary in cleared.values()))
    names = [label(summary.name) for summary in cleared.values()]
    who = names[0] if len(names) == 1 else counted(len(names), "project")
    rest = f" {count}, {freed}. It can be undone until this manager is closed."
    return {
        "parts": ["", f"Cleared {who}:", rest],
        "gone": list(cleared),
        "undo": "Undo" if len(names) == 1 else f"Undo all {len(names)}",
    }


_COLUMNS = {
    "label": "Project",
    "answers": "answers",
    "size": "size",
    "age": "age",
    "used": "last use",
    "rate": "hit rate",
    "saved": "saved",
}
"""Columns of the static list, with their heads."""


def _cells(shown: dict[str, Any]) -> list[list[str]]:
    return [[row[name] for name in _COLUMNS] for row in shown["projects"] if not row["gone"]]


def _sentence(shown: dict[str, Any]) -> str:
    hero = shown["hero"]
    kept = f"{hero['answers']} {hero['kept']} in {hero['about']}"
    return f"{kept}; {hero['saved']} saved so far, {hero['share']}"


def text(shown: dict[str, Any]) -> str:
    """Return the list as text, at most 90 columns wide."""
    title = f"llmnb cache · {shown['where']}"
    rows = _cells(shown)
    if not rows:
        return f"{title}\n\n{EMPTY[0]}. {EMPTY[1]}"
    first, *heads = _COLUMNS.values()
    table = columns([(first.lower(), *heads), *rows], right=range(1, 7), width=86)
    return "\n".join([cut(title, 90), "", _sentence(shown), "", *(f"  {line}" for line in table)])


def html(shown: dict[str, Any]) -> str:
    """Return the list as HTML without script, style sheet or address."""
    rows = _cells(shown)
    headline = html_fragments.headline("Cache", shown["where"])
    if not rows:
        return html_fragments.box(headline, html_fragments.line(f"{EMPTY[0]}. {EMPTY[1]}"))
    hero = shown["hero"]
    return html_fragments.box(
        headline,
        html_fragments.line(_sentence(shown)),
        html_fragments.bar([("reused", hero["part"])], hero["says"]),
        html_fragments.figure_table([*_COLUMNS.values()], rows),
    )


# ------------------------------------------------------------------ before it is cleared


def clear_question(weight: Weight, now: float) -> dict[str, Any]:
    """Return what is asked before a project is cleared."""
    project, stay = weight.project, weight.elsewhere
    price = buy_again(project.answers, project.usd, project.unpriced)
    if stay:
        them = f"{numbers.count(stay)} of them also stand"
        if stay == project.answers:
            them = "All of them also stand" if stay > 1 else "It also stands"
        elif stay == 1:
            them = "1 of them also stands"
        others = " and ".join(map(label, weight.others))
        if len(weight.others) > 2:
            others = f"{label(weight.others[0])} and {len(weight.others) - 1} more projects"
        price += f" {them} in {others} and {'stays' if stay == 1 else 'stay'} there."
    return _question(project.answers, label(project.name), price, [now - project.last_written])


def clear_all_question(summaries: Sequence[ProjectSummary], now: float) -> dict[str, Any]:
    """Return what is asked before every project is cleared."""
    count = sum(summary.answers for summary in summaries)
    usd = sum(summary.usd for summary in summaries)
    price = buy_again(count, usd, sum(summary.unpriced for summary in summaries))
    ages = [now - summary.last_written for summary in summaries]
    many = f"all {counted(len(summaries), 'project')}"
    return _question(count, many if len(summaries) > 1 else "the one project", price, ages)


def _question(count: int, whose: str, price: str, ages: list[float]) -> dict[str, Any]:
    answers = counted(count, "answer")
    text = f" {price}"
    if any(0 <= age < FRESH_SECONDS for age in ages):
        text += " Answers came in just now: a run that is under way keeps its next ones anew."
    text += " You can undo until this manager is closed."
    return {"parts": ["", f"Clear the {answers} of {whose}?", text], "yes": f"Clear {answers}"}


# -------------------------------------------------------------------- a page of answers


def page_view(page: Page, name: str, now: float) -> dict[str, Any]:
    """Return what one page of a project's answers shows."""
    answers = counted(page.answers, "answer")
    nothing = ""
    if not page.total:
        nothing = "No answers are kept here."
        if page.keywords:
            nothing = (
                f"No prompt or answer holds “{label(' '.join(page.keywords))}”. Words are matched "
                "anywhere, without regard to case."
            )
    total, first = numbers.count(page.total), page.number * PAGE + 1
    return {
        "name": name,
        "count": f"{total} of {answers}, newest first" if page.total else f"nothing in {answers}",
        "hits": [_hit(match, page.keywords, now) for match in page.matches],
        "nothing": nothing,
        "range": f"{first:,}–{first + len(page.matches) - 1:,} of {total}" if page.matches else "",
        "page": page.number,
        "before": page.number > 0,
        "after": page.total > (page.number + 1) * PAGE,
    }


def _hit(match: Match, searched: tuple[str, ...], now: float) -> dict[str, Any]:
    entry = match.entry
    tokens = (entry.prompt_tokens or 0) + (entry.completion_tokens or 0)
    price = "unknown price" if entry.usd is None else money.usd(entry.usd)
    worth = (0.0, 0) if entry.simulated else (entry.usd or 0.0, int(entry.usd is None))
    age = durations.ago(now - entry.created) if entry.created else ""
    costs = (
        counted(tokens, "token") if tokens else "",
        price,
        "simulated" if entry.simulated else "",
        entry.quality if entry.quality != "good" else "",
    )
    return {
        "key": entry.key,
        "short": f"{entry.key[:8]}…{entry.key[-4:]}",
        "asked": excerpt(match.question, searched, QUESTION_LENGTH),
        "answered": excerpt(match.answer or "(empty)", searched, ANSWER_LENGTH),
        "who": " · ".join(filter(None, (label(entry.model), age))),
        "cost": label(" · ".join(filter(None, costs))),
        "question": f"{buy_again(1, *worth)} It cannot be brought back.",
    }


def excerpt(text: str, searched: tuple[str, ...], longest: int) -> dict[str, Any]:
    """Return a text in parts, plain and matched in turn, and what of it to pass over at first.

    A closed row begins a little before the first word that was searched for; an open
    one shows the text from its start, or, where that is far, from there as well.

    Example:
        >>> excerpt("a refund, please", ("REFUND",), 100)
        {'parts': ['a ', 'refund', ', please'], 'skip': 0}
    """
    spans = sorted(
        {match.span() for pattern in patterns(searched) for match in pattern.finditer(text)}
    )
    near = _start_before(text, spans[0][0]) if spans else 0
    start = near if near > longest // 2 else 0
    end = min(len(text), start + longest)
    parts, done = [""], start
    for first, last in spans:
        if first < done or last > end:
            continue
        parts[-1] += visible_lines(text[done:first])
        parts += [visible_lines(text[first:last]), ""]
        done = last
    parts[-1] += visible_lines(text[done:end]) + ("…" if end < len(text) else "")
    parts[0] = ("… " if start else "") + parts[0]
    return {"parts": parts, "skip": len(visible_lines(text[:near])) if near and not start else 0}


def _start_before(text: str, match: int) -> int:
    """Return where a closed row begins: at a word some way before the first match."""
    start = max(0, match - BEFORE_WORD)
    space = re.compile(r"\s+").search(text, start, match) if start else None
    return space.end() if space else start
