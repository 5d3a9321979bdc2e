"""The simulated provider's book: every request received, how it ended and what was billed.

The server writes it, tests and benchmarks read it from any thread. A row is
closed *before* the last bytes of its reply are handed to the socket, so that
whoever holds a reply finds it in the book.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, Literal

import orjson

from llmnb.errors import ConfigurationError
from llmnb.testing.windows import Window, worst_window

End = Literal["open", "finished", "refused", "failed", "cancelled"]
"""How a request ended: still open, a whole answer, HTTP 429, any fault, the client left."""

Which = Literal["received", "finished", "billed"]
"""Which rows a question is about."""

Weigh = Literal["requests", "tokens"]
"""Whether a limit counts requests or the tokens that it charges for them."""


def fingerprint(data: bytes) -> str:
    """Return a short hash; what was hashed cannot be read from it."""
    return blake2b(data, digest_size=10).hexdigest()


def prompt_text(prompt: str | Sequence[Any]) -> str:
    """Return the text by which the ledger knows a prompt.

    A conversation of one user message is the same prompt as that message's
    text; any other is known by all its messages.

    Example:
        >>> prompt_text([{"role": "user", "content": "Hello"}])
        'Hello'
    """
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1 and isinstance(prompt[0], Mapping):
        message = prompt[0]
        if message.get("role") == "user" and isinstance(message.get("content"), str):
            return str(message["content"])
    return orjson.dumps(prompt, option=orjson.OPT_SORT_KEYS).decode()


def prompt_hash(prompt: str | Sequence[Any]) -> str:
    """Return the hash under which a prompt stands in the ledger."""
    return fingerprint(prompt_text(prompt).encode("utf-8", "surrogatepass"))


@dataclass(slots=True, eq=False)
class OpenRow:
    """A row while its request is being served; only the ledger changes it."""

    number: int
    endpoint: str
    model: str
    received: float
    prompt_hash: str
    body_hash: str
    key_hash: str
    streamed: bool
    attempt: int
    prompt_tokens: int
    charged_tokens: int
    finished: float | None = None
    status: int | None = None
    end: End = "open"
    fault: str | None = None
    completion_tokens: int = 0
    billed: bool = False
    usd: float = 0.0
    book: int = 0
    """Which book it stands in: `Ledger.reset` begins another."""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One request, as the provider saw it."""

    number: int
    """Order of arrival, from 0."""

    endpoint: str
    """What was asked for; see `SimulatedRequest.endpoint`."""

    model: str
    """Model asked; empty where the body names none."""

    received: float
    """When its last byte came, on the provider's clock (`time.monotonic` unless set)."""

    prompt_hash: str
    """Hash of the prompt; see `prompt_hash`."""

    body_hash: str
    """Hash of the body, byte for byte."""

    key_hash: str
    """Hash of the API key, never the key; empty without one."""

    streamed: bool
    """Whether the reply was asked for as a stream."""

    attempt: int
    """How many requests with this prompt had come before."""

    prompt_tokens: int
    """Input tokens of the prompt."""

    charged_tokens: int
    """Tokens that a token limit charges before the answer is known."""

    finished: float | None
    """When it ended, however it did; None while it is open."""

    status: int | None
    """HTTP status sent; None when the connection ended before one."""

    end: End
    """How it ended."""

    fault: str | None
    """Name of the scripted fault it met."""

    completion_tokens: int
    """Output tokens that were made."""

    billed: bool
    """Whether the provider charges for it."""

    usd: float
    """What it charges, in US dollars."""

    @property
    def cancelled(self) -> bool:
        """Whether the client left before the reply was whole."""
        return self.end == "cancelled"


