"""Which rows of a table a person is asked to label, and in which order."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from llmnb.display.escape import visible
from llmnb.display.texts import counted
from llmnb.errors import ConfigurationError, InputError
from llmnb.evaluation.labels import number
from llmnb.frames.comparing import MAJORITY_SHARE, TRUTH, Comparison
from llmnb.frames.table_source import TableSource, name_of
from llmnb.frames.template import is_missing
from llmnb.store.labels import RANDOM

Sampling = Literal["random", "disagreement", "uncertain"]


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows in the order in which they are asked about, of rows of the same content the first.

    Attributes:
        kind: How they are chosen.
        order: Their positions, all that could be asked about.
        described: How they are chosen, in words, but for the number of rows.
    """

    kind: Sampling
    order: Sequence[int]
    described: str

    @property
    def is_random(self) -> bool:
        """Whether it is chance that decides."""
        return self.kind == RANDOM

    def text(self, asked: int, rows: int) -> str:
        """Return how so many rows of a table were chosen, in words."""
        if not self.is_random:
            return f"{counted(asked, 'row')} {self.described}"
        if asked == len(self.order):
            return f"all {counted(asked, 'row')}"
        return f"{asked:,} of {counted(rows, 'row')}, at random"


def sample_of(
    source: TableSource,
    keys: Sequence[str],
    rows: Sequence[int],
    sampling: str,
    *,
    seed: int,
    question: str,
    comparison: Any = None,
    confidence: Any = None,
) -> Sample:
    """Return the rows to ask about.

    Chance depends on a row's content and the seed alone: rows that are added, or stand in another
    order, change nothing for the others.

    Args:
        source: The table.
        keys: What each of its rows is known by.
        rows: Positions of those that can be asked about.
        sampling: How they are chosen.
        seed: Of chance; it also decides between equals.
        question: The question's name.
        comparison: For ``"disagreement"``: what `compare` returned.
        confidence: For ``"uncertain"``: a column's name, or a number for each row.

    Raises:
        ConfigurationError: If `sampling` is none, or lacks what it goes by.
        InputError: If what it goes by belongs to no row.
    """
    if sampling not in get_args(Sampling):
        raise ConfigurationError(
            f'sample= is "random", "disagreement" or "uncertain", not {sampling!r}.'
        )
    asked = _by_chance(keys, rows, seed)
    if sampling == "disagreement":
        return _disputed(source, asked, comparison)
    if sampling == "uncertain":
        return _uncertain(source, asked, question, confidence)
    return Sample("random", asked, "at random")


def _by_chance(keys: Sequence[str], rows: Sequence[int], seed: int) -> list[int]:
    """Return rows in an order of chance, of rows of the same key the first only."""
    salt = int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=8).digest(), "big")
    # A key is a hash already: its first half, mixed with the seed by the finalizer of SplitMix64
    # (G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", 2014).
    halves = np.frombuffer(bytes.fromhex("".join(keys)), dtype=">u8")[::2].astype(np.uint64)
    chances = halves[np.asarray(rows, dtype=np.intp)] ^ np.uint64(salt)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        chances = (chances ^ (chances >> np.uint64(shift))) * np.uint64(factor)
    chances ^= chances >> np.uint64(31)
    _, first = np.unique(chances, return_index=True)  # sorted by chance
    return [rows[place] for place in first.tolist()]


def _disputed(source: TableSource, asked: Sequence[int], comparison: Any) -> Sample:
    if comparison is None:
        raise ConfigurationError(
            'sample="disagreement" goes by the answers of several prompts or models: give '
            "comparison=…, what df.llm.compare returned."
        )
    answers = comparison.answers if isinstance(comparison, Comparison) else comparison
    columns = [str(name) for name in getattr(answers, "columns", ())]
    if "agreement" not in columns:
        raise ConfigurationError(
            "comparison= is what df.llm.compare returned, with a column agreement, not "
            f"{type(comparison).__name__}."
        )
    agreement: Any = answers["agreement"]
    if "row" in columns:  # of Polars, whose rows have numbers alone
        agreement = dict(zip(answers["row"].to_list(), agreement.to_list(), strict=True))
    cells, _ = source.aligned(agreement, "comparison")
    shares = [number(cell) for cell in cells]
    disputed = [row for row in asked if (share := shares[row]) is not None and share < 1]
    names = [name for name in columns if name not in (MAJORITY_SHARE, TRUTH, "row")]
    shown = [visible(name, longest=30) for name in names]
    who = " and ".join(shown) if len(shown) == 2 else counted(len(shown), "column")
    return Sample("disagreement", _by(shares, disputed), f"on which {who} disagree")


def _uncertain(source: TableSource, asked: Sequence[int], question: str, confidence: Any) -> Sample:
    if confidence is None:
        confidence = f"{question}_confidence"
        if confidence not in source.columns().names:
            raise ConfigurationError(
                'sample="uncertain" goes by how sure the model is, and there is no column '
                f"{confidence!r}: no verb writes one. Give confidence=…, a column or a number for "
                "each row, such as the agreement of a comparison, or the share of n=5 answers that "
                "are the most frequent one."
            )
    if isinstance(confidence, Hashable) and name_of(confidence) in source.columns().names:
        cells = source.columns().cells(name_of(confidence))
    elif isinstance(confidence, str):
        raise InputError(f"confidence= names no column: {confidence!r}.")
    else:
        cells, _ = source.aligned(confidence, "confidence")
    sure = [None if is_missing(cell) else number(cell) for cell in cells]
    known = [row for row in asked if sure[row] is not None]
    if not known:
        raise InputError("confidence= has no number for any row.")
    return Sample("uncertain", _by(sure, known), "the model is least sure of")


def _by(values: Sequence[float | None], rows: Sequence[int]) -> list[int]:
    """Return rows by their numbers, the lowest first; equals stay in their order."""
    return sorted(rows, key=lambda row: values[row] or 0.0)
