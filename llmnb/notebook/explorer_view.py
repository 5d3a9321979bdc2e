"""What the explorer shows, without a page: its state, and the lines of its list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from llmnb.display import durations, numbers, spans
from llmnb.display.escape import visible
from llmnb.display.spans import Span
from llmnb.display.texts import counted, cut, inside
from llmnb.frames.exploring import IS_MARKED, MARK, OUTCOME, Explorer
from llmnb.frames.row_sources import (
    ANSWERED,
    FAILED,
    MERGED,
    OUTCOMES,
    REUSED,
    WAITING,
    Facet,
    PairRows,
    ReadRow,
)
from llmnb.frames.static_rows import NO_ROWS
from llmnb.notebook.explorer_row import LONGEST_NAME, marks, name_shown

PAGE = 100
"""Rows that a page of the browser's list has."""

BINS = 240
"""Parts of the rail."""

FEW = 6
"""Values of a facet that are all chips."""

_SAID = {
    "Truth": "those that are {}",
    "Answer": "those whose answer is {}",
    "Cause": "those that failed: {}",
    "Field": "those with another {}",
}
"""What a last line says of facets whose names are ours."""

_THOSE_THAT = {
    **{name: f"were {name}" for name in ("answered", "reused", "merged")},
    **{"empty": "ask nothing", "waiting": "wait"},
}

_SWATCHES = {ANSWERED: "done", REUSED: "reused", MERGED: "merged", FAILED: "failed"}

_BEFORE_WORD = 40
"""Characters that a line shows before a word that was searched for."""


# ---------------------------------------------------------------------------- the state


def state(explorer: Explorer, opened: str, version: int) -> dict[str, Any]:
    """Return what is not about a single row: counts, chips, the rail, the last line.

    Args:
        explorer: The rows.
        opened: Name of the field whose values are chips; empty: the most telling one.
        version: Which set of rows this is of.
    """
    total, positions = len(explorer), explorer.listed
    outcomes = explorer.chosen.get(OUTCOME, frozenset())
    facets = [
        facet
        for facet in (explorer.facets if explorer.has_facets else ())
        if facet.name != "Cause" or FAILED in outcomes or "Cause" in explorer.chosen
    ]
    first = _opened(explorer, facets, opened)
    first_line, chips = _outcome_chips(explorer), [_facet(explorer, facet) for facet in first]
    if first and _is_comparing(explorer, facets) and not outcomes:
        chips[0]["chips"].append(first_line[-1])  # two lines of chips at most
        first_line = []
    compared, searched = explorer.source.compared, explorer.rows_read if explorer.searched else 0
    read = searched if compared is None else compared
    return {
        "subject": visible(explorer.source.subject, longest=200),
        "project": visible(explorer.source.project, longest=LONGEST_NAME),
        "rows": total,
        "shown": len(positions),
        "version": version,
        "count": _count(explorer, total, len(positions)),
        "outcomes": first_line,
        "facets": chips,
        "others": [name_shown(facet.name) for facet in facets if facet not in first],
        "rail": _rail(explorer, total, len(positions)),
        "line": _line(explorer, total, len(positions)),
        "search": explorer.searched,
        "isSearching": explorer.is_searching,
        "isRunning": explorer.source.is_running,
        "isPair": isinstance(explorer.source, PairRows),
        "isNarrowed": len(positions) < total,
        "read": round(read / total, 4) if total else 0,
        "blank": None if total else list(NO_ROWS),
    }


def _opened(explorer: Explorer, facets: Sequence[Facet], opened: str) -> list[Facet]:
    """Return the facets whose values are chips, those in use before others."""
    used = [facet for facet in facets if facet.name in explorer.chosen]
    wanted = [facet for facet in facets if name_shown(facet.name) == opened]
    usual = [facet for facet in facets if facet.name == "Cause"]
    pair = [facet for facet in facets if facet.name in ("Answer", "Field", "Truth", "Pair")]
    both = _is_comparing(explorer, facets)
    ordered = dict.fromkeys([*wanted, *used, *(pair if both else []), *usual, *facets])
    chosen = [*ordered][: max(2 if both else 1, len(used))]
    return [facet for facet in facets if facet in chosen]


def _is_comparing(explorer: Explorer, facets: Sequence[Facet]) -> bool:
    """Whether answers are compared, with those of another run or with truth."""
    return isinstance(explorer.source, PairRows) or any(one.name == "Truth" for one in facets)


