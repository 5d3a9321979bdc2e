"""How shares are shown: one static card of HTML, and the same as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from llmnb.display.aligned import columns, wrapped
from llmnb.display.escape import html_text, visible
from llmnb.display.html_fragments import box
from llmnb.display.moments import moment
from llmnb.display.texts import counted, cut
from llmnb.evaluation.card_parts import (
    FEW_LABELS,
    axis_table,
    foot,
    note,
    title,
    whisker,
    without_a_row,
)
from llmnb.evaluation.shares import LabelShare

_LABELS_SHOWN = 20
_FIGURES = ("share", "95 % interval", "rows", "model says")


@dataclass(frozen=True, slots=True)
class SharesCard:
    """What shares show.

    Attributes:
        shares: The share of each label, as it was written, the largest first.
        rows: How many rows the table has.
        labelled: How many of them have a true label.
        strangers: Labels of truth that belong to no row.
        made: When, in seconds since the epoch.
        missing: Rows without an answer.
        has_common: Whether an answer is one of the true labels.
    """

    shares: Mapping[str, LabelShare]
    rows: int
    labelled: int
    strangers: int
    made: float
    missing: int = 0
    has_common: bool = True

    def line(self) -> str:
        """Return the headline as one line."""
        return visible("".join(self._headline()))

    def html(self) -> str:
        """Return the card; every style can be stripped, and no text in it acts."""
        first, rest = self._headline()
        return box(
            title(first, rest),
            note(f"{self._sentence()} Dot and whisker: corrected; ring: the model’s own count."),
            self._drawn(),
            foot(html_text(self._footer())),
            name="llmnb-score",
            width=840,
        )

    def text(self) -> str:
        """Return the card as text, below 90 columns."""
        rows = [("label", *_FIGURES)]
        rows += [(label, *self._figures(share)) for label, share in self._shown()]
        return "\n".join(
            [
                self.line(),
                *wrapped(self._sentence()),
                "",
                *("  " + line for line in columns(rows, right={1, 2, 3, 4}, width=86)),
                "",
                *wrapped(self._footer()),
            ]
        )

    def _shown(self) -> list[tuple[str, LabelShare]]:
        return list(self.shares.items())[:_LABELS_SHOWN]

    def _headline(self) -> tuple[str, str]:
        label, worst = max(self.shares.items(), key=lambda pair: abs(pair[1].naive - pair[1].share))
        error = worst.naive - worst.share
        if round(1000 * error) == 0:
            return "The model’s shares need no correction", ""
        often = "too often" if error > 0 else "too seldom"
        return (
            f"The model says {cut(label, 40)} {often}",
            f": {_tenths(worst.naive)} of all rows, where {_tenths(worst.share)} are",
        )

    def _sentence(self) -> str:
        if self.labelled == self.rows:
            return f"All {counted(self.rows, 'row')} are labelled: the shares are counted."
        sentences = [
            f"{counted(self.rows, 'row')}, corrected by {counted(self.labelled, 'label')} at "
            "random."
        ]
        if self.labelled < FEW_LABELS:
            sentences.append("So few labels say little.")
        if self.strangers:
            sentences.append(without_a_row(self.strangers))
        if not self.has_common:
            sentences.append("No answer is one of the true labels: only these count here.")
        if self.missing:
            verb = "has" if self.missing == 1 else "have"
            sentences.append(f"{counted(self.missing, 'row')} {verb} no answer.")
        return " ".join(sentences)

    def _footer(self) -> str:
        parts = ["Prediction-powered inference"]
        widths = [
            ((share.labelled_high - share.labelled_low), (share.high - share.low))
            for share in self.shares.values()
        ]
        alone, corrected = (math.fsum(column) for column in zip(*widths, strict=True))
        if corrected and alone / corrected >= 1.05:
            parts.append(
                f"the {counted(self.labelled, 'label')} alone would give intervals "
                f"{alone / corrected:.1f} times as wide"
            )
        if len(self.shares) > _LABELS_SHOWN:
            parts.append(f"all {len(self.shares):,}: .labels")
        parts.append(moment(self.made))
        return " · ".join(parts)

    def _figures(self, share: LabelShare) -> tuple[str, str, str, str]:
        low, high = (
            math.ceil(share.low * self.rows - 1e-9),
            math.floor(share.high * self.rows + 1e-9),
        )
        return (
            _tenths(share.share),
            f"{100 * share.low:.1f} to {100 * share.high:.1f}",
            f"{low:,}" if low >= high else f"{low:,} to {high:,}",
            _tenths(share.naive),
        )

    def _drawn(self) -> str:
        shown = self._shown()
        whole = _axis(max(max(share.high, share.naive) for _, share in shown))
        rows = []
        for label, share in shown:
            drawn = whisker(share.share, (share.low, share.high), whole=whole, ring=share.naive)
            rows.append((label, drawn, self._figures(share)))
        return axis_table(["0", f"{100 * whole:.0f} %"], _FIGURES, rows)


def _tenths(share: float) -> str:
    return f"{100 * share:.1f} %"


def _axis(largest: float) -> float:
    """Return where an axis of shares ends: the next of a few round figures."""
    return next((end for end in (0.05, 0.1, 0.2, 0.3, 0.5, 0.75) if largest <= end), 1.0)
