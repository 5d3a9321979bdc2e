"""How a score is shown: one static card of HTML, and the same as text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from llmnb.display import numbers
from llmnb.display.aligned import columns, leader, wrapped
from llmnb.display.escape import html_text, visible
from llmnb.display.html_fragments import box, cell, small_bar, strong, table, text_cell
from llmnb.display.moments import moment
from llmnb.display.palette import ACCENT, FAINT, RULE
from llmnb.display.texts import counted, cut
from llmnb.evaluation.card_parts import (
    FEW_LABELS,
    breaking,
    foot,
    note,
    right_and_wrong,
    title,
    whisker,
    without_a_row,
)
from llmnb.evaluation.label_score import LabelScore
from llmnb.evaluation.number_score import NumberScore
from llmnb.evaluation.statistics import wilson

_MATRIX_LABELS = 10
"""With more labels a matrix is too large to read: pairs and the weakest labels stand instead."""

_UNBROKEN = 24
"""Characters of a label that stand on one line on a narrow page, too."""

_NO_ANSWER = "no answer"
_LABEL_HEAD = ("label", "rows", "precision", "recall", "F1")
_TEXT_SHOWN = 120
_HEAD = f"{FAINT};font-size:11px;line-height:15px"
_FIGURE = "font-size:16px;line-height:21px;font-weight:500;white-space:nowrap;padding:0 16px 0 0"


@dataclass(frozen=True, slots=True)
class WrongRow:
    """A row whose answer is not the true one.

    Attributes:
        row: Its label in the frame.
        truth: What is true.
        answered: What was answered; None where nothing was.
        text: What it was asked about, where that is known.
    """

    row: str
    truth: str
    answered: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class ScoreCard:
    """What a score shows beside its figures.

    Attributes:
        score: The figures.
        column: The name of the column of answers.
        truth: The name of the truth.
        rows: How many rows the frame has.
        examples: Labelled rows that are left out, being examples of the prompt.
        strangers: Labels of truth that belong to no row of the frame.
        wrong: The worst rows, as many as are shown at most.
        made: When, in seconds since the epoch.
        shown: Returns a label as it was written.
        unsupported: Rows whose answer quotes words that are not in their text, and how many of
            these are wrong; None where nobody knows.
    """

    score: LabelScore | NumberScore
    column: str
    truth: str
    rows: int
    examples: int
    strangers: int
    wrong: Sequence[WrongRow]
    made: float
    shown: Callable[[str], str]
    unsupported: tuple[int, int] | None = None

    def line(self) -> str:
        """Return the score in one line."""
        return visible(f"{self._title()}: {self.column} against {self.truth}")

    def html(self) -> str:
        """Return the card; every style can be stripped, and no text in it acts."""
        score = self.score
        if isinstance(score, LabelScore):
            parts = self._label_parts(score)
        else:
            parts = self._number_parts(score)
        return box(*parts, name="llmnb-score", width=840)

    def text(self) -> str:
        """Return the card as text, below 90 columns."""
        score = self.score
        title = visible(f"llmnb score · {self._subject()}")
        lines = [cut(title, 89), "", self._title(), *wrapped(self._sentence()), ""]
        figures = self._figures()
        longest = max((len(name) for name, _ in figures), default=0)
        lines += [
            "  " + leader(visible(name), value, names=longest + 4, values=5)
            for name, value in figures
        ]
        if isinstance(score, LabelScore):
            lines += self._label_lines(score)
        lines += self._wrong_lines()
        return "\n".join(lines)

    # ------------------------------------------------------------------------ sentences

    def _subject(self) -> str:
        return f"{self.column} against {self.truth} · {moment(self.made)}"

    def _title(self) -> str:
        return "".join(self._headline())

    def _headline(self) -> tuple[str, str]:
        score = self.score
        if isinstance(score, NumberScore):
            if score.mae is None or score.interval is None:
                return "No row has an answered number", ""
            low, high = map(_figure, score.interval)
            between = f", 95 % interval {low} to {high}" if math.isfinite(score.interval[1]) else ""
            return f"{_figure(score.mae)} off on average", between
        low, high = (_percent(end) for end in score.interval)
        first = (
            f"All {score.n:,}" if score.right == score.n > 1 else f"{_percent(score.accuracy)} %"
        )
        return f"{first} right", f", 95 % interval {low} to {high}"

    def _sentence(self) -> str:
        score = self.score
        sentences = []
        rest = self.rows - score.n - self.examples
        unlabelled = (
            f"; {counted(rest, 'row')} {'has' if rest == 1 else 'have'} no label" if rest else ""
        )
        if isinstance(score, LabelScore):
            parts = [f"{score.right:,} right"]
            if score.wrong:
                parts.append(f"{score.wrong:,} wrong")
            if score.missing:
                parts.append(f"{score.missing:,} without an answer")
            sentences.append(
                f"{' + '.join(parts)} = {counted(score.n, 'labelled row')}{unlabelled}."
            )
            if score.missing:
                sentences.append("Without an answer counts as wrong.")
            sentences += self._cautions(score)
        else:
            exact = sum(difference == 0 for difference in score.differences)
            sentences.append(
                f"{counted(score.n, 'labelled row')}{unlabelled}; {exact:,} exactly right."
            )
            if score.missing:
                sentences.append(
                    f"{counted(score.missing, 'row')} without an answered number: no figure "
                    "counts them."
                )
        if self.examples:
            sentences.append(f"{counted(self.examples, 'example')} left out.")
        if self.unsupported is not None and self.unsupported[0]:
            marked, wrong = self.unsupported
            verb = "quotes" if marked == 1 else "quote"
            of_these = f"{wrong:,} of these are" if wrong > 1 else f"{wrong or 'none'} of these is"
            sentences.append(
                f"{counted(marked, 'answer')} {verb} words that are not in the text; {of_these} "
                "wrong."
            )
        if self.strangers:
            sentences.append(without_a_row(self.strangers))
        return " ".join(sentences)

    def _cautions(self, score: LabelScore) -> Iterator[str]:
        low, high = score.interval
        if score.unknown:
            named = ", ".join(
                f"{cut(self.shown(label), 30)} {sum(_column(score, label)):,}"
                for label in score.unknown[:5]
            )
            more = len(score.unknown) - 5
            yield (
                f"The model gave {counted(len(score.unknown), 'label')} that truth does not know "
                f"({named}{f' and {more:,} more' if more > 0 else ''}): they count as wrong."
            )
            if not any(score.pairs.get((label, label)) for label in score.labels):
                yield "No answer is one of the true labels."
        if len(score.labels) == 1:
            yield (
                f"All {score.n:,} are {self.shown(next(iter(score.labels)))}: kappa and macro F1 "
                "mean nothing with one label, and are left out."
            )
        if score.n < FEW_LABELS:
            yield f"So few labels say little{self._at_hundred(score)}."
        if score.right == score.n and high - low > 0:
            hidden = f"one error in {1 / (1 - low):.0f} could still hide"
            yield f"With {counted(score.n, 'row')}, {hidden}."

    def _at_hundred(self, score: LabelScore) -> str:
        if score.right in (0, score.n):
            return ""
        low, high = wilson(100 * score.accuracy, 100)
        return f": 100 would bring the interval to about {100 * (high - low):.0f} points"

    def _figures(self) -> list[tuple[str, str]]:
        """Return the figures that mean something here, with their names."""
        score = self.score
        if isinstance(score, NumberScore):
            named: Mapping[str, float | None] = {
                "MAE": score.mae,
                "RMSE": score.rmse,
                "rank correlation": score.rank_correlation,
            }
            figures = [(name, _figure(value)) for name, value in named.items() if value is not None]
            if score.mean_difference is not None:
                figures.append(("mean difference", f"{score.mean_difference:+.2f}"))
            return figures
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

    # ----------------------------------------------------------------------------- HTML

    def _label_parts(self, score: LabelScore) -> Iterator[str]:
        yield whisker(score.accuracy, score.interval, height=12)
        yield right_and_wrong(score.accuracy, score.wrong / score.n, score.missing / score.n)
        yield from self._head_parts()
        if len(score.labels) > 1:
            shown = [*self._matrix_parts(score)]
            yield (
                '<div style="display:flex;flex-wrap:wrap;gap:14px 34px;align-items:flex-start;'
                f'overflow-x:auto;{RULE};padding-top:8px">{" ".join(shown)}</div>'
            )
        yield from self._wrong_parts()

    def _number_parts(self, score: NumberScore) -> Iterator[str]:
        yield from self._head_parts()
        if score.differences:
            yield _histogram(score.differences)
        yield from self._wrong_parts()

    def _head_parts(self) -> Iterator[str]:
        first, rest = self._headline()
        yield title(first, rest)
        yield note(self._sentence())
        if figures := self._figures():
            head = [
                cell(name, f"{_HEAD};padding:0 16px 0 0;white-space:nowrap", head="col")
                for name, _ in figures
            ]
            yield table([head, [cell(value, _FIGURE) for _, value in figures]], "margin:0 0 9px")

    def _matrix_parts(self, score: LabelScore) -> Iterator[str]:
        if len(score.labels) > _MATRIX_LABELS:
            yield _titled("Confused most often", _plain_table(self._confused(score)))
            yield _titled("Weakest labels", self._labels_table(score, longest=60))
            return
        yield self._matrix_table(score)
        yield self._labels_table(score, longest=24, is_beside_matrix=True)

    def _matrix_table(self, score: LabelScore) -> str:
        said = _answered(score)
        small = f"{_HEAD};padding:0 4px 3px"
        over = cell("answered", small, head="col", columns=len(said))
        head = [cell("truth", f"{small};padding-left:0", head="col")]
        for label in said:
            name = self._answer(label, score)
            head.append(cell(name, small, align="center", head="col", longest=16))
        rows = [[cell("", "padding:0"), over], head]
        for true, figures in score.labels.items():
            style = "padding:0 10px 0 0;line-height:26px;white-space:nowrap"
            row = [cell(self.shown(true), style, head="row", longest=24)]
            for label in said:
                count = score.pairs.get((true, label), 0)
                row.append(_square(count, count / figures.rows, label == true, label is None))
            rows.append(row)
        return table(rows)

    def _answer(self, label: str | None, score: LabelScore) -> str:
        return missing_name(map(self.shown, score.labels)) if label is None else self.shown(label)

    def _labels_table(
        self, score: LabelScore, *, longest: int, is_beside_matrix: bool = False
    ) -> str:
        """Return the figures of labels; beside a matrix, row for row as it has them."""
        figure = "padding:0 0 2px 14px;line-height:26px;white-space:nowrap"
        blank = [[cell("", "padding:0 0 3px;height:15px")]] if is_beside_matrix else []
        rows = [
            *blank,
            [
                cell(
                    name,
                    f"{_HEAD};padding:0 0 3px {14 if place else 0}px",
                    align="right" if place else "left",
                    head="col",
                )
                for place, name in enumerate(_LABEL_HEAD)
            ],
        ]
        for label in _shown_labels(score):
            name, *figures, f1 = self._label_row(score, label)
            height = 26 if len(name) <= _UNBROKEN else 16
            style = f"padding:0 0 2px;line-height:{height}px;{breaking(name, _UNBROKEN)}"
            share = score.labels[label].f1
            bar = small_bar([("answered", share), ("rest", 1 - share)])
            rows.append(
                [
                    cell(name, style, head="row", longest=longest),
                    *(cell(text, figure, align="right") for text in figures),
                    cell(f1, f"{figure};font-weight:600", align="right"),
                    '<td style="border:0;background:none;vertical-align:middle;'
                    f'padding:0 0 2px 10px">{bar}</td>',
                ]
            )
        return table(rows)

    def _wrong_parts(self) -> Iterator[str]:
        if self.wrong:
            yield f'<p style="margin:10px 0 2px">{strong("Wrong rows, worst first")}</p>\n'
            yield f'<div style="overflow-x:auto">{_plain_table(self._wrong_rows())}</div>'
        more = self._others_wrong()
        notes = [f"The other {more:,}: <code>score.wrong</code>"] if more else []
        if notes and self.score.missing and isinstance(self.score, LabelScore):
            notes.append("those without an answer stand last in it")
        notes.append(html_text(self._subject()))
        yield foot(" · ".join(notes))

    # ----------------------------------------------------------------------------- text

    def _label_lines(self, score: LabelScore) -> list[str]:
        lines = []
        if len(score.labels) > _MATRIX_LABELS:
            lines += ["", "  confused most often"]
            lines += _indented(columns(self._confused(score), right={0}, width=86))
        elif len(score.labels) > 1:
            said = _answered(score)
            rows = [["truth", *(self._answer(label, score) for label in said)]]
            for label in score.labels:
                counts = (score.pairs.get((label, answered), 0) for answered in said)
                rows.append(
                    [self.shown(label), *(f"{count:,}" if count else "·" for count in counts)]
                )
            lines += ["", *_indented(columns(rows, right=range(1, len(rows[0])), width=86))]
        if len(score.labels) > 1:
            rows = [[*_LABEL_HEAD], *(self._label_row(score, to) for to in _shown_labels(score))]
            lines += ["", *_indented(columns(rows, right={1, 2, 3, 4}, width=86))]
        return lines

    def _wrong_lines(self) -> list[str]:
        if not self.wrong:
            return []
        shown = _indented(columns(self._wrong_rows(), right={0}, width=84), 4)
        lines = ["", "  wrong rows, worst first", *shown]
        if more := self._others_wrong():
            lines += ["", f"The other {more:,}: score.wrong"]
        return lines

    # --------------------------------------------------------------------------- shared

    def _wrong_rows(self) -> list[list[str]]:
        """Return the worst rows under a head."""
        rows = [["row", "truth", "answered", ""]]
        for row in self.wrong:
            text = cut(row.text or "", _TEXT_SHOWN)
            rows.append([row.row, row.truth, row.answered or _NO_ANSWER, text])
        return rows

    def _others_wrong(self) -> int:
        """Return how many rows are wrong beside those that are named; 0 where none is named."""
        score = self.score
        if isinstance(score, LabelScore):
            wrong = score.n - score.right
        else:
            wrong = score.missing + sum(difference != 0 for difference in score.differences)
        return wrong - len(self.wrong) if self.wrong else 0

    def _confused(self, score: LabelScore) -> list[list[str]]:
        """Return the commonest confusions under a head."""
        wrong = Counter(
            {pair: count for pair, count in score.pairs.items() if pair[1] not in (None, pair[0])}
        )
        rows = [["rows", "truth", "answered"]]
        for (truth, answered), count in wrong.most_common(5):
            rows.append([f"{count:,}", self.shown(truth), self.shown(answered or "")])
        return rows

    def _label_row(self, score: LabelScore, label: str) -> list[str]:
        figures = score.labels[label]
        precision = "" if figures.precision is None else f"{_percent(figures.precision)} %"
        return [
            self.shown(label),
            f"{figures.rows:,}",
            precision,
            f"{_percent(figures.recall)} %",
            f"{figures.f1:.2f}",
        ]


def missing_name(labels: Iterator[str] | Sequence[str]) -> str:
    """Return what a matrix calls the column of missing answers: a label called so keeps its own."""
    return "no answer" if "none" in labels else "none"


def _answered(score: LabelScore) -> list[str | None]:
    """Return the columns of a matrix: the true labels, some others, and None for no answer."""
    return [*score.labels, *score.unknown[:3], None]


def _shown_labels(score: LabelScore) -> list[str]:
    """Return the labels whose figures are shown: all, or of many the weakest."""
    if len(score.labels) <= _MATRIX_LABELS:
        return [*score.labels]
    return sorted(score.labels, key=lambda label: score.labels[label].f1)[:5]


def _column(score: LabelScore, answered: str) -> list[int]:
    return [count for (_, said), count in score.pairs.items() if said == answered]


def _percent(share: float) -> str:
    return numbers.share(share).removesuffix(" %")


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}" if abs(value) < 100 else numbers.short(value)


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
    return (
        '<td align="center" style="text-align:center;border:0;background:none;padding:0">'
        f'<div style="{style}">{f"{count:,}" if count else "·"}</div></td>'
    )


def _titled(title: str, body: str) -> str:
    return f'<div><p style="margin:0 0 2px">{strong(title)}</p>\n{body}</div>'


def _plain_table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column holds figures and whose fourth the texts of rows."""

    def styled(text: str, place: int, is_head: bool) -> str:
        style = "padding:1px 14px 1px 0"
        if place == 3 and not is_head:
            return text_cell(text, f"{style};{FAINT};min-width:140px")
        look = _HEAD if is_head else f"vertical-align:top;{breaking(text, _UNBROKEN)}"
        align = "left" if place else "right"
        return cell(text, f"{style};{look}", align=align, head="col" if is_head else "")

    return table(
        [styled(text, place, number == 0) for place, text in enumerate(row)]
        for number, row in enumerate(rows)
    )


