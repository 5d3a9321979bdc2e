"""A workbench in words: its versions and their figures, without a text of any row."""

from __future__ import annotations

from typing import Protocol

from llmnb.display import money, numbers
from llmnb.display.escape import html_text, summary, visible, visible_lines
from llmnb.display.html_fragments import box, figure_table, headline
from llmnb.display.texts import counted, cut
from llmnb.frames.scoring import Score
from llmnb.frames.workbench_version import Labels, Version

_LONGEST_PROMPT = 4_000
"""Characters of the prompt that a saved notebook keeps."""

_SHOWN = 20
"""Versions, the last ones, that are listed."""


class Bench(Protocol):
    """What is told of a workbench."""

    budget_usd: float

    @property
    def prompt(self) -> str:
        """The prompt in the editor."""

    @property
    def versions(self) -> list[Version]:
        """What was asked so far."""

    @property
    def spent(self) -> float:
        """Dollars spent, as far as prices are known."""

    @property
    def has_unpriced(self) -> bool:
        """Whether answers of unknown price were bought."""

    @property
    def rows(self) -> int:
        """Rows of the table."""

    @property
    def truth(self) -> Labels:
        """What is true of them."""


def share_words(score: Score) -> tuple[str, str]:
    """Return how good answers are and how sure that is, such as ``("90 %", "74 to 97")``."""
    if score.accuracy is None:  # numbers
        return f"off by {numbers.amount(score.mae or 0.0)}", ""
    low, high = score.interval or (0.0, 1.0)
    return numbers.share(score.accuracy), f"{100 * low:.0f} to {100 * high:.0f}"


def spent_words(bench: Bench) -> str:
    """Return the sentence about a budget at its end."""
    return f"{spent_sentence(bench)} Set budget_usd higher to ask more; what is answered is kept."


def spent_sentence(bench: Bench) -> str:
    """Return in which way a budget is at its end."""
    budget, spent = bench.budget_usd, bench.spent
    if spent >= 0.9 * budget:
        return f"The {money.usd(budget)} of this workbench are spent."
    left = money.usd(budget - spent)
    return (
        f"What is left of the {money.usd(budget)} of this workbench, {left}, does not pay for "
        "another row."
    )


def subject(bench: Bench) -> str:
    """Return what a workbench is about: rows and labels."""
    labels = len(bench.truth.rows({}))
    known = counted(labels, "label") if labels else "no labels"
    return f"{counted(bench.rows, 'row')}, {known}"


def _head(bench: Bench) -> tuple[str, str]:
    versions = len(bench.versions)
    first = f"{counted(versions, 'version')} of a prompt" if versions else "No version of a prompt"
    spent = money.usd(bench.spent, more_unknown=bench.has_unpriced)
    return first, f"on {subject(bench)}, {spent} spent."


def _rows(versions: list[Version]) -> list[list[str]]:
    rows = []
    for version in versions[-_SHOWN:]:
        score = version.score
        share, interval = ("not scored", "") if score is None else share_words(score)
        rows.append([f"v{version.number}", share, interval, _price(version)])
    return rows


def _price(version: Version) -> str:
    usd = version.usd_per_row
    return "price unknown" if usd is None else f"{money.usd(usd)} a row"


def summary_of(bench: Bench) -> str:
    """Return the workbench in a line."""
    first, rest = _head(bench)
    return summary("Workbench", f"{first} {rest}")


def text(bench: Bench) -> str:
    """Return the workbench as text: versions, figures and the prompt in the editor."""
    first, rest = _head(bench)
    parts = [f"{first} {rest}"]
    if rows := _rows(bench.versions):
        parts.append("\n".join("  ".join(cell for cell in row if cell) for row in rows))
    if bench.prompt:
        parts.append(visible_lines(cut(bench.prompt, _LONGEST_PROMPT)))
    return "\n\n".join(parts)


def html(bench: Bench) -> str:
    """Return what a saved notebook keeps, as HTML without script, style sheet or address."""
    first, rest = _head(bench)
    parts = [headline(first, rest)]
    if rows := _rows(bench.versions):
        head = ["version", "right", "95 % interval", "cost"]
        parts.append(figure_table(head, rows))
    if bench.prompt:
        lines = map(visible, cut(bench.prompt, _LONGEST_PROMPT).split("\n"))
        style = "margin:5px 0 0;padding:0;background:none;white-space:pre-wrap;font-size:12px"
        body = "\n".join(html_text(line) for line in lines)
        parts.append(f'<pre style="{style}">{body}</pre>')
    return box(*parts)
