"""The poller of one part of a batch run: submits it once, polls it, and saves its results.

A `BatchPoller` lives on the loop thread; all runs of the process that wait for the same
part share one. Every step is written down before it is taken, so that another
process, or this one tomorrow, goes on where it ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from llmnb import bridge, errors
from llmnb.adapters.file_lock import locked
from llmnb.batches import records
from llmnb.batches.persistence import ResultWriter
from llmnb.batches.records import Failed, Part
from llmnb.batches.service import Service
from llmnb.engine.status import Clock
from llmnb.errors import BadReply, LLMNBError, ProviderError, StoreError, Unsent
from llmnb.store.project import ProjectStore, open_project
from llmnb.targets.target import HTTPTarget
from llmnb.wire import batches as wire
from llmnb.wire.batches import Standing

logger = logging.getLogger("llmnb")

T = TypeVar("T")

_LONGEST_KEPT = 7 * 86400.0
"""Seconds after which a batch that the provider does not know is taken for deleted."""

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 60.0
_GROWTH = 1.5
"""Seconds before a provider is asked how far a batch is: the first time, at most, and how they
grow."""

ATTEMPTS = 5
"""Attempts to submit a part whose fate is known each time."""

FETCHES = 4
"""How often results are fetched that name fewer requests than the provider says are done: what is
missing in a file that is served short has been paid for."""

_DOUBTFUL = (errors.MaybeBilled, ProviderError, BadReply)
"""Errors after which a batch may have been made all the same."""

_PASSING = (Unsent, errors.MaybeBilled, ProviderError, errors.FlowControl, BadReply)
"""Errors of a question that is asked again."""


def wait_before(poll: int, retry_after: float | None = None) -> float:
    """Return the seconds before the n-th question, from 0.

    Args:
        poll: Questions so far.
        retry_after: What the provider asked for; never asked earlier than that.

    Example:
        >>> [wait_before(poll) for poll in (0, 1, 2, 30)]
        [5.0, 7.5, 11.25, 60.0]
        >>> wait_before(0, 120.0)
        120.0
    """
    own = min(LONGEST_SECONDS, FIRST_SECONDS * _GROWTH ** min(poll, 20))
    return own if retry_after is None else max(own, retry_after)


async def rest(seconds: float, until: asyncio.Event) -> None:
    """Wait for some seconds, or until the event is set; tests replace this function."""
    try:
        async with asyncio.timeout(seconds):
            await until.wait()
    except TimeoutError:
        pass


class BatchPoller:
    """Submit one part, ask the provider how far it is, and save its results.

    Args:
        part: The part.
        target: Who is asked.
        store: Where answers go.
    """

    def __init__(self, part: Part, target: HTTPTarget, store: ProjectStore) -> None:
        self.part = part
        self._target = target
        self._service = Service(target)
        self._store = store
        self._left = asyncio.Event()
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None
        self.done = 0
        """Requests that the provider says are over."""

        self.error: LLMNBError | None = None
        """What keeps it from going on, where that is not the provider's last word."""

    # ------------------------------------------------------------------- its waiters

    async def wait(self) -> None:
        """Return when nothing more will come, or it cannot go on; `leave` ends it earlier."""
        self._waiting += 1
        self._left.clear()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="llmnb-batch")
        try:
            await asyncio.shield(self._task)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._left.set()

    @property
    def is_waited_for(self) -> bool:
        """Whether a run of this process waits for results that may still come."""
        return bool(self._waiting) and self.part.is_open

    @property
    def is_over(self) -> bool:
        """Whether it has ended; to go on, a new one is needed."""
        return self._task is not None and self._task.done()

    async def close(self) -> None:
        """End it after the step it is at, for the process ends."""
        self._left.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            # The step it was at may end in any error; what it had written down by then is what
            # the next process goes on from.
            if not self._task.cancelled() and (error := self._task.exception()) is not None:
                logger.info("Batch %s was left with the process: %r", self.part.name, error)

    async def withdraw(self) -> None:
        """Ask the provider to stop the batch."""
        if self.part.standing.batch is not None and self.part.is_open:
            await self._service.withdraw(self.part.standing.batch)

    # -------------------------------------------------------------------- its steps

    async def _run(self) -> None:
        try:
            self.error = None
            if self.part.standing.state in ("prepared", "submitting"):
                await self._submit()
            if self.part.standing.state == "submitted":
                await self._follow()
        except LLMNBError as error:
            standing, self.error = self.part.standing, error
            is_old = Clock.wall() - standing.since > _LONGEST_KEPT
            if standing.state == "submitted" and error.details.status == 404 and is_old:
                # The provider has forgotten it; a young one that is not there is another account's.
                self._close_refused(
                    ProviderError(
                        f"The provider has no batch {standing.batch} any more, so its results are "
                        "lost: they are kept there for about a month. Run again to ask what is "
                        "missing; that is paid for anew."
                    )
                )
            logger.warning("Batch %s: %s", self.part.name, self.error)

    async def _submit(self) -> None:
        """Submit the part, unless it has been: only one process at a time may try."""
        with contextlib.ExitStack() as stack:

            async def hold() -> bool:
                lock = locked(self.part.path("lock"), timeout=0)
                await asyncio.to_thread(stack.enter_context, lock)
                return True

            if not await self._until_answered(hold, (StoreError,)):
                return
            self.part.load()
            if self.part.standing.state == "submitting":
                # Its process may have died a moment ago: lists are not at once up to date.
                await rest(FIRST_SECONDS, self._left)
                if await self._is_at_provider():
                    return
            if self.part.standing.state not in ("prepared", "submitting"):
                return
            for attempt in range(ATTEMPTS):
                if self._left.is_set():
                    return
                self.part.save(state="submitting", since=Clock.wall())
                try:
                    self._note_submission(await self._service.create(self.part))
                    return
                except StoreError:
                    raise
                except LLMNBError as error:
                    if await self._is_settled(error, attempt):
                        return
                    if attempt == ATTEMPTS - 1:
                        raise

    async def _is_settled(self, error: LLMNBError, attempt: int) -> bool:
        """Decide about a submission that failed; return whether nothing is left to do."""
        is_doubtful = isinstance(error, _DOUBTFUL)
        if not is_doubtful:
            self.part.save(state="prepared")
            if not isinstance(error, (errors.FlowControl, Unsent)):
                self._close_refused(error)
                return True
        await rest(wait_before(attempt, error.details.retry_after), self._left)
        # Where it may have arrived it is looked for before it is sent again.
        return is_doubtful and await self._is_at_provider()

    async def _is_at_provider(self) -> bool:
        """Look for the part among the provider's batches; return whether it is there."""
        taken = await asyncio.to_thread(_names_of_others, self.part)
        batch = await self._until_answered(lambda: self._service.find(self.part, taken))
        if batch is not None:
            self._note_submission(batch)
        return batch is not None

    def _note_submission(self, made: Standing) -> None:
        self.part.save(state="submitted", batch=made.name)
        logger.info("Batch %s is submitted as %s.", self.part.name, made.name)

    async def _follow(self) -> None:
        """Ask how far it is until it is over; then save what came."""
        batch = self.part.standing.batch or ""
        poll = 0
        while not self._left.is_set():
            standing = await self._until_answered(lambda: self._service.look(batch))
            if standing is None:
                return
            self.done = standing.done
            if standing.state == "refused":
                self._close_refused(
                    ProviderError(
                        f"The provider refused the batch {batch}: "
                        f"{standing.message or 'it does not say why'}. Nothing was billed; run "
                        "again to submit it anew."
                    )
                )
                return
            if standing.state == "ended":
                await self._keep(standing)
                return
            await rest(wait_before(poll), self._left)
            poll += 1

    async def _keep(self, standing: Standing) -> None:
        writer = ResultWriter(self.part, self._target, self._store)
        self.part.load()
        if not self.part.is_open:  # another process was quicker
            return
        await asyncio.to_thread(writer.read_requests)

        async def fetch() -> bool:
            async for raw, results in self._service.results(standing):
                await writer.take(raw, results)
            return True

        for attempt in range(FETCHES):
            if attempt:
                await rest(wait_before(attempt - 1), self._left)
            if await self._until_answered(fetch) is None:
                return
            if writer.named >= standing.done or not writer.is_ours:
                break
        if not writer.is_ours:
            others = [*self.part.standing.strangers, standing.name]
            self.part.save(state="submitting", batch=None, strangers=others)
            raise ProviderError(
                f"The results of batch {standing.name} bear none of our ids, so it is not ours. "
                "Attach to the run again to look for the right one."
            )
        writer.finish()
        self.part.close("kept", writer.failed, words=standing.message)
        text = "Batch %s: %d answers kept, %d requests without one."
        logger.info(text, self.part.name, writer.answered, len(writer.failed))

    def _close_refused(self, error: LLMNBError) -> None:
        self.error = error
        kind = type(error).__name__
        failed = [Failed(wire.key_of(name), kind, error.message) for name in self.part.requests()]
        self.part.close("refused", failed, words=error.message, kind=kind)

    async def _until_answered(
        self,
        ask: Callable[[], Awaitable[T]],
        passing: tuple[type[LLMNBError], ...] = _PASSING,
    ) -> T | None:
        """Ask until there is an answer; return None once no run waits any more."""
        poll = 0
        while not self._left.is_set():
            try:
                answer = await ask()
                self.error = None
                return answer
            except passing as error:
                self.error = error
                await rest(wait_before(poll, error.details.retry_after), self._left)
                poll += 1
        return None


