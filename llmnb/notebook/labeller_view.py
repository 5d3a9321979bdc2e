"""The labeller's card as text and numbers; its page lays out and never computes.

Whatever tells of a row goes to the page as a message. Only the words of `head` become part of a
widget's state.
"""

from __future__ import annotations

from typing import Any

from llmnb.display import spans
from llmnb.display.escape import visible
from llmnb.display.moments import day
from llmnb.display.numbers import percent
from llmnb.display.texts import counted, cut, single_line
from llmnb.evaluation.statistics import wilson
from llmnb.frames.labelling import Event, Labeller
from llmnb.frames.workbench_code import text_literal, variable

KEYED = 9
"""Labels that have a key of their own; from one more on there is a field for first letters."""

FACTS = 12
"""Fields beside the text that are shown of a row."""

PAIRS = 6
"""Pairs of a label and another answer that are shown at the end."""

_NAME = 60
"""Characters of a name or a label in a sentence."""

_NOT_RANDOM = (
    "Not a random sample: good for examples and for comparing, not for the score or the shares of "
    "the whole."
)

Parts = list[str]
"""A sentence: plain, stressed, plain, and so on."""


def head(labeller: Labeller) -> dict[str, Any]:
    """Return what the widget's state holds: nothing of it is of a row."""
    asked = len(labeller.asked)
    column = visible(labeller.column, longest=_NAME)
    project = visible(labeller.rows.store.project.name, longest=_NAME)
    chosen = labeller.sample.text(asked, labeller.rows.source.rows) if asked else ""
    labelled, skipped = labeller.labelled, labeller.skipped
    return {
        "view": "empty" if not asked else "done" if labeller.position is None else "row",
        "region": f"Label {column}",
        "subject": " · ".join(filter(None, [column, chosen, f"project {project}"])),
        "done": f"{labelled:,}",
        "of": f" of {asked:,}" if asked else "",
        "parts": [
            ["done", round(labelled / asked, 4) if asked else 0],
            ["skip", round(skipped / asked, 4) if asked else 0],
        ],
        "now": labelled,
        "max": asked,
        "line": "Run this cell again: the labels are kept.",
    }


def choices(labeller: Labeller) -> list[dict[str, str]]:
    """Return the labels as buttons."""
    return [
        {"text": visible(label, longest=200), "title": labeller.meanings.get(label, "")[:500]}
        for label in labeller.choices
    ]


# -------------------------------------------------------------------------------- row


class Rows:
    """The rows of a table as the card shows them: the longest field as the text.

    Args:
        labeller: Whose rows.
    """

    def __init__(self, labeller: Labeller) -> None:
        self._rows = labeller.rows
        asked = labeller.asked
        self.text_field: str = max(
            self._rows.fields,
            key=lambda field: sum(len(self._rows.texts[field][row] or "") for row in asked),
        )

    def name(self, row: int) -> str:
        """Return what a row is called."""
        (label,) = self._rows.source.row_labels([row])
        return f"Row {visible(label, longest=_NAME)}"

    def whole_text(self, row: int) -> str:
        """Return the text that is read."""
        return self._rows.texts[self.text_field][row] or ""

    def item(self, row: int, shown: int = spans.SHOWN) -> dict[str, Any]:
        """Return what is shown of a row: facts, and its text."""
        others = [field for field in self._rows.fields if field != self.text_field]
        facts = [
            [visible(field, longest=40), visible(single_line(cell, 200), longest=_NAME)]
            for field in others
            if (cell := self._rows.texts[field][row])
        ]
        if len(facts) > FACTS:
            facts[FACTS:] = [["", f"and {len(facts) - FACTS:,} more"]]
        return {
            "name": self.name(row),
            "facts": facts,
            "text": spans.block(self.whole_text(row), shown=shown),
        }


# ------------------------------------------------------------------------------ the card


def card(labeller: Labeller, rows: Rows | None, notes: str, *, is_hidden: bool) -> dict[str, Any]:
    """Return everything that a page shows beside its labels.

    Args:
        labeller: The labeller as it is now.
        rows: Its rows; None where there are none.
        notes: What is to be said of earlier labels until something is done.
        is_hidden: Whether the model's answers show only when all are done.
    """
    position = labeller.position
    shown: dict[str, Any] = {"step": labeller.step, **head(labeller)}
    if rows is None:
        return {**shown, "blank": _blank(labeller), "last": None}
    if position is None:
        return {**shown, **_done(labeller, notes)}
    said = labeller.rows.said(position)
    event, given = labeller.event, None
    if event.kind == "undone" and event.row == position:
        given = event.label
    if labeller.is_reviewing:
        given = said.label if said is not None else None
    if labeller.unsaved is not None:
        given = labeller.unsaved.label
    choice = labeller.known(given)
    last = _last(labeller, rows, notes, is_hidden=is_hidden)
    text = cut(single_line(rows.whole_text(position), 400), 400)
    return {
        **shown,
        "item": rows.item(position),
        "given": None if choice is None else labeller.choices.index(choice),
        "review": int(labeller.is_reviewing),
        "last": last,
        "says": f"{''.join(last['parts'])} {rows.name(position)}: {visible(text)}",
    }


