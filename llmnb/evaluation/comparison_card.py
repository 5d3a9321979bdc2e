"""How a comparison with truth is shown: one static card of HTML, and the same as text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llmnb.display import durations, money, numbers
from llmnb.display.aligned import columns, wrapped
from llmnb.display.escape import html_text, visible
from llmnb.display.html_fragments import box, cell, strong, table, text_cell
from llmnb.display.palette import FAINT
from llmnb.display.texts import counted, cut
from llmnb.evaluation.card_parts import axis_table, foot, note, title, whisker
from llmnb.evaluation.comparison_score import Rival

_SHOWN = 12
"""Rivals that are shown at most."""

_FIGURES = ("right", "95 % interval", "failed", "p50", "per 1,000 rows")

_LONGEST_HEAD = 24
"""Characters of a rival's name over its answers."""


@dataclass(frozen=True, slots=True)
class RivalCosts:
    """What one of several answered, cost and took.

    Attributes:
        name: Its name.
        failed: Rows without an answer; they count as wrong.
        usd_per_row: Dollars of an answer; None where no price is known.
        seconds: The median of a row.
    """

    name: str
    failed: int
    usd_per_row: float | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class ComparisonCard:
    """What a comparison with truth shows.

    Attributes:
        rivals: Best first.
        costs: In the same order.
        rows: How many rows have a true label.
        whole: How many rows the table has.
        disputed: Rows on which they disagree: its label, truth, each one's answer in the order
            given, and what it was asked about.
        others_disputed: How many more rows they disagree on.
    """

    rivals: Sequence[Rival]
    costs: Sequence[RivalCosts]
    rows: int
    whole: int
    disputed: Sequence[Sequence[str]]
    others_disputed: int

    def line(self) -> str:
        """Return the headline as one line."""
        return visible("".join(self._headline()))

    def html(self) -> str:
        """Return the card; every style can be stripped, and no text in it acts."""
        first, rest = self._headline()
        parts = [
            title(first, rest),
            note(self._advice()),
            self._drawn(),
            f'<p style="margin:10px 0 2px">{strong("Against the best")}</p>\n',
            *(
                f'<p style="margin:0;font-size:12.5px">{strong(name)} {html_text(said)} '
                f'<span style="white-space:nowrap">{html_text(p)}</span></p>\n'
                for name, said, p in self._verdicts()
            ),
            note(self._test(), "2px 0 8px"),
        ]
        if self.disputed:
            parts.append(
                f'<p style="margin:10px 0 2px">{strong("Rows on which they disagree")}</p>\n'
            )
            parts.append(self._disputed_table())
        parts.append(foot(html_text(self._footer())))
        return box(*parts, name="llmnb-score", width=840)

    def text(self) -> str:
        """Return the card as text, below 90 columns."""
        rows: list[tuple[str, ...]] = [("", *_FIGURES)]
        rows += [(costs.name, *self._figures(rival, costs)) for rival, costs in self._shown()]
        lines = [*wrapped(self.line()), *wrapped(self._advice()), ""]
        lines += ["  " + line for line in columns(rows, right={1, 2, 3, 4, 5}, width=86)]
        lines.append("")
        for verdict in self._verdicts():
            lines += wrapped(" ".join(verdict))
        lines += wrapped(self._test())
        if self.disputed:
            disputed = columns([self._disputed_head(), *self.disputed], right={0}, width=86)
            lines += ["", "  rows on which they disagree", *("  " + line for line in disputed)]
        return "\n".join([*lines, "", *wrapped(self._footer())])

    # ------------------------------------------------------------------------ sentences

    def _shown(self) -> list[tuple[Rival, RivalCosts]]:
        return list(zip(self.rivals, self.costs, strict=True))[:_SHOWN]

    def _headline(self) -> tuple[str, str]:
        best = self.rivals[0]
        return (
            cut(self.costs[0].name, 60),
            f" is right most often: {numbers.share(best.accuracy)} of {self.rows:,} labelled rows",
        )

    def _advice(self) -> str:
        """Return whether something cheaper does as well, and what had no answer or price."""
        best, sentences = self.costs[0], []
        cheaper = [
            (costs.usd_per_row, rival, costs)
            for rival, costs in zip(self.rivals[1:], self.costs[1:], strict=True)
            if not rival.is_worse
            and costs.usd_per_row is not None
            and best.usd_per_row
            and costs.usd_per_row < 0.8 * best.usd_per_row
        ]
        if cheaper and best.usd_per_row:
            price, rival, costs = min(cheaper, key=lambda each: each[0])
            points = 100 * (self.rivals[0].accuracy - rival.accuracy)
            share = 100 * price / best.usd_per_row
            sentences.append(
                f"For {share:.0f} % of its price: {cut(costs.name, 60)}, {points:.1f} points "
                "lower, not shown to be worse."
            )
        for costs in self.costs:
            said = [] if costs.usd_per_row is not None else ["has no known price"]
            if costs.failed:
                said.append(f"failed on {counted(costs.failed, 'row')}, which count as wrong")
            if said:
                sentences.append(f"{cut(costs.name, 60)} {' and '.join(said)}.")
        return " ".join(sentences[:4])

    def _verdicts(self) -> Iterator[tuple[str, str, str]]:
        for rival, costs in self._shown()[1:]:
            verdict = "is worse" if rival.is_worse else "is not shown to be worse"
            yield (
                cut(costs.name, 60),
                f"{verdict}: wrong on {counted(rival.worse, 'row')} that the best has right, right "
                f"on {rival.better:,} that it has wrong",
                f"({p_text(rival.p_holm)}).",
            )

    def _test(self) -> str:
        others = len(self.rivals) - 1
        holm = f", corrected for {others} comparisons (Holm)" if others > 1 else ""
        return f"Exact McNemar test on the same rows{holm}."

    def _footer(self) -> str:
        parts = []
        if self.others_disputed:
            parts.append(
                f"{counted(self.others_disputed, 'more row')}: .answers, least agreed first"
            )
        parts.append("figures: .models")
        parts.append(f"{self.rows:,} of {counted(self.whole, 'row')} labelled")
        return " · ".join(parts)

    # -------------------------------------------------------------------------- figures

    def _figures(self, rival: Rival, costs: RivalCosts) -> tuple[str, ...]:
        price = costs.usd_per_row
        return (
            numbers.share(rival.accuracy),
            f"{100 * rival.low:.0f} to {100 * rival.high:.0f}",
            f"{costs.failed:,}",
            durations.latency(costs.seconds),
            "unknown" if price is None else money.usd(1000 * price),
        )

    def _drawn(self) -> str:
        shown = [number for number, name in enumerate(_FIGURES) if self._has(name)]
        rows = []
        for rival, costs in self._shown():
            drawn = whisker(rival.accuracy, (rival.low, rival.high))
            figures = self._figures(rival, costs)
            rows.append((costs.name, drawn, [figures[number] for number in shown]))
        names = [_FIGURES[number] for number in shown]
        return axis_table(["0", "50", "100 %"], names, rows, is_first_best=True)

    def _has(self, name: str) -> bool:
        return name != "failed" or any(costs.failed for costs in self.costs)

    def _disputed_head(self) -> list[str]:
        by_number = sorted(
            zip(self.rivals, self.costs, strict=True), key=lambda pair: pair[0].number
        )
        names = [costs.name for _, costs in by_number]
        if max(map(len, names)) > _LONGEST_HEAD:  # what all begin with tells none apart
            pieces = [re.split("(?<=[/,])", name) for name in names]
            shared = itertools.takewhile(lambda own: len(set(own)) == 1, zip(*pieces, strict=False))
            begin = min(len(list(shared)), min(map(len, pieces)) - 1)
            names = ["".join(own[begin:]).strip() for own in pieces]
        return ["row", "truth", *names, ""]

    def _disputed_table(self) -> str:
        style = "padding:1px 12px 1px 0;vertical-align:top"
        small = f"{style};{FAINT};font-size:11px;line-height:14px;vertical-align:bottom"
        head = [
            # Broken between words, or behind a slash, and never within one.
            cell(name, small, head="col", longest=_LONGEST_HEAD)
            for name in self._disputed_head()
        ]
        rows = [
            [
                *(
                    cell(text, style, align="left" if place else "right", longest=100)
                    for place, text in enumerate(row[:-1])
                ),
                text_cell(cut(row[-1], 100), f"{style};{FAINT};min-width:90px"),
            ]
            for row in self.disputed
        ]
        return f'<div style="overflow-x:auto">{table([head, *rows])}</div>'


def p_text(p: float | None) -> str:
    """Return a p-value with its name; empty where there is none."""
    if p is None:
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.995 else "p = 1"
