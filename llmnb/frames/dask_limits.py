"""One account's limits on many workers: through Redis as one, without it divided among them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from llmnb.frames import dask_cluster
from llmnb.frames.dask_work import Question
from llmnb.rate_limiter import GLOBAL_LIMITER, Key
from llmnb.rate_limiter.rules import REQUESTS, TOKENS
from llmnb.rates import Rate


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What this process may use."""

    requests_per_minute: float | None
    tokens_per_minute: float | None
    rates: tuple[tuple[Key, float], ...] = ()
    """What `GLOBAL_LIMITER` is to keep here, as numbers a minute."""

    divided_by: int = 1


class Terms:
    """The limits of one partition's run, on the worker that has it.

    Args:
        question: The question, with the limits of the whole cluster.
        names: Models that it may ask, as ``provider/model``.
        worker: This process's worker; None: there is none.
        is_client: Whether this is the client's own process, where its own limiter holds anyway.
    """

    def __init__(
        self, question: Question, names: Sequence[str], worker: Any, *, is_client: bool
    ) -> None:
        self._question = question
        self._names = names
        self._worker = worker
        self._is_client = is_client

    @property
    def is_divided(self) -> bool:
        """Whether there is a limit to be divided among processes that cannot share it."""
        question = self._question
        has_any = question.requests_per_minute or question.tokens_per_minute or question.rules
        return bool(has_any) and GLOBAL_LIMITER.url is None

    def part(self) -> Part:
        """Return what this process may use now."""
        question = self._question
        requests, tokens = question.requests_per_minute, question.tokens_per_minute
        if GLOBAL_LIMITER.url is None:
            is_alone = self._is_client and self._worker is None
            count = 1
            if self.is_divided and not is_alone:
                count = dask_cluster.peers.count(self._worker)
            rules = () if is_alone else question.rules
            divided = [(rule.key, rule.per_minute / count) for rule in rules]
            return Part(
                requests_per_minute=None if requests is None else requests / count,
                tokens_per_minute=None if tokens is None else tokens / count,
                rates=(*divided, *self._of_the_question(count)),
                divided_by=count,
            )
        rules = () if self._is_client and self._worker is None else question.rules
        shared = [(rule.key, rule.per_minute) for rule in rules]
        return Part(
            requests_per_minute=requests,
            tokens_per_minute=tokens,
            rates=(*shared, *self._of_the_question(1)),
        )

    def _of_the_question(self, count: int) -> list[tuple[Key, float]]:
        """Return the question's own limits as rates: its tasks in this process are one run."""
        question = self._question
        limits = ((REQUESTS, question.requests_per_minute), (TOKENS, question.tokens_per_minute))
        return [
            ((kind, name), rate / count)
            for kind, rate in limits
            if rate is not None
            for name in self._names
        ]


class Wishes:
    """What the tasks of this process want of `GLOBAL_LIMITER`; of several the smallest holds.

    What stood there before holds again when the last of them is done.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wishes: dict[object, dict[Key, float]] = {}
        self._before: dict[Key, tuple[Rate, float] | None] = {}

    def put(self, owner: object, rates: Iterable[tuple[Key, float]]) -> None:
        """Hold the limiter to these rates until `drop`; a second time in place of the first."""
        wish: dict[Key, float] = {}
        for key, rate in rates:
            wish[key] = min(rate, wish.get(key, rate))
        with self._lock:
            old = self._wishes.get(owner, {})
            if wish != old:
                self._wishes[owner] = wish
                self._apply({*old, *wish})

    def drop(self, owner: object) -> None:
        """Forget what a task wanted."""
        with self._lock:
            self._apply(self._wishes.pop(owner, {}))

    def _apply(self, keys: Iterable[Key]) -> None:
        for key in keys:
            rates = [wish[key] for wish in self._wishes.values() if key in wish]
            if rates:
                self._hold(key, min(rates))
            else:
                self._restore(key)

    def _hold(self, key: Key, rate: float) -> None:
        config = GLOBAL_LIMITER.rate_config
        rule = config.rule(key)
        if key not in self._before:
            self._before[key] = None if rule is None else (config[key], rule.per_minute)
        if (before := self._before[key]) is not None:
            rate = min(rate, before[1])
        if rule is None or rule.per_minute != rate:
            config[key] = rate

    def _restore(self, key: Key) -> None:
        config = GLOBAL_LIMITER.rate_config
        if (before := self._before.pop(key, None)) is not None:
            config[key] = before[0]
        elif key in config:
            del config[key]


wishes = Wishes()
