"""What this process spends, added up while it is spent, seen from every thread and cell.

Off until it is switched on. Answers from the store cost nothing and are not counted.
"""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from typing import Any

from llmnb import bridge
from llmnb.display.money import usd
from llmnb.engine import cost_events
from llmnb.engine.cost_events import Paid

logger = logging.getLogger("llmnb")

CostCallback = Callable[[Paid], Any]
"""Gets each request that was paid for; it may be a coroutine function."""


class CostTracker:
    """Adds up what requests cost, while it is enabled.

    Example:
        >>> tracker = CostTracker()
        >>> tracker.enabled = True
        >>> tracker.record(Paid(provider="openai", model="gpt-4o", usd=0.25))
        >>> tracker.lifetime_cost_usd, tracker.by_model
        (0.25, {'openai/gpt-4o': 0.25})
    """

    def __init__(self, report_every_usd: float | None = 1.0) -> None:
        self.report_every_usd = report_every_usd
        """Dollars after which a line goes to the log ``llmnb`` (level INFO); None: never."""

        self._lock = threading.Lock()
        self._callbacks: list[CostCallback] = []
        self._is_on = False
        self._contexts: list[tuple[object, bool]] = []
        self.reset()

    def reset(self) -> None:
        """Begin again at 0; callbacks and switches stay."""
        with self._lock:
            self.num_requests = 0
            """Replies that came, those of the simulated provider included."""

            self.num_unpriced = 0
            """Replies among them whose price is not known; `lifetime_cost_usd` lacks them."""

            self.simulated_usd = 0.0
            """Dollars that `llmnb.testing` would have taken; nobody paid them."""

            self.upper_bound_usd = 0.0
            """Dollars that dropped redundant requests may have cost at most; in no other sum."""

            self._by_model: dict[str, float] = {}
            self._total = Fraction()  # rounding never adds up over a million requests
            self._reported = 0.0

    # ---------------------------------------------------------------------- reading

    @property
    def lifetime_cost_usd(self) -> float:
        """Dollars for finished replies of known price; nothing simulated is in it."""
        return float(self._total)

    @property
    def by_model(self) -> dict[str, float]:
        """Dollars for each ``provider/model``."""
        with self._lock:
            return dict(self._by_model)

    # --------------------------------------------------------------------- steering

    @property
    def enabled(self) -> bool:
        """Whether costs are added up now; the innermost `cost_tracking_ctx` decides."""
        with self._lock:
            return self._contexts[-1][1] if self._contexts else self._is_on

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self._is_on = bool(value)
        self._listen()

    def add_callback(self, callback: CostCallback) -> None:
        """Have a function called with every `Paid`, in their order.

        It is called on a thread of its own and may take its time: no answer waits for it. A run
        that ends waits a second at most until all have been called. Coroutine functions run
        beside each other, on a loop of llmnb's that does not ask.
        """
        self._callbacks.append(callback)

    def remove_callback(self, callback: CostCallback) -> None:
        """Take a function back; one that is not there is no error."""
        if callback in self._callbacks:
            self._callbacks.remove(callback)

    @contextmanager
    def within(self, enabled: bool) -> Iterator[CostTracker]:
        """Have it enabled, or not, until the block ends."""
        mark = (object(), enabled)
        with self._lock:
            self._contexts.append(mark)
        self._listen()
        try:
            yield self
        finally:
            with self._lock:
                self._contexts.remove(mark)  # maybe not the last: blocks of threads overlap

    def _listen(self) -> None:
        """Have the engine tell, from the first time that anybody wants to know."""
        with self._lock:
            if self._on_paid not in cost_events.listeners:
                cost_events.listeners.append(self._on_paid)

    # -------------------------------------------------------------------- recording

    def _on_paid(self, paid: Paid) -> None:
        if self.enabled:
            self.record(paid)

    def record(self, paid: Paid) -> None:
        """Add one request."""
        with self._lock:
            self._add(paid)
            total, every = self.lifetime_cost_usd, self.report_every_usd
            is_due = every is not None and total - self._reported >= every
            if is_due:
                self._reported = total
        if is_due:
            logger.info("Spent so far: %s on %s requests.", usd(total), f"{self.num_requests:,}")
        for callback in tuple(self._callbacks):
            bridge.LISTENERS.submit(_call, callback, paid)

    def _add(self, paid: Paid) -> None:
        if paid.is_bound:
            self.upper_bound_usd += paid.usd or 0.0
            return
        self.num_requests += 1
        if paid.usd is None:
            self.num_unpriced += 1
        elif paid.simulated:
            self.simulated_usd += paid.usd
        else:
            self._total += Fraction(paid.usd)
            name = f"{paid.provider}/{paid.model}"
            self._by_model[name] = self._by_model.get(name, 0.0) + paid.usd

    def __repr__(self) -> str:
        state = "enabled" if self.enabled else "disabled"
        return f"<CostTracker {usd(self.lifetime_cost_usd)}, {state}>"


def _call(callback: CostCallback, paid: Paid) -> None:
    """Tell a callback; one that fails is named in the log, and the answer stays."""
    try:
        returned = callback(paid)
        if inspect.isawaitable(returned):
            bridge.submit_to_side_loop(_awaited(returned))
    except Exception:
        logger.exception(_FAILED)


async def _awaited(returned: Awaitable[Any]) -> None:
    try:
        await returned
    except Exception:
        logger.exception(_FAILED)


_FAILED = "A listener to costs failed; the answer itself is not touched."


GLOBAL_COST_TRACKER = CostTracker()
"""What this process spends: one object for all threads, cells, models and tables."""


def enable_cost_tracking(enabled: bool = True) -> None:
    """Switch `GLOBAL_COST_TRACKER` on, or off, for the whole process.

    Example:
        >>> enable_cost_tracking()
        >>> GLOBAL_COST_TRACKER.enabled
        True
        >>> enable_cost_tracking(False)
    """
    GLOBAL_COST_TRACKER.enabled = enabled


def cost_tracking_ctx(enabled: bool = True) -> AbstractContextManager[CostTracker]:
    """Switch `GLOBAL_COST_TRACKER` on, or off, for a block; gives the tracker.

    It holds for the whole process, threads and tasks of others included: what they spend
    meanwhile is counted, too.

    Example:
        >>> with cost_tracking_ctx() as tracker:
        ...     tracker.enabled
        True
    """
    return GLOBAL_COST_TRACKER.within(enabled)