def _histogram(differences: Sequence[float]) -> str:
    """Return how many rows are off by how much, to the nearest whole step of the axis."""
    step = _step(differences)
    counts = Counter(round(difference / step) for difference in differences)
    most = max(counts.values())
    columns_of = range(min(counts), max(counts) + 1)
    bars, names = [], []
    for place in columns_of:
        colour = ACCENT if place == 0 else "rgba(128,128,128,.4)"
        style = f"height:{44 * counts[place] / most:.0f}px;min-height:1px;background:{colour}"
        rows = f"{counts[place]:,}" if counts[place] else "&nbsp;"
        bars.append(_centred(f'{rows}<div style="{style}"></div>'))
        names.append(_centred(f"{place * step:+g}" if place else "0", FAINT))
    title = f'<p style="margin:0;font-size:11px;{FAINT}">answer minus truth, rows</p>\n'
    drawn = table([bars, names])
    return f'<div style="{RULE};padding-top:8px;overflow-x:auto">{title}{drawn}</div>'


def _centred(inside: str, style: str = "") -> str:
    """Return a cell of markup of our own."""
    return (
        '<td align="center" style="text-align:center;border:0;background:none;padding:0 2px;'
        f'width:38px;min-width:22px;font-size:11px;vertical-align:bottom;{style}">{inside}</td>'
    )


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


def _indented(lines: Sequence[str], blanks: int = 2) -> list[str]:
    return [" " * blanks + line for line in lines]
