"""Whether and when a failed request is sent again.

What may be sent again is a matter of the error's type:

- rate limited or overloaded (`FlowControl`): again after the pause, costing no attempt,
  until the target has been without a success for `max_wait`. What the server
  asks to wait lengthens the schedule and never replaces it: a wait of nothing
  is no permission to ask at once;
- never arrived or surely unbilled (`Unsent`, `ProviderError`): again, up to
  `max_attempts` in all, where two that the target is to blame for do not count;
- perhaps billed (`MaybeBilled`): once a row, and only while its run has a token
  (`ResendBudget`), so that a network that loses every reply buys ten rows twice, not all;
- everything else: never.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass

from llmnb.errors import FlowControl, LLMNBError, MaybeBilled, ProviderError, Unsent

_own = random.Random()

roll = _own.random
"""Returns a number from 0 up to 1; numbers drawn from the `random` that a person has seeded stay
the same."""

if hasattr(os, "register_at_fork"):  # else children would all draw their parent's numbers
    os.register_at_fork(after_in_child=_own.seed)

LONGEST_SERVER_WAIT = 120.0
"""Seconds; a server that asks for more is not waited for: the error says when to come back."""


MOST_EXCUSED = 2
"""Failed attempts of a row, at most, that count for nothing because its target was to blame."""

RESEND_TOKENS = 10
"""Rows of a run that may be sent again after a lost reply with no success between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How patient a run is."""

    max_attempts: int = 3
    """Requests for one row that were unsent or surely unbilled, the first included; `MOST_EXCUSED`
    more where the target was to blame as it came back from an outage."""

    max_wait: float = 600.0
    """Seconds that a target may refuse without one success before its rows fail."""

    longest_hint: float = LONGEST_SERVER_WAIT
    """Seconds; a server that asks to wait longer is not asked again in this run."""

    base_seconds: float = 0.5
    cap_seconds: float = 30.0

    cooldown: float | None = None
    """Seconds of pause after a refusal that does not say how long; None: drawn, and growing."""


@dataclass(slots=True)
class Tries:
    """What one row has been through."""

    failures: int = 0
    """Attempts that have failed."""

    excused: int = 0
    """Those of them that count for nothing."""

    refusals: int = 0
    """Rate limits and overloads in a row."""

    is_resent: bool = False
    """Whether its one re-send after a perhaps billed request is used."""


class ResendBudget:
    """How many rows of a run may be sent again after a reply was lost.

    It starts full; each re-send takes a token, each success returns a tenth of one.

    Example:
        >>> budget = ResendBudget()
        >>> for _ in range(10):
        ...     budget.take()
        >>> budget.has_token
        False
        >>> for _ in range(10):
        ...     budget.on_success()
        >>> budget.has_token
        True

    Source:
        "Retry throttling" in gRPC proposal A6, *gRPC Retry Design*, 2017.
    """

    def __init__(self) -> None:
        self._tenths = 10 * RESEND_TOKENS  # whole numbers: ten tenths are exactly one

    @property
    def has_token(self) -> bool:
        """Whether a row may be sent again now."""
        return self._tenths >= 10

    def take(self) -> None:
        """Send one row again; ask `has_token` first."""
        self._tenths -= 10

    def on_success(self) -> None:
        """Note an answer."""
        if self._tenths < 10 * RESEND_TOKENS:
            self._tenths += 1


def backoff(
    failures: int,
    *,
    base: float = 0.5,
    cap: float = 30.0,
    rand: Callable[[], float] = roll,
) -> float:
    """Return the seconds to wait after a run of failures.

    The ceiling doubles from `base`; the wait is drawn anywhere below it, so
    rows refused together do not come back together.

    Args:
        failures: Failures so far, from 1.
        base: Ceiling after the first failure, in seconds.
        cap: Longest ceiling, in seconds.
        rand: Uniform numbers in [0, 1). Tests pass a constant.

    Example:
        >>> backoff(3, rand=lambda: 0.5)
        1.0

    Source:
        "Full jitter" in M. Brooker, *Exponential Backoff And Jitter*, AWS
        Architecture Blog, 2015.
    """
    if failures < 1:
        raise ValueError(f"failures counts from 1, got {failures}")
    # By 2**30 the cap has long won; a bare 2.0**1024 would overflow.
    return rand() * min(cap, base * 2.0 ** min(failures - 1, 30))


def next_wait(
    error: LLMNBError,
    tries: Tries,
    policy: RetryPolicy,
    *,
    since_success: float,
    can_resend: bool,
    event: int = 1,
    is_excused: bool = False,
    rand: Callable[[], float] = roll,
) -> float | None:
    """Return the seconds until the row is sent again, or None when it has failed for good.

    Counts the failure in `tries`.

    Args:
        error: What the attempt gave.
        tries: The row's history.
        policy: The run's patience.
        since_success: Seconds for which the target has answered nothing well.
        can_resend: Whether the run may send a row again after a perhaps billed request.
        event: Congestion events of the target that no success came between, from 1. What is
            refused together is one event. In the first a positive hint is kept exactly.
        is_excused: Whether the target was to blame rather than the row; then the failure counts
            for nothing, `MOST_EXCUSED` times.
        rand: Uniform numbers in [0, 1).

    Example:
        >>> error = ProviderError("HTTP 500", status=500)
        >>> tries, policy = Tries(), RetryPolicy(max_attempts=2)
        >>> next_wait(error, tries, policy, since_success=0, can_resend=True, rand=lambda: 0.5)
        0.25
        >>> next_wait(error, tries, policy, since_success=0, can_resend=True) is None
        True
    """

    def drawn(failures: int) -> float:
        return backoff(failures, base=policy.base_seconds, cap=policy.cap_seconds, rand=rand)

    hint = error.details.retry_after
    if hint is not None and hint > policy.longest_hint:
        return None
    if isinstance(error, FlowControl):
        tries.refusals += 1
        if since_success + (hint or 0.0) > policy.max_wait:
            return None
        if not hint:
            return drawn(max(1, event)) if policy.cooldown is None else policy.cooldown
        return hint if event <= 1 else max(hint, drawn(event))
    if isinstance(error, (Unsent, ProviderError)):
        tries.failures += 1
        if is_excused and tries.excused < MOST_EXCUSED and policy.max_attempts > 1:
            tries.excused += 1
        if tries.failures - tries.excused >= policy.max_attempts:
            return None
        return max(hint or 0.0, drawn(tries.failures))
    if isinstance(error, MaybeBilled) and can_resend and not tries.is_resent:
        tries.is_resent = True
        tries.failures += 1
        return drawn(1)
    return None
