"""Identical requests in flight at once are one flight with several passengers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llmnb.engine.target import Call
from llmnb.errors import LLMNBError
from llmnb.records import Reply
from llmnb.store.entry import Entry

Kept = tuple[Call, Entry, Reply, LLMNBError | None]
"""What the store holds of a row; the error says why it is no good answer, though it is not bought
again."""


@dataclass(slots=True, eq=False)
class Landing:
    """How a flight ended: a reply, an error, or a reply that is not good enough and why."""

    reply: Reply | None = None
    error: LLMNBError | None = None
    model: str = ""
    provider: str = ""
    usd: float | None = None
    seconds: float | None = None
    first_token_seconds: float | None = None
    attempts: int = 0
    hedged: bool = False
    key: str | None = None
    """Key of the answer; another target's or a mended answer's is not the row's own."""

    value: Any = None
    """What a structured answer holds."""

    simulated: bool = False
    entry: Entry | None = None
    """What was saved, so that a passenger of another project can save it too."""

    store: object = None
    """The store it was saved in."""

    found: Kept | None = None
    """What the store held when the row's turn came, since another process had asked it: whoever
    wants the row takes it from there."""


Passenger = Callable[[Landing], None]
"""Called once, on the loop thread, when the flight has landed."""


class Cabin:
    """Who flies along on one flight.

    While its run is paused, or held back by a rate of its own, a flight stands aside: it takes
    nobody on, and those who want the same answer open a flight of their own.

    Args:
        flights: All flights.
        key: Of what is asked.
        run: Whose flight it is.
    """

    __slots__ = ("_flights", "_key", "_run", "is_aside", "make_way", "passengers")

    def __init__(self, flights: Flights, key: str, run: object) -> None:
        self._flights = flights
        self._key = key
        self._run = run
        self.is_aside = False
        self.make_way: Callable[[], None] | None = None
        """Stands aside where only its own run holds it back; asked when another run comes."""

        self.passengers: list[tuple[Passenger, object]] = []

    def is_of(self, run: object) -> bool:
        """Whether it is a run's own."""
        return self._run is run

    @property
    def is_asked_by_another(self) -> bool:
        """Whether another run's flight asks for the same at present."""
        return self.is_aside and self._key in self._flights.flying

    def stand_aside(self, landing: Landing) -> None:
        """Take nobody on any more, and let the passengers of other runs go.

        Args:
            landing: What they are told.
        """
        if self.is_aside:
            return
        self.is_aside = True
        del self._flights.flying[self._key]
        others = [one for one in self.passengers if one[1] is not self._run]
        self.passengers = [one for one in self.passengers if one[1] is self._run]
        for passenger, _ in others:
            passenger(landing)

    def come_back(self) -> bool:
        """Take passengers on again; False while another flight asks for the same."""
        if self._key in self._flights.flying:
            return False
        self._flights.flying[self._key] = self
        self.is_aside = False
        return True


class Flights:
    """All flights of the process, by the key of what they ask; lives on the loop thread.

    A flight that lands while somebody is still looking the store up is kept
    until that look-up ends: the look-up may have begun before the commit, and
    would otherwise buy the answer again.
    """

    def __init__(self) -> None:
        self.flying: dict[str, Cabin] = {}
        """Those that take passengers on."""

        self._landed: dict[str, Landing] = {}
        self._lookups = 0

    def __len__(self) -> int:
        return len(self.flying)

    @contextmanager
    def lookup(self) -> Iterator[None]:
        """Hold landings back for as long as a look-up in the store takes."""
        self._lookups += 1
        try:
            yield
        finally:
            self._lookups -= 1
            if not self._lookups:
                self._landed.clear()

    def board(self, key: str, passenger: Passenger, run: object) -> bool:
        """Join a flight, or hear at once how it landed; False where there is none.

        Args:
            key: Of what is asked.
            passenger: Told of the landing.
            run: Whose passenger it is.
        """
        cabin = self.flying.get(key)
        if cabin is not None and cabin.make_way is not None and not cabin.is_of(run):
            cabin.make_way()
        if (cabin := self.flying.get(key)) is not None:
            cabin.passengers.append((passenger, run))
            return True
        if (landing := self._landed.get(key)) is not None and landing.error is None:
            passenger(landing)
            return True
        return False

    def depart(self, key: str, passenger: Passenger, run: object) -> Cabin:
        """Open a flight that others can board."""
        cabin = self.flying[key] = Cabin(self, key, run)
        cabin.passengers.append((passenger, run))
        return cabin

    def is_shared(self, key: str, run: object) -> bool:
        """Whether somebody else's passengers are on a flight, too."""
        cabin = self.flying.get(key)
        return cabin is not None and any(other is not run for _, other in cabin.passengers)

    def land(self, key: str, cabin: Cabin, landing: Landing) -> None:
        """Close a flight and tell every passenger."""
        if not cabin.is_aside:
            del self.flying[key]
        cabin.make_way = None  # a circle, and the collector is slow while runs are under way
        if self._lookups:
            self._landed[key] = landing
        for passenger, _ in cabin.passengers:
            passenger(landing)