_FIELDS = tuple(each.name for each in dataclasses.fields(LedgerRow))
_values_of = attrgetter(*_FIELDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerTotals:
    """The sums of a ledger at one moment."""

    received: int = 0
    """Requests for answers that came; lists of models are not among them."""

    finished: int = 0
    """Requests that got a whole answer."""

    refused: int = 0
    """Requests refused with HTTP 429."""

    failed: int = 0
    """Requests that met any other fault."""

    cancelled: int = 0
    """Requests whose client left before the reply was whole."""

    billed: int = 0
    """Requests that are charged for."""

    streamed: int = 0
    """Requests that asked for a stream."""

    in_flight: int = 0
    """Requests received and not ended."""

    max_in_flight: int = 0
    """The most that ever were in flight at once."""

    prompt_tokens: int = 0
    """Input tokens billed."""

    completion_tokens: int = 0
    """Output tokens billed."""

    usd: float = 0.0
    """US dollars billed."""

    model_lists: int = 0
    """Requests for the list of models; they cost nothing."""

    first_received: float | None = None
    """When the first request came."""

    last_received: float | None = None
    """When the latest came."""

    def summary(self) -> str:
        """Return the totals as a line for a person.

        Example:
            >>> LedgerTotals(received=3, finished=2, refused=1).summary()
            '3 requests: 2 finished, 1 refused, 0 failed, 0 cancelled · 0 tokens · $0.000000 billed'
        """
        return (
            f"{self.received:,} requests: {self.finished:,} finished, {self.refused:,} refused, "
            f"{self.failed:,} failed, {self.cancelled:,} cancelled · "
            f"{self.prompt_tokens + self.completion_tokens:,} tokens · ${self.usd:.6f} billed"
        )


class _Watch:
    """Somebody waiting until the totals satisfy a condition."""

    __slots__ = ("is_met", "wake")

    def __init__(self, is_met: Callable[[LedgerTotals], bool], wake: Callable[[], object]) -> None:
        self.is_met = is_met
        self.wake = wake


class Ledger:
    """Every request that a simulated provider received.

    Args:
        keep_rows: Keep one row per request. Without it only the totals are
            kept, so that memory does not grow with the number of requests.

    Example:
        >>> ledger = Ledger()
        >>> row = ledger.open(now=0.0, endpoint="text", model="sim", prompt="Hi", body=b"{}")
        >>> ledger.close(row, now=0.2, end="finished", status=200, billed=True, usd=0.001)
        >>> ledger.count("Hi"), ledger.totals().usd, ledger.duplicates()
        (1, 0.001, {})
    """

    def __init__(self, *, keep_rows: bool = True) -> None:
        self.keep_rows = keep_rows
        self.counts_prompts = keep_rows
        """Whether `attempt` is counted; memory then grows with the number of prompts."""
        self._lock = threading.RLock()
        self._watches: list[_Watch] = []
        self._book = 0
        self._clear()

    def _clear(self) -> None:
        self._rows: list[OpenRow] = []
        self._seen: Counter[str] = Counter()
        # The same names as LedgerTotals, to be counted up.
        self._sums = SimpleNamespace(**dataclasses.asdict(LedgerTotals()))

    # ------------------------------------------------------------ the server writes

    def open(
        self,
        *,
        now: float,
        endpoint: str,
        model: str,
        prompt: str,
        body: bytes,
        key: str = "",
        streamed: bool = False,
        prompt_tokens: int = 0,
        charged_tokens: int = 0,
    ) -> OpenRow:
        """Enter a request that has come in whole; returns its row for `close`."""
        of_prompt = fingerprint(prompt.encode("utf-8", "surrogatepass"))
        of_body = fingerprint(body) if self.keep_rows else ""
        of_key = fingerprint(key.encode()) if key and self.keep_rows else ""
        with self._lock:
            sums = self._sums
            attempt = 0
            if self.counts_prompts:
                attempt = self._seen[of_prompt]
                self._seen[of_prompt] = attempt + 1
            row = OpenRow(
                sums.received, endpoint, model, now, of_prompt, of_body, of_key,
                streamed, attempt, prompt_tokens, charged_tokens, book=self._book,
            )  # fmt: skip
            if self.keep_rows:
                self._rows.append(row)
            if sums.first_received is None:
                sums.first_received = now
            sums.last_received = now
            sums.received += 1
            sums.streamed += streamed
            sums.in_flight += 1
            if sums.in_flight > sums.max_in_flight:
                sums.max_in_flight = sums.in_flight
            if self._watches:
                self._wake_watches()
        return row

    def close(
        self,
        row: OpenRow,
        *,
        now: float,
        end: End,
        status: int | None,
        fault: str | None = None,
        billed: bool = False,
        completion_tokens: int = 0,
        usd: float = 0.0,
    ) -> None:
        """Enter how a request ended; a second time for the same row changes nothing."""
        with self._lock:
            if row.end != "open":
                return
            row.end = end
            row.finished = now
            row.status = status
            row.fault = fault
            row.billed = billed
            row.completion_tokens = completion_tokens
            row.usd = usd if billed else 0.0
            if row.book != self._book:
                return
            sums = self._sums
            sums.in_flight -= 1
            setattr(sums, end, getattr(sums, end) + 1)
            if billed:
                sums.billed += 1
                sums.prompt_tokens += row.prompt_tokens
                sums.completion_tokens += completion_tokens
                sums.usd += usd
            if self._watches:
                self._wake_watches()

    def note_model_list(self) -> None:
        """Count a request for the list of models."""
        with self._lock:
            self._sums.model_lists += 1

    def reset(self) -> None:
        """Begin an empty book, numbered from 0; requests still open stay in the old one."""
        with self._lock:
            self._book += 1
            self._clear()

    # ------------------------------------------------------------- anybody reads

    @property
    def in_flight(self) -> int:
        """Requests received and not ended."""
        in_flight: int = self._sums.in_flight
        return in_flight

    @property
    def rows(self) -> list[LedgerRow]:
        """All rows in order of arrival, as they stand now.

        Raises:
            ConfigurationError: If the ledger keeps totals only.
        """
        if not self.keep_rows:
            raise ConfigurationError(
                "This ledger keeps totals only (ledger='totals'): ask totals(), "
                "or start the simulated provider with ledger='rows'."
            )
        with self._lock:
            return [LedgerRow(*_values_of(row)) for row in self._rows]

    @property
    def received(self) -> list[LedgerRow]:
        """All rows; the same as `rows`."""
        return self.rows

    @property
    def finished(self) -> list[LedgerRow]:
        """Rows that got a whole answer."""
        return [row for row in self.rows if row.end == "finished"]

    @property
    def refused(self) -> list[LedgerRow]:
        """Rows refused with HTTP 429."""
        return [row for row in self.rows if row.end == "refused"]

    @property
    def failed(self) -> list[LedgerRow]:
        """Rows that met any other fault."""
        return [row for row in self.rows if row.end == "failed"]

    @property
    def cancelled(self) -> list[LedgerRow]:
        """Rows whose client left before the reply was whole."""
        return [row for row in self.rows if row.end == "cancelled"]

    @property
    def billed(self) -> list[LedgerRow]:
        """Rows that are charged for."""
        return [row for row in self.rows if row.billed]

    def totals(self) -> LedgerTotals:
        """Return the sums as they stand now."""
        with self._lock:
            return LedgerTotals(**vars(self._sums))

    def count(self, prompt: str | Sequence[Any], of: Which = "received") -> int:
        """Return how often a prompt came, or was finished, or billed.

        Args:
            prompt: The prompt's text, or the whole list of messages. A text
                also stands for a conversation of that one user message.
            of: Which requests to count.
        """
        return self.counts(of)[prompt_hash(prompt)]

    def counts(
        self, of: Which = "received", *, by: Literal["prompt", "body"] = "prompt"
    ) -> Counter[str]:
        """Return how often each prompt (or each whole body) came, by its hash."""
        if by == "prompt":
            return Counter(row.prompt_hash for row in self._select(of))
        return Counter(row.body_hash for row in self._select(of))

    def duplicates(
        self, of: Which = "billed", *, by: Literal["prompt", "body"] = "prompt"
    ) -> dict[str, int]:
        """Return what was bought more than once: hash → times."""
        return {name: times for name, times in self.counts(of, by=by).items() if times > 1}

    def worst_window(
        self,
        per_minute: float,
        burst: float = 1.0,
        *,
        slack: float = 1.01,
        of: Which = "received",
        weigh: Weigh = "requests",
        **lengths: float,
    ) -> Window | None:
        """Return the window that comes nearest to, or furthest beyond, a limit.

        Args:
            per_minute: Units a minute that are allowed, as limits are given everywhere.
            burst: Seconds' worth that may come at once.
            slack: Factor for rounding and jitter.
            of: Which requests count.
            weigh: Whether the limit counts requests or charged tokens.
            **lengths: `shortest` and `longest` window looked at, in seconds (0.1, 60).
        """
        times, weights = self.events(of, weigh)
        rate = per_minute / 60.0
        return worst_window(times, weights, rate=rate, burst=burst, slack=slack, **lengths)

    def _select(self, of: Which) -> Iterable[LedgerRow]:
        return {"received": self.rows, "finished": self.finished, "billed": self.billed}[of]

    def events(self, of: Which, weigh: Weigh) -> tuple[list[float], list[float] | None]:
        """Return when requests came, and what each weighs where that is not one."""
        rows = list(self._select(of))
        times = [row.received for row in rows]
        return times, None if weigh == "requests" else [float(row.charged_tokens) for row in rows]

    def __repr__(self) -> str:
        return f"<Ledger {self.totals().summary()}>"

    # -------------------------------------------------------------------- waiting

    def wait_until(self, is_met: Callable[[LedgerTotals], bool], timeout: float = 30.0) -> None:
        """Block until the totals satisfy a condition; woken by the server, it does not poll.

        Raises:
            TimeoutError: If they do not in time; the message tells the totals.
        """
        event = threading.Event()
        with self._watching(is_met, event.set):
            if not event.wait(timeout):
                raise TimeoutError(f"Waited {timeout:g} s in vain. {self.totals().summary()}")

    @contextmanager
    def _watching(
        self, is_met: Callable[[LedgerTotals], bool], wake: Callable[[], object]
    ) -> Iterator[None]:
        watch = _Watch(is_met, wake)
        with self._lock:
            self._watches.append(watch)
            if is_met(self.totals()):
                wake()
        try:
            yield
        finally:
            with self._lock:
                self._watches.remove(watch)

    def _wake_watches(self) -> None:
        totals = self.totals()
        for watch in self._watches:
            if watch.is_met(totals):
                watch.wake()

    # ------------------------------------------------------------- to another process

    def dump(self, *, rows: bool) -> dict[str, Any]:
        """Return the ledger as plain values, for JSON."""
        book: dict[str, Any] = {"totals": dataclasses.asdict(self.totals())}
        if rows:
            book["rows"] = [_values_of(row) for row in self.rows]
        return book

    @classmethod
    def load(cls, book: Mapping[str, Any]) -> Ledger:
        """Return a ledger that holds what `dump` gave, to ask it the same questions."""
        ledger = cls(keep_rows="rows" in book)
        vars(ledger._sums).update(book["totals"])
        for values in book.get("rows", ()):
            ledger._rows.append(OpenRow(**dict(zip(_FIELDS, values, strict=True))))
        return ledger
