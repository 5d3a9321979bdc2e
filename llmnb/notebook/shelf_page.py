"""One page of a project's answers as the cache manager shows it."""

from __future__ import annotations

import re
from typing import Any

from llmnb.display import durations, money, numbers
from llmnb.display.escape import visible, visible_lines
from llmnb.display.texts import counted
from llmnb.notebook.shelf_words import LABEL_LENGTH, answers, price
from llmnb.store.search import PAGE, Match, Page, patterns

QUESTION_LENGTH = 3_000
ANSWER_LENGTH = 6_000
"""Characters of one answer that travel to the page; copying and exporting take all of it."""

BEFORE_WORD = 60
"""Characters shown before the first word that was found."""


def page(found: Page, name: str, now: float) -> dict[str, Any]:
    """Return what one page of a project's answers shows."""
    of = f"{numbers.count(found.total)} of {answers(found.answers)}"
    nothing = ""
    if not found.total:
        search = visible(" ".join(found.words), longest=LABEL_LENGTH)
        nothing = (
            f"No prompt or answer holds “{search}”. Words are matched anywhere, without regard "
            "to case."
            if found.words
            else "No answers are kept here."
        )
    first = found.number * PAGE + 1
    return {
        "name": name,
        "count": f"{of}, newest first" if found.total else f"nothing in {answers(found.answers)}",
        "hits": [_hit(one, found.words, now) for one in found.matches],
        "nothing": nothing,
        "range": f"{first:,}–{first + len(found.matches) - 1:,} of {numbers.count(found.total)}"
        if found.matches
        else "",
        "page": found.number,
        "before": found.number > 0,
        "after": found.total > (found.number + 1) * PAGE,
    }


def _hit(one: Match, searched: tuple[str, ...], now: float) -> dict[str, Any]:
    entry = one.entry
    tokens = (entry.prompt_tokens or 0) + (entry.completion_tokens or 0)
    marks = [visible(entry.model, longest=LABEL_LENGTH)]
    if entry.created:
        marks.append(durations.ago(now - entry.created))
    costs = [counted(tokens, "token")] if tokens else []
    costs.append("unknown price" if entry.usd is None else money.usd(entry.usd))
    costs += [name for name, is_so in (("simulated", entry.simulated),) if is_so]
    costs += [entry.quality] if entry.quality != "good" else []
    return {
        "key": entry.key,
        "short": f"{entry.key[:8]}…{entry.key[-4:]}",
        "asked": cut(one.question, searched, QUESTION_LENGTH),
        "answered": cut(one.answer or "(empty)", searched, ANSWER_LENGTH),
        "who": " · ".join(marks),
        "cost": visible(" · ".join(costs), longest=LABEL_LENGTH),
        "question": f"{price(1, entry.usd or 0.0, int(entry.usd is None))} "
        "It cannot be brought back.",
    }


def cut(text: str, searched: tuple[str, ...], longest: int) -> dict[str, Any]:
    """Return a text in pieces, plain and found in turn, and what of it to pass over at first.

    A closed row begins a little before the first word that was found; an open
    one shows the text from its start, or, where that is far, from there as well.

    Example:
        >>> cut("a refund, please", ("REFUND",), 100)
        {'parts': ['a ', 'refund', ', please'], 'skip': 0}
    """
    spans = sorted(
        {match.span() for pattern in patterns(searched) for match in pattern.finditer(text)}
    )
    near = _before(text, spans[0][0]) if spans else 0
    start = near if near > longest // 2 else 0
    end = min(len(text), start + longest)
    pieces, done = [""], start
    for first, last in spans:
        if first < done or last > end:
            continue
        pieces[-1] += visible_lines(text[done:first])
        pieces += [visible_lines(text[first:last]), ""]
        done = last
    pieces[-1] += visible_lines(text[done:end]) + ("…" if end < len(text) else "")
    pieces[0] = ("… " if start else "") + pieces[0]
    return {"parts": pieces, "skip": len(visible_lines(text[:near])) if near and not start else 0}


def _before(text: str, found: int) -> int:
    """Return where a closed row begins: at a word some way before what was found."""
    start = max(0, found - BEFORE_WORD)
    space = _SPACE.search(text, start, found) if start else None
    return space.end() if space else start


_SPACE = re.compile(r"\s+")
