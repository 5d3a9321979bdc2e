"""Fewer passes of the garbage collector while runs are under way.

A request in flight is some hundred small objects, none of them garbage yet.
Python's collector looks through them after every 700 new ones, and through
everything the process holds after every 70,000: a sixth of a run's CPU, for
nothing, since answers form no cycles. While at least one run is under way the
first threshold is raised, never lowered; afterwards it is put back, unless
somebody else has changed it meanwhile.
"""

from __future__ import annotations

import gc
import threading

CALM_THRESHOLD = 10_000
"""New objects between two passes; a few megabytes at most wait longer for their collection."""

_lock = threading.Lock()
_runs = 0
_before: tuple[int, int, int] | None = None


def calm() -> None:
    """Note that a run has begun."""
    global _runs, _before
    with _lock:
        _runs += 1
        found = gc.get_threshold()
        if _runs == 1 and 0 < found[0] < CALM_THRESHOLD:
            _before = found
            gc.set_threshold(CALM_THRESHOLD, *found[1:])


def as_before() -> None:
    """Note that a run has ended."""
    global _runs, _before
    with _lock:
        _runs -= 1
        if _runs == 0 and _before is not None:
            if gc.get_threshold() == (CALM_THRESHOLD, *_before[1:]):
                gc.set_threshold(*_before)
            _before = None
