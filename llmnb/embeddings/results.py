"""The results of an embedding: each text's vector or error by position, and their counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from llmnb.embeddings.texts import Text
from llmnb.engine.counters import Counters
from llmnb.engine.row_errors import copy_of
from llmnb.engine.target import Target
from llmnb.errors import BadReply, LLMNBError
from llmnb.records import Outcome

OnText = Callable[[int, bytes | LLMNBError], None]
"""Told of each text's vector or error, with its position."""


class EmbeddingResults:
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
        """What became of the texts; requests are counted by the engine's run."""

        self.length: int | None = None
        """Bytes of a vector; None before the first."""

        self._on_text = on_text

    def answered(self, text: Text, vector: bytes, outcome: Outcome) -> None:
        """Give a text its vector at each of its positions, and count it.

        A vector that is longer or shorter than the others is an error.

        Args:
            text: The text.
            vector: Its vector.
            outcome: Where the vector comes from: its `source`, and who made it.
        """
        self.length = self.length or len(vector)
        if self.length != len(vector):
            error = BadReply(
                f"The vector has {len(vector) // 4:,} numbers and the others have "
                f"{self.length // 4:,}: they cannot be compared. Embed all texts with one model; "
                "clear the project if the model behind the name changed."
            )
            self.failed(text.positions, error)
            return
        self._put(text.positions, vector)
        if not text.positions:  # a probe, which is nobody's text
            return
        is_sent = outcome.source == "sent"
        self.counters.tracker.num_tasks_started += is_sent
        first = _sent(outcome.provider, outcome.model, outcome.simulated) if is_sent else outcome
        self.counters.enter(first)
        for _ in text.positions[1:]:
            self.counters.enter(dataclasses.replace(first, source="merged"))

    def empty(self, positions: Sequence[int], vector: bytes) -> None:
        """Give empty texts their vector."""
        self._put(positions, vector)
        self.counters.tracker.num_rows_done += len(positions)

    def failed(self, positions: Iterable[int], error: LLMNBError) -> None:
        """Give texts an error, each one of its own."""
        for position in positions:
            own = copy_of(error).with_details(row=position)
            self.errors[position] = own
            self.counters.enter(Outcome(row=position, error=own))
            if self._on_text is not None:
                self._on_text(position, own)

    def mend(self, position: int, result: bytes | LLMNBError, target: Target) -> None:
        """Put the result of a later attempt in place of a failed text's error."""
        before = self.errors.get(position)
        if before is not None and not isinstance(result, LLMNBError):
            del self.errors[position]
            self.vectors[position] = result
            self.counters.replace(
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


def _sent(provider: str | None, model: str | None, simulated: bool = False) -> Outcome:
    return Outcome(row=0, provider=provider, model=model, simulated=simulated)
