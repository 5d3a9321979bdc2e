"""Texts on their way to vectors, on the loop thread: looked up, put into batches, asked for.

Requests are batches, and they go through the one engine like any other: its
gates, retries, limits and budget hold for them. Texts are what is looked up,
kept, shared and counted. A batch that is refused, or that fails at every
attempt, is halved until the text that is to blame stands alone, so that it
takes no other down with it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, TypeVar

from llmnb.embeddings.batches import Batch, Packer, Text, halves
from llmnb.embeddings.in_flight import Claims
from llmnb.embeddings.order import MOST_BATCH_TOKENS, PACKED, Order
from llmnb.embeddings.results import OnText, Results
from llmnb.embeddings.store_adapter import StoreAdapter
from llmnb.embeddings.truncation import Trimmer
from llmnb.engine.handle import AnyRun
from llmnb.engine.run import Run
from llmnb.engine.source import Ours
from llmnb.errors import BadReply, LLMNBError, ProviderError, RequestRejected, Stopped
from llmnb.records import Outcome, Reply
from llmnb.running.asking import Asking
from llmnb.running.preparer import Preparer
from llmnb.running.start import start
from llmnb.store.project import open_project

T = TypeVar("T")

CHUNK_TEXTS = 1024
"""Texts that are looked up together."""

BATCHES_AHEAD = 64
"""Batches, at least, that may be made and not yet answered: their texts are claimed, so nobody
else may ask for them."""

_DIVISIBLE = (400, 413, 422, None)
"""Statuses of a refusal that one text of many may be to blame for."""

_PROBE = "text"
"""What is asked for when only empty texts are there and nobody knows how long a vector is."""

_NOTHING = Reply(text="")


class Job:
    """One embedding's state and steps.

    Args:
        texts: The texts; None is one that is not there and gets nothing.
        order: Who makes the vectors, and how.
        on_text: Told of each text's vector or error.
        owner: The run that the engine's runs are parts of.

    Raises:
        ConfigurationError: If the order cannot be carried out; nothing was sent.
    """

    def __init__(
        self,
        texts: Sequence[str | None],
        order: Order,
        on_text: OnText | None = None,
        *,
        owner: AnyRun | None = None,
    ) -> None:
        self.order = order
        self._owner = owner
        self.results = Results(texts, on_text)
        self.runs: list[Run] = []
        self.is_stopping = False
        self.is_paused = False
        self.limits: dict[str, Any] = {}
        """Limits that were changed on the way, for runs still to come."""

        self._preparer = Preparer(order.asking)
        self.target = self._preparer.default
        self._batching = _batching(order.asking, self.target.row.name)
        self._batches = Preparer(self._batching)
        project = open_project(order.project_name, order.cache_dir, share=order.share)
        self.claims = Claims(project.claims if order.use_cache else None)
        self.store = StoreAdapter(project, self.target, self.claims.give_back)
        self._trimmer = Trimmer(order, self.target)
        self._elsewhere: list[Text] = []
        self._refused: list[tuple[Batch, LLMNBError]] = []
        self._lonely_refusals = 0
        self._empty: list[int] = []
        distinct: dict[str, Text] = {}
        for position, text in enumerate(texts):
            if text:
                whole = order.prefix + text
                distinct.setdefault(whole, Text(whole, [])).positions.append(position)
            elif text is not None:
                self._empty.append(position)
        self._distinct = distinct.values()

    # -------------------------------------------------------------------- the whole

    def begin(self) -> None:
        """Start the first run, from any thread."""
        self.claims.enter()
        try:
            self._ask(self._fresh(self._distinct))
        except BaseException:
            self.claims.leave()
            raise

    async def finish(self) -> None:
        """See to the end of every text; on the loop thread."""
        try:
            await self.runs[-1]
            while self._goes_on and (self._refused or self._elsewhere):
                # What was refused first: nothing may be claimed while others are waited for.
                await self._ask(self._pieces() if self._refused else self._awaited())
            await self._fill_the_empty()
        finally:
            self._give_up()
            self.claims.leave()

    @property
    def _goes_on(self) -> bool:
        return not self.is_stopping and self.runs[-1].error is None

    def _ask(self, batches: AsyncIterator[Batch]) -> Run:
        order = self.order
        sent: list[Batch] = []
        run = start(
            Ours(self._requests(batches, sent)),
            self._batching,
            store=self.store,
            on_outcome=functools.partial(self._arrived, sent),
            use_cache=False,  # texts are looked up here, batches never
            window=_window(order),
            **order.options,
        )
        run.owner = self._owner
        self.runs.append(run)
        if self.limits:
            run.set_limits(**self.limits)
        if self.is_paused:
            run.pause()
        if self.is_stopping:
            run.stop()
        return run

    async def _requests(
        self, batches: AsyncIterator[Batch], sent: list[Batch]
    ) -> AsyncIterator[dict[str, object]]:
        async for batch in batches:
            sent.append(batch)
            request: dict[str, object] = {"input": [text.sent for text in batch]}
            row = self._batches(request, 0)
            if row.call is not None:
                self.store.expect(row.call.key, batch)
            yield request

    # ------------------------------------------------------------------ what is asked

    async def _fresh(self, texts: Iterable[Text]) -> AsyncIterator[Batch]:
        """Yield what has to be asked for, once it is clear what is kept."""
        packer = self._packer()
        waiting = iter(texts)
        while chunk := list(itertools.islice(waiting, CHUNK_TEXTS)):
            ready = await _on_a_thread(self._prepared, chunk)
            async for batch in self._looked_up(ready, packer, uses_cache=self.order.use_cache):
                yield batch
        if rest := packer.rest():
            yield rest

    async def _awaited(self) -> AsyncIterator[Batch]:
        """Yield what others were asking for and did not get."""
        texts, self._elsewhere = self._elsewhere, []
        await self.claims.until_free([text.key for text in texts])
        packer = self._packer()
        async for batch in self._looked_up(texts, packer, uses_cache=True, is_merged=True):
            yield batch
        if rest := packer.rest():
            yield rest

    async def _pieces(self) -> AsyncIterator[Batch]:
        """Yield halves of what was refused; one batch only, until any text has been answered."""
        refused = sorted(self._refused, key=lambda pair: len(pair[0]))
        self._refused = []
        if not self.results.counters.tracker.num_tasks_succeeded:
            if self._lonely_refusals > 1:  # it is not the texts that are refused
                for batch, error in refused:
                    self._fail(batch, error)
                return
            self._refused = refused[1:]
            refused = refused[:1]
        for batch, _ in refused:
            for half in halves(batch):
                yield half

    def _packer(self) -> Packer:
        return Packer(self.order.batch_size, MOST_BATCH_TOKENS)

    def _prepared(self, texts: list[Text]) -> list[Text]:
        """Cut what is too long and find each text's key; blocks."""
        for text in texts:
            had = self._trimmer.trim(text)
            if had is not None:
                self.results.truncated.update(dict.fromkeys(text.positions, had))
            row = self._preparer({"input": text.sent}, 0)
            text.alone = row.call
            if row.error is not None:
                text.refusal = row.error
        return texts

    async def _looked_up(
        self, texts: list[Text], packer: Packer, *, uses_cache: bool, is_merged: bool = False
    ) -> AsyncIterator[Batch]:
        """Claim texts, answer those that are kept, and pack the others."""
        ours = []
        for text in texts:
            if text.refusal is not None:
                self._fail([text], text.refusal)
            elif self.claims.take(text.key):
                ours.append(text)
            else:
                self._elsewhere.append(text)
        found = await _on_a_thread(self.store.find, ours) if uses_cache and ours else {}
        for text in ours:
            if (known := found.get(text.key)) is not None:
                self.claims.give_back(text.key)
                self.results.found(text, *known, self.target, is_merged=is_merged)
            elif (batch := packer.add(text)) is not None:
                yield batch

    # ---------------------------------------------------------------- what has come

    def _arrived(self, sent: list[Batch], outcome: Outcome) -> None:
        """Take a batch's outcome; told before anybody else sees it."""
        batch, error = sent[outcome.row], outcome.error
        if error is None and outcome.reply is not None:
            for text, vector in zip(batch, outcome.reply.vectors, strict=True):
                self.claims.give_back(text.key)  # also where it could not be saved
                if vector:
                    self.results.answered(text, vector, outcome)
                else:
                    self._fail([text], _no_vector())
            outcome.reply = _NOTHING  # the run keeps its outcomes, and vectors are large
            return
        assert error is not None
        is_refusal = _may_be_one_text(error)
        if is_refusal and len(batch) > 1 and not self.is_stopping:
            self._refused.append((batch, error))
            return
        self._lonely_refusals += is_refusal
        self._fail(batch, error)

    def _fail(self, batch: Batch, error: LLMNBError) -> None:
        """Give texts their error."""
        is_on_its_way = isinstance(error, Stopped) and error.details.maybe_billed
        for text in batch:
            if text.alone is not None and not is_on_its_way:
                self.claims.give_back(text.key)
            self.results.failed(text.positions, error)
        if is_on_its_way:  # it is kept if it still comes; nobody buys it meanwhile
            self.claims.drain([text.key for text in batch])

    # ------------------------------------------------------------------- at the end

    async def _fill_the_empty(self) -> None:
        """Give empty texts their vector, which is zero: nothing has been said in them."""
        if not self._empty:
            return
        results, size = self.results, self.order.ndim
        if results.length is None and size is None:
            error = await self._ask_for_the_length()
            if error is not None:
                results.failed(self._empty, error)
                return
        results.empty(self._empty, bytes(results.length or 4 * (size or 0)))

    async def _ask_for_the_length(self) -> LLMNBError | None:
        if not self._goes_on:
            return self.runs[-1].error or _not_asked()
        probe = Text(_PROBE, [])
        await self._ask(self._fresh([probe]))
        if self._elsewhere:
            await self._ask(self._awaited())
        return None if self.results.length is not None else self.runs[-1].error or _no_length()

    def _give_up(self) -> None:
        """Leave nobody waiting, and no text without a vector or an error."""
        self.claims.give_all_back()
        for batch, error in self._refused:
            self._fail(batch, error)
        self._refused = []
        why = (None if self.is_stopping else self.runs[-1].error) or _not_asked()
        self.results.failed(self.results.missing(), why)


