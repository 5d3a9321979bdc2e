"""How often each label is among the rows of a table, corrected by a few true labels."""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from llmnb.evaluation.card import Carded
from llmnb.evaluation.labels import Spellings
from llmnb.evaluation.shares import shares
from llmnb.evaluation.shares_card import SharesCard
from llmnb.frames.pandas_source import source_of
from llmnb.frames.table_source import AnswerColumn, Source
from llmnb.frames.truth import answers_and_truth, means_numbers


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Shares(Carded):
    """How often each label is among these very rows.

    Attributes:
        labels: A table with a row for each label, the largest share first: `share` as corrected,
            `low` and `high` of its 95 % interval, and `naive`, what the answers alone say. Shares
            are from 0 to 1 and sum to 1.
        n: Rows that have a true label.
    """

    labels: Any
    n: int
    _card: SharesCard


def column_shares(table: Source, column: Hashable, truth: Any) -> Shares:
    """Return the corrected share of each label in a column; nothing is sent.

    Raises:
        InputError: If the table is empty, has no such column, or truth cannot be matched.
    """
    source = source_of(table)
    answers, true = answers_and_truth(source, column, truth)
    means_numbers(answers, [label for label in true.labels if label is not None], advice="")
    spellings = Spellings()
    known = spellings.keys(true.labels)  # first, so that truth's spelling is shown
    said = spellings.keys(answers)
    labelled = sum(label is not None for label in known)
    labels = dict.fromkeys(key for key in [*known, *said] if key is not None)
    corrected = shares(said, known, labels)
    ordered = dict(sorted(corrected.items(), key=lambda pair: -pair[1].share))
    shown = {spellings.shown(str(label)): share for label, share in ordered.items()}
    return Shares(
        labels=source.named(
            "label",
            list(shown),
            {
                name: AnswerColumn([getattr(share, name) for share in shown.values()], "Float64")
                for name in ("share", "low", "high", "naive")
            },
        ),
        n=labelled,
        _card=SharesCard(
            shares=shown,
            rows=source.rows,
            labelled=labelled,
            strangers=true.strangers,
            missing=said.count(None),
            has_common=not {*known, None}.isdisjoint({*said} - {None}),
            made=time.time(),
        ),
    )
