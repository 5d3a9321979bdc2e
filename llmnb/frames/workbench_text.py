"""A workbench in words: its versions and their figures, without a text of any row."""

from __future__ import annotations

from collections.abc import Sequence

from llmnb.display import money, numbers
from llmnb.display.escape import html_text, summary, visible, visible_lines
from llmnb.display.html_fragments import box, figure_table, headline
from llmnb.display.texts import counted, cut
from llmnb.frames.scoring import Score
from llmnb.frames.workbench_version import Version

_LONGEST_PROMPT = 4_000
"""Characters of the prompt that a saved notebook keeps."""

_SHOWN = 20
"""Versions, the last ones, that are listed."""


def share_words(score: Score) -> tuple[str, str]:
    """Return how good answers are and how sure that is, such as ``("90 %", "74 to 97")``."""
    if score.accuracy is None:  # numbers
        return f"off by {numbers.amount(score.mae or 0.0)}", ""
    low, high = score.interval or (0.0, 1.0)
    return numbers.share(score.accuracy), f"{100 * low:.0f} to {100 * high:.0f}"


def about(rows: int, labels: int, spent: str) -> str:
    """Return what versions are of: so many rows and labels, and what was spent."""
    known = counted(labels, "label") if labels else "no labels"
    return f"on {counted(rows, 'row')}, {known}, {spent}."


def _first(versions: Sequence[Version]) -> str:
    count = len(versions)
    return f"{counted(count, 'version')} of a prompt" if count else "No version of a prompt"


def _rows(versions: Sequence[Version]) -> list[list[str]]:
    rows = []
    for version in versions[-_SHOWN:]:
        score = version.score
        share, interval = ("not scored", "") if score is None else share_words(score)
        rows.append([f"v{version.number}", share, interval, _price(version)])
    return rows


def _price(version: Version) -> str:
    usd = version.usd_per_row
    return "price unknown" if usd is None else f"{money.usd(usd)} a row"


def summary_of(about: str, versions: Sequence[Version]) -> str:
    """Return a workbench in a line."""
    return summary("Workbench", f"{_first(versions)} {about}")


def text(about: str, versions: Sequence[Version], prompt: str) -> str:
    """Return a workbench as text: versions, figures and the prompt in the editor."""
    parts = [f"{_first(versions)} {about}"]
    if rows := _rows(versions):
        parts.append("\n".join("  ".join(cell for cell in row if cell) for row in rows))
    if prompt:
        parts.append(visible_lines(cut(prompt, _LONGEST_PROMPT)))
    return "\n\n".join(parts)


def html(about: str, versions: Sequence[Version], prompt: str) -> str:
    """Return what a saved notebook keeps, as HTML without script, style sheet or address."""
    parts = [headline(_first(versions), about)]
    if rows := _rows(versions):
        head = ["version", "right", "95 % interval", "cost"]
        parts.append(figure_table(head, rows))
    if prompt:
        lines = map(visible, cut(prompt, _LONGEST_PROMPT).split("\n"))
        style = "margin:5px 0 0;padding:0;background:none;white-space:pre-wrap;font-size:12px"
        body = "\n".join(html_text(line) for line in lines)
        parts.append(f'<pre style="{style}">{body}</pre>')
    return box(*parts)