def _may_be_one_text(error: LLMNBError) -> bool:
    """Whether one text of many may be to blame: refused, or failed at each of several attempts."""
    if isinstance(error, RequestRejected):
        return error.details.status in _DIVISIBLE
    return isinstance(error, ProviderError)


def _batching(asking: Asking, provider: str) -> Asking:
    """Return how batches are asked for: in base64 where that is understood."""
    if provider not in PACKED or "encoding_format" in asking.params:
        return asking
    return dataclasses.replace(asking, params={**asking.params, "encoding_format": "base64"})


def _window(order: Order) -> int:
    """Return how many batches may be under way: few, yet enough to keep every place taken."""
    places = order.options.get("max_concurrent_requests")
    return max(BATCHES_AHEAD, 2 * places if isinstance(places, int) else 0)


async def _on_a_thread(work: Callable[[list[Text]], T], texts: list[Text]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, work, texts)


def _not_asked() -> Stopped:
    return Stopped("Not asked: it was stopped. Embed again to ask only for what is missing.")


def _no_vector() -> BadReply:
    return BadReply(
        "The reply has no vector for this text, or one that is not made of finite numbers. Its "
        "batch may have been billed; the others are kept, and this one is asked for again on the "
        "next run."
    )


def _no_length() -> BadReply:
    return BadReply("How many numbers a vector has could not be found out: every text is empty.")
