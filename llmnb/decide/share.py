"""Which part of a shared limit a process keeps to while it cannot ask the others.

The parts of all processes never add up to more than the whole. Each process
knows how many were alive when it last heard. One that came so late that the
others may not have heard of it, or heard so long ago that others may have come
since, takes its part from the twentieth that the settled ones leave.
"""

from __future__ import annotations

SETTLED_PART = 0.95
"""What the settled processes divide among themselves."""

LATE_PART = 0.05
"""What is left for those that the others may not know of."""

HEARD_SECONDS = 3.0
"""Every process speaks at least this often, with room for a call that is timed out."""


def part(*, alive: int, known_for: float | None, silent_for: float) -> float:
    """Return the part of the limit that this process may use.

    Args:
        alive: Processes at the limit when it last heard, itself included.
        known_for: Seconds from its first word to the last that it heard; None: it never heard.
        silent_for: Seconds from what it last heard to the loss.

    Example:
        >>> part(alive=4, known_for=60.0, silent_for=0.2)
        0.2375
        >>> part(alive=4, known_for=1.0, silent_for=0.2)
        0.0125
        >>> part(alive=1, known_for=None, silent_for=0.0)
        0.05
    """
    if known_for is None or silent_for > HEARD_SECONDS:
        return LATE_PART / (alive + 1 if known_for is not None else 1)
    if alive > 1 and known_for < HEARD_SECONDS:
        return LATE_PART / alive
    return SETTLED_PART / alive
