"""What the explorer shows, without a page: its state, lines of its list, one open row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from llmnb.display import changed_words, durations, money, numbers, spans
from llmnb.display.escape import visible
from llmnb.display.spans import Range, Span
from llmnb.display.texts import counted, cut, inside
from llmnb.frames.exploring import Explorer
from llmnb.frames.row_sources import (
    ANSWERED,
    CLEARED,
    FAILED,
    MERGED,
    OUTCOMES,
    REUSED,
    WAITING,
    Facet,
    PairRows,
    ReadRow,
    shown,
)
from llmnb.frames.static_rows import NO_ROWS

PAGE = 100
"""Rows that a page of the browser's list has."""

BINS = 240
"""Parts of the rail."""

FEW = 6
"""Values of a facet that are all chips."""

LONGEST_NAME = 80

_SAID = {
    "Truth": "those that are {}",
    "Answer": "those whose answer is {}",
    "Cause": "those that failed: {}",
    "Field": "those with another {}",
}
"""What a last line says of facets whose names are ours."""

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
    facets = [
        facet
        for facet in (explorer.facets if explorer.has_facets else ())
        if facet.name != "Cause" or FAILED in explorer.outcomes or explorer.chosen.get("Cause")
    ]
    first = _opened(explorer, facets, opened)
    outcomes, chips = _outcome_chips(explorer), [_facet(explorer, facet) for facet in first]
    if first and _is_comparing(explorer, facets) and not explorer.outcomes:
        chips[0]["chips"].append(outcomes[-1])  # two lines of chips at most
        outcomes = []
    return {
        "subject": visible(explorer.source.subject, longest=200),
        "project": visible(explorer.source.project, longest=LONGEST_NAME),
        "rows": total,
        "shown": len(positions),
        "version": version,
        "count": _count(explorer, total, len(positions)),
        "outcomes": outcomes,
        "facets": chips,
        "others": [name_shown(facet.name) for facet in facets if facet not in first],
        "rail": _rail(explorer, total, len(positions)),
        "line": _line(explorer, total, len(positions)),
        "search": explorer.searched,
        "isSearching": explorer.is_searching,
        "isRunning": explorer.source.is_running,
        "isPair": isinstance(explorer.source, PairRows),
        "isNarrowed": len(positions) < total,
        "read": round(_rows_read(explorer) / total, 4) if total else 0,
        "blank": None if total else list(NO_ROWS),
    }


def _rows_read(explorer: Explorer) -> int:
    """Return how many rows a comparison or a search has read; 0: there is none."""
    if explorer.rows_compared is not None:
        return explorer.rows_compared
    return explorer.rows_read if explorer.searched else 0


def name_shown(text: str) -> str:
    """Return a name as chips and lines show it."""
    return visible(text, longest=LONGEST_NAME)


def _opened(explorer: Explorer, facets: Sequence[Facet], opened: str) -> list[Facet]:
    """Return the facets whose values are chips, those in use before others."""
    used = [facet for facet in facets if explorer.chosen.get(facet.name)]
    wanted = [facet for facet in facets if name_shown(facet.name) == opened]
    usual = [facet for facet in facets if facet.name == "Cause"]
    pair = [facet for facet in facets if facet.name in ("Answer", "Field", "Truth", "Pair")]
    both = _is_comparing(explorer, facets)
    most = 2 if both else 1
    ordered = dict.fromkeys([*wanted, *used, *(pair if both else []), *usual, *facets])
    chosen = [*ordered][: max(most, len(used))]
    return [facet for facet in facets if facet in chosen]


def _is_comparing(explorer: Explorer, facets: Sequence[Facet]) -> bool:
    """Whether answers are compared, with those of another run or with truth."""
    return isinstance(explorer.source, PairRows) or any(one.name == "Truth" for one in facets)


def _outcome_chips(explorer: Explorer) -> list[dict[str, Any]]:
    codes = explorer.outcome_counts()
    present = {number for number, count in enumerate(explorer.all_counts()) if count}
    chips = [
        {
            "value": number,
            "text": OUTCOMES[number],
            "count": numbers.count(codes[number]),
            "isPressed": number in explorer.outcomes,
            "swatch": _SWATCHES.get(number, "skip"),
        }
        for number in range(len(OUTCOMES))
        if number in present or number in explorer.outcomes or number == ANSWERED
    ]
    chips.append(
        {
            "value": "marked",
            "text": "marked",
            "count": numbers.count(explorer.marked_count()),
            "isPressed": bool(explorer.marked),
            "glyph": "flagged",
        }
    )
    return chips


