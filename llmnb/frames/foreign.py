"""What a table that is none of pandas' must be able to say, so that the same verbs serve it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    import pandas as pd

    from llmnb.frames.answers import Form
    from llmnb.frames.columns import Columns


class Foreign(ABC):
    """A table of another library, lent to the verbs.

    Its cells are read column by column, and only of those columns that a prompt needs;
    answers go back as tables of its own library.
    """

    @property
    @abstractmethod
    def index(self) -> pd.Index[Any]:
        """The rows' numbers: such a table has no labels."""

    @abstractmethod
    def columns(self) -> Columns:
        """Return the columns, each read when it is asked for."""

    @abstractmethod
    def few(self, rows: Sequence[int]) -> pd.DataFrame | pd.Series[Any]:
        """Return a few rows as pandas has them."""

    @abstractmethod
    def form(self, **given: Any) -> Form:
        """Return the form of the answers.

        Raises:
            ConfigurationError: If the answers cannot stand under the name that is wished.
        """

    @abstractmethod
    def check_name(self, into: Hashable | None) -> None:
        """Refuse a name that no column can have.

        Raises:
            ConfigurationError: If it is none; nothing was sent.
        """

    @abstractmethod
    def check_place(self, names: Sequence[Hashable], call: Callable[[], str]) -> None:
        """Refuse names, derived from the answers', of columns that came with the table.

        Raises:
            InputError: If there is one; nothing was sent.
        """

    @abstractmethod
    def filled(self, columns: Mapping[Hashable, Any], *, into: bool) -> Any:
        """Return columns of pandas as this library's column, table, or whole table with them."""

    @abstractmethod
    def taken(self, rows: Sequence[int], name: Hashable, values: Sequence[float]) -> Any:
        """Return some rows and, under a name, a number for each."""

    @abstractmethod
    def back(self, found: Any) -> Any:
        """Return a table of pandas, or a comparison, as this library's."""
