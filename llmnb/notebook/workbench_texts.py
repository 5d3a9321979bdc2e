"""Prompts, rows and answers as the workbench's page shows them; sent as messages, never kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from llmnb.display.changed_words import changed_spans
from llmnb.display.escape import visible
from llmnb.display.spans import Span, cut_line, spans
from llmnb.errors import UnknownField
from llmnb.frames.template import writable, wrong_field
from llmnb.frames.workbench import Workbench
from llmnb.frames.workbench_version import Question, Version
from llmnb.notebook import workbench_view

ANSWER_SHOWN = 600
"""Characters of an answer before somebody unfolds it."""


def texts(
    bench: Workbench,
    picked: Collection[int] | None = None,
    unfolded: Mapping[tuple[int, int], int] | None = None,
) -> dict[str, Any]:
    """Return what a page shows of prompts, rows and answers; sent as a message, never kept.

    Args:
        bench: The workbench.
        picked: Numbers of the versions that were chosen.
        unfolded: Characters shown of an answer, by number of the version and row.
    """
    shown, sample = workbench_view.shown_versions(bench, picked), list(bench.sample)
    is_long = workbench_view.is_long(bench, shown)
    field, near = "", ""
    if isinstance(bench.error, UnknownField):
        field, near = wrong_field(bench.prompt, bench.columns)
    names = bench.row_labels(sample)
    bodies = bench.texts(sample)
    rows = [
        {
            "name": f"row {visible(name, longest=40)}",
            "truth": "" if (label := bench.truth.of(row)) is None else visible(label, longest=60),
            "text": cut_line(body or ""),
            "answers": [
                _answer(bench, shown, place, row, unfolded or {}) for place in range(len(shown))
            ],
        }
        for row, name, body in zip(sample, names, bodies, strict=True)
    ]
    return {
        "prompt": bench.prompt,
        "columns": writable(bench.columns),
        "field": field,
        "near": near,
        "long": int(is_long),
        "rows": rows,
        "diffs": [_differences(bench, version) for version in shown],
    }


def _answer(
    bench: Workbench,
    shown: Sequence[Version],
    place: int,
    row: int,
    unfolded: Mapping[tuple[int, int], int],
) -> dict[str, Any]:
    version = shown[place]
    text = version.text(row)
    answer: dict[str, Any] = {"version": version.number, "row": row, "mark": "", "more": 0}
    if row in version.pending:
        return {**answer, "state": "asked", "spans": []}
    if text is None:
        failure = version.failure(row)
        if failure and version.outcomes.get(row) is not None and bench.truth.of(row) is not None:
            answer["mark"] = "wrong"
        return {**answer, "state": "failed" if failure else "none", "spans": [("", failure)]}
    right = version.is_right(row)
    answer["mark"] = "" if right is None else "right" if right else "wrong"
    before = shown[place - 1].text(row) if place else None
    limit = unfolded.get((version.number, row), ANSWER_SHOWN)
    parts, more = _cut(_changed(before, text), limit)
    return {**answer, "state": "answered", "spans": parts, "more": more}


def _changed(before: str | None, text: str) -> list[Span]:
    if before is None or before == text:
        return spans(text)
    if max(len(before), len(text)) <= workbench_view.SHORT_ANSWER:
        return spans(text, [(0, len(text), "ins")])
    return changed_spans(before, text)


def _cut(parts: Sequence[Span], limit: int) -> tuple[list[Span], int]:
    """Return the first characters of a text in spans, and how many more there are."""
    kept: list[Span] = []
    left = limit
    for kinds, text in parts:
        if left > 0:
            kept.append((kinds, text[:left]))
        left -= len(text)
    return kept, max(0, -left)


def _differences(bench: Workbench, version: Version) -> list[Span]:
    """Return what changed from the version before, in settings and words."""
    older = [other for other in bench.versions if other.number < version.number]
    if not older:
        return []
    before = older[-1].question
    parts: list[Span] = []
    for name, old, new in _settings(before, version.question):
        parts += [("", "; " if parts else ""), ("", f"{name} ")]
        parts += [("del", old), ("", " ")] if old else []
        parts += spans(new, [(0, len(new), "ins")]) if new else []
    if before.prompt != version.prompt:
        changed = _only_changes(changed_spans(before.prompt, version.prompt))
        parts += [("", "; prompt: ")] if parts else []
        parts += changed
    return [part for part in parts if part[1]][:60]


def _settings(before: Question, after: Question) -> list[tuple[str, str, str]]:
    """Return the settings that differ: name, and both values as text."""
    changes: list[tuple[str, str, str]] = []
    for name in dict.fromkeys([*before.params, *after.params]):
        old, new = before.params.get(name), after.params.get(name)
        if old != new:
            old, new = ("" if value is None else visible(value, longest=40) for value in (old, new))
            changes.append((name.replace("_", " "), old, new))
    if before.model != after.model:
        old, new = (
            visible(workbench_view.model_words(asked, None)[1], longest=60)
            for asked in (before, after)
        )
        changes.append(("model", old, new))
    if (before.pairs, before.examples) != (after.pairs, after.examples):
        old, new = (
            str(len(asked.pairs) or len(asked.examples) or "none") for asked in (before, after)
        )
        changes.append(("examples", old, new))
    for name in ("system", "schema"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            said = "changed" if old and new else "added" if new else "removed"
            changes.append((name, "", said))
    return changes


def _only_changes(parts: Sequence[Span]) -> list[Span]:
    """Return the changed words of a text with what stands between them cut to an ellipsis."""
    kept: list[Span] = []
    for kinds, text in parts:
        if "ins" in kinds or "del" in kinds:
            kept.append((kinds, text))
        elif kept:
            kept.append(("", text if len(text) <= 24 and "\n" not in text else " … "))
    while kept and not kept[-1][0]:
        kept.pop()
    return kept
