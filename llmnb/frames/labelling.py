"""Labelling: rows of a table, one after the other, to which a person gives one of some labels."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmnb.display.escape import html_text, summary, visible
from llmnb.display.html_fragments import box, line, strong
from llmnb.display.moments import moment
from llmnb.display.numbers import share
from llmnb.display.texts import counted
from llmnb.errors import ConfigurationError, InputError, StoreError
from llmnb.evaluation.labels import label_key, label_text
from llmnb.evaluation.statistics import wilson
from llmnb.frames.row_labels import RowLabels
from llmnb.frames.sampling import Sample, sample_of
from llmnb.frames.shown import Followed
from llmnb.frames.table_source import AnswerColumn, TableSource
from llmnb.frames.truth import Labelled
from llmnb.store.labels import RANDOM, Act, Label, new_act, plain_label


@dataclass(frozen=True, slots=True)
class Event:
    """What was done last with a labeller.

    Attributes:
        kind: ``"given"``, ``"skipped"``, ``"undone"``, ``"left"`` (looked at, and left as it is),
            or ``""``, where nothing was or other rows were asked for.
        row: The row's position.
        label: What was said of it, None where it was skipped.
    """

    kind: str = ""
    row: int = -1
    label: Label | None = None


class Labeller(Labelled, Followed):
    """Rows of a table that a person labels, one at a time; `df.llm.label` makes it.

    In a notebook it shows itself as a card with keys. Each label is on the disk before the next
    row is asked about, so a new labeller of the same question goes on where the last one stopped.
    It stands wherever truth does: in `score`, `shares`, `compare` and `examples=`.

    Example:
        >>> import pandas as pd
        >>> df = pd.DataFrame({"text": ["so good", "so bad", "so good"]})
        >>> labelled = df.llm.label("mood", ["kind", "unkind"], project_name="example labels")
        >>> while (row := labelled.position) is not None:
        ...     labelled.give("kind" if "good" in df.text[row] else "unkind")
        >>> labelled.labels.tolist()
        ['kind', 'unkind', 'kind']
    """

    _widget_name = "llmnb.notebook.labeller.LabellerWidget"

    def __init__(
        self,
        rows: RowLabels,
        choices: Sequence[Label],
        meanings: Mapping[Any, str],
        sample: Sample,
        n: int,
    ) -> None:
        super().__init__()
        self.rows = rows
        self.sample = sample
        self.choices = tuple(choices)
        """The labels, in the order given."""

        self.meanings = {label: str(meanings[label]) for label in choices if label in meanings}
        self.unsaved: Act | None = None
        """What was said last and could not be kept; `save_again` tries once more."""

        self.trouble = ""
        """Why it could not."""

        self.event = Event()
        """What was done last."""

        self.step = 0
        """A number that changes with everything that is done."""

        self._by_key = {label_key(label): label for label in choices}
        self._wanted = n
        self._first: list[int] = []  # asked before all others, the last one first
        self.is_reviewing = False
        """Whether the row at `position` has a label that may stay."""

        self._settled = 0  # so many of the sample's first need not be looked at
        self._touched = {rows.keys[row] for row in sample.order[:n]}
        self._lock = threading.RLock()
        columns = rows.source.columns()
        self._answers: Sequence[Any] | None = None
        self._errors: Sequence[Any] | None = None
        if rows.question in columns.names:
            self._answers = columns.cells(rows.question)
        if f"{rows.question}_error" in columns.names:
            self._errors = columns.texts(f"{rows.question}_error")
        begun = [act for row in self.asked if (act := rows.said(row)) is not None]
        self.begun = self.labelled
        """Rows of the sample that were labelled before this labeller was made."""

        self.begun_at = max((act.at for act in begun), default=0.0)

    # ---------------------------------------------------------------------- what is asked

    @property
    def is_frame(self) -> bool:
        """Whether the table has columns; a series has only its values."""
        return "" not in self.rows.source.columns().names

    @property
    def column(self) -> str:
        """The question's name."""
        return self.rows.question

    @property
    def asked(self) -> Sequence[int]:
        """Positions of the sample's rows, in the order in which they are asked about."""
        return self.sample.order[: self._wanted]

    @property
    def position(self) -> int | None:
        """The position of the row that is asked about now; None when all are done."""
        with self._lock:
            if self._first:
                return self._first[-1]
            asked = self.asked
            while self._settled < len(asked):
                if self._is_open(asked[self._settled]):
                    return asked[self._settled]
                self._settled += 1
            return None

    def _is_open(self, row: int) -> bool:
        act = self.rows.said(row)
        return act is None or (act.label is not None and self.known(act.label) is None)

    def known(self, label: Any) -> Label | None:
        """Return the label that a value means, None where it is none of the labels."""
        return self._by_key.get(label_key(label))

    # -------------------------------------------------------------------- what is done

    def give(self, label: Any) -> None:
        """Give the row at `position` a label, and go on; it is on the disk when this returns.

        Args:
            label: One of the labels; capitals and outer blanks do not matter.

        Raises:
            InputError: If it is none of the labels, or every row is done.
            StoreError: If it could not be kept: then the same row is asked about, and
                `save_again` tries once more.
        """
        choice = self.known(label)
        if choice is None:
            known = ", ".join(repr(label) for label in self.choices[:20])
            raise InputError(f"{label!r} is none of the labels: {known}.")
        self._say(choice)

    def skip(self) -> None:
        """Pass over the row at `position`.

        Raises:
            InputError: If every row is done.
            StoreError: As for `give`.
        """
        self._say(None)

    def _say(self, label: Label | None) -> None:
        with self._lock:
            row = self.position
            if not self.asked:
                raise InputError("The table has no row that could be labelled.")
            if row is None:
                raise InputError(
                    f"All {counted(len(self.asked), 'row')} of the sample are done: more() asks "
                    "about more."
                )
            self._keep(new_act(self.rows.keys[row], label, self.sample.kind))

    def save_again(self) -> None:
        """Try once more to keep what could not be kept.

        Raises:
            StoreError: If it still cannot be kept.
        """
        with self._lock:
            if self.unsaved is not None:
                self._keep(self.unsaved)

    def _keep(self, act: Act) -> None:
        try:
            self.rows.store.remember_fields(self.rows.fields)
            self.rows.store.keep(act)
        except StoreError as error:
            self.unsaved, self.trouble = act, str(error)
            self._changed()
            raise
        self.unsaved = None
        self._touched.add(act.key)
        kind = "skipped" if act.label is None else "given"
        self._go_on(Event(kind, self._row_of(act), act.label))

    def _go_on(self, event: Event) -> None:
        if self._first:
            self._first.pop()
        self.is_reviewing = self.is_reviewing and bool(self._first)
        self._changed(event)

    def undo(self) -> None:
        """Take back what was said last, and ask about that row again.

        It goes back step by step, to the first row of the sample that was labelled or skipped.

        Raises:
            InputError: If nothing was said.
            StoreError: If that could not be kept; then nothing has changed.
        """
        with self._lock:
            act = self.last
            if act is None:
                raise InputError("Nothing was said that could be taken back.")
            self.rows.store.undo(act.id)
            self.unsaved = None
            row = self._row_of(act)
            self._first.append(row)
            self._settled = 0
            self._changed(Event("undone", row, act.label))

    @property
    def last(self) -> Act | None:
        """What was said last of the sample's rows and not taken back."""
        acts = reversed(self.rows.store.acts())
        return next((act for act in acts if act.key in self._touched), None)

    def _row_of(self, act: Act) -> int:
        for row in self.asked:
            if self.rows.keys[row] == act.key:
                return row
        return self.rows.keys.index(act.key)

    def more(self, n: int = 50) -> None:
        """Ask about more rows, chosen likewise.

        Args:
            n: How many; fewer where the table has no more.
        """
        with self._lock:
            self._wanted = len(self.asked) + _positive(n)
            self._touched.update(self.rows.keys[row] for row in self.asked)
            self._changed()

    def ask_skipped(self) -> None:
        """Ask once more about the rows of the sample that were skipped."""
        said = {row: self.rows.said(row) for row in self.asked}
        self._ask_first([row for row, act in said.items() if act and act.label is None])

    def ask_again(self) -> None:
        """Ask first about the rows whose label is none of the labels any more."""
        self._ask_first(list(self.foreign_rows()))

    def review(self) -> None:
        """Go once more through the rows of the sample whose label the model does not share.

        A label that is given replaces the first; `leave` leaves it as it is.
        """
        self._ask_first(self.differing(), is_review=True)

    def leave(self) -> None:
        """Leave the label of the row at `position` as it is, and go on in a review."""
        with self._lock:
            if self.is_reviewing:
                self._go_on(Event("left", self._first[-1], self.label_of(self._first[-1])))

    def _ask_first(self, rows: Sequence[int], *, is_review: bool = False) -> None:
        with self._lock:
            self._first = list(rows)[::-1]
            self.is_reviewing = is_review and bool(rows)
            self._changed()

    # -------------------------------------------------------------------- what it came to

    @property
    def labels(self) -> Any:
        """The label of each row of the table, as a column of its library; NA where none is."""
        self.rows.store.refresh()  # somebody may label elsewhere
        labels = [None if said is None else self.known(said) for said in self.rows.of_rows()]
        column = AnswerColumn(labels, "category", list(self.choices))
        return self.rows.source.filled({self.column: column}, into=None, is_frame=False)

    @property
    def not_random(self) -> str:
        """How labelled rows were chosen that were not drawn at random; empty where all were."""
        drawn = {self.rows.keys[row] for row in self.asked} if self.sample.is_random else set()
        chosen = {
            key: act.sample
            for key, act in self.rows.store.all_said().items()
            if act.label is not None and act.sample != RANDOM and key not in drawn
        }
        if not chosen:
            return ""
        present = set(chosen).intersection(self.rows.keys)
        kinds = Counter(kind for key, kind in chosen.items() if key in present)
        ways = {
            "correction": "whose answer was corrected",
            "disagreement": "on which answers disagree",
            "uncertain": "of low confidence",
        }
        named = [f"{counted(rows, 'row')} {ways.get(kind, kind)}" for kind, rows in kinds.items()]
        return " and ".join(named)

    @property
    def labelled(self) -> int:
        """Rows of the sample that have one of the labels."""
        return sum(self.label_of(row) is not None for row in self.asked)

    @property
    def skipped(self) -> int:
        """Rows of the sample that were passed over."""
        said = map(self.rows.said, self.asked)
        return sum(act is not None and act.label is None for act in said)

    def label_of(self, row: int) -> Label | None:
        """Return the label of the row at a position, None where it has none of the labels."""
        act = self.rows.said(row)
        return None if act is None or act.label is None else self.known(act.label)

    def foreign_rows(self) -> dict[int, Label]:
        """Return the first row of each content whose label is none of the labels, with that."""
        labels = self.rows.store.labels.items()
        foreign = {key: label for key, label in labels if self.known(label) is None}
        if not foreign:
            return {}
        return {row: foreign.pop(key) for row, key in enumerate(self.rows.keys) if key in foreign}

    # ------------------------------------------------------------------- beside the model

    @property
    def has_answers(self) -> bool:
        """Whether the table has the model's answers to the question."""
        return self._answers is not None

    def answer_of(self, row: int) -> str | None:
        """Return the model's answer to the row at a position, None where it has none."""
        text = None if self._answers is None else label_text(self._answers[row])
        known = None if text is None else self.known(text)
        return text if known is None else str(known)

    def error_of(self, row: int) -> str:
        """Return why the model has no answer to the row at a position, where the table says so."""
        return (self._errors[row] or "") if self._errors is not None else ""

    def pairs(self) -> Counter[tuple[str, str | None]]:
        """Return how often which label stands beside which answer of the model, over the sample."""
        labels = ((row, self.label_of(row)) for row in self.asked)
        return Counter(
            (str(label), self.answer_of(row)) for row, label in labels if label is not None
        )

    def differing(self) -> list[int]:
        """Return the rows of the sample whose label the model does not share."""
        labels = {row: self.label_of(row) for row in self.asked}
        return [
            row
            for row, label in labels.items()
            if label is not None and not self.same(label, self.answer_of(row))
        ]

    @staticmethod
    def same(label: Label | None, answer: str | None) -> bool:
        """Whether an answer of the model is a label; capitals and outer blanks do not matter."""
        return label_key(label) == label_key(answer)

    def agreement(self) -> tuple[int, int]:
        """Return how many labels of the sample are the model's answers too, and of how many."""
        pairs = self.pairs()
        same = sum(rows for (label, said), rows in pairs.items() if self.same(label, said))
        return same, sum(pairs.values())

    # --------------------------------------------------------------------------- showing

    def _changed(self, event: Event | None = None) -> None:
        self.event = event or Event()
        self.step += 1
        self._notify()

    def sentences(self) -> tuple[str, str]:
        """Return what it came to: rows first, then all else that is to be said."""
        asked = len(self.asked)
        first = f"{self.labelled:,} of {counted(asked, 'row')} labelled"
        rest = [f"{self.skipped:,} skipped" if self.skipped else ""]
        same, of = self.agreement()
        if self.has_answers and of:
            low, high = wilson(same, of)
            sure = f"{share(same / of)}, 95 % interval {100 * low:.0f} to {100 * high:.0f}"
            rest.append(f"{counted(same, 'agrees', 'agree')} with the model ({sure})")
        return first, "; ".join(filter(None, rest))

    def earlier(self) -> list[str]:
        """Return sentences on labels that were given before and count for nothing here."""
        notes = []
        if foreign := self.foreign_rows():
            texts = list(dict.fromkeys(map(str, foreign.values())))
            named = ", ".join(f"“{visible(text, longest=40)}”" for text in texts[:3])
            said = counted(len(foreign), "earlier label says", "earlier labels say")
            kept = "it is" if len(foreign) == 1 else "they are"
            which = "which is" if len(texts) == 1 else "which are"
            notes.append(
                f"{said} {named}, {which} not among the labels: {kept} kept, and NA in the result."
            )
        if unmatched := self.rows.unmatched:
            fields = ", ".join(visible(name, longest=40) for name in self.rows.fields)
            notes.append(
                f"{counted(unmatched, 'label matches', 'labels match')} no row of this table: "
                f"rows are known by the content of {fields}."
            )
        return notes

    def notes(self) -> list[str]:
        """Return sentences on labels that count for nothing here, and on the sample."""
        notes = self.earlier()
        if how := self.not_random:
            notes.append(
                f"Not at random, but {how}: good for examples and for comparing, not for the "
                "score or the shares of the whole."
            )
        return notes

    def where(self) -> str:
        """Return where the labels are, in words."""
        project = visible(self.rows.store.project.name, longest=80)
        return f"Labels are in project {project}, question {visible(self.column, longest=80)}"

    def _sentence(self) -> str:
        first, rest = self.sentences()
        return f"{first}{', ' if rest else ''}{rest}."

    def __repr__(self) -> str:
        return summary("Labeller", f"of {self.column}: {self._sentence()[:-1]}")

    def __str__(self) -> str:
        return "\n".join([self._sentence(), *self.notes(), f"{self.where()}."])

    def _repr_html_(self) -> str:
        first, rest = self.sentences()
        when = f" · {moment(self.last.at)}" if self.last is not None else ""
        small = "font-size:12px;opacity:.8"
        return box(
            f'<p style="margin:0">{strong(first)}{html_text((", " if rest else "") + rest)}.</p>',
            *(line(note, small) for note in self.notes()),
            line(f"{self.where()}{when}", small),
        )