def _last(labeller: Labeller, rows: Rows, notes: str, *, is_hidden: bool) -> dict[str, Any]:
    """Return the last line: what was done, and what happens next."""
    if labeller.unsaved is not None:
        return _unsaved(labeller, rows)
    event = labeller.event
    glyph, tone = "arrow", ""
    parts: Parts
    if labeller.is_reviewing and labeller.position is not None:
        row = labeller.position
        parts = [f"{rows.name(row)}: you said ", _shown(labeller.label_of(row))]
        parts += [*_model(labeller, row), ". Any label replaces yours, s leaves it."]
    elif event.kind == "given":
        glyph, parts = _given(labeller, rows, event, is_hidden=is_hidden)
    elif event.kind == "skipped":
        parts = [f"{rows.name(event.row)} is skipped."]
    elif event.kind == "left":
        parts = [f"{rows.name(event.row)} stays ", _shown(event.label), "."]
    elif event.kind == "undone":
        glyph = "undo"
        parts = [f"{rows.name(event.row)} is open again: it was skipped."]
        if event.label is not None:
            parts = [f"{rows.name(event.row)} is open again: you had said "]
            parts += [_shown(event.label), ". Any label replaces it."]
    else:
        glyph, parts = _opening(labeller)
    if notes and not event.kind:
        glyph, tone, parts = "clock", "wait", ["", f"{notes} ", *parts]
    if not labeller.sample.is_random:
        glyph, tone, parts = "clock", "wait", [*parts, "", f" {_NOT_RANDOM}"]
    foreign = 0 if event.kind else len(labeller.foreign_rows())
    these = "it" if foreign == 1 else f"these {foreign:,}"
    return {
        "glyph": glyph,
        "tone": tone,
        "parts": parts,
        "agree": [] if is_hidden else _agreement(labeller),
        "undo": int(labeller.last is not None),
        "hide": int(is_hidden) if labeller.has_answers and labeller.last is not None else None,
        "foreign": f"Label {these} again" if foreign else "",
    }


def _opening(labeller: Labeller) -> tuple[str, Parts]:
    if labeller.begun and labeller.step == 0:
        asked, begun = len(labeller.asked), labeller.begun
        were = "was" if begun == 1 else "were"
        first = f"{begun:,} of these {asked:,} {were} labelled"
        return "clock", [f"{first} on {day(labeller.begun_at)}: you go on where you stopped."]
    count = len(labeller.choices)
    press = {1: "Press 1", 2: "Press 1 or 2"}.get(count, f"Press 1 to {min(count, KEYED)}")
    if count > KEYED:
        press += ", or type first letters"
    blind = ""
    if labeller.has_answers:
        blind = "; the model’s answer stays hidden until you have given yours"
    return "arrow", [f"{press}. Each label is on the disk before the next row shows{blind}."]


def _given(labeller: Labeller, rows: Rows, event: Event, *, is_hidden: bool) -> tuple[str, Parts]:
    parts = [f"{rows.name(event.row)}: you say ", _shown(event.label)]
    if not labeller.has_answers:
        return "check", [*parts, "."]
    if is_hidden:
        return "check", [*parts, ". The model’s answers show when all are done."]
    if labeller.answer_of(event.row) is None:
        if error := labeller.error_of(event.row):
            why = visible(single_line(error, 120)).rstrip(".")
            return "arrow", [*parts, f". The model failed there: {why}."]
        return "arrow", [*parts, ". The model has no answer there."]
    if labeller.same(event.label, labeller.answer_of(event.row)):
        return "check", [*parts, ", the model too."]
    return "arrow", [*parts, *_model(labeller, event.row), "."]


def _model(labeller: Labeller, row: int) -> Parts:
    answer = labeller.answer_of(row)
    if answer is None:
        return [", the model nothing", ""]
    return [", the model ", _shown(answer)]


def _unsaved(labeller: Labeller, rows: Rows) -> dict[str, Any]:
    act = labeller.unsaved
    position = labeller.position or 0
    said = "the skip of" if act is None or act.label is None else f"“{_shown(act.label)}” for"
    name = rows.name(position)
    safe = labeller.labelled
    kept = f"; the {safe:,} before it {'is' if safe == 1 else 'are'} safe." if safe else "."
    return {
        "glyph": "alert",
        "tone": "bad",
        "parts": [
            "",
            f"{visible(labeller.trouble.partition('. ')[0], longest=300)}.",
            f" {said[:1].upper()}{said[1:]} {name[:1].lower()}{name[1:]} waits here{kept}",
        ],
        "again": "Save again",
    }


