"""One row as the explorer opens it: its parts, its ledger, and what of it can be corrected."""

from __future__ import annotations

import re
from typing import Any

from llmnb.display import changed_words, durations, money, spans
from llmnb.display.escape import visible
from llmnb.display.spans import Range
from llmnb.display.texts import counted
from llmnb.frames.exploring import Explorer
from llmnb.frames.row_sources import CLEARED, WHOLE, ReadRow, shown

LONGEST_NAME = 80

_NO_ANSWER = {
    "empty": "not asked: every field of its prompt is missing",
    "waiting": "not answered yet",
}


def name_shown(text: str) -> str:
    """Return a name as chips and lines show it."""
    return visible(text, longest=LONGEST_NAME)


def marks(text: str, pattern: re.Pattern[str] | None) -> list[Range]:
    """Return where a text that is searched for stands."""
    if pattern is None:
        return []
    return [(*match.span(), "mark") for match in pattern.finditer(text) if match[0]][:1_000]


class OpenRow:
    """A row with all there is of it, its long texts cut.

    Args:
        explorer: Where it is read.
        position: Its position in the table.
    """

    def __init__(self, explorer: Explorer, position: int) -> None:
        (self._row,) = (row,) = explorer.source.read([position], WHOLE)
        self._explorer = explorer
        self._pattern = explorer.pattern()
        self._correction = explorer.correction(position)
        self._parts: list[dict[str, Any]] = []
        texts = {
            "reply": row.reply,
            "system": row.system,
            **{f"turn{number}": text for number, (_, text) in enumerate(row.turns)},
            "prompt": row.prompt,
            "reasoning": row.reasoning,
            "tools": "\n".join(row.tool_calls),
            "raw": row.as_it_came,
        }
        self._texts = {key: text for key, text in texts.items() if text}
        if row.answer is not None:
            self._texts["answer"] = row.answer
        if row.before is not None:
            self._texts |= {"before": row.before.line, "now": row.line}

    def as_json(self) -> dict[str, Any]:
        """Return what the page shows."""
        row = self._row
        self._add_failure()
        self._add_folded("Reply", "reply")
        self._add_folded("System", "system")
        self._add_changes()
        for number, (who, _) in enumerate(row.turns):
            self._add_folded(name_shown(who).capitalize(), f"turn{number}")
        if row.before is not None and row.before.prompt == row.prompt:
            self._add_folded("Prompt", "prompt", "the same in both runs")
        elif "prompt" in self._texts:
            self._add_text("Prompt", "prompt", isTemplate=bool(row.fills))
        if row.files:
            self._add("Files", "plain", text=", ".join(map(name_shown, row.files)))
        tokens = row.reasoning_tokens
        self._add_folded(
            "Reasoning", "reasoning", "" if tokens is None else counted(tokens, "token")
        )
        self._add_folded("Tools", "tools", counted(len(row.tool_calls), "call"))
        self._add_answer()
        if row.facts:
            self._add("Row", "fields", rows=_field_rows(row.facts))
        return {
            "position": row.position,
            "no": f"{row.position:,}",
            "label": name_shown(row.label),
            "isMarked": self._explorer.is_marked(row.position),
            "parts": self._parts,
            "foot": _foot(row),
            "says": _says(row),
            "correction": self._correctable(),
        }

    def block(self, key: str, length: int = spans.SHOWN) -> dict[str, Any] | None:
        """Return so many characters of one of its texts; None where it has no such text."""
        if (text := self._texts.get(key)) is None:
            return None
        cells: list[Range] = []
        if key == "prompt":
            cells = [(*span, "fill") for span in self._row.fills]
        return spans.block(text, [*cells, *marks(text[:length], self._pattern)], shown=length)

    # ------------------------------------------------------------------------ its parts

    def _add(self, name: str, kind: str, **more: Any) -> None:
        self._parts.append({"name": name, "kind": kind, **more})

    def _add_text(self, name: str, key: str, **more: Any) -> None:
        self._add(name, "text", key=key, block=self.block(key), **more)

    def _add_folded(self, name: str, key: str, summary: str = "") -> None:
        """Add a text that is seen once it is unfolded, if there is one."""
        if text := self._texts.get(key):
            summary = summary or counted(len(text.split()), "word")
            self._add(name, "fold", key=key, block=self.block(key), summary=summary)

    def _add_failure(self) -> None:
        row, source = self._row, self._explorer.source
        if row.error is None:
            return
        alike = source.alike(row.position)
        texts = [row.error] if row.error.strip() != row.cause.strip() else []
        self._add(
            "Error",
            "error",
            title=spans.spans(row.cause[:1].upper() + row.cause[1:]),
            texts=[spans.cut_line(text, longest=2_000) for text in texts],
            retry="" if not alike else "Retry this row" if alike == 1 else f"Retry these {alike:,}",
        )

    def _add_changes(self) -> None:
        """Add the answers of two runs."""
        row, before = self._row, self._row.before
        if before is None or row.is_cleared or not (row.line or before.line):
            return
        old, new = before.line, row.line
        if before.is_cleared or old == new:
            note = f"the answer before was {CLEARED}" if before.is_cleared else "the same in both"
            self._add_text("Answer", "now", note=note)
            return
        longest = spans.LONGEST // 5
        self._add(
            "Answer",
            "changes",
            inText=changed_words.changed_spans(old[:longest], new[:longest]),
            sides=[
                {
                    "title": f"{key}, {counted(len(text.split()), 'word')}",
                    "key": key,
                    "block": self.block(key),
                }
                for key, text in (("before", old), ("now", new))
            ],
        )

    def _add_answer(self) -> None:
        row = self._row
        if row.is_cleared:
            self._add("Answer", "plain", text=f"{CLEARED}: asking it again buys it again")
            return
        if row.truth is not None:
            answer = ["answer", spans.spans(row.line), "right" if row.is_right else "wrong"]
            self._add("Answer", "fields", rows=[answer, ["truth", spans.spans(row.truth), ""]])
        elif row.before is None and row.answer is not None and not (row.fields and not row.answer):
            self._add_text("Answer", "answer")
        elif row.before is None and row.error is None and not row.fields:
            self._add("Answer", "plain", text=_NO_ANSWER.get(row.outcome, "none"))
        if row.fields:
            self._add("Fields", "fields", rows=self._own_fields())
        self._add_folded("Reply", "raw", "as it came")

    def _own_fields(self) -> list[list[Any]]:
        row = self._row
        rows = _field_rows(row.fields, None if row.before is None else row.before.fields)
        corrected = self._correction if isinstance(self._correction, dict) else {}
        for line, name in zip(rows, row.fields, strict=True):
            if name in row.unsupported:
                line[2] = "its quote is not in the row"
            if name in corrected:
                old, new = shown(row.fields[name]), shown(corrected[name])
                line[1] = changed_words.changed_spans(old, new)
        return rows

    # -------------------------------------------------------------------- its correction

    def fields(self) -> list[str]:
        """Return the fields of a structured answer that can be corrected: plain values."""
        fields = self._row.fields
        return [
            name
            for name in self._explorer.source.fields
            if name in fields and not isinstance(fields[name], list | dict)
        ]

    def _correctable(self) -> dict[str, Any] | None:
        """Return beside which part it is corrected, the texts to begin with, what was said."""
        row, said = self._row, self._correction
        if not self._explorer.can_correct or row.is_cleared:
            return None
        if self._explorer.source.fields:
            values = {**row.fields, **(said or {})}
            texts = {name_shown(name): shown(values[name]) for name in self.fields()}
            part, words, to = "Fields", "Corrected", ""
        else:
            texts = {"The right answer": row.line if said is None else said}
            part, words, to = "Answer", "Corrected to", said or ""
        return {
            "part": part,
            "names": list(texts),
            "texts": [text if len(text) <= spans.SHOWN else "" for text in texts.values()],
            "said": "" if said is None else words,
            "to": to,
        }


def _field_rows(fields: Any, before: Any = None) -> list[list[Any]]:
    rows = []
    for name, value in fields.items():
        text = shown(value)
        parts = spans.cut_line(text, longest=spans.SHOWN) if text else [("", "–")]
        if before is not None and shown(before.get(name)) != text:
            parts = changed_words.changed_spans(shown(before.get(name)), text)
        rows.append([name_shown(str(name)), parts, ""])
    return rows


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
