"""A verb's call, checked and ready to be carried out; nothing is sent before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from llmnb import bridge, progress
from llmnb.frames.options import Options
from llmnb.running.asking import Asking


class PreparedVerb(ABC):
    """A verb's call, checked and ready to be carried out."""

    @abstractmethod
    def finish(self) -> Any:
        """Block until it is done, showing how far it is, and return what it gives."""

    @abstractmethod
    async def afinish(self) -> Any:
        """Await what `finish` returns, on the caller's loop."""


class Outline(NamedTuple):
    """What a lazy table has to know of a verb's call before it is carried out."""

    name: Hashable
    """What the column of answers is called."""

    fields: Sequence[str]
    """Names of the columns that are read."""

    empty: Any
    """What it gives over an empty table: the form of its columns."""


class PreparedRun(PreparedVerb):
    """A verb's call that a run carries out, which gives columns over the table's rows."""

    @property
    @abstractmethod
    def asking(self) -> Asking | None:
        """Which model the run asks; None where no run does it."""

    @property
    @abstractmethod
    def options(self) -> Options:
        """What the caller has chosen, as far as it goes for this verb."""

    @property
    @abstractmethod
    def outline(self) -> Outline:
        """What a lazy table has to know of it."""

    @abstractmethod
    def start(self, *, cache_dir: str | None = None, allow_http: bool = False) -> Any:
        """Start the run and return it at once.

        Args:
            cache_dir: Folder of all projects, where it is not this process's own.
            allow_http: Whether keys may travel over plain http, whatever this process allows.

        Raises:
            ConfigurationError: Before anything is sent.
        """

    @abstractmethod
    def table_of(self, run: Any) -> Any:
        """Return the columns as far as the run has come."""

    @abstractmethod
    def report(self, run: Any, table: Any) -> None:
        """Warn of what failed in a finished run, or raise; nothing that a display has told."""

    def finish(self) -> Any:
        """Block until it is done, showing how far it is, and return what it gives.

        An interrupt stops it: in IPython the partial result comes back, in a script the
        interrupt is raised again once the answers are safe.
        """
        run = self.start()
        with progress.attended(run, bars=self.options.progress):
            table = self.table_of(run)
            self.report(run, table)
            return table

    async def afinish(self) -> Any:
        """Await what `finish` returns, on the caller's loop."""
        run = await bridge.made_in_thread(self.start, lambda late: late.stop())
        table = await progress.aattend(run, lambda: self.table_of(run), bars=self.options.progress)
        self.report(run, table)
        return table