def _outcome_chips(explorer: Explorer) -> list[dict[str, Any]]:
    present = {number for number, count in enumerate(explorer.all_counts()) if count}
    kept = sorted(present | explorer.chosen.get(OUTCOME, frozenset()) | {ANSWERED})
    chips = [
        {**chip, "swatch": _SWATCHES.get(chip["value"], "skip")}
        for chip in _chips(explorer, explorer.facet(OUTCOME), kept)
    ]
    (marked,) = _chips(explorer, explorer.facet(MARK), [IS_MARKED])
    names = dict.fromkeys(("value", "text", "title"), "marked")
    return [*chips, {**marked, **names, "glyph": "flagged"}]


def _chips(explorer: Explorer, facet: Facet, kept: Iterable[int]) -> list[dict[str, Any]]:
    chosen = explorer.chosen.get(facet.name, frozenset())
    counts = explorer.facet_counts(facet)
    return [
        {
            "value": number,
            "text": name_shown(facet.values[number]) or "(empty)",
            "title": visible(facet.values[number], longest=400),
            "count": numbers.count(counts[number]),
            "isPressed": number in chosen,
        }
        for number in kept
    ]


def _facet(explorer: Explorer, facet: Facet) -> dict[str, Any]:
    count = len(facet.values)
    chosen = explorer.chosen.get(facet.name, frozenset())
    kept = sorted({*range(count if count <= FEW else FEW - 1), *chosen})
    chips = _chips(explorer, facet, kept)
    return {"name": name_shown(facet.name), "chips": chips, "more": count - len(kept)}


def values(explorer: Explorer, name: str, text: str) -> dict[str, Any]:
    """Return the values of a facet that hold a text, at most a hundred."""
    for facet in explorer.facets:
        if name_shown(facet.name) == name:
            every, needle = _chips(explorer, facet, range(len(facet.values))), text.casefold()
            chips = [chip for chip in every if needle in chip["title"].casefold()]
            return {"name": name, "chips": chips[:100], "total": len(chips)}
    return {"name": name, "chips": [], "total": 0}


def _count(explorer: Explorer, total: int, count: int) -> list[str]:
    noun = explorer.source.noun
    if explorer.searched and explorer.is_searching:
        part = numbers.share(explorer.rows_read / total if total else 1)
        return ["", numbers.count(count), f" {_plural(noun, count)} so far, {part} searched"]
    if explorer.searched and not explorer.hits:
        return [f"nothing in {counted(total, noun)}"]
    if explorer.source.is_running and count == total:
        answered = total - explorer.all_counts()[WAITING]
        return ["", numbers.count(answered), f" of {numbers.count(total)} answered"]
    is_only_changed = explorer.chosen == {"Answer": frozenset({0})} and not explorer.searched
    changed = " changed" if isinstance(explorer.source, PairRows) and is_only_changed else ""
    if changed or count < total:
        return ["", numbers.count(count), f" of {counted(total, noun)}{changed}"]
    return ["", numbers.count(total), f" {_plural(noun, total)}"]


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"


def _rail(explorer: Explorer, total: int, count: int) -> dict[str, Any]:
    shown_rows, failed, most = explorer.bins(BINS)
    levels = "".join(
        "0" if not rows else "3" if 2 * rows > most else "2" if 8 * rows > most else "1"
        for rows in shown_rows
    )
    bad = "".join("1" if rows else "0" for rows in failed)
    is_whole = count == total > 0 and not explorer.all_counts()[WAITING]
    return {"all": is_whole, "levels": levels, "bad": bad, "parts": len(shown_rows)}


