"""A clock that stands still until a test moves it."""

from __future__ import annotations


class HandClock:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.reads = 0

    def __call__(self) -> float:
        self.reads += 1
        return self.now
