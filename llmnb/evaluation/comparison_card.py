"""How a comparison with truth is shown."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llmnb.display import durations, money, numbers
from llmnb.display.aligned import wrapped
from llmnb.display.escape import html_text
from llmnb.display.html_fragments import strong
from llmnb.display.texts import counted, cut
from llmnb.evaluation.card import UNBROKEN, Card, Part, axis, foot, listed, sentence, whisker
from llmnb.evaluation.scores import Rival

_SHOWN = 12
"""Rivals that are shown at most."""


@dataclass(frozen=True, slots=True)
class RankedRival:
    """One of several, with what it answered, cost and took.

    Attributes:
        name: Its name.
        score: How often it is right.
        failed: Rows without an answer; they count as wrong.
        usd_per_row: Dollars of an answer; None where no price is known.
        seconds: The median of a row.
    """

    name: str
    score: Rival
    failed: int
    usd_per_row: float | None
    seconds: float | None

    @property
    def short_name(self) -> str:
        """The name as it stands in a sentence."""
        return cut(self.name, 60)

    def figures(self) -> dict[str, str]:
        """Return the figures by their names."""
        score, price = self.score, self.usd_per_row
        return {
            "right": numbers.share(score.accuracy),
            "95 % interval": f"{100 * score.low:.0f} to {100 * score.high:.0f}",
            "failed": f"{self.failed:,}",
            "p50": durations.latency(self.seconds),
            "per 1,000 rows": "unknown" if price is None else money.usd(1000 * price),
        }


@dataclass(frozen=True, slots=True)
class ComparisonCard(Card):
    """What a comparison with truth shows.

    Attributes:
        rivals: Best first.
        rows: How many rows have a true label.
        whole: How many rows the table has.
        disputed: Rows on which they disagree: its label, truth, each one's answer in the order
            given, and what it was asked about.
        others_disputed: How many more rows they disagree on.
    """

    rivals: Sequence[RankedRival]
    rows: int
    whole: int
    disputed: Sequence[Sequence[str]]
    others_disputed: int

    def parts(self) -> Iterator[Part]:
        """Yield the parts, from top to bottom."""
        yield self._title()
        yield sentence(self._advice())
        shown = self.rivals[:_SHOWN]
        names = [
            name
            for name in shown[0].figures()
            if name != "failed" or any(rival.failed for rival in self.rivals)
        ]
        rows = [
            (
                rival.name,
                whisker(rival.score.accuracy, (rival.score.low, rival.score.high)),
                [rival.figures()[name] for name in names],
            )
            for rival in shown
        ]
        yield axis(["0", "50", "100 %"], names, rows, is_first_best=True)
        yield f'<p style="margin:10px 0 2px">{strong("Against the best")}</p>\n', [""]
        for rival in shown[1:]:
            yield _verdict(rival)
        others = len(self.rivals) - 1
        holm = f", corrected for {others} comparisons (Holm)" if others > 1 else ""
        yield sentence(f"Exact McNemar test on the same rows{holm}.", "2px 0 8px")
        if self.disputed:
            yield listed("Rows on which they disagree", [self._disputed_head(), *self.disputed])
        more = f"{counted(self.others_disputed, 'more row')}: .answers, least agreed first · "
        labelled = f"{self.rows:,} of {counted(self.whole, 'row')} labelled"
        yield foot(f"{more if self.others_disputed else ''}figures: .models · {labelled}")

    def headline(self) -> tuple[str, str]:
        """Return who is right most often, and how often."""
        best = self.rivals[0]
        share = numbers.share(best.score.accuracy)
        return best.short_name, f" is right most often: {share} of {self.rows:,} labelled rows"

    def _advice(self) -> str:
        """Return whether something cheaper does as well, and what had no answer or price."""
        best, *others = self.rivals
        sentences = []
        limit = 0.8 * (best.usd_per_row or 0.0)
        cheaper = [
            (rival.usd_per_row, rival)
            for rival in others
            if not rival.score.is_worse
            and rival.usd_per_row is not None
            and rival.usd_per_row < limit
        ]
        if cheaper and best.usd_per_row:
            price, rival = min(cheaper, key=lambda each: each[0])
            points = 100 * (best.score.accuracy - rival.score.accuracy)
            sentences.append(
                f"For {100 * price / best.usd_per_row:.0f} % of its price: {rival.short_name}, "
                f"{points:.1f} points lower, not shown to be worse."
            )
        for rival in self.rivals:
            said = [] if rival.usd_per_row is not None else ["has no known price"]
            if rival.failed:
                said.append(f"failed on {counted(rival.failed, 'row')}, which count as wrong")
            if said:
                sentences.append(f"{rival.short_name} {' and '.join(said)}.")
        return " ".join(sentences[:4])

    def _disputed_head(self) -> list[str]:
        by_number = sorted(self.rivals, key=lambda rival: rival.score.number)
        names = [rival.name for rival in by_number]
        if max(map(len, names)) > UNBROKEN:  # what all begin with tells none apart
            pieces = [re.split("(?<=[/,])", name) for name in names]
            shared = itertools.takewhile(lambda own: len(set(own)) == 1, zip(*pieces, strict=False))
            begin = min(len(list(shared)), min(map(len, pieces)) - 1)
            names = ["".join(own[begin:]).strip() for own in pieces]
        return ["row", "truth", *names, ""]


def _verdict(rival: RankedRival) -> Part:
    """Return whether a rival is shown to be worse than the best."""
    score = rival.score
    verdict = "is worse" if score.is_worse else "is not shown to be worse"
    said = (
        f"{verdict}: wrong on {counted(score.worse, 'row')} that the best has right, right on "
        f"{score.better:,} that it has wrong"
    )
    p = f"({p_text(score.p_holm)})."
    html = (
        f'<p style="margin:0;font-size:12.5px">{strong(rival.short_name)} {html_text(said)} '
        f'<span style="white-space:nowrap">{html_text(p)}</span></p>\n'
    )
    return html, wrapped(f"{rival.short_name} {said} {p}")


def p_text(p: float | None) -> str:
    """Return a p-value with its name; empty where there is none."""
    if p is None:
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.995 else "p = 1"