def _line(explorer: Explorer, total: int, count: int) -> dict[str, Any]:
    """Return the last line: what is shown."""
    source = explorer.source
    if cleared := source.cleared:
        answers = sum(explorer.all_counts()[: MERGED + 1])
        what = f"{cleared:,} of " if cleared < answers else "All " if answers > 1 else ""
        rest = " from the project. Explore it again to read what it keeps now."
        parts = ["", f"{what}{counted(answers, 'answer was', 'answers were')} cleared", rest]
        return {"glyph": "alert", "tone": "bad", "parts": parts}
    text, counts = "", explorer.all_counts()
    if (compared := explorer.source.compared) is not None:
        text = f"Comparing both runs: {compared:,} of {counted(total, 'row')} are read"
        text += ". Then what changed most comes first."
    elif explorer.is_searching:
        left = explorer.seconds_left
        about = "" if left is None else f", about {durations.remaining(left)} left"
        text = (
            f"Searching for “{name_shown(explorer.searched)}”: {explorer.rows_read:,} of "
            f"{counted(total, source.noun)} are read{about}."
        )
    elif source.is_running:
        text = f"{total - counts[WAITING]:,} of {counted(total, 'row')} are answered"
        text += f", {counts[FAILED]:,} failed" if counts[FAILED] else ""
        text += ". Rows appear at their place as they come."
    if text:
        return {"glyph": "clock", "parts": [text]}
    if explorer.searched and not explorer.hits:
        text = (
            f"No prompt or answer holds “{name_shown(explorer.searched)}”. Words are matched "
            "anywhere, without regard to case."
        )
        return {"glyph": "arrow", "parts": [text], "showAll": True}
    what = f"{numbers.count(count)} of {counted(total, source.noun)}: {_chosen_words(explorer)}."
    if count == total:
        what = f"All {counted(total, source.noun)}, {source.order_text}."
        what = f"The one {source.noun} there is." if total == 1 else what
    elif isinstance(source, PairRows):
        what += " Most changed first."
    parts = [what]
    if marked := explorer.marks_total:
        parts = [f"{what} {counted(marked, 'is', 'are')} marked: ", ".marks"]
    return {"glyph": "arrow", "parts": parts, "tag": "code", "showAll": count < total}


def _chosen_words(explorer: Explorer) -> str:
    """Return in words what is filtered by."""
    words = []
    if outcomes := explorer.chosen.get(OUTCOME):
        names = [OUTCOMES[number] for number in sorted(outcomes)]
        words.append("those that " + " or ".join(_THOSE_THAT.get(name, name) for name in names))
    if marks := explorer.chosen.get(MARK):
        words.append(" or ".join("marked" if mark else "not marked" for mark in sorted(marks)))
    for facet in explorer.facets if explorer.has_facets else []:
        if chosen := explorer.chosen.get(facet.name):
            named = " or ".join(name_shown(facet.values[number]) for number in sorted(chosen))
            if facet.name in _SAID:
                words.append(_SAID[facet.name].format(inside(named)))
            else:
                words.append(f"{name_shown(facet.name)} {named}")
    if explorer.searched:
        words.append(f"with “{name_shown(explorer.searched)}”")
    return cut(", ".join(words), 300)


# ------------------------------------------------------------------------------ the list


def list_line(explorer: Explorer, row: ReadRow) -> dict[str, Any]:
    """Return a row as the list shows it."""
    pattern = explorer.pattern()
    kind, answer = row.told
    small = ""
    if row.before is not None:
        added, removed = row.changes()
        small = f"+{added} −{removed}" if added or removed else ""
    line = {
        "position": row.position,
        "no": f"{row.position:,}",
        "small": small,
        "asked": _excerpt(_asked(row, pattern) or "\u00a0", pattern),
        "kind": kind,
        "answered": _excerpt(answer, pattern) if not kind else spans.cut_line(answer),
        "isMarked": explorer.is_marked(row.position),
        "truth": "",
    }
    if row.is_right is False:
        line["truth"] = f"where truth says {name_shown(row.truth or '')}"
    return line


def _asked(row: ReadRow, pattern: re.Pattern[str] | None) -> str:
    """Return what a line shows of the prompt: the cell that it is about."""
    cells = [row.prompt[start:end] for start, end in row.fills]
    lead = next((cell for cell in cells if cell.strip()), row.prompt)
    return row.prompt if pattern is not None and not pattern.search(lead) else lead


def _excerpt(text: str, pattern: re.Pattern[str] | None) -> list[Span]:
    """Return a line of a text that begins a little before what was found in it."""
    found = pattern.search(text) if pattern is not None and text else None
    if found is None or found.start() <= 2 * _BEFORE_WORD:
        return spans.cut_line(text, marks(text[: spans.LINE + 200], pattern))
    start = text.rfind(" ", 0, found.start() - _BEFORE_WORD // 2) + 1
    start = max(start, found.start() - _BEFORE_WORD)
    rest = text[start : start + spans.LINE + 200]
    return [("", "… "), *spans.cut_line(rest, marks(rest, pattern))]
