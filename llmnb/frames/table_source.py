"""What a table must offer so that the verbs serve it, whichever library it belongs to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    import pandas as pd

    from llmnb.frames.answers import Form
    from llmnb.frames.columns import Columns

Source: TypeAlias = "pd.DataFrame | pd.Series[Any] | TableSource"
"""What the verbs are given: a table of pandas itself, or another library's behind the protocol."""


class TableSource(Protocol):
    """A table, lent to the verbs.

    Its cells are read column by column, and only of those columns that a prompt needs;
    answers go back as tables of its own library. Tables of Dask come partition by partition,
    each as pandas' own.
    """

    @property
    def index(self) -> pd.Index[Any]:
        """The rows' labels, or their numbers where the library has no labels."""

    def columns(self) -> Columns:
        """Return the columns, each read when it is asked for."""

    def rows_at(self, positions: Sequence[int]) -> pd.DataFrame | pd.Series[Any]:
        """Return some rows as a table of pandas."""

    def form(self, **settings: Any) -> Form:
        """Return the form of the answers.

        Args:
            **settings: Fields of `Form`, but for the frame that the answers go into.
        """

    def check_columns(
        self,
        names: Sequence[Hashable],
        *,
        into: Hashable | None,
        overwrite: bool,
        call: Callable[[], str],
    ) -> None:
        """Refuse names under which no column of answers can stand.

        Args:
            names: Names of the columns that are made, in order.
            into: What the caller called the answers; None where they stand beside the table.
            overwrite: Whether columns that came with the table may be replaced.
            call: Returns the call that replaces them.

        Raises:
            ConfigurationError: If `into` is no name for a column; nothing was sent.
            InputError: If two names are the same, or a column that came with the table would be
                replaced; nothing was sent.
        """

    def snapshot(self) -> TableSource:
        """Return the table as it is now, whatever its owner does to it meanwhile."""

    def filled(self, columns: Mapping[Hashable, Any], *, into: bool) -> Any:
        """Return columns of pandas as this library's column, table, or whole table with them."""

    def taken(self, positions: Sequence[int], name: Hashable, values: Sequence[float]) -> Any:
        """Return some rows and, under a name, a number for each."""

    def back(self, result: Any) -> Any:
        """Return a table of pandas, or a comparison, as this library's."""


class PreparedVerb(ABC):
    """What was asked of a table, checked and ready: nothing is sent before it is finished."""

    @abstractmethod
    def finish(self) -> Any:
        """Block until it is done, showing how far it is, and return what it gives."""

    @abstractmethod
    async def afinish(self) -> Any:
        """Await what `finish` returns, on the caller's loop."""
