"""One line of the table of measurements."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    what: str
    value: float
    bound: float
    detail: str

    @property
    def is_reached(self) -> bool:
        """Whether the figure is within its bound."""
        return self.value <= self.bound
