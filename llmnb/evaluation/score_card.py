"""How a score is shown."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from llmnb.display import numbers
from llmnb.display.aligned import leader
from llmnb.display.escape import visible
from llmnb.display.html_fragments import (
    bar,
    cell,
    raw_cell,
    scrolled,
    small_bar,
    strong,
    table,
)
from llmnb.display.moments import moment
from llmnb.display.palette import ACCENT, FAINT, RULE
from llmnb.display.texts import counted, cut
from llmnb.evaluation.card import (
    FEW_LABELS,
    HEAD,
    UNBROKEN,
    Card,
    Part,
    aligned,
    breaking,
    foot,
    listed,
    sentence,
    whisker,
    without_a_row,
)
from llmnb.evaluation.scores import LabelScore, NumberScore
from llmnb.evaluation.statistics import wilson

_MATRIX_LABELS = 10
"""With more labels a matrix is too large to read: pairs and the weakest labels stand instead."""

_LABEL_HEAD = ("label", "rows", "precision", "recall", "F1")
_FIGURE = "font-size:16px;line-height:21px;font-weight:500;white-space:nowrap;padding:0 16px 0 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCard(Card):
    """What a score shows beside its figures.

    Attributes:
        column: The name of the column of answers.
        truth: The name of the truth.
        rows: How many rows the frame has.
        examples: Labelled rows that are left out, being examples of the prompt.
        strangers: Labels of truth that belong to no row of the frame.
        wrong: The worst rows, as many as are shown at most: what each is called, what is true,
            what was answered and what it was asked about.
        others_wrong: How many more are wrong.
        made: When, in seconds since the epoch.
        unsupported: Rows whose answer quotes words that are not in their text, and how many of
            these are wrong; None where nobody knows.
    """

    column: str
    truth: str
    rows: int
    examples: int
    strangers: int
    wrong: Sequence[Sequence[str]]
    others_wrong: int
    made: float
    unsupported: tuple[int, int] | None

    def line(self) -> str:
        """Return the score in one line."""
        return visible(f"{''.join(self.headline())}: {self.column} against {self.truth}")

    def parts(self) -> Iterator[Part]:
        """Yield the parts, from top to bottom."""
        subject = f"{self.column} against {self.truth} · {moment(self.made)}"
        yield self._rail(), [cut(visible(f"llmnb score · {subject}"), 89), ""]
        yield self._title()
        yield sentence(" ".join([*self._counts(), *self._left_out()]))
        if figures := self._figures():
            yield _figures_part(figures)
        yield from self._drawn()
        if self.wrong:
            yield listed("Wrong rows, worst first", [_WRONG_HEAD, *self.wrong])
        if not self.others_wrong:
            yield foot(subject)[0], []
            return
        more = f"The other {self.others_wrong:,}: "
        html, _ = foot(f" · {self._order()}{subject}", f"{more}<code>score.wrong</code>")
        yield html, ["", f"{more}score.wrong"]

    @abstractmethod
    def _counts(self) -> Iterator[str]:
        """Yield what was counted, in sentences, and what is doubtful of it."""

    @abstractmethod
    def _figures(self) -> list[tuple[str, str]]:
        """Return the figures that mean something here, with their names."""

    def _order(self) -> str:
        """Return what is to be known of the order of the wrong rows, for the last line."""
        return ""

    @abstractmethod
    def _drawn(self) -> Iterator[Part]:
        """Yield what is drawn under the figures."""

    def _rail(self) -> str:
        return ""

    def _labelled(self, n: int) -> str:
        rest = self.rows - n - self.examples
        unlabelled = f"; {counted(rest, 'row')} {'has' if rest == 1 else 'have'} no label"
        return f"{counted(n, 'labelled row')}{unlabelled if rest else ''}"

    def _left_out(self) -> Iterator[str]:
        if self.examples:
            yield f"{counted(self.examples, 'example')} left out."
        if self.unsupported is not None and self.unsupported[0]:
            marked, wrong = self.unsupported
            verb = "quotes" if marked == 1 else "quote"
            of_these = f"{wrong:,} of these are" if wrong > 1 else f"{wrong or 'none'} of these is"
            yield (
                f"{counted(marked, 'answer')} {verb} words that are not in the text; {of_these} "
                "wrong."
            )
        if self.strangers:
            yield without_a_row(self.strangers)


_WRONG_HEAD = ("row", "truth", "answered", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCard(ScoreCard):
    """The card of a score of labels.

    Attributes:
        score: The figures.
        shown: Returns a label as it was written.
    """

    score: LabelScore
    shown: Callable[[str], str]

    def headline(self) -> tuple[str, str]:
        """Return how many are right, and how sure that is."""
        score = self.score
        low, high = (_percent(end) for end in score.interval)
        first = (
            f"All {score.n:,}" if score.right == score.n > 1 else f"{_percent(score.accuracy)} %"
        )
        return f"{first} right", f", 95 % interval {low} to {high}"

    def _rail(self) -> str:
        score = self.score
        parts = (("answered", score.accuracy), ("failed", score.wrong / score.n))
        return whisker(score.accuracy, score.interval, height=12) + bar(parts)

    def _counts(self) -> Iterator[str]:
        score = self.score
        low, high = score.interval
        parts = [f"{score.right:,} right"]
        if score.wrong:
            parts.append(f"{score.wrong:,} wrong")
        if score.missing:
            parts.append(f"{score.missing:,} without an answer")
        yield f"{' + '.join(parts)} = {self._labelled(score.n)}."
        if score.missing:
            yield "Without an answer counts as wrong."
        if score.unknown:
            said = Counter[str | None]()
            for (_, answered), count in score.pairs.items():
                said[answered] += count
            named = [f"{cut(self.shown(to), 30)} {said[to]:,}" for to in score.unknown[:5]]
            more = len(score.unknown) - 5
            yield (
                f"The model gave {counted(len(score.unknown), 'label')} that truth does not know "
                f"({', '.join(named)}{f' and {more:,} more' if more > 0 else ''}): they count as "
                "wrong."
            )
            if not score.right:
                yield "No answer is one of the true labels."
        if len(score.labels) == 1:
            yield (
                f"All {score.n:,} are {self.shown(next(iter(score.labels)))}: kappa and macro F1 "
                "mean nothing with one label, and are left out."
            )
        if score.n < FEW_LABELS:
            at_hundred = ""
            if 0 < score.right < score.n:
                first, last = wilson(100 * score.accuracy, 100)
                points = f"{100 * (last - first):.0f} points"
                at_hundred = f": 100 would bring the interval to about {points}"
            yield f"So few labels say little{at_hundred}."
        if score.right == score.n and high > low:
            hidden = f"one error in {1 / (1 - low):.0f} could still hide"
            yield f"With {counted(score.n, 'row')}, {hidden}."

    def _figures(self) -> list[tuple[str, str]]:
        score = self.score
        figures = []
        if score.macro_f1 is not None:
            figures.append(("macro F1", f"{score.macro_f1:.2f}"))
        if score.kappa is not None:
            figures.append(("Cohen’s kappa", f"{score.kappa:.2f}"))
        if score.missing and score.accuracy_answered is not None:
            figures.append(("right where answered", f"{_percent(score.accuracy_answered)} %"))
        if len(score.labels) > 1:
            label, share = score.most_frequent
            always = f"always “{cut(self.shown(label), 20)}” is right"
            figures.append((always, f"{_percent(share)} %"))
        return figures

    def _order(self) -> str:
        return "those without an answer stand last in it · " if self.score.missing else ""

    def _drawn(self) -> Iterator[Part]:
        count = len(self.score.labels)
        if count > 1:
            is_large = count > _MATRIX_LABELS
            first = self._confused() if is_large else self._matrix()
            parts = [first, self._labels(is_large=is_large)]
            style = "display:flex;flex-wrap:wrap;gap:14px 34px;align-items:flex-start"
            drawn = " ".join(html for html, _ in parts)
            html = f'<div style="{style};overflow-x:auto;{RULE};padding-top:8px">{drawn}</div>'
            yield html, [line for _, lines in parts for line in lines]

    def _confused(self) -> Part:
        """Return the commonest confusions."""
        wrong = Counter(
            {
                pair: count
                for pair, count in self.score.pairs.items()
                if pair[1] not in (None, pair[0])
            }
        )
        rows = [["rows", "truth", "answered"]]
        for (truth, answered), count in wrong.most_common(5):
            rows.append([f"{count:,}", self.shown(truth), self.shown(answered or "")])
        html, lines = listed("Confused most often", rows)
        return f"<div>{html}</div>", lines

    def _matrix(self) -> Part:
        """Return the true labels by what was answered: they, some others, and no answer."""
        score = self.score
        said = [*score.labels, *score.unknown[:3], None]
        missing = missing_name([self.shown(label) for label in score.labels])
        names = [missing if label is None else self.shown(label) for label in said]
        small = f"{HEAD};padding:0 4px 3px"
        over = cell("answered", small, head="col", columns=len(said))
        head = [
            cell("truth", f"{small};padding-left:0", head="col"),
            *(cell(name, small, align="center", head="col", longest=16) for name in names),
        ]
        cells, texts = [[cell("", "padding:0"), over], head], [["truth", *names]]
        for true, figures in score.labels.items():
            counts = [score.pairs.get((true, label), 0) for label in said]
            style = "padding:0 10px 0 0;line-height:26px;white-space:nowrap"
            squares = [
                _square(count, count / figures.rows, label == true, label is None)
                for count, label in zip(counts, said, strict=True)
            ]
            cells.append([cell(self.shown(true), style, head="row", longest=24), *squares])
            texts.append([self.shown(true), *(f"{count:,}" if count else "·" for count in counts)])
        return table(cells), ["", *aligned(texts, right=range(1, len(names) + 1))]

    def _labels(self, *, is_large: bool) -> Part:
        """Return the figures of labels, beside a matrix row for row as it has them."""
        score = self.score
        labels = [*score.labels]
        if is_large:
            labels = sorted(labels, key=lambda label: score.labels[label].f1)[:5]
        texts = [[*_LABEL_HEAD], *map(self._label_row, labels)]
        figure = "padding:0 0 2px 14px;line-height:26px;white-space:nowrap"
        looks = [figure] * 3 + [f"{figure};font-weight:600"]
        cells = [
            [
                cell(
                    name,
                    f"{HEAD};padding:0 0 3px {14 if place else 0}px",
                    align="right" if place else "left",
                    head="col",
                )
                for place, name in enumerate(_LABEL_HEAD)
            ]
        ]
        for label, (name, *figures) in zip(labels, texts[1:], strict=True):
            height = 26 if len(name) <= UNBROKEN else 16
            style = f"padding:0 0 2px;line-height:{height}px;{breaking(name, UNBROKEN)}"
            share = score.labels[label].f1
            drawn = small_bar([("answered", share), ("rest", 1 - share)])
            cells.append(
                [
                    cell(name, style, head="row", longest=60 if is_large else 24),
                    *(
                        cell(text, look, align="right")
                        for text, look in zip(figures, looks, strict=True)
                    ),
                    raw_cell(drawn, f"{_BARE};vertical-align:middle;padding:0 0 2px 10px"),
                ]
            )
        lines = ["", *aligned(texts, right={1, 2, 3, 4})]
        if is_large:
            title = f'<p style="margin:10px 0 2px">{strong("Weakest labels")}</p>'
            return f"<div>{title}\n{table(cells)}</div>", lines
        return table([[cell("", "padding:0 0 3px;height:15px")], *cells]), lines

    def _label_row(self, label: str) -> list[str]:
        figures = self.score.labels[label]
        precision = "" if figures.precision is None else f"{_percent(figures.precision)} %"
        return [
            self.shown(label),
            f"{figures.rows:,}",
            precision,
            f"{_percent(figures.recall)} %",
            f"{figures.f1:.2f}",
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberCard(ScoreCard):
    """The card of a score of numbers, with its figures."""

    score: NumberScore

    def headline(self) -> tuple[str, str]:
        """Return how far numbers are off, and how sure that is."""
        score = self.score
        if score.mae is None or score.interval is None:
            return "No row has an answered number", ""
        low, high = map(_figure, score.interval)
        between = f", 95 % interval {low} to {high}" if math.isfinite(score.interval[1]) else ""
        return f"{_figure(score.mae)} off on average", between

    def _counts(self) -> Iterator[str]:
        missing = self.score.missing
        yield f"{self._labelled(self.score.n)}; {self.score.differences.count(0):,} exactly right."
        if missing:
            yield f"{counted(missing, 'row')} without an answered number: no figure counts them."

    def _figures(self) -> list[tuple[str, str]]:
        score = self.score
        named = {"MAE": score.mae, "RMSE": score.rmse, "rank correlation": score.rank_correlation}
        figures = [(name, _figure(value)) for name, value in named.items() if value is not None]
        if score.mean_difference is not None:
            figures.append(("mean difference", f"{score.mean_difference:+.2f}"))
        return figures

    def _drawn(self) -> Iterator[Part]:
        if self.score.differences:
            yield _histogram(self.score.differences), ()


def missing_name(labels: Sequence[str]) -> str:
    """Return what a matrix calls the column of missing answers: a label called so keeps its own."""
    return "no answer" if "none" in labels else "none"


def _percent(share: float) -> str:
    return numbers.share(share).removesuffix(" %")


def _figure(value: float) -> str:
    return f"{value:,.2f}" if abs(value) < 100 else numbers.short(value)


def _figures_part(figures: Sequence[tuple[str, str]]) -> Part:
    look = f"{HEAD};padding:0 16px 0 0;white-space:nowrap"
    head = [cell(name, look, head="col") for name, _ in figures]
    html = table([head, [cell(value, _FIGURE) for _, value in figures]], "margin:0 0 9px")
    longest = max(len(name) for name, _ in figures)
    lines = [
        "  " + leader(visible(name), value, names=longest + 4, values=5) for name, value in figures
    ]
    return html, ["", *lines]


_BARE = "border:0;background:none"
_CENTRED = f"text-align:center;{_BARE}"


def _square(count: int, share: float, is_right: bool, is_missing: bool) -> str:
    """Return a cell of a matrix: blue where it is right, grey where it is wrong, 0 a dot."""
    style = "min-width:48px;line-height:26px;margin:0 1px 2px"
    if is_missing:
        style = "min-width:34px;line-height:26px;margin:0 0 2px 11px;"
        style += "box-shadow:inset 0 0 0 1px rgba(128,128,128,.7)" if count else FAINT
    elif not count:
        style += f";{FAINT}"
    elif is_right:
        mixed = f"color-mix(in srgb,{ACCENT} {12 + 42 * share:.0f}%,transparent)"
        style += f";background:{mixed};font-weight:600;box-shadow:inset 0 0 0 1px {ACCENT}"
    else:
        style += f";background:rgba(128,128,128,{0.08 + 0.42 * share:.2f})"
    drawn = f'<div style="{style}">{f"{count:,}" if count else "·"}</div>'
    return raw_cell(drawn, f"{_CENTRED};padding:0")


def _histogram(differences: Sequence[float]) -> str:
    """Return how many rows are off by how much, to the nearest whole step of the axis."""
    step = _step(differences)
    counts = Counter(round(difference / step) for difference in differences)
    most = max(counts.values())
    column = f"{_CENTRED};padding:0 2px;width:38px;min-width:22px;font-size:11px"
    bars, names = [], []
    for place in range(min(counts), max(counts) + 1):
        colour = ACCENT if place == 0 else "rgba(128,128,128,.4)"
        style = f"height:{44 * counts[place] / most:.0f}px;min-height:1px;background:{colour}"
        rows = f"{counts[place]:,}" if counts[place] else "&nbsp;"
        bars.append(
            raw_cell(f'{rows}<div style="{style}"></div>', f"{column};vertical-align:bottom")
        )
        names.append(raw_cell(f"{place * step:+g}" if place else "0", f"{column};{FAINT}"))
    title = f'<p style="margin:0;font-size:11px;{FAINT}">answer minus truth, rows</p>\n'
    return f'<div style="{RULE};padding-top:8px">{title}{scrolled(table([bars, names]))}</div>'


def _step(differences: Sequence[float]) -> float:
    """Return 1, 2 or 5 times a power of ten, so that at most fifteen columns stand."""
    spread = max(differences) - min(differences)
    if spread == 0:
        return 1.0
    is_whole = all(float(difference).is_integer() for difference in differences)
    step = 10.0 ** math.floor(math.log10(spread / 14))
    for factor in (1, 2, 5, 10):
        if spread / (step * factor) <= 14:
            return max(1.0, step * factor) if is_whole else step * factor
    return step * 10
