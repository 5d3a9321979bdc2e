"""What became of each text: its vector or its error, in its place, told and counted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from llmnb.embeddings.batches import Text
from llmnb.engine.counters import Counters
from llmnb.engine.row_errors import copied
from llmnb.engine.target import Target
from llmnb.errors import BadReply, LLMNBError
from llmnb.records import Outcome, Source
from llmnb.store.entry import Entry

OnText = Callable[[int, bytes | LLMNBError], None]
"""Told of each text's vector or error, with its position."""


class Results:
    """Vectors and errors by position; written on the loop thread.

    Args:
        texts: The texts; None is one that is not there and gets nothing.
        on_text: Told of each text's vector or error.
    """

    def __init__(self, texts: Sequence[str | None], on_text: OnText | None = None) -> None:
        self.texts = texts
        self.vectors: list[bytes | None] = [None] * len(texts)
        self.errors: dict[int, LLMNBError] = {}
        self.truncated: dict[int, int] = {}
        """Texts that were cut, by position, and the tokens they had."""

        self.counters = Counters(sum(text is not None for text in texts))
        """What became of the texts; requests are counted by the engine's runs."""

        self.length: int | None = None
        """Bytes of a vector; None before the first."""

        self._on_text = on_text

    def found(
        self, text: Text, entry: Entry, vector: bytes, target: Target, *, is_merged: bool
    ) -> None:
        """Give a text the vector that was kept of it."""
        if self._answer(text, vector):
            kept: Source = "cached" if entry.reused_from is None else "reused"
            self._count(
                text,
                Outcome(
                    row=0,
                    provider=target.provider,
                    model=target.model,
                    source="merged" if is_merged else kept,
                    simulated=entry.simulated,
                    saved_usd=entry.usd,
                ),
            )

    def answered(self, text: Text, vector: bytes, outcome: Outcome) -> None:
        """Give a text the vector that was sent for it."""
        if self._answer(text, vector):
            self._count(text, _sent(outcome.provider, outcome.model, simulated=outcome.simulated))

    def _count(self, text: Text, outcome: Outcome) -> None:
        """Count a text as often as it stands; all but the first time it is merged."""
        if not text.positions:  # a probe, which is nobody's text
            return
        self.counters.tracker.num_tasks_started += outcome.source == "sent"
        self.counters.enter(outcome)
        merged = dataclasses.replace(outcome, source="merged") if text.positions[1:] else outcome
        for _ in text.positions[1:]:
            self.counters.enter(merged)

    def _answer(self, text: Text, vector: bytes) -> bool:
        """Put a vector wherever its text stands; False where it does not fit the others."""
        if self.length is None:
            self.length = len(vector)
        elif self.length != len(vector):
            self.failed(text.positions, _other_length(len(vector) // 4, self.length // 4))
            return False
        self._put(text.positions, vector)
        return True

    def empty(self, positions: Sequence[int], vector: bytes) -> None:
        """Give texts in which nothing stands their vector."""
        self._put(positions, vector)
        self.counters.tracker.num_rows_done += len(positions)

    def failed(self, positions: Iterable[int], error: LLMNBError) -> None:
        """Give texts an error, each one of its own."""
        for position in positions:
            own = copied(error).with_details(row=position)
            self.errors[position] = own
            self.counters.enter(Outcome(row=position, error=own))
            if self._on_text is not None:
                self._on_text(position, own)

    def mend(self, position: int, result: bytes | LLMNBError, target: Target) -> None:
        """Put what a later attempt has given in a failed text's place."""
        before = self.errors.get(position)
        if before is not None and not isinstance(result, LLMNBError):
            del self.errors[position]
            self.vectors[position] = result
            self.counters.mend(
                Outcome(row=position, error=before), _sent(target.provider, target.model)
            )

    def missing(self) -> list[int]:
        """Return the texts that have neither a vector nor an error."""
        return [
            position
            for position, text in enumerate(self.texts)
            if text is not None and self.vectors[position] is None and position not in self.errors
        ]

    def _put(self, positions: Sequence[int], vector: bytes) -> None:
        for position in positions:
            self.vectors[position] = vector
            if self._on_text is not None:
                self._on_text(position, vector)


def _sent(provider: str | None, model: str | None, *, simulated: bool = False) -> Outcome:
    return Outcome(row=0, provider=provider, model=model, simulated=simulated)


def _other_length(has: int, others: int) -> BadReply:
    return BadReply(
        f"The vector has {has:,} numbers and the others have {others:,}: they cannot be compared. "
        "Embed all texts with one model; clear the project if the model behind the name changed."
    )
