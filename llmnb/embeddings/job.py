"""One embedding on the loop thread: look texts up, put them into batches, ask for their vectors.

The engine's rows are batches, one request each, and they go through one run like any other:
its gates, retries, limits and budget hold for them. Texts are what is looked up, kept, shared
and counted. The job is the source of that run: it hands out batches for as long as any text
may still be asked for. A batch that is refused, or that fails at every attempt, is halved until
the text that is to blame stands alone, so that it takes no other down with it.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import functools
from collections.abc import Sequence

from llmnb.adapters import tokens
from llmnb.embeddings.in_flight import TextClaims
from llmnb.embeddings.order import MOST_BATCH_TOKENS, PACKED, Order
from llmnb.embeddings.results import EmbeddingResults, OnText
from llmnb.embeddings.store_adapter import StoreAdapter
from llmnb.embeddings.texts import Batch, Packer, Text, cut
from llmnb.engine.handle import AnyRun
from llmnb.engine.run import Run
from llmnb.engine.source import InputSource
from llmnb.errors import (
    BadReply,
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


class EmbeddingJob(InputSource):
    """One embedding's state and steps; the source of its run's requests.

    Args:
        texts: The texts; None is one that is not there and gets nothing.
        order: Who makes the vectors, and how.
        on_text: Told of each text's vector or error.

    Raises:
        ConfigurationError: If the order cannot be carried out; nothing was sent.
    """

    def __init__(
        self, texts: Sequence[str | None], order: Order, on_text: OnText | None = None
    ) -> None:
        self.order = order
        self.results = EmbeddingResults(texts, on_text)
        self.is_stopping = False
        self._run: Run | None = None
        self._preparer = Preparer(order.asking)
        self.target = self._preparer.default
        self._batch_asking = _asking_for_batches(order.asking, self.target.row.name)
        self._batch_preparer = Preparer(self._batch_asking)
        project = open_project(order.project_name, order.cache_dir, share=order.share)
        self.claims = TextClaims(project.claims if order.use_cache else None)
        self.store = StoreAdapter(project, self.target, self.claims.give_back)
        self._empty: list[int] = []
        self._at_end = contextlib.ExitStack()
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

    # -------------------------------------------------------------------- the whole

    def begin(self) -> Run:
        """Start the run of batches and return it, from any thread."""
        slots = self.order.options.get("max_concurrent_requests")
        with contextlib.ExitStack() as stack:
            if (between := self.claims.between) is not None:
                between.enter()  # its files stay open until the end
                stack.callback(between.leave)
            self._run = start(
                self,
                self._batch_asking,
                store=self.store,
                on_outcome=self._on_outcome,
                use_cache=False,  # texts are looked up here, batches never
                # Few batches under way, yet enough to keep every slot taken.
                window=max(BATCHES_AHEAD, 2 * slots if isinstance(slots, int) else 0),
                **self.order.options,
            )
            self._at_end = stack.pop_all()
        return self._run

    @property
    def _error(self) -> LLMNBError | None:
        """What stopped the model or the buying."""
        return None if self._run is None else self._run.error

    async def finish(self, run: AnyRun) -> None:
        """Give every text its vector or error once the run has ended; on the loop thread."""
        try:
            await run
            self._fill_the_empty()
        finally:
            self._give_up()
            self._at_end.close()
            self.results.counters.end()

    # ------------------------------------------------------------------ what is asked

    async def take(self, room: int) -> list[dict[str, object]]:
        """Return requests for the next batches, `room` at most; none once every text is settled."""
        while not self._ready and await self._make_batches():
            pass
        batches = [self._ready.popleft() for _ in range(min(room, len(self._ready)))]
        self._unanswered += len(batches)
        self._all_answered.clear()
        return [self._request(batch) for batch in batches]

    async def rest(self) -> list[dict[str, object]]:
        """Return nothing: `finish` gives texts that were not asked for their error."""
        return []

    def _request(self, batch: Batch) -> dict[str, object]:
        self._sent.append(batch)
        request: dict[str, object] = {"input": [text.sent for text in batch]}
        row = self._batch_preparer(request, 0)
        if row.call is not None:
            self.store.expect(row.call.key, batch)
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
        if self.is_stopping or self._error is not None:
            return False
        if self._refused:
            # Refused batches come first: their texts are claimed, and nothing may be while waiting.
            self._halve()
            return True
        if self._elsewhere:
            # Texts that others were asking for and did not get.
            texts, self._elsewhere = self._elsewhere, []
            await self.claims.until_free([text.key for text in texts])
            await self._look_up(texts, is_merged=True)
            self._pack_the_rest()
            return True
        return False

    def _halve(self) -> None:
        """Split the refused batches in two, so that texts which are no cause of it are answered.

        As long as no text has been answered only the smallest batch is split: everything may be
        refused, whatever it holds.
        """
        refused = sorted(self._refused, key=lambda pair: len(pair[0]))
        self._refused = []
        if not self.results.counters.tracker.num_tasks_succeeded:
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
        return self.order.most_tokens_of(self.target)

    def _prepare(self, texts: list[Text]) -> None:
        """Cut what is too long and find each text's key; blocks."""
        for text in texts:
            # A short text is within every model's limit.
            if self.order.most_tokens is not None or len(text.sent) > _SHORT:
                shorter = self._most_tokens and cut(
                    text.sent, self._most_tokens, model=self.target.model
                )
                if shorter:
                    text.sent, length = shorter
                    self.results.truncated.update(dict.fromkeys(text.positions, length))
            text.tokens = tokens.fast_estimate(text.sent)
            row = self._preparer({"input": text.sent}, 0)
            text.call, text.refusal = row.call, row.error

    async def _look_up(self, texts: list[Text], *, is_merged: bool = False) -> None:
        """Claim texts, answer those that are kept, and pack the others."""
        claimed = []
        for text in texts:
            if text.refusal is not None:
                self._fail([text], text.refusal)
            elif self.claims.take(text.key):
                claimed.append(text)
            else:
                self._elsewhere.append(text)
        uses_cache = is_merged or self.order.use_cache
        kept = await asyncio.to_thread(self.store.find, claimed) if uses_cache and claimed else {}
        for text in claimed:
            if (answer := kept.get(text.key)) is not None:
                entry, vector = answer
                source: Source = "cached" if entry.reused_from is None else "reused"
                outcome = Outcome(
                    row=0,
                    provider=self.target.provider,
                    model=self.target.model,
                    source="merged" if is_merged else source,
                    simulated=entry.simulated,
                    saved_usd=entry.usd,
                )
                self.claims.give_back(text.key)
                self.results.answered(text, vector, outcome)
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
                self.claims.give_back(text.key)  # also where it could not be saved
                if vector:
                    self.results.answered(text, vector, outcome)
                else:
                    self._fail([text], BadReply(_NO_VECTOR))
            outcome.reply = _NOTHING  # the run keeps its outcomes, and vectors are large
            return
        assert error is not None
        # One text of many may be to blame: the batch was refused, or no attempt succeeded.
        is_refusal = isinstance(error, ProviderError) or (
            isinstance(error, RequestRejected) and error.details.status in _DIVISIBLE
        )
        if is_refusal and len(batch) > 1 and not self.is_stopping:
            self._refused.append((batch, error))
            return
        self._lonely_refusals += is_refusal
        self._fail(batch, error)

    def _fail(self, batch: Batch, error: LLMNBError) -> None:
        """Give texts their error."""
        may_still_come = isinstance(error, Stopped) and error.details.maybe_billed
        if self.target.is_free:
            without_money(error)
        for text in batch:
            if text.call is not None and not may_still_come:
                self.claims.give_back(text.key)
            self.results.failed(text.positions, error)
        if may_still_come:  # it is kept if it still comes; nobody buys it meanwhile
            self.claims.drain([text.key for text in batch])

    # ------------------------------------------------------------------- at the end

    @property
    def _length(self) -> int | None:
        """Bytes of a vector; None while nobody knows."""
        size = self.order.ndim
        return self.results.length or (None if size is None else 4 * size)

    def _fill_the_empty(self) -> None:
        """Give empty texts their vector, which is zero."""
        if self._empty and self._length is not None:
            self.results.empty(self._empty, bytes(self._length))
        elif not self.is_stopping and self._error is None:
            error = BadReply("How many numbers a vector has is not known: no text has got one.")
            self.results.failed(self._empty, error)

    def _give_up(self) -> None:
        """Release every claim, and give an error to each text that has no vector."""
        self.claims.give_all_back()
        for batch, error in self._refused:
            self._fail(batch, error)
        self._refused = []
        error = (None if self.is_stopping else self._error) or Stopped(
            "Not asked: it was stopped. Embed again to ask only for what is missing."
        )
        self.results.failed(self.results.missing(), error)


def _asking_for_batches(asking: Asking, provider: str) -> Asking:
    """Return how batches are asked for: with vectors in base64, if the provider has them."""
    if provider not in PACKED or "encoding_format" in asking.params:
        return asking
    return dataclasses.replace(asking, params={**asking.params, "encoding_format": "base64"})