def _agreement(labeller: Labeller) -> Parts:
    same, of = labeller.agreement()
    if not labeller.has_answers or not of:
        return []
    return ["", f"{same:,}", f" of {of:,} {'agrees' if same == 1 else 'agree'}"]


def _shown(label: Any) -> str:
    return visible(label, longest=_NAME)


# ---------------------------------------------------------------------------- no rows


def _blank(labeller: Labeller) -> Parts:
    source = labeller.rows.source
    if not source.rows:
        return ["No rows to label", "The table has none."]
    if labeller.sample.kind == "disagreement":
        return ["No rows to label", "All answers of the comparison agree."]
    fields = ", ".join(visible(name, longest=40) for name in labeller.rows.fields[:8])
    return ["No rows to label", f"No row has anything in {fields}."]


# ------------------------------------------------------------------------------- done


def _done(labeller: Labeller, notes: str) -> dict[str, Any]:
    same, of = labeller.agreement()
    skipped = labeller.skipped
    end: dict[str, Any] = {
        "labelled": f"{labeller.labelled:,}",
        "saved": "labelled, all saved" if labeller.labelled != 1 else "labelled, saved",
        "skipped": f"{skipped:,} skipped" if skipped else "none skipped",
        "agree": None,
        "pairs": [],
        "next": next_lines(labeller),
    }
    if labeller.has_answers and of:
        low, high = wilson(same, of)
        end["agree"] = {
            "share": percent(same, of, done=True),
            "text": f"{same:,} of {of:,} {'agrees' if same == 1 else 'agree'} with the model",
            "interval": f"95 % interval {100 * low:.0f} to {100 * high:.0f}",
            "dot": [round(same / of, 4), round(low, 4), round(high, 4)],
        }
        parted = [
            [f"{count:,}", _shown(label), _shown(said) if said is not None else "no answer"]
            for (label, said), count in labeller.pairs().most_common()
            if not labeller.same(label, said)
        ]
        end["pairs"] = parted[:PAIRS]
        if len(parted) > PAIRS:
            end["pairs"].append(["", f"and {len(parted) - PAIRS:,} more", ""])
    return {
        "end": end,
        "last": _done_line(labeller, notes, len(labeller.differing()) if end["agree"] else 0),
        "says": f"All are done. {labeller.sentences()[0]}.",
    }


def _done_line(labeller: Labeller, notes: str, differ: int) -> dict[str, Any]:
    project = visible(labeller.rows.store.project.name, longest=_NAME)
    labelled, skipped = labeller.labelled, labeller.skipped
    rest = len(labeller.sample.order) - len(labeller.asked)
    whose = f"Labels of {counted(labelled, 'row')} are in project {project} and survive the kernel."
    if labelled == 1:
        whose = f"The label of 1 row is in project {project} and survives the kernel."
    parts = [whose]
    if not rest and labeller.step == 0:
        parts = [f"All {counted(len(labeller.asked), 'row')} are done already: there are no more."]
    glyph, tone = "check", ""
    if notes:
        glyph, tone, parts = "clock", "wait", [f"{notes} {parts[0]}"]
    if not labeller.sample.is_random:
        glyph, tone, parts = "clock", "wait", [f"{parts[0]} {_NOT_RANDOM}"]
    more = min(50, rest)
    return {
        "glyph": glyph,
        "tone": tone,
        "parts": parts,
        "differ": f"Read the {differ:,} that {'differs' if differ == 1 else 'differ'}"
        if differ
        else "",
        "skipped": f"The {skipped:,} skipped" if skipped else "",
        "more": f"Label {more:,} more" if more else "",
    }


def next_lines(labeller: Labeller) -> list[list[str]]:
    """Return lines of code that go on from here, each with what it is for."""
    table = variable(labeller.rows.source.table) or ("df" if labeller.is_frame else "texts")
    labelled = variable(labeller) or "labelled"
    column = text_literal(labeller.column)
    lines = []
    if labeller.has_answers and labeller.sample.is_random:
        lines.append(["How good the model is", f"{table}.llm.score({column}, {labelled})"])
        lines.append(
            ["How many of each, in all", f"{table}.llm.shares({column}, truth={labelled})"]
        )
    if labeller.is_frame:
        text = text_literal(Rows(labeller).text_field)
        classify = f"{table}.llm.classify({text}, {labelled}.choices, examples={labelled})"
        lines.append(["Your labels as examples", classify])
        lines.append(["A better prompt", f"{table}.llm.workbench(truth={labelled})"])
    else:
        classify = f"{table}.llm.classify({labelled}.choices, examples={labelled})"
        lines.append(["Your labels as examples", classify])
    return [[purpose, visible(code, longest=300)] for purpose, code in lines]
