"""The conversation with one Redis: draws, heartbeats, and what holds while it is lost.

All processes at it state limits: each its own, and the smallest holds. Nobody's limit is exceeded
because another process states a larger one, or none at all. A statement stands as long as the
process that made it, and is forgotten a minute after the last message of one that was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence

from llmnb.adapters import redis
from llmnb.errors import LimiterError
from llmnb.rate_limiter.limits import SharedLimit
from llmnb.rate_limiter.rules import Key, Rule, line_of, rule_of, smallest
from llmnb.rates import Allowance

HEARTBEAT_INTERVAL = 1.0
"""A process that uses limits sends a message at least this often."""

PROBE_SECONDS = 0.5
"""A lost Redis is asked this often whether it is back."""

QUIET_SECONDS = 60.0
"""A process that has used nothing for so long leaves and sends nothing more; one that states
limits goes on stating them."""

UPHOLD_SECONDS = 20.0
"""A quiet process states its limits this often: three times before they would be forgotten."""

_LIFETIME = 6_000_000
"""A process silent for this long (µs) is not counted any more."""

_GAP = 2_000_000
"""No message from anybody for so long (µs) means that Redis was away, and shares may be in use."""

_PAUSE = 1_500_000
"""Nothing is given for so long (µs) once Redis is back: until every process has noticed."""

_BLOCK = 50_000
_HORIZON = (200_000, 1_000_000)
"""How far ahead is given out: a block for each process, within these bounds."""

_USERS, _WITHOUT_LIMIT = "users", 1e9
"""A key under which processes are counted and nothing is limited."""

_JOIN, _LOOK, _LEAVE = "1", "0", "-1"

STATED_SECONDS = 60.0
"""A process from which nothing came for so long states nothing any more."""

FRESH_SECONDS = 1.5
"""What was received so lately need not be asked for again."""

_STATED = "{llmnb}:rules"

log = logging.getLogger("llmnb")

Stated = Callable[[], Sequence[Rule]]
"""Returns what this process states."""

OnReceived = Callable[[Mapping[Key, Rule]], None]
"""Called with the smallest limits that others state, whenever those have changed."""

Limits = tuple[SharedLimit, ...]


class Link:
    """One Redis and the limits shared through it; lives on the loop thread.

    Args:
        url: Where it is.
        stated: Returns the limits that this process states.
        on_received: Called with those that others state, whenever they change.
        is_busy: Whether somebody may be in need of them though none was wanted lately.

    Raises:
        ConfigurationError: If the address is none, or the extra is missing.
    """

    def __init__(
        self, url: str, stated: Stated, on_received: OnReceived, is_busy: Callable[[], bool]
    ) -> None:
        self._store = redis.SharedStore(redis.address(url))
        self.address = self._store.address
        self.limits: dict[str, SharedLimit] = {}
        self.listeners: dict[object, Callable[[], None]] = {}
        """Called when something may have become possible."""

        self.lost: LimiterError | None = None
        """Why Redis cannot be asked; None: it can."""

        self.calls = 0
        """Round trips so far."""

        self._member = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._stated = stated
        self._on_received = on_received
        self._received: dict[Key, Rule] = {}
        self._received_at = -math.inf
        self._is_busy = is_busy
        self._wakeup = asyncio.Event()
        """Set when a quiet link is wanted again."""

        self._asked_at = -math.inf
        """When somebody last asked which limits hold."""

        self._round_trip = 0.0
        self._again: dict[Limits, float] = {}
        """When it is worth asking again for what was not given."""

        self._is_closed = False
        self._heartbeat: asyncio.Task[None] | None = None
        self._draws: set[asyncio.Task[None]] = set()

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
        """Count the processes that use something together, with each beat.

        Args:
            name: What it is; all of them name it alike.
            on_count: Called with how many there are, this one included.
        """
        users = self.limit(Rule((_USERS, name), Allowance(_WITHOUT_LIMIT, 60.0, "minute")))
        self.listeners["users", name] = lambda: on_count(users.alive)
        self._ensure_heartbeat()
        self._begin(self._send_heartbeat(_JOIN))

    def _begin(self, call: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(call)
        self._draws.add(task)
        task.add_done_callback(self._draws.discard)

    def draw(self, limits: Limits, amounts: Sequence[float], now: float) -> float:
        """Begin to draw what is missing; return the seconds until it is worth asking again.

        Args:
            limits: All that bind one request; all of it is given, or nothing.
            amounts: What is to go through each.
            now: The time.

        Returns:
            Seconds; infinity: the listeners are called.
        """
        self._ensure_heartbeat()
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
        self._begin(self._drawn(limits, asked))
        return math.inf

    async def _drawn(self, limits: Limits, asked: Sequence[float]) -> None:
        with self._asking(limits):
            wait = await self._draw(limits, asked)
            self._again[limits] = time.monotonic() + wait

    @contextlib.contextmanager
    def _asking(self, limits: Limits) -> Iterator[None]:
        """Let nobody else ask about limits during the block; call the listeners after it.

        A Redis that does not answer ends the block without an error: it counts as lost.
        """
        for limit in limits:
            limit.is_asking = True
        try:
            yield
        except LimiterError as error:
            self._lose(error)
        finally:
            for limit in limits:
                limit.is_asking = False
        self._notify()

    async def _draw(self, limits: Limits, asked: Sequence[float], mode: str = _JOIN) -> float:
        """Send one message to Redis; return the seconds to wait, 0 where all was given."""
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
        self.calls += 1
        least = 2 + 4 * len(limits)
        server, wait, *rest = await self._store.run(redis.LIMITS, keys, arguments, int, least=least)
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

    def _ensure_heartbeat(self) -> None:
        if self._heartbeat is None or self._heartbeat.done():
            self._heartbeat = asyncio.get_running_loop().create_task(self._send_heartbeats())
        self._wakeup.set()

    async def _send_heartbeats(self) -> None:
        is_quiet = False
        while not self._is_closed:
            if is_quiet and self.lost is None:
                if not self._stated():
                    return
                self._wakeup.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wakeup.wait(), UPHOLD_SECONDS)
            else:
                is_probing = self.lost is not None and not is_quiet
                await asyncio.sleep(PROBE_SECONDS if is_probing else HEARTBEAT_INTERVAL)
            is_quiet = self._is_quiet()
            await self._send_heartbeat(_LEAVE if is_quiet else _JOIN)

    async def _send_heartbeat(self, mode: str) -> None:
        # A draw under way reports its limits itself; two reports at once would mix their sums.
        limits = tuple(limit for limit in self.limits.values() if not limit.is_asking)
        now = time.monotonic()
        with self._asking(limits):
            await self._exchange(self._stated())
            if limits:
                await self._draw(limits, [-limit.unwanted(now) for limit in limits], mode)
            if self.lost is not None:
                log.warning("The Redis at %s is back: limits are shared again.", self.address)
                self.lost = None

    def _is_quiet(self) -> bool:
        wanted = max((limit.wanted_at for limit in self.limits.values()), default=-math.inf)
        lately = max(wanted, self._asked_at)
        return time.monotonic() - lately > QUIET_SECONDS and not self._is_busy()

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

    async def _exchange(self, rules: Sequence[Rule]) -> None:
        """State limits, and receive those that others state."""
        lifetime = f"{STATED_SECONDS * 1_000_000:.0f}"
        self.calls += 1
        arguments = [self._member, lifetime, *map(line_of, rules)]
        lines = await self._store.run(redis.RULES, [_STATED], arguments, redis.text_of)
        self._received_at = time.monotonic()
        received = smallest(rule for line in lines if (rule := rule_of(line)) is not None)
        if received != self._received:
            self._received = received
            self._on_received(received)

    async def receive_limits(self) -> None:
        """See that what holds is known, unless it was received just now; then keep receiving it.

        Where Redis is lost, what was received last holds.
        """
        self._asked_at = time.monotonic()
        is_fresh = self._asked_at - self._received_at < FRESH_SECONDS
        if not is_fresh and (self.lost is None or not self._has_heartbeat):
            await self.publish()

    async def publish(self) -> None:
        """Send at once what this process states, and receive what others state."""
        try:
            await self._exchange(self._stated())
        except LimiterError as error:
            self._lose(error)
        self._ensure_heartbeat()

    @property
    def _has_heartbeat(self) -> bool:
        return self._heartbeat is not None and not self._heartbeat.done()

    async def refresh(self) -> None:
        """Report what was used and receive what all have used; nothing where Redis is lost."""
        while self._draws:
            await asyncio.wait(self._draws)
        await self._send_heartbeat(_JOIN if self._has_heartbeat else _LOOK)

    async def close(self) -> None:
        """Leave, and report what was used last."""
        self._is_closed = True
        tasks = [*self._draws, *([] if self._heartbeat is None else [self._heartbeat])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)  # a call that is being answered may not learn of its end
        try:
            if self.lost is None and self._heartbeat is not None:
                await self._exchange([])
                limits = tuple(self.limits.values())
                await self._draw(limits, [0.0] * len(limits), _LEAVE)
        except LimiterError:
            pass  # it forgets us in six seconds, and what we stated in a minute
        await self._store.close()