def _facet(explorer: Explorer, facet: Facet, most: int = FEW) -> dict[str, Any]:
    chosen = explorer.chosen.get(facet.name, frozenset())
    counts = explorer.facet_counts(facet)
    few = range(len(facet.values)) if len(facet.values) <= most else range(most - 1)
    kept = [*few, *(number for number in sorted(chosen) if number not in few)]
    return {
        "name": name_shown(facet.name),
        "chips": [
            {
                "value": number,
                "text": name_shown(facet.values[number]) or "(empty)",
                "title": visible(facet.values[number], longest=400),
                "count": numbers.count(counts[number]),
                "isPressed": number in chosen,
            }
            for number in kept
        ],
        "more": len(facet.values) - len(kept),
    }


def values(explorer: Explorer, name: str, text: str) -> dict[str, Any]:
    """Return the values of a facet that hold a text, at most a hundred."""
    for facet in explorer.facets:
        if name_shown(facet.name) == name:
            found = _facet(explorer, facet, most=len(facet.values))
            needle = text.casefold()
            chips = [chip for chip in found["chips"] if needle in chip["title"].casefold()]
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
    if isinstance(explorer.source, PairRows) and _is_only_changed(explorer):
        return ["", numbers.count(count), f" of {counted(total, noun)} changed"]
    if count < total:
        return ["", numbers.count(count), f" of {counted(total, noun)}"]
    return ["", numbers.count(total), f" {_plural(noun, total)}"]


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"


def _is_only_changed(explorer: Explorer) -> bool:
    others = {name for name, chosen in explorer.chosen.items() if chosen} - {"Answer"}
    is_changed = explorer.chosen.get("Answer") == frozenset({0})
    return is_changed and not (others or explorer.outcomes or explorer.marked or explorer.searched)


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
        all_of = "All " if cleared == answers > 1 else ""
        what = f"{cleared:,} of {counted(answers, 'answer')}" if cleared < answers else ""
        were = "was" if answers == 1 else "were"
        what = what or counted(cleared, "answer")
        rest = " from the project. Explore it again to read what it keeps now."
        parts = ["", f"{all_of}{what} {were} cleared", rest]
        return {"glyph": "alert", "tone": "bad", "parts": parts}
    if (compared := explorer.rows_compared) is not None:
        text = f"Comparing both runs: {compared:,} of {counted(total, 'row')} are read"
        return {"glyph": "clock", "parts": [f"{text}. Then what changed most comes first."]}
    if explorer.is_searching:
        left = explorer.seconds_left
        about = "" if left is None else f", about {durations.remaining(left)} left"
        text = (
            f"Searching for “{name_shown(explorer.searched)}”: {explorer.rows_read:,} of "
            f"{counted(total, source.noun)} are read{about}."
        )
        return {"glyph": "clock", "parts": [text]}
    if source.is_running:
        counts = explorer.all_counts()
        text = f"{total - counts[WAITING]:,} of {counted(total, 'row')} are answered"
        text += f", {counts[FAILED]:,} failed" if counts[FAILED] else ""
        return {"glyph": "clock", "parts": [f"{text}. Rows appear at their place as they come."]}
    if explorer.searched and not explorer.hits:
        text = (
            f"No prompt or answer holds “{name_shown(explorer.searched)}”. Words are matched "
            "anywhere, without regard to case."
        )
        return {"glyph": "arrow", "parts": [text], "showAll": True}
    marked = explorer.marks_total
    note = f" {counted(marked, 'is', 'are')} marked: " if marked else ""
    code = [".marks"] if marked else []
    if count == total:
        what = f"All {counted(total, source.noun)}, {source.order_text}."
        if total == 1:
            what = f"The one {source.noun} there is."
        return {"glyph": "arrow", "parts": [what + note, *code], "tag": "code"}
    what = f"{numbers.count(count)} of {counted(total, source.noun)}: {_chosen_words(explorer)}."
    if isinstance(source, PairRows):
        what += " Most changed first."
    return {"glyph": "arrow", "parts": [what + note, *code], "tag": "code", "showAll": True}


