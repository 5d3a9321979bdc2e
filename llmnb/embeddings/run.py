"""`EmbeddingRun`: texts looked up, put into batches, and asked for their vectors.

The engine's rows are batches, one request each, and they go through one run like any other:
its gates, retries, limits and budget hold for them. Texts are what is looked up, kept, shared
and counted. The embedding is the source of that run: it hands out batches for as long as any text
may still be asked for. A batch that is refused, or that fails at every attempt, is halved until
the text that is to blame stands alone, so that it takes no other down with it.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from llmnb import bridge
from llmnb.adapters import tokens
from llmnb.embeddings.in_flight import TextClaims
from llmnb.embeddings.order import MOST_BATCH_TOKENS, PACKED, Order
from llmnb.embeddings.results import EmbeddingResults, OnText
from llmnb.embeddings.store_adapter import TextStore
from llmnb.embeddings.texts import Batch, Packer, Text, cut
from llmnb.engine.handle import AnyRun, Mode, RunWrapper
from llmnb.engine.source import InputSource
from llmnb.engine.status import State, StatusSnapshot
from llmnb.errors import (
    BadReply,
    ConfigurationError,
    LLMNBError,
    ProviderError,
    RequestRejected,
    Stopped,
    without_money,
)
from llmnb.records import Outcome, Reply, Source
from llmnb.running.asking import Asking
from llmnb.running.preparer import Preparer
from llmnb.running.start import start
from llmnb.store.project import open_project

_OF_REQUESTS = (
    *("num_rate_limit_errors", "num_api_errors", "num_other_errors", "num_requests"),
    *("num_retried", "num_hedged", "num_unsaved", "prompt_tokens", "completion_tokens"),
    *("usd", "simulated_usd", "num_unpriced", "hedge_usd", "time_of_last_rate_limit_error"),
)
"""Counters of requests, taken over from the run of batches."""

_OF_THE_RUN = (
    *("in_flight", "waiting_on", "pools", "shares", "samples", "latencies", "p50", "p95"),
    *("requests_per_minute", "tokens_per_minute", "budget_usd", "waited_seconds", "idle_seconds"),
)
"""Fields of the status that are taken over from the run of batches."""

CHUNK_TEXTS = 1024
"""Texts that are looked up together."""

BATCHES_AHEAD = 64
"""Batches, at least, that may be made and not yet answered: their texts are claimed, so nobody
else may ask for them."""

_DIVISIBLE = (400, 413, 422, None)
"""Statuses of refusals that may be caused by a single text of the batch."""

_PROBE = "text"
"""The text that is sent if all texts are empty and the length of a vector is not known."""

_SHORT = 256
"""Characters below which a text is sent whole, unless the caller bounds its tokens."""

_NOTHING = Reply(text="")

_NO_VECTOR = (
    "The reply has no vector for this text, or one that is not made of finite numbers. It may have "
    "been billed. The others of its batch are kept, and this one is asked for again on the next "
    "run."
)


class _BatchSource(InputSource):
    """The requests of an embedding, as the run of batches takes them."""

    def __init__(self, take: Callable[[int], Awaitable[list[Any]]]) -> None:
        self._take = take

    async def take(self, room: int) -> list[Any]:
        return await self._take(room)


class EmbeddingRun(RunWrapper[list[bytes | None]]):
    """A run that embeds texts; its counts are of texts.

    Args:
        texts: The texts; None is one that is not there and gets nothing.
        order: Who makes the vectors, and how.
        on_text: Told on the loop thread of each text's vector or error.

    Raises:
        ConfigurationError: If the order cannot be carried out; nothing was sent.
    """

    unit = "texts"

    def __init__(
        self, texts: Sequence[str | None], order: Order, on_text: OnText | None = None
    ) -> None:
        super().__init__()
        self._order = order
        self._results = EmbeddingResults(texts, on_text)
        self._is_stopping = False
        self._preparer = Preparer(order.asking)
        self._target = self._preparer.default
        batch_asking = _asking_for_batches(order.asking, self._target.row.name)
        self._batch_preparer = Preparer(batch_asking)
        project = open_project(order.project_name, order.cache_dir, share=order.share)
        self._claims = TextClaims(project.claims if order.use_cache else None)
        self._store = TextStore(project, self._target, self._claims.give_back)
        self._empty: list[int] = []
        distinct: dict[str, Text] = {}
        for position, text in enumerate(texts):
            if text:
                whole = order.prefix + text
                distinct.setdefault(whole, Text(whole, [])).positions.append(position)
            elif text is not None:
                self._empty.append(position)
        if self._empty and not distinct and self._length is None:
            distinct[_PROBE] = Text(_PROBE, [])
        self._fresh = collections.deque(distinct.values())
        self._ready: collections.deque[Batch] = collections.deque()
        """Batches to be asked for next; their texts are claimed."""

        self._elsewhere: list[Text] = []
        """Texts that somebody else is asking for."""

        self._refused: list[tuple[Batch, LLMNBError]] = []
        self._lonely_refusals = 0
        self._packer = Packer(order.batch_size, MOST_BATCH_TOKENS)
        self._sent: list[Batch] = []
        """The batches of the run's rows."""

        self._unanswered = 0
        self._all_answered = asyncio.Event()
        slots = order.options.get("max_concurrent_requests")
        self._inner = start(
            _BatchSource(self._take),
            batch_asking,
            store=self._store,
            on_outcome=self._on_outcome,
            # Texts are looked up and claimed when they are put into a batch, batches never: one
            # whose texts were claimed when it is sent would have to be made anew wherever another
            # process has some of them.
            use_cache=False,
            # Few batches under way, yet enough to keep every slot taken.
            window=max(BATCHES_AHEAD, 2 * slots if isinstance(slots, int) else 0),
            **order.options,
        )
        self._inner.owner = self
        self.project = project.name
        self._done = bridge.submit(self._finish())
        self._set_last_run()

    # -------------------------------------------------------------------- looking

    def status(self) -> StatusSnapshot:
        """Return a frozen picture of the embedding as it is now; rows are texts."""
        counters = self._results.counters
        of_batches, counts = self._inner.status(), counters.tracker_copy()
        for name in _OF_REQUESTS:
            setattr(counts, name, getattr(of_batches.counts, name))
        batch = min(self._order.batch_size, len(self._results.texts))
        texts_sent = min(of_batches.in_flight * batch, counts.num_rows - counts.num_rows_done)
        counts.num_tasks_in_progress = texts_sent
        shared = {name: getattr(of_batches, name) for name in _OF_THE_RUN}
        # There is one model, and what it counts here is requests.
        shared["shares"] = tuple(
            dataclasses.replace(share, rows=counts.num_tasks_succeeded)
            for share in of_batches.shares
        )
        return counters.snapshot(
            counts,
            state=self._state(of_batches.state),
            project=self.project,
            total=counts.num_rows,
            launched=counts.num_rows_done + texts_sent,
            uses_cache=self._order.use_cache,
            **shared,
        )

    def _state(self, of_batches: State) -> State:
        counters = self._results.counters
        if counters.ended is not None:
            return counters.end_state
        if self._is_stopping:
            return "stopping"
        return "paused" if of_batches == "paused" else "running"

    @property
    def errors(self) -> dict[int, LLMNBError]:
        """The errors of texts that failed, by position."""
        return dict(sorted(self._results.errors.items()))

    @property
    def truncated(self) -> dict[int, int]:
        """Texts of which only the beginning was sent, by position, and the tokens they had."""
        return dict(sorted(self._results.truncated.items()))

    @property
    def ndim(self) -> int | None:
        """Numbers in a vector; None while nobody knows."""
        known = (vector for vector in self._results.vectors if vector is not None)
        first = next(known, None)
        return self._order.ndim if first is None else len(first) // 4

    @property
    def asked(self) -> str:
        """Who makes the vectors, as ``provider/model``."""
        return f"{self._target.provider}/{self._target.model}"

    def failures(self) -> list[Outcome]:
        """Return what failed; an outcome's `row` is the text's position."""
        return [
            Outcome(row=position, error=error, tag=self._results.texts[position])
            for position, error in self.errors.items()
        ]

    def partial(self) -> list[bytes | None]:
        """Return the vectors so far, in the texts' order: little-endian numbers of 32 bits."""
        return list(self._results.vectors)

    _finished = partial

    # -------------------------------------------------------------------- steering

    def pause(self) -> None:
        """Send nothing new; what is in flight is finished and stored."""
        super().pause()
        self._results.counters.restart_pace()

    def resume(self) -> None:
        """Go on after `pause`."""
        super().resume()
        self._results.counters.restart_pace()

    def _change_limits(self, limits: dict[str, Any]) -> None:
        super()._change_limits(limits)
        self._results.counters.restart_pace()

    def stop(self) -> None:
        """Send nothing new and hand over what there is; the next embedding asks for the rest."""
        self._is_stopping = True
        super().stop()

    def cancel(self) -> None:
        """Stop, and drop what is in flight at once; it may be billed and lost."""
        self._is_stopping = True
        super().cancel()
        bridge.loop_thread().loop.call_soon_threadsafe(self._claims.drop)

    def _ask_again(self, failed: list[Outcome], mode: Mode | None) -> EmbeddingRun:
        if mode == "batch":
            raise ConfigurationError("Texts are embedded live: leave mode='batch' out.")
        results = self._results
        positions = [outcome.row for outcome in failed]
        return EmbeddingRun(
            [results.texts[position] for position in positions],
            self._order,
            lambda index, result: results.mend(positions[index], result, self._target),
        )

    # ------------------------------------------------------------------ what is asked

    async def _take(self, room: int) -> list[dict[str, object]]:
        """Return requests for the next batches, `room` at most; none once every text is settled."""
        while not self._ready and await self._make_batches():
            pass
        batches = [self._ready.popleft() for _ in range(min(room, len(self._ready)))]
        self._unanswered += len(batches)
        self._all_answered.clear()
        return [self._request(batch) for batch in batches]

    def _request(self, batch: Batch) -> dict[str, object]:
        self._sent.append(batch)
        request: dict[str, object] = {"input": [text.sent for text in batch]}
        row = self._batch_preparer(request, 0)
        if row.call is not None:
            self._store.expect(row.call.key, batch)
        return request

    async def _make_batches(self) -> bool:
        """Make the next batches; return whether any text is left."""
        if self._fresh:
            chunk = [self._fresh.popleft() for _ in range(min(CHUNK_TEXTS, len(self._fresh)))]
            await asyncio.to_thread(self._prepare, chunk)
            await self._look_up(chunk)
            if not self._fresh:
                self._pack_the_rest()
            return True
        if self._unanswered:
            await self._all_answered.wait()
            return True
        if self._has_ended:
            return False
        if self._refused:
            # Refused batches come first: their texts are claimed, and nothing may be while waiting.
            self._halve()
            return True
        if self._elsewhere:
            # Texts that others were asking for and did not get.
            texts, self._elsewhere = self._elsewhere, []
            await self._claims.until_free([text.key for text in texts])
            await self._look_up(texts, is_merged=True)
            self._pack_the_rest()
            return True
        return False

    @property
    def _has_ended(self) -> bool:
        """Whether nothing more is asked: it was stopped, or what stops a whole run has happened."""
        inner: AnyRun | None = getattr(self, "_inner", None)  # it asks before `start` has returned
        return self._is_stopping or (inner is not None and inner.error is not None)

    def _halve(self) -> None:
        """Split the refused batches in two, so that texts which are no cause of it are answered.

        As long as no text has been answered only the smallest batch is split: everything may be
        refused, whatever it holds.
        """
        refused = sorted(self._refused, key=lambda pair: len(pair[0]))
        self._refused = []
        if not self._results.counters.tracker.num_tasks_succeeded:
            if self._lonely_refusals > 1:  # texts are not the cause of the refusals
                for batch, error in refused:
                    self._fail(batch, error)
                return
            self._refused = refused[1:]
            refused = refused[:1]
        for batch, _ in refused:
            middle = len(batch) // 2
            self._ready += batch[:middle], batch[middle:]

    def _pack_the_rest(self) -> None:
        if rest := self._packer.rest():
            self._ready.append(rest)

    @functools.cached_property
    def _most_tokens(self) -> int | None:
        return self._order.most_tokens_of(self._target)

    def _prepare(self, texts: list[Text]) -> None:
        """Cut what is too long and find each text's key; blocks."""
        for text in texts:
            # A short text is within every model's limit.
            if self._order.most_tokens is not None or len(text.sent) > _SHORT:
                shorter = self._most_tokens and cut(
                    text.sent, self._most_tokens, model=self._target.model
                )
                if shorter:
                    text.sent, length = shorter
                    self._results.truncated.update(dict.fromkeys(text.positions, length))
            text.tokens = tokens.fast_estimate(text.sent)
            row = self._preparer({"input": text.sent}, 0)
            text.call, text.refusal = row.call, row.error

    async def _look_up(self, texts: list[Text], *, is_merged: bool = False) -> None:
        """Claim texts, answer those that are kept, and pack the others."""
        claimed = []
        for text in texts:
            if text.refusal is not None:
                self._fail([text], text.refusal)
            elif self._claims.take(text.key):
                claimed.append(text)
            else:
                self._elsewhere.append(text)
        uses_cache = is_merged or self._order.use_cache
        kept = await asyncio.to_thread(self._store.find, claimed) if uses_cache and claimed else {}
        for text in claimed:
            if (answer := kept.get(text.key)) is not None:
                entry, vector = answer
                source: Source = "cached" if entry.reused_from is None else "reused"
                outcome = Outcome(
                    row=0,
                    provider=self._target.provider,
                    model=self._target.model,
                    source="merged" if is_merged else source,
                    simulated=entry.simulated,
                    saved_usd=entry.usd,
                )
                self._claims.give_back(text.key)
                self._results.answered(text, vector, outcome)
            elif (batch := self._packer.add(text)) is not None:
                self._ready.append(batch)

    # ---------------------------------------------------------------- what has come

    def _on_outcome(self, outcome: Outcome) -> None:
        """Take a batch's outcome; called before anybody else sees it."""
        self._unanswered -= 1
        if not self._unanswered:
            self._all_answered.set()
        batch, error = self._sent[outcome.row], outcome.error
        if error is None and outcome.reply is not None:
            for text, vector in zip(batch, outcome.reply.vectors, strict=True):
                self._claims.give_back(text.key)  # also where it could not be saved
                if vector:
                    self._results.answered(text, vector, outcome)
                else:
                    self._fail([text], BadReply(_NO_VECTOR))
            outcome.reply = _NOTHING  # the run keeps its outcomes, and vectors are large
            return
        assert error is not None
        # One text of many may be to blame: the batch was refused, or no attempt succeeded.
        is_refusal = isinstance(error, ProviderError) or (
            isinstance(error, RequestRejected) and error.details.status in _DIVISIBLE
        )
        if is_refusal and len(batch) > 1 and not self._is_stopping:
            self._refused.append((batch, error))
            return
        self._lonely_refusals += is_refusal
        self._fail(batch, error)

    def _fail(self, batch: Batch, error: LLMNBError) -> None:
        """Give texts their error."""
        may_still_come = isinstance(error, Stopped) and error.details.maybe_billed
        if self._target.is_free:
            without_money(error)
        for text in batch:
            if text.call is not None and not may_still_come:
                self._claims.give_back(text.key)
            self._results.failed(text.positions, error)
        if may_still_come:  # it is kept if it still comes; nobody buys it meanwhile
            self._claims.drain([text.key for text in batch])

    # ------------------------------------------------------------------- at the end

    @property
    def _length(self) -> int | None:
        """Bytes of a vector; None while nobody knows."""
        size = self._order.ndim
        return self._results.length or (None if size is None else 4 * size)

    def _fill_the_empty(self) -> None:
        """Give empty texts their vector, which is zero."""
        if self._empty and self._length is not None:
            self._results.empty(self._empty, bytes(self._length))
        elif not self._has_ended:
            error = BadReply("How many numbers a vector has is not known: no text has got one.")
            self._results.failed(self._empty, error)

    def _give_up(self) -> None:
        """Release every claim, and give an error to each text that has no vector."""
        self._claims.give_all_back()
        for batch, error in self._refused:
            self._fail(batch, error)
        self._refused = []
        error = (None if self._is_stopping else self.error) or Stopped(
            "Not asked: it was stopped. Embed again to ask only for what is missing."
        )
        self._results.failed(self._results.missing(), error)

    async def _finish(self) -> None:
        """Give every text its vector or error once the run has ended; on the loop thread."""
        between = self._claims.between
        if between is not None:
            between.enter()  # its files stay open until the end
        try:
            await self._inner
            self._fill_the_empty()
        finally:
            self._give_up()
            if between is not None:
                between.leave()
            self._results.counters.end()


def _asking_for_batches(asking: Asking, provider: str) -> Asking:
    """Return how batches are asked for: with vectors in base64, if the provider has them."""
    if provider not in PACKED or "encoding_format" in asking.params:
        return asking
    return dataclasses.replace(asking, params={**asking.params, "encoding_format": "base64"})
