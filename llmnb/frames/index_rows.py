"""The rows of a run by its index: of any run, in any kernel, as long as its project is kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from llmnb.errors import SchemaMismatch
from llmnb.frames.recipes import output_in
from llmnb.frames.row_sources import (
    ANSWERED,
    EMPTY,
    FAILED,
    MERGED,
    OUTCOMES,
    REUSED,
    WAITING,
    Answer,
    Codes,
    Facet,
    Numbers,
    ReadRow,
    RowSource,
    cause_words,
)
from llmnb.frames.run_rows import add_value, entry_row, plain_needle
from llmnb.store import run_index
from llmnb.store.entry import Entry
from llmnb.store.search import answer

_BY_STATE = {
    run_index.ANSWERED: ANSWERED,
    run_index.KEPT: REUSED,
    run_index.REUSED: REUSED,
    run_index.MERGED: MERGED,
    run_index.FAILED: FAILED,
    run_index.REFUSED: FAILED,
    run_index.NOT_ASKED: FAILED,
}


class IndexRows(RowSource):
    """The rows of a run, from its index and its project's store.

    Args:
        run_id: The run's name.
        cache_dir: Folder of all projects.

    Raises:
        ConfigurationError: If there is no such run.
        StoreError: If its index cannot be read.
    """

    order_text = "in the table’s order"

    def __init__(self, run_id: str, cache_dir: Path) -> None:
        self._was_cleared = False
        self._take(run_index.read(run_id, cache_dir))
        header = self._index.header
        self.project = header.project
        self.named = (header.project, header.model)
        self._output = output_in(header.form) if header.form else None

    def _take(self, index: run_index.RunIndex) -> None:
        self._index = index
        header = index.header
        by_state = np.full(256, FAILED, np.uint8)
        for state, code in _BY_STATE.items():
            by_state[state] = code
        codes = by_state[np.frombuffer(bytes(index.states), np.uint8)]
        rows = np.frombuffer(index.rows, "u4") if len(index) else np.zeros(0, "u4")
        count = max(header.rows or 0, int(rows.max()) + 1 if len(rows) else 0)
        is_each = len(rows) == count and bool((rows == np.arange(count)).all())
        self._numbers = Numbers() if header.group > 1 or is_each else Numbers(rows, count)
        self._codes: Codes = self._numbers.by_row(codes, WAITING if index.end is None else EMPTY)

    def __len__(self) -> int:
        return len(self._codes)

    def codes(self) -> Codes:
        """Return what became of each row."""
        return self._codes

    @property
    def ended(self) -> float | None:
        """When the run ended, or was heard of last; None while it goes on."""
        end = self._index.end or {}
        return None if self.is_running else end.get("ended_at") or self._index.summary.written

    @property
    def is_running(self) -> bool:
        """Whether the run goes on, in whichever process."""
        return self._index.is_running

    def refresh(self) -> bool:
        """Take what was written since; once the project was cleared, rows keep their places."""
        was_cleared, self._was_cleared = self._was_cleared, self._index.is_cleared
        newest = self._index.newest()
        if newest is self._index:
            return self._was_cleared != was_cleared
        self._take(newest)
        return True

    @property
    def cleared(self) -> int:
        """How many answers the project keeps no more."""
        return int(np.count_nonzero(self._codes <= MERGED)) if self._index.is_cleared else 0

    def _entries(self, positions: Sequence[int]) -> list[Entry | None]:
        numbers = [self._numbers.of(position) for position in positions]
        asked = [number for number in numbers if number >= 0]
        found = dict(zip(asked, self._index.entries(asked), strict=True))
        return [found.get(number) for number in numbers]

    def read(self, positions: Sequence[int], *, whole: bool = False) -> list[ReadRow]:
        """Return some rows, with what the store holds of them."""
        pairs = zip(positions, self._entries(positions), strict=True)
        return [self._read(position, entry, whole) for position, entry in pairs]

    def _read(self, position: int, entry: Entry | None, whole: bool) -> ReadRow:
        code = int(self._codes[position])
        row = ReadRow(position=position, outcome=OUTCOMES[code])
        number = self._numbers.of(position)
        if number < 0:
            return row
        row.provider, row.model = self._index.model(number)
        row.key = self._index.key(number)
        if code == FAILED:
            cause = self._index.cause(number)
            row.error = "not sent" if cause is None else cause.message or cause.kind
            row.cause = "not sent" if cause is None else cause_words(cause.kind)
            if entry is not None:  # a reply that was no answer
                kept = entry_row(ReadRow(position=position, outcome=row.outcome), entry, whole)
                row.prompt, row.system, row.reply = kept.prompt, kept.system, kept.answer or ""
        elif entry is None:
            row.is_cleared = True
        else:
            entry_row(row, entry, whole)
            if self._output is not None:
                with suppress(SchemaMismatch):  # it is read as the text that came
                    add_value(row, self._output, self._output.validate(row.answer or ""))
        return row

    def answers(self, positions: Sequence[int]) -> list[Answer | None]:
        """Return the answers of some rows; of texts nothing else is read."""
        if self._output is not None:
            return super().answers(positions)
        return [
            None if entry is None or self._codes[position] == FAILED else Answer(answer(entry))
            for position, entry in zip(positions, self._entries(positions), strict=True)
        ]

    def find(self, pattern: re.Pattern[str], positions: Sequence[int]) -> list[int]:
        """Return which of some rows hold a text; most are passed over unparsed."""
        if plain := plain_needle(pattern):
            entries = zip(positions, self._entries(positions), strict=True)
            positions = [
                position
                for position, entry in entries
                if entry and (plain in entry.request.lower() or plain in entry.raw.lower())
            ]
        return super().find(pattern, positions)

    def facets(self) -> list[Facet]:
        """Return why rows failed, and the models where there are several."""
        index = self._index
        found: list[Any] = []
        causes = np.frombuffer(index.cause_numbers, "u2").astype(np.int16) - 1
        words = [cause_words(cause.kind) for cause in index.causes[1:]]
        if words:
            found.append(_merged("Cause", words, self._numbers.by_row(causes, -1)))
        models = np.frombuffer(bytes(index.model_numbers), np.uint8).astype(np.int16) - 1
        names = [model or "" for _, model in index.models[1:]]
        if len(set(names)) > 1:
            found.append(_merged("model", names, self._numbers.by_row(models, -1)))
        return found


def _merged(name: str, words: Sequence[str], codes: npt.NDArray[Any]) -> Facet:
    """Return a facet in which words that stand twice are one."""
    values = list(dict.fromkeys(words))
    place = np.array([*(values.index(word) for word in words), -1], np.int16)
    return Facet(name, values, place[np.minimum(codes, len(words) - 1)])
