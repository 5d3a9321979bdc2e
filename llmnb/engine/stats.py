"""What a run has seen, in bounded memory: latencies, shares of the models, pace, causes."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate

from llmnb.decide.retry import roll
from llmnb.engine.status import LATENCIES_SHOWN, Clock, FailureCause, ModelShare, Sample
from llmnb.errors import LLMNBError, SchemaMismatch

MOST_SAMPLES = 120
_KEPT = 500
"""Latencies kept for each quantile: enough for a p95, little enough to sort at every look."""

WORDS = {
    "AuthenticationError": "key not accepted",
    "BadReply": "unreadable reply",
    "BudgetExceeded": "beyond the budget",
    "ContextOverflow": "longer than the context",
    "Filtered": "withheld by the provider's filter",
    "IncompleteReply": "reply cut off",
    "InputError": "nothing that can be asked",
    "MaybeBilled": "reply lost",
    "Overloaded": "provider overloaded",
    "ProviderError": "server error",
    "QuotaExhausted": "account without credit",
    "RateLimited": "refused for pace",
    "Refused": "refused by the model",
    "ReplyTooLarge": "reply too large",
    "RequestRejected": "rejected by the provider",
    "SchemaMismatch": "does not fit the schema",
    "StoreError": "cannot be saved",
    "TimedOut": "no answer in time",
    "Truncated": "cut off before its end",
    "Unsent": "could not be sent",
}
"""Causes as a person says them, by the error's class."""

_MINUTE = 60.0
_FIRST_SLICE = 1.0


class Quantiles:
    """A uniform sample of all values, from which quantiles are read.

    Several samples are read as one by `quantiles`, each value with the weight of
    those that it stands for.

    Source: J. S. Vitter, *Random Sampling with a Reservoir*, ACM TOMS 11 (1985),
    algorithm R.
    """

    __slots__ = ("_kept", "_seen")

    def __init__(self) -> None:
        self._kept: list[float] = []
        self._seen = 0

    def add(self, value: float) -> None:
        """Take a value."""
        self._seen += 1
        if len(self._kept) < _KEPT:
            self._kept.append(value)
        elif (place := int(roll() * self._seen)) < _KEPT:
            self._kept[place] = value

    def weighed(self) -> list[tuple[float, float]]:
        """Return the values that were kept, each with the number that it stands for."""
        kept = list(self._kept)
        return [(value, self._seen / len(kept)) for value in kept]


def quantiles(samples: Iterable[Quantiles], *parts: float) -> list[float | None]:
    """Return quantiles of all samples together; None before the first value.

    Example:
        >>> one, other = Quantiles(), Quantiles()
        >>> for value in range(10):
        ...     one.add(value), other.add(100 + value)  # doctest: +ELLIPSIS
        (None, None)...
        >>> quantiles([one, other], 0.25, 0.75)
        [5, 105]
    """
    weighed = sorted(pair for one in samples for pair in one.weighed())
    if not weighed:
        return [None] * len(parts)
    ends = list(accumulate(weight for _, weight in weighed))
    last = len(weighed) - 1
    return [weighed[min(last, bisect_right(ends, part * ends[-1]))][0] for part in parts]


@dataclass(slots=True)
class _Model:
    rows: int = 0
    usd: float = 0.0
    unpriced: int = 0
    seconds: Quantiles = field(default_factory=Quantiles)


@dataclass(slots=True)
class _Cause:
    words: str
    rows: int
    first_row: int
    example: str