def _positive(n: Any) -> int:
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ConfigurationError(f"n= is a number of rows, from 1 on, not {n!r}.")
    return n


def labeller(
    source: TableSource,
    question: Hashable,
    labels: Sequence[Any],
    meanings: Mapping[Any, str],
    n: int,
    sample: str,
    seed: int,
    fields: Any,
    comparison: Any,
    confidence: Any,
    project: str | None,
) -> Labeller:
    """Return what a person labels rows with; see `DataFrameLLM.label`.

    Raises:
        ConfigurationError: If a label or an option cannot be used.
        InputError: If the table lacks what is asked for.
    """
    choices = _choices(labels)
    _positive(n)
    rows = RowLabels(source, question, project=project, fields=fields)
    filled = [
        row
        for row, cells in enumerate(zip(*rows.texts.values(), strict=True))
        if cells.count(None) < len(cells)
    ]
    chosen = sample_of(
        source,
        rows.keys,
        filled,
        sample,
        seed=seed,
        question=rows.question,
        comparison=comparison,
        confidence=confidence,
    )
    return Labeller(rows, choices, meanings, chosen, n)


def _choices(labels: Sequence[Any]) -> list[Label]:
    choices: dict[str, Label] = {}
    for value in labels:
        label = value.item() if hasattr(value, "item") else value  # a number of numpy's
        key = label_key(label) if isinstance(label, Label) else None
        if key is None:
            raise ConfigurationError(f"A label is a text or a number, not {value!r}.")
        if key in choices:
            raise ConfigurationError(
                f"The labels {choices[key]!r} and {label!r} are the same: capitals and outer "
                "blanks do not matter."
            )
        choices[key] = plain_label(label)
    if not choices:
        raise ConfigurationError("labels= is empty: give at least one label.")
    return list(choices.values())
