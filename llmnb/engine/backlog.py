"""Answers that were read and are not on the disk yet: what a killed process would lose."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class Backlog:
    """Counts the answers of one run on their way to the disk.

    While there are `most` of them, a request that has been answered keeps its
    place, so nothing new is bought. A process that is killed at any moment
    then loses at most its requests in flight and `most` answers, however slow
    the disk is.

    Args:
        most: Answers that may be on their way before places are kept.

    Example:
        >>> backlog = Backlog(most=1)
        >>> backlog.enter()
        >>> if backlog.is_full:
        ...     backlog.release_later(lambda: print("a place is free"))
        >>> backlog.leave()
        a place is free
    """

    __slots__ = ("_count", "_waiting", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._count = 0
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def is_full(self) -> bool:
        """Whether an answered request keeps its place for now."""
        return self._count >= self.most

    def release_later(self, release: Callable[[], None]) -> None:
        """Call `release`, which gives an answered request's place back, once there is room."""
        self._waiting.append(release)

    def enter(self) -> None:
        """Count an answer that is handed to the store."""
        self._count += 1

    def leave(self) -> None:
        """Count one that is saved, or cannot be."""
        self._count -= 1
        if self._waiting:
            while len(self._waiting) > max(0, self._count - self.most):
                self._waiting.popleft()()
