"""`GlobalRateLimiter`: who may use how much of what, asked by people and by the engine."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import math
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from llmnb import bridge, settings
from llmnb.adapters.redis import check
from llmnb.display import durations, numbers
from llmnb.errors import ConfigurationError, LimiterError, LimiterTimeout
from llmnb.rate_limiter.group import Binding, LimitGroup
from llmnb.rate_limiter.rules import Key, RateConfig, Rule, checked_key, keys_of, smallest
from llmnb.rate_limiter.state import State
from llmnb.rates import Rate, allowance

DEFAULT_TIMEOUT = 60.0
"""Seconds that `try_acquire` waits where neither it nor ``RATE_LIMITER_TIMEOUT`` says otherwise."""

log = logging.getLogger("llmnb")

T = TypeVar("T")

_serial = itertools.count()


class Run(Protocol):
    """A run, as far as it matters here."""

    @property
    def is_done(self) -> bool:
        """Whether it needs no limits any more."""


def _weakly(method: Callable[..., T], otherwise: T) -> Callable[..., T]:
    """Return a function that does what a method does as long as its object lives."""
    reference = weakref.WeakMethod(method)

    def call(*arguments: Any) -> T:
        living = reference()
        return otherwise if living is None else living(*arguments)

    return call


class GlobalRateLimiter:
    """Limits by key, in this process or shared through Redis.

    Args:
        rate_config: Rates by key.
        use_in_memory: Keep them in this process whatever ``REDIS_URL`` says.
        redis_url: Address of the Redis that shares them; None: ``REDIS_URL``, read at use.

    Example:
        >>> limiter = GlobalRateLimiter({("client", "gpt-4"): "100/minute"}, use_in_memory=True)
        >>> limiter.try_acquire_sync(("client", "gpt-4"), weight=50)
        >>> limiter.rate_limit_status_sync()[("client", "gpt-4")]["n_items_in_period"]
        50
    """

    def __init__(
        self,
        rate_config: Mapping[Key, Rate] | None = None,
        use_in_memory: bool = False,
        redis_url: str | None = None,
    ) -> None:
        self._config = RateConfig(rate_config)
        self.use_in_memory = use_in_memory
        self.redis_url = redis_url
        self._name = f"limiter-{next(_serial)}"
        self._is_ready = False
        """Whether the client of Redis has been imported."""

        self._received: dict[str, Mapping[Key, Rule]] = {}
        """What other processes state at a Redis, by its address."""

        self._followers: list[Callable[[], None]] = []

        self._runs: weakref.WeakSet[Run] = weakref.WeakSet()
        self._latest: State | None = None
        """What is kept on the loop thread that was used last."""

        # What outlives this object holds it weakly: nobody states limits that nobody has.
        self._config.on_change = _weakly(self._on_stated, None)

    @property
    def rate_config(self) -> RateConfig:
        """Rates by key, as this process states them.

        A change holds at once, for runs under way, too. Where a Redis shares limits, smaller
        ones that others state there hold besides.
        """
        return self._config

    @rate_config.setter
    def rate_config(self, rates: Mapping[Key, Rate]) -> None:
        self._config.replace(rates)

    @property
    def url(self) -> str | None:
        """Address of the Redis that is used now; None: the limits are this process's own."""
        if self.use_in_memory:
            return None
        return self.redis_url or settings.environment("REDIS_URL") or None

    @property
    def trouble(self) -> LimiterError | None:
        """Why the shared limits cannot be asked, None while all is well."""
        link = None if self._latest is None else self._latest.links.get(self.url or "")
        return None if link is None else link.lost

    async def try_acquire(
        self,
        key: Key,
        rate_limit: Rate | None = None,
        machine_id: int = 0,
        acquire_timeout: float | None = None,
        weight: float = 1,
    ) -> None:
        """Wait until so much may be used, and use it; at once where nothing limits the key.

        Args:
            key: What is used, such as ``("client", "gpt-4")``.
            rate_limit: The rate; None: the one in `rate_config`, or what others state who share
                the Redis.
            machine_id: Limits of other numbers are limits of their own.
            acquire_timeout: Most seconds to wait; None: ``RATE_LIMITER_TIMEOUT``, else 60.
            weight: How much, such as a request's tokens. More than the limit gives in a
                second passes alone, and later ones wait for it.

        Raises:
            LimiterTimeout: If it took longer; it is a `TimeoutError`, too. Nothing was used.
            ConfigurationError: If the key, the rate or the weight is none.
        """
        key = checked_key(key)
        if isinstance(weight, bool) or not 0 < weight < math.inf:
            raise ConfigurationError(f"weight is a number above 0, got {weight!r}.")
        patience = timeout() if acquire_timeout is None else float(acquire_timeout)
        if rate_limit is None:
            await self.receive_limits()
        rule = self._rule(key, rate_limit, machine_id)
        if rule is not None:
            await self._make_ready()
            await bridge.acall(self._acquired(rule, weight, patience))

    def try_acquire_sync(
        self,
        key: Key,
        rate_limit: Rate | None = None,
        machine_id: int = 0,
        acquire_timeout: float | None = None,
        weight: float = 1,
    ) -> None:
        """Block like `try_acquire`."""
        bridge.call(self.try_acquire(key, rate_limit, machine_id, acquire_timeout, weight))

    def _rule(self, key: Key, rate: Rate | None, machine: int) -> Rule | None:
        if rate is not None:
            return Rule(key, allowance(rate), machine)
        rule = self._holding().get(key)
        return None if rule is None else Rule(key, rule.allowance, machine)

    def _holding(self) -> Mapping[Key, Rule]:
        """Return what holds now, by key."""
        own = self._config.rules()
        received = self._received.get(self.url or "") if self._received else None
        return smallest([*own, *received.values()] if received else own)

    async def _acquired(self, rule: Rule, weight: float, patience: float) -> None:
        try:
            async with asyncio.timeout(patience):
                known = self._holding().get(rule.key) == rule
                await self._state().acquire(rule, self.url, weight, is_configured=known)
        except TimeoutError:
            raise LimiterTimeout(
                f"The limit of {numbers.limit(rule.per_minute)} a minute for {rule.key} gave no "
                f"permission for {numbers.limit(weight)} within {durations.exact(patience)}. "
                "Nothing was used. Give acquire_timeout, or set RATE_LIMITER_TIMEOUT, to wait "
                "longer."
            ) from None

    async def rate_limit_status(self) -> dict[tuple[Any, ...], dict[str, Any]]:
        """Return how much of each limit was used in its current period.

        A period begins with the first use after the last one's end. Where Redis shares the
        limits, it counts what all processes have used. Keys used under another ``machine_id``
        carry it as a third part.
        """
        await self.receive_limits()
        await self._make_ready()
        return await bridge.acall(self._status())

    def rate_limit_status_sync(self) -> dict[tuple[Any, ...], dict[str, Any]]:
        """Block like `rate_limit_status`."""
        return bridge.call(self.rate_limit_status())

    async def _make_ready(self) -> None:
        if (url := self.url) and not self._is_ready:
            await asyncio.to_thread(check, url)
            self._is_ready = True

    async def _status(self) -> dict[tuple[Any, ...], dict[str, Any]]:
        used = await self._state().used(list(self._holding().values()), self.url)
        return {
            (*rule.key, rule.machine) if rule.machine else rule.key: {
                "period_start": int(began),
                "n_items_in_period": round(count),
                "period_seconds": _whole(rule.allowance.seconds),
                "period_name": rule.allowance.period,
                "period_cap": _whole(rule.allowance.amount),
            }
            for rule, (began, count) in used.items()
        }

    # ----------------------------------------------------------------- for the engine

    def binding(self, provider: str, model: str) -> Binding | None:
        """Return what binds a model now, None where nothing does.

        Args:
            provider: Catalog name of its provider.
            model: Its name there.
        """
        if not self._config and not self._received:
            return None
        holding = self._holding()
        rules = tuple(holding[key] for key in keys_of(provider, model) if key in holding)
        return Binding(rules, self.url) if rules else None

    def bind(self, binding: Binding, wake: Callable[[], None]) -> LimitGroup:
        """Return the limits of a binding; call it on the loop thread.

        Where the Redis that should share them cannot be used at all, they are this process's own.

        Args:
            binding: What binds.
            wake: Called when something may have become possible.
        """
        try:
            group = self._state().group(binding)
        except ConfigurationError as error:
            log.warning("%s The limits are kept in this process alone.", error.message)
            group = self._state().group(Binding(binding.rules, None))
            group.binding = binding
        group.listen(wake)
        return group

    def count_users(self, pool: str, on_count: Callable[[int], None]) -> None:
        """Count the processes that draw on one account; call it on the loop thread.

        Without a Redis nothing is counted. It takes one message a second, none a request.

        Args:
            pool: Name of the account at its target.
            on_count: Called with how many there are, this one included.
        """
        if (url := self.url) is None:
            return
        name = hashlib.sha256(pool.encode()).hexdigest()[:16]
        try:
            self._state().link(url).count_users(name, on_count)
        except ConfigurationError as error:
            log.debug("%s", error.message)  # told when limits are used

    async def receive_limits(self) -> None:
        """See that it is known which limits hold where a Redis shares them.

        Where it cannot be asked, this process's own limits and those received last hold.
        """
        url = self.url
        if url is None:
            return
        try:
            await self._make_ready()
            await bridge.acall(self._received_from(url))
        except ConfigurationError as error:
            if self._config:
                raise
            log.info("%s No limits are set here.", error.message)

    async def _received_from(self, url: str) -> None:
        await self._state().link(url).receive_limits()

    def attend(self, run: Run) -> None:
        """Keep receiving a run's limits as long as it is under way."""
        self._runs.add(run)

    def follow(self, follower: Callable[[], None]) -> None:
        """Call back whenever other limits may hold, on any thread."""
        self._followers = [*self._followers, follower]

    def _on_stated(self) -> None:
        """Tell the Redis of what is stated now; nobody waits for it."""
        if self.url is not None:
            bridge.submit(self._publish(self.url))
        self._notify()

    def _notify(self) -> None:
        for follower in self._followers:
            follower()

    async def _publish(self, url: str) -> None:
        try:
            await self._make_ready()
            await self._state().link(url).publish()
        except ConfigurationError as error:
            log.debug("%s", error.message)  # told when the limits are used

    def _take(self, url: str, rules: Mapping[Key, Rule]) -> None:
        """Keep to what others state now."""
        before = self._holding()
        self._received = {**self._received, url: rules}
        for key, rule in self._holding().items():
            if rule != before.get(key) and rule == rules.get(key):
                log.info(
                    "Another process keeps %s to %g a minute; so does this one.",
                    key,
                    rule.per_minute,
                )
        self._notify()

    def check(self) -> None:
        """See that the limits can be kept as they are meant, before anything is sent.

        Raises:
            ConfigurationError: If ``REDIS_URL`` is no address, or the extra is missing.
        """
        if self._config and (url := self.url):
            check(url)

    def _state(self) -> State:
        self._latest = bridge.per_loop(self._name, self._new_state, State.close)
        return self._latest

    def _new_state(self) -> State:
        return State(
            _weakly(self._config.rules, ()),
            _weakly(self._take, None),
            _weakly(self._is_busy, False),
        )

    def _is_busy(self) -> bool:
        return any(not run.is_done for run in self._runs)

    def __repr__(self) -> str:
        where = "in memory" if self.url is None else "shared through Redis"
        return f"<GlobalRateLimiter of {len(self._config)} limits, {where}>"


def timeout() -> float:
    """Return the seconds that are waited where a call does not say.

    Raises:
        ConfigurationError: If ``RATE_LIMITER_TIMEOUT`` is no number of seconds.

    Example:
        >>> timeout()
        60.0
    """
    text = settings.environment("RATE_LIMITER_TIMEOUT")
    if not text:
        return DEFAULT_TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds >= 0:
        raise ConfigurationError("RATE_LIMITER_TIMEOUT is a number of seconds, such as 30.")
    return seconds


def _whole(number: float) -> float | int:
    return int(number) if number == int(number) else number


GLOBAL_LIMITER = GlobalRateLimiter()
"""The limiter that binds the engine: `AsyncLLM`, frames, magics and everything else."""
