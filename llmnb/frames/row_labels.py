"""What a person says of a table's rows: labels, and corrections of a column's answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from llmnb.display.escape import visible
from llmnb.display.texts import counted, cut
from llmnb.errors import InputError
from llmnb.evaluation.labels import label_text
from llmnb.frames.pandas_source import source_of
from llmnb.frames.shown import show_receipt
from llmnb.frames.table_source import Source, TableSource, name_of
from llmnb.frames.template import is_missing
from llmnb.store.labels import Act, Label, LabelStore, open_labels, row_keys

_LOOKED_AT = 100
"""Rows in which a column shows what it holds; only if none of them has anything all are read."""

_CHANGES = 6
"""Kinds of changes that a receipt names."""

_NAME = 40
"""Characters of a label in it."""


class RowLabels:
    """What is kept of a table's rows as answers to one question.

    A row is known by the content of its fields, so rows of the same content share their label,
    and a row whose fields changed has none.

    Args:
        source: The table.
        question: The question's name: the column that its answers stand in, or will.
        project: Where labels are kept; None: the project in use.
        fields: Names of the columns that make a row's key; None: those of the labels given
            before, and before the first label all that hold no answer.
        answers: Further columns that hold answers, beside those that llmnb is known to have
            written.

    Raises:
        InputError: If the table lacks a field, or has none.
        StoreError: If the labels cannot be read.
    """

    def __init__(
        self,
        source: TableSource,
        question: Hashable,
        *,
        project: str | None = None,
        fields: Sequence[Hashable] | Hashable | None = None,
        answers: Sequence[str] = (),
    ) -> None:
        self.source = source
        self.question = name_of(question)
        self.store: LabelStore = open_labels(self.question, project)
        self.fields = self._fields(fields, {self.question, *answers, *source.written()})
        columns = source.columns()
        self.texts: Mapping[str, Sequence[str | None]] = {
            field: columns.texts(field) for field in self.fields
        }
        """The cells of the fields as texts, by the fields' names."""

        self.keys = row_keys(self.texts)
        """What each row is known by."""

    def _fields(self, fields: Sequence[Hashable] | Hashable | None, answers: set[str]) -> list[str]:
        columns = self.source.columns()
        if fields is not None:
            is_one = isinstance(fields, str) or not isinstance(fields, Sequence)
            names = [name_of(field) for field in ([fields] if is_one else fields)]  # type: ignore[union-attr]
        elif self.store.fields is not None:
            names = list(self.store.fields)
            if lacking := [name for name in names if name not in columns.names]:
                known = ", ".join(map(repr, names))
                raise InputError(
                    f"Rows labelled for {self.question!r} are known by {known}, and this table "
                    f"has no {lacking[0]!r}. Say by which columns with fields=[…]; labels of other "
                    "fields then match no row, and are kept."
                )
        elif "" in columns.names:  # of a series its name, where it has one
            names = [columns.labels[-1]]
        else:
            names = [
                name
                for name in columns.names
                if name not in answers
                and not name.startswith(f"{self.question}_")
                and not _is_for_machines(self.source, name)
            ]
        if not names:
            raise InputError(
                f"The table has no column but {self.question!r} and what llmnb wrote: name what a "
                "row is about with fields=[…]."
            )
        return list(dict.fromkeys(names))

    # ------------------------------------------------------------------------ what is said

    def said(self, row: int) -> Act | None:
        """Return what was last said of the row at a position."""
        return self.store.said(self.keys[row])

    def of_rows(self) -> list[Label | None]:
        """Return each row's label, None where it has none."""
        return list(map(self.store.labels.get, self.keys))

    @property
    def unmatched(self) -> int:
        """Labels of the question that belong to no row of this table."""
        labels = set(self.store.labels)
        return len(labels.difference(self.keys)) if labels else 0

    def give(self, row: int, label: Label, *, sample: str = "random") -> Act:
        """Give the row at a position, and all of the same content, a label.

        It is on the disk when this returns. `store.undo` takes it back.

        Raises:
            StoreError: If it could not be kept; then nothing has changed.
        """
        self.store.remember_fields(self.fields)
        return self.store.give(self.keys[row], label, sample=sample)


def _is_for_machines(source: TableSource, name: str) -> bool:
    """Whether a column holds bytes or vectors, which nobody reads; one of that name at most."""
    if source.columns().labels.count(name) > 1:
        return False  # reading it says what is wrong
    for rows in (source.rows_at(range(min(source.rows, _LOOKED_AT))), source):
        known = (cell for cell in rows.columns().cells(name) if not is_missing(cell))
        if (first := next(known, None)) is not None:
            return isinstance(first, (bytes, bytearray, memoryview)) or hasattr(first, "__array__")
    return False


# ------------------------------------------------------------------- over the column


def apply_labels(table: Source, column: Hashable, project: str | None) -> Any:
    """Return the table with what people said over a column's answers, and show a receipt of it.

    Raises:
        InputError: If nobody said anything, or nothing of a row of the table.
    """
    source = source_of(table)
    rows = RowLabels(source, column, project=project)
    name, where = rows.question, rows.store.project.name
    if not rows.store.labels:
        raise InputError(
            f"Nobody has labelled or corrected {name!r} in project {where!r}: there is nothing to "
            "write."
        )
    labels = {row: label for row, label in enumerate(rows.of_rows()) if label is not None}
    if not labels:
        raise InputError(
            f"None of the {counted(rows.unmatched, 'label')} of {name!r} in project {where!r} "
            "belongs to a row of this table: rows are known by the content of "
            f"{', '.join(rows.fields)}."
        )
    columns = source.columns()
    before = columns.texts(name) if name in columns.names else [None] * source.rows
    applied = source.replaced(column, labels)
    pairs = ((label_text(before[row]), label_text(label)) for row, label in labels.items())
    changes = Counter((old or "nothing", new or "") for old, new in pairs if old != new)
    changed, unmatched, left = changes.total(), rows.unmatched, source.rows - len(labels)
    rest = f", {changed:,} of them changed it" if changed else ", none changed it"
    if unmatched:
        rest += f"; {counted(unmatched, 'label matches', 'labels match')} no row of this table"
    figures = [
        (f"{cut(old, _NAME)} → {cut(new, _NAME)}", counted(count, "row"))
        for (old, new), count in changes.most_common(_CHANGES)
    ]
    if len(changes) > _CHANGES:
        figures.append(("Other changes", f"of {len(changes) - _CHANGES:,} more kinds"))
    figures += [
        ("Other rows stay", counted(left, "row") if left else ""),
        ("Rows are known by", ", ".join(rows.fields)),
        ("Project", where),
    ]
    written = f"{counted(len(labels), 'label')} written over {visible(name, longest=60)}"
    show_receipt(written, f"{rest}.", figures)
    return applied
