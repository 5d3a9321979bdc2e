"""Which rows of a table are asked about, and by which requests."""

from __future__ import annotations

from collections.abc import Sequence


class AskedRows:
    """The rows of a table that are asked about, each by as many requests, side by side.

    Args:
        positions: They, in order.
        group: Requests for every one of them.
    """

    def __init__(self, positions: Sequence[int], group: int = 1) -> None:
        self.positions = positions
        self.group = group

    def __len__(self) -> int:
        return len(self.positions) * self.group

    def row_of(self, request: int) -> int:
        """Return the row of the table that a request belongs to."""
        return self.positions[request // self.group]

    def prompt_of(self, row: int, request: int = 0) -> str | None:
        """Return the prompt of a row of the table; None where there is none to show.

        Args:
            row: The row.
            request: Which of the requests about it.
        """
        return None

    def cells_of(self, row: int) -> Sequence[str | None]:
        """Return the texts that a row's prompt and its system message show."""
        return [self.prompt_of(row)]

    def shows_pictures(self, row: int) -> bool:
        """Whether a row's prompt comes with pictures."""
        return False
