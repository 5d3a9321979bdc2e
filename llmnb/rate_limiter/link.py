"""The conversation with one Redis: draws, heartbeats, and what holds while it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import time
import uuid
from collections.abc import Callable, Sequence

from llmnb.adapters.redis import SharedStore, address
from llmnb.errors import LimiterError
from llmnb.rate_limiter.limit_exchange import LimitExchange, OnReceived, Stated
from llmnb.rate_limiter.rules import Rule
from llmnb.rate_limiter.shared import SharedLimit
from llmnb.rates import Allowance

BEAT_SECONDS = 1.0
"""A process that uses limits speaks at least this often."""

PROBE_SECONDS = 0.5
"""A lost Redis is asked this often whether it is back."""

QUIET_SECONDS = 60.0
"""A process that has used nothing for so long says goodbye and falls silent; one that states
limits goes on stating them."""

UPHOLD_SECONDS = 20.0
"""A quiet process states its limits this often: three times before they would be forgotten."""

_LIFETIME = 6_000_000
"""Microseconds without a word after which a process is not counted any more."""

_GAP = 2_000_000
"""Silence of everybody that long means that Redis was away, and shares may be in use."""

_PAUSE = 1_500_000
"""So long nothing is given when Redis is back: until every process has noticed."""

_BLOCK = 50_000
_HORIZON = (200_000, 1_000_000)
"""How far ahead is given out: a block for each process, within these bounds."""

_UNWANTED_SECONDS = 1.5
"""What is held ahead is handed back when nobody has asked for it that long."""

_USERS, _WITHOUT_LIMIT = "users", 1e9
"""A key under which processes are counted and nothing is limited."""

_JOIN, _LOOK, _LEAVE = "1", "0", "-1"

log = logging.getLogger("llmnb")

Limits = tuple[SharedLimit, ...]


class Link:
    """One Redis and the limits shared through it; lives on the loop thread.

    Args:
        url: Where it is.
        stated: Returns the limits that this process states.
        on_received: Told of those that others state, whenever they change.
        is_busy: Whether somebody may be in need of them though none was wanted lately.

    Raises:
        ConfigurationError: If the address is none, or the extra is missing.
    """

    def __init__(
        self,
        url: str,
        stated: Stated = tuple,
        on_received: OnReceived = lambda rules: None,
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = SharedStore(address(url))
        self.address = self._store.address
        self.limits: dict[str, SharedLimit] = {}
        self.listeners: dict[object, Callable[[], None]] = {}
        """Told when something may have become possible."""

        self.lost: LimiterError | None = None
        """Why Redis cannot be asked; None: it can."""

        self._calls = 0
        self._member = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._exchange = LimitExchange(self._store, self._member, stated, on_received)
        self._is_busy = is_busy
        self._stirred = asyncio.Event()
        """Set when a quiet link is wanted again."""

        self._asked_at = -math.inf
        """When somebody last asked which limits hold."""

        self._round_trip = 0.0
        self._again: dict[Limits, float] = {}
        """When it is worth asking again for what was not given."""

        self._is_closed = False
        self._beat: asyncio.Task[None] | None = None
        self._draws: set[asyncio.Task[None]] = set()

    @property
    def calls(self) -> int:
        """Round trips so far."""
        return self._calls + self._exchange.calls

    def limit(self, rule: Rule) -> SharedLimit:
        """Return the limit of a rule."""
        limit = self.limits.get(rule.name)
        if limit is None:
            limit = self.limits[rule.name] = SharedLimit(rule)
            if self.lost is not None:
                limit.keep_to_share(time.monotonic())
        else:
            limit.change(rule, time.monotonic())
        return limit

    def count_users(self, name: str, on_count: Callable[[int], None]) -> None:
        """Have the processes counted that use something together, with each beat.

        Args:
            name: What it is; all of them name it alike.
            on_count: Told how many there are, this one included.
        """
        users = self.limit(Rule((_USERS, name), Allowance(_WITHOUT_LIMIT, 60.0, "minute")))
        self.listeners["users", name] = lambda: on_count(users.alive)
        self._keep_beating()
        task = asyncio.get_running_loop().create_task(self._beat_once(_JOIN))
        self._draws.add(task)
        task.add_done_callback(self._draws.discard)

    def draw(self, limits: Limits, amounts: Sequence[float], now: float) -> float:
        """Have what is missing drawn; return the seconds until it is worth asking again.

        Args:
            limits: All that bind one request; all of it is given, or nothing.
            amounts: What is to go through each.
            now: The time.

        Returns:
            Seconds; infinity: the listeners are told.
        """
        self._keep_beating()
        if self.lost is not None or any(limit.is_asking for limit in limits):
            return math.inf
        again = self._again.get(limits, -math.inf) - now
        if again > 0:
            return again
        asked = [
            limit.to_draw(amount, now, self._round_trip)
            for limit, amount in zip(limits, amounts, strict=True)
        ]
        for limit in limits:
            limit.is_asking = True
        task = asyncio.get_running_loop().create_task(self._drawn(limits, asked))
        self._draws.add(task)
        task.add_done_callback(self._draws.discard)
        return math.inf

    async def _drawn(self, limits: Limits, asked: Sequence[float]) -> None:
        try:
            wait = await self._draw(limits, asked)
            self._again[limits] = time.monotonic() + wait
        except LimiterError as error:
            self._lose(error)
        finally:
            for limit in limits:
                limit.is_asking = False
        self._notify()

    async def _draw(self, limits: Limits, asked: Sequence[float], mode: str = _JOIN) -> float:
        """Say one word to Redis; return the seconds to wait, 0 where all was given."""
        most = max((limit.alive for limit in limits), default=1) * _BLOCK
        horizon = min(max(most, _HORIZON[0]), _HORIZON[1])
        is_back = "1" if self.lost is not None else "0"
        numbers = (horizon, _LIFETIME, _GAP, _PAUSE)
        arguments = [mode, self._member, *map(str, numbers), is_back]
        keys: list[str] = []
        for limit, amount in zip(limits, asked, strict=True):
            keys += limit.keys
            arguments += limit.arguments(amount, self._round_trip)
        sent = time.monotonic()
        self._calls += 1
        server, wait, *rest = await self._store.run(keys, arguments)
        now = time.monotonic()
        self._round_trip = 0.8 * self._round_trip + 0.2 * (now - sent)
        for position, limit in enumerate(limits):
            answer = rest[position * 4 : position * 4 + 4]
            limit.receive(answer, server=server, is_granted=wait <= 0, sent=sent, now=now)
        return wait / 1_000_000

    def _notify(self) -> None:
        for listener in list(self.listeners.values()):
            listener()

    # ----------------------------------------------------------------- heartbeats

    def _keep_beating(self) -> None:
        if self._beat is None or self._beat.done():
            self._beat = asyncio.get_running_loop().create_task(self._beating())
        self._stirred.set()

    async def _beating(self) -> None:
        is_quiet = False
        while not self._is_closed:
            if is_quiet and self.lost is None:
                if not self._exchange.has_limits:
                    return
                self._stirred.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stirred.wait(), UPHOLD_SECONDS)
            else:
                is_probing = self.lost is not None and not is_quiet
                await asyncio.sleep(PROBE_SECONDS if is_probing else BEAT_SECONDS)
            is_quiet = self._is_quiet()
            await self._beat_once(_LEAVE if is_quiet else _JOIN)

    async def _beat_once(self, mode: str) -> None:
        # A draw under way reports its limits itself; two reports at once would mix their sums.
        limits = tuple(limit for limit in self.limits.values() if not limit.is_asking)
        now = time.monotonic()
        for limit in limits:
            limit.is_asking = True
        try:
            await self._exchange.publish()
            if limits:
                await self._draw(limits, [-self._unwanted(limit, now) for limit in limits], mode)
            self._find()
        except LimiterError as error:
            self._lose(error)
        finally:
            for limit in limits:
                limit.is_asking = False
        self._notify()

    def _is_quiet(self) -> bool:
        wanted = max((limit.wanted_at for limit in self.limits.values()), default=-math.inf)
        lately = max(wanted, self._asked_at)
        return time.monotonic() - lately > QUIET_SECONDS and not self._is_busy()

    def _unwanted(self, limit: SharedLimit, now: float) -> float:
        if now - limit.wanted_at < _UNWANTED_SECONDS:
            return 0.0
        return limit.lease.drop_ahead(now) * limit.rule.per_minute / 60.0

    def _lose(self, error: LimiterError) -> None:
        if self.lost is None:
            log.warning(
                "%s Each process keeps to its share of the limits until it is back; nothing "
                "else changes.",
                error.message,
            )
        self.lost = error
        now = time.monotonic()
        for limit in self.limits.values():
            limit.keep_to_share(now)

    def _find(self) -> None:
        if self.lost is not None:
            log.warning("The Redis at %s is back: limits are shared again.", self.address)
            self.lost = None

    async def receive_limits(self) -> None:
        """See that what holds is known, unless it was heard just now; then keep hearing it.

        Where Redis is lost, what was received last holds.
        """
        self._asked_at = time.monotonic()
        if self._exchange.is_fresh or (self.lost is not None and self._is_beating):
            return
        await self.state()

    async def state(self) -> None:
        """Say at once what this process states, and hear the others."""
        try:
            await self._exchange.publish()
        except LimiterError as error:
            self._lose(error)
        self._keep_beating()

    @property
    def _is_beating(self) -> bool:
        return self._beat is not None and not self._beat.done()

    async def refresh(self) -> None:
        """Tell Redis what was used and hear what all have used; where it is lost, nothing."""
        while self._draws:
            await asyncio.wait(self._draws)
        await self._beat_once(_JOIN if self._is_beating else _LOOK)

    async def close(self) -> None:
        """Say goodbye, with what was used last."""
        self._is_closed = True
        tasks = [*self._draws, *([] if self._beat is None else [self._beat])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)  # a call that is being answered may not learn of its end
        try:
            if self.lost is None and self._beat is not None:
                await self._exchange.leave()
                limits = tuple(self.limits.values())
                await self._draw(limits, [0.0] * len(limits), _LEAVE)
        except LimiterError:
            pass  # it forgets us in six seconds, and what we stated in a minute
        await self._store.close()