class Stats:
    """Counts that only displays want; kept on the loop thread, read from any.

    Args:
        now: The run's start.
    """

    def __init__(self, now: float) -> None:
        self._started = now
        self._models: dict[str, _Model] = {}
        self._causes: dict[str, _Cause] = {}
        self._latest: deque[float] = deque(maxlen=LATENCIES_SHOWN)
        self._slice = _FIRST_SLICE
        self._slices: list[list[float]] = [[0.0, 0.0, 0.0]]
        """Requests, tokens and refusals of each slice since the start."""

        self._ends = now + _FIRST_SLICE
        """When the latest slice ends."""

    # -------------------------------------------------------------------- telling

    def on_request(self) -> None:
        """Count a request that is sent."""
        self._present()[0] += 1

    def on_refusal(self) -> None:
        """Count a refusal for pace."""
        self._present()[2] += 1

    def on_answer(self, model: str, seconds: float, tokens: int, usd: float | None) -> None:
        """Count an answer."""
        self._present()[1] += tokens
        self._latest.append(seconds)
        known = self._models.get(model)
        if known is None:
            known = self._models[model] = _Model()
        known.rows += 1
        known.seconds.add(seconds)
        if usd is None:
            known.unpriced += 1
        else:
            known.usd += usd

    def on_failed_row(self, row: int, error: LLMNBError) -> None:
        """Count a failed row by its cause."""
        kind = type(error).__name__
        known = self._causes.get(kind)
        if known is not None:
            known.rows += 1
            return
        words = WORDS.get(kind) or (type(error).__doc__ or kind).partition("\n")[0].rstrip(".")
        example, _, rest = error.message.partition("\n")
        if isinstance(error, SchemaMismatch):  # what was wrong stands in its second line
            example = f"{example} {rest.partition(chr(10))[0].removeprefix('- ')}".rstrip()
        self._causes[kind] = _Cause(words, 1, row, example[:300])

    def on_mended_row(self, error: LLMNBError) -> None:
        """Take a failed row back: a retry has answered it."""
        kind = type(error).__name__
        known = self._causes.get(kind)
        if known is not None:
            known.rows -= 1
            if not known.rows:
                del self._causes[kind]

    def _present(self) -> list[float]:
        now = Clock.monotonic()
        if now >= self._ends:
            place = int((now - self._started) / self._slice)
            if place >= MOST_SAMPLES:
                place = self._halve(place)
            while len(self._slices) <= place:
                self._slices.append([0.0, 0.0, 0.0])
            self._ends = self._started + len(self._slices) * self._slice
        return self._slices[-1]

    def _halve(self, place: int) -> int:
        """Put neighbours together until there is room; returns the present slice's new place."""
        while place >= MOST_SAMPLES:
            merged = []
            for first in range(0, len(self._slices), 2):
                pair = self._slices[first : first + 2]
                merged.append([sum(values) for values in zip(*pair, strict=True)])
            self._slices = merged
            self._slice *= 2
            place //= 2
        return place

    # -------------------------------------------------------------------- reading

    def quantiles(self) -> tuple[float | None, float | None]:
        """Return p50 and p95 of the replies' seconds."""
        middle, late = quantiles((one.seconds for one in list(self._models.values())), 0.5, 0.95)
        return middle, late

    def latest(self) -> tuple[float, ...]:
        """Return the last latencies, oldest first."""
        return tuple(self._latest)

    def shares(self) -> tuple[ModelShare, ...]:
        """Return what each model has done, the largest share first."""
        models = list(self._models.items())
        rows = sum(one.rows for _, one in models)
        found = [
            ModelShare(
                name=name,
                rows=one.rows,
                share=one.rows / rows,
                p50=quantiles([one.seconds], 0.5)[0],
                usd=None if one.unpriced == one.rows else one.usd,
            )
            for name, one in models
        ]
        return tuple(sorted(found, key=lambda share: -share.rows))

    def causes(self, row_of: Callable[[int], int] = int) -> tuple[FailureCause, ...]:
        """Return why rows failed, the most frequent first.

        Args:
            row_of: Which row of its owner's table a request belongs to.
        """
        found = [
            FailureCause(
                kind=kind,
                words=one.words,
                rows=one.rows,
                first_row=row_of(one.first_row),
                example=one.example,
            )
            for kind, one in list(self._causes.items())
        ]
        return tuple(sorted(found, key=lambda cause: -cause.rows))

    def samples(self, now: float) -> tuple[Sample, ...]:
        """Return the pace in slices, oldest first; the present one up to now."""
        slices, size = list(self._slices), self._slice
        found = []
        for place, (requests, tokens, refusals) in enumerate(slices):
            end = min((place + 1) * size, max(now - self._started, 1e-3))
            length = max(end - place * size, 1e-3)
            if place == len(slices) - 1 and length < size / 4 and place:
                break  # too short to say anything about the pace
            found.append(
                Sample(
                    seconds=end,
                    requests_per_minute=requests * _MINUTE / length,
                    tokens_per_minute=tokens * _MINUTE / length,
                    refusals=int(refusals),
                )
            )
        return tuple(found)

    def pace(self, now: float) -> tuple[float, float]:
        """Return requests and tokens a minute over the last minute, or since the start."""
        elapsed = max(now - self._started, 1.0)
        count = max(1, int(_MINUTE / self._slice))
        recent = self._slices[-count:]
        first = max(0, len(self._slices) - count) * self._slice
        length = max(1.0, elapsed - first)
        requests = sum(one[0] for one in recent)
        tokens = sum(one[1] for one in recent)
        return requests * _MINUTE / length, tokens * _MINUTE / length