def _chosen_words(explorer: Explorer) -> str:
    """Return in words what is filtered by."""
    words = []
    if explorer.outcomes:
        names = [OUTCOMES[number] for number in sorted(explorer.outcomes)]
        told = {
            "answered": "were answered",
            "reused": "were reused",
            "merged": "were merged",
            "empty": "ask nothing",
            "waiting": "wait",
        }
        words.append("those that " + " or ".join(told.get(name, name) for name in names))
    if explorer.marked is not None:
        words.append("marked" if explorer.marked else "not marked")
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
    if row.truth is not None and row.truth.strip().casefold() != row.line.strip().casefold():
        line["truth"] = f"where truth says {name_shown(row.truth)}"
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
        return spans.cut_line(text, _marks(text[: spans.LINE + 200], pattern))
    start = text.rfind(" ", 0, found.start() - _BEFORE_WORD // 2) + 1
    start = max(start, found.start() - _BEFORE_WORD)
    rest = text[start : start + spans.LINE + 200]
    return [("", "… "), *spans.cut_line(rest, _marks(rest, pattern))]


def _marks(text: str, pattern: re.Pattern[str] | None) -> list[Range]:
    if pattern is None:
        return []
    return [(*match.span(), "mark") for match in pattern.finditer(text) if match[0]][:1_000]


# -------------------------------------------------------------------------- one open row


def open_row(explorer: Explorer, position: int) -> dict[str, Any]:
    """Return a row with all there is of it, its long texts cut."""
    (row,) = explorer.read([position], whole=True)
    pattern = explorer.pattern()
    parts = [*_failure(explorer, row)]
    texts = part_texts(row)
    for name, key in (("Reply", "reply"), ("System", "system")):
        if key in texts:
            parts.append(_folded(name, key, texts[key], pattern))
    if row.before is not None:
        parts += _changes(row, pattern)
    for number, (who, _) in enumerate(row.turns):
        parts.append(
            _folded(name_shown(who).capitalize(), f"turn{number}", texts[f"turn{number}"], pattern)
        )
    if "prompt" in texts:
        asked = _text_part("Prompt", "prompt", texts["prompt"], pattern)
        asked["isTemplate"] = bool(row.fills)
        if row.before is not None and row.before.prompt == row.prompt:
            asked = _folded("Prompt", "prompt", texts["prompt"], pattern, "the same in both runs")
        parts.append(asked)
    if row.files:
        files = ", ".join(map(name_shown, row.files))
        parts.append({"name": "Files", "kind": "plain", "text": files})
    if "reasoning" in texts:
        parts.append(_reasoning(row, texts["reasoning"], pattern))
    if "tools" in texts:
        note = counted(len(row.tool_calls), "call")
        parts.append(_folded("Tools", "tools", texts["tools"], pattern, note))
    parts += _answer_parts(row, texts, pattern, explorer.correction(position))
    if row.facts:
        parts.append({"name": "Row", "kind": "fields", "rows": _field_rows(row.facts)})
    return {
        "position": row.position,
        "no": f"{row.position:,}",
        "label": name_shown(row.label),
        "isMarked": explorer.is_marked(row.position),
        "parts": parts,
        "foot": _foot(row),
        "says": _says(row),
        "correction": _correction(explorer, row),
    }


def correctable(explorer: Explorer, row: ReadRow) -> list[str]:
    """Return the fields of a structured answer that can be corrected: plain values."""
    return [
        name
        for name in explorer.source.fields
        if name in row.fields and not isinstance(row.fields[name], list | dict)
    ]


def _correction(explorer: Explorer, row: ReadRow) -> dict[str, Any] | None:
    """Return beside which part a row can be corrected, the texts to begin with, what was said."""
    if not explorer.can_correct or row.is_cleared:
        return None
    said = explorer.correction(row.position)
    if explorer.source.fields:
        names = correctable(explorer, row)
        values = {**row.fields, **(said or {})}
        return {
            "part": "Fields",
            "names": [name_shown(name) for name in names],
            "texts": [_short_text(shown(values[name])) for name in names],
            "said": "Corrected" if said else "",
            "to": "",
        }
    return {
        "part": "Answer",
        "names": ["The right answer"],
        "texts": [_short_text(row.line) if said is None else said],
        "said": "" if said is None else "Corrected to",
        "to": said or "",
    }


def _short_text(text: str) -> str:
    return text if len(text) <= spans.SHOWN else ""


def part_texts(row: ReadRow) -> dict[str, tuple[str, list[Range]]]:
    """Return the texts of an open row by the names of its parts, with where its cells stand."""
    texts: dict[str, tuple[str, list[Range]]] = {}
    if row.reply:
        texts["reply"] = (row.reply, [])
    if row.system:
        texts["system"] = (row.system, [])
    for number, (_, text) in enumerate(row.turns):
        texts[f"turn{number}"] = (text, [])
    if row.prompt:
        texts["prompt"] = (row.prompt, [(*span, "fill") for span in row.fills])
    if row.reasoning:
        texts["reasoning"] = (row.reasoning, [])
    if row.tool_calls:
        texts["tools"] = ("\n".join(row.tool_calls), [])
    if row.answer is not None:
        texts["answer"] = (row.answer, [])
    if row.as_it_came:
        texts["raw"] = (row.as_it_came, [])
    if row.before is not None:
        texts["before"], texts["now"] = (row.before.line, []), (row.line, [])
    return texts


def block(explorer: Explorer, row: ReadRow, part: str, length: int) -> dict[str, Any] | None:
    """Return so many characters of a part of a row; None where it has no such part."""
    found = part_texts(row).get(part)
    return None if found is None else _block(found, explorer.pattern(), length)


def _block(
    text: tuple[str, list[Range]], pattern: re.Pattern[str] | None, length: int = spans.SHOWN
) -> dict[str, Any]:
    whole, ranges = text
    return spans.block(whole, [*ranges, *_marks(whole[:length], pattern)], shown=length)


def _text_part(
    name: str, key: str, text: tuple[str, list[Range]], pattern: re.Pattern[str] | None
) -> dict[str, Any]:
    return {"name": name, "kind": "text", "key": key, "block": _block(text, pattern)}


def _folded(
    name: str,
    key: str,
    text: tuple[str, list[Range]],
    pattern: re.Pattern[str] | None,
    note: str | None = None,
) -> dict[str, Any]:
    words = len(text[0].split())
    part = _text_part(name, key, text, pattern)
    return {**part, "kind": "fold", "summary": note or counted(words, "word")}


def _reasoning(
    row: ReadRow, text: tuple[str, list[Range]], pattern: re.Pattern[str] | None
) -> dict[str, Any]:
    tokens = row.reasoning_tokens
    note = None if tokens is None else counted(tokens, "token")
    return _folded("Reasoning", "reasoning", text, pattern, note)


def _failure(explorer: Explorer, row: ReadRow) -> list[dict[str, Any]]:
    if row.error is None:
        return []
    source = explorer.source
    alike = source.alike(row.position) if source.can_retry else 0
    retry = ""
    if alike:
        retry = "Retry this row" if alike == 1 else f"Retry these {alike:,}"
    cause = row.cause[:1].upper() + row.cause[1:]
    texts = [row.error] if row.error.strip() != row.cause.strip() else []
    return [
        {
            "name": "Error",
            "kind": "error",
            "title": spans.spans(cause),
            "texts": [spans.cut_line(text, longest=2_000) for text in texts],
            "retry": retry,
        }
    ]


def _answer_parts(
    row: ReadRow,
    texts: dict[str, tuple[str, list[Range]]],
    pattern: re.Pattern[str] | None,
    correction: Any,
) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if row.is_cleared:
        text = f"{CLEARED}: asking it again buys it again"
        return [{"name": "Answer", "kind": "plain", "text": text}]
    if row.truth is not None:
        is_right = row.truth.strip().casefold() == row.line.strip().casefold()
        rows = [
            ["answer", spans.spans(row.line), "right" if is_right else "wrong"],
            ["truth", spans.spans(row.truth), ""],
        ]
        parts.append({"name": "Answer", "kind": "fields", "rows": rows})
    elif row.before is None and "answer" in texts and not (row.fields and not row.answer):
        parts.append(_text_part("Answer", "answer", texts["answer"], pattern))
    elif row.before is None and row.error is None and not row.fields:
        text = {
            "empty": "not asked: every field of its prompt is missing",
            "waiting": "not answered yet",
        }.get(row.outcome, "none")
        parts.append({"name": "Answer", "kind": "plain", "text": text})
    if row.fields:
        before = row.before.fields if row.before is not None else {}
        rows = _field_rows(row.fields, before if row.before is not None else None)
        for line, name in zip(rows, row.fields, strict=True):
            if name in row.unsupported:
                line[2] = "its quote is not in the row"
            if isinstance(correction, dict) and name in correction:
                old, new = shown(row.fields[name]), shown(correction[name])
                line[1] = changed_words.changed_spans(old, new)
        parts.append({"name": "Fields", "kind": "fields", "rows": rows})
    if "raw" in texts:
        parts.append(_folded("Reply", "raw", texts["raw"], pattern, "as it came"))
    return parts


def _field_rows(fields: Any, before: Any = None) -> list[list[Any]]:
    rows = []
    for name, value in fields.items():
        text = shown(value)
        parts = spans.cut_line(text, longest=spans.SHOWN) if text else [("", "–")]
        if before is not None and shown(before.get(name)) != text:
            parts = changed_words.changed_spans(shown(before.get(name)), text)
        rows.append([name_shown(str(name)), parts, ""])
    return rows


def _changes(row: ReadRow, pattern: re.Pattern[str] | None) -> list[dict[str, Any]]:
    before = row.before
    if before is None or row.is_cleared or not (row.line or before.line):
        return []
    if before.is_cleared:
        now = _text_part("Answer", "now", (row.line, []), pattern)
        return [{**now, "note": f"the answer before was {CLEARED}"}]
    old, new = before.line, row.line
    if old == new:
        return [{**_text_part("Answer", "now", (new, []), pattern), "note": "the same in both"}]
    longest = spans.LONGEST // 5
    return [
        {
            "name": "Answer",
            "kind": "changes",
            "inText": changed_words.changed_spans(old[:longest], new[:longest]),
            "sides": [
                {
                    "title": f"before, {counted(len(old.split()), 'word')}",
                    "key": "before",
                    "block": _block((old, []), pattern),
                },
                {
                    "title": f"now, {counted(len(new.split()), 'word')}",
                    "key": "now",
                    "block": _block((new, []), pattern),
                },
            ],
        }
    ]


def _foot(row: ReadRow) -> list[list[str]]:
    """Return the row's ledger: name, figure, small print, and both of the run before."""
    now, before = _figures(row), {} if row.before is None else _figures(row.before)
    names = [name for name in _FIGURES if name in now or name in before]
    none = ("–", "")
    return [
        [name, *now.get(name, none), *(before.get(name, none) if row.before is not None else ())]
        for name in names
    ]


_FIGURES = ("model", "tokens in", "tokens out", "cost", "time")


def _figures(row: ReadRow) -> dict[str, tuple[str, str]]:
    figures: dict[str, tuple[str, str]] = {}
    if row.model:
        figures["model"] = (name_shown(row.model), "")
    if row.prompt_tokens is not None:
        cached = f"{row.cached_tokens:,} cached" if row.cached_tokens else ""
        figures["tokens in"] = (f"{row.prompt_tokens:,}", cached)
    if row.completion_tokens is not None:
        thought = f"{row.reasoning_tokens:,} reasoning" if row.reasoning_tokens else ""
        figures["tokens out"] = (f"{row.completion_tokens:,}", thought)
    if row.usd is not None or (row.model and row.error is None and not row.is_cleared):
        figures["cost"] = ("unknown" if row.usd is None else money.usd(row.usd), "")
    if row.seconds is not None:
        figures["time"] = (durations.latency(row.seconds), "")
    return figures


def _says(row: ReadRow) -> str:
    """Return what a screen reader says of a row that is opened."""
    _, answer = row.told
    says = f"Row {row.position:,}: {visible(answer, longest=200)}"
    if row.before is not None:
        added, removed = row.changes()
        says += f". {counted(added, 'word')} added, {removed:,} removed"
    return says