def _names_of_others(part: Part) -> set[str]:
    """Return the provider's names of all batches that other parts are known by."""
    names = set(part.standing.strangers)
    for folder, record in records.all_records(part.folder.parent):
        with contextlib.suppress(StoreError):
            others = records.parts_of(folder, record)
            names |= {other.standing.batch or "" for other in others if other.name != part.name}
    return names


def fate(parts: Iterable[Part]) -> str:
    """Return what becomes of parts of a run that nobody waits for any longer."""
    if all(part.standing.state == "submitted" for part in parts):
        return "goes on at the provider and will be billed"
    return "may not be submitted yet"


def report_left(run_id: str, parts: Iterable[Part]) -> None:
    """Say in a line that nobody waits for parts of a run any longer, and what to type to go on."""
    text = "Batch run %s %s: llmnb.attach(%r) or the same call again waits for it."
    logger.warning(text, run_id, fate(parts), run_id)


def pollers() -> dict[str, BatchPoller]:
    """Return the pollers of this process by the path of their part; call it on the loop."""
    return bridge.per_loop("batches.pollers", dict[str, BatchPoller], _close)


async def _close(known: dict[str, BatchPoller]) -> None:
    left: dict[str, list[Part]] = {}
    for poller in list(known.values()):
        if poller.is_waited_for:
            left.setdefault(poller.part.folder.name, []).append(poller.part)
        await poller.close()
    for run_id, parts in left.items():
        report_left(run_id, parts)


async def pollers_of(
    parts: Sequence[Part], target: HTTPTarget, store: ProjectStore
) -> dict[str, BatchPoller]:
    """Return the one poller of this process for each part, by the part's name.

    Args:
        parts: The parts.
        target: Who is asked.
        store: Where the answers go, of parts whose run wanted them there; else they go into
            another project of the same folder.
    """
    known = pollers()
    for part in parts:
        path = str(part.path("json"))
        if path not in known or known[path].is_over:
            # The answers go where the run that asked for them wanted them.
            record, home = records.read_record(part.folder), store
            if store.name != record.project:
                home = open_project(record.project, store.paths.root, share=record.share)
            known[path] = BatchPoller(part, target, home)
    return {part.name: known[str(part.path("json"))] for part in parts}
