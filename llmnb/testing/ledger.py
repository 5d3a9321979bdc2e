"""The simulated provider's book: every request received, how it ended and what was billed.

The server writes it, tests and benchmarks read it from any thread. A row is
closed *before* the last bytes of its reply are handed to the socket, so that
whoever holds a reply finds it in the book.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple

from llmnb.errors import ConfigurationError
from llmnb.testing.request import SimulatedRequest, prompt_text

End = Literal["open", "finished", "refused", "failed", "cancelled"]
"""How a request ended: still open, a whole answer, HTTP 429, any fault, the client left."""

Which = Literal["received", "finished", "billed"]
"""Which rows a question is about."""


def fingerprint(data: bytes) -> str:
    """Return a short hash; what was hashed cannot be read from it."""
    return blake2b(data, digest_size=10).hexdigest()


def prompt_hash(prompt: str | Sequence[Any]) -> str:
    """Return the hash by which the ledger names a prompt.

    Example:
        >>> prompt_hash("Hello") == prompt_hash([{"role": "user", "content": "Hello"}])
        True
    """
    return fingerprint(prompt_text(prompt).encode("utf-8", "surrogatepass"))


class LedgerRow(NamedTuple):
    """One request, as the provider saw it.

    Example:
        >>> import llmnb
        >>> from llmnb.testing import SimulatedProvider
        >>> with SimulatedProvider(reply="Four.") as sim:
        ...     text = llmnb.LLM(sim.base_url, "key", "any").generate("2 + 2?")
        ...     row = sim.ledger.rows[0]
        >>> row.end, row.status, row.billed
        ('finished', 200, True)
    """

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

    finished: float | None = None
    """When it ended, however it did; None while it is open."""

    status: int | None = None
    """HTTP status sent; None when the connection ended before one."""

    end: End = "open"
    """How it ended."""

    fault: str | None = None
    """Name of the scripted fault it met."""

    completion_tokens: int = 0
    """Output tokens that were made."""

    billed: bool = False
    """Whether the provider charges for it."""

    usd: float = 0.0
    """What it charges, in US dollars."""

    @property
    def cancelled(self) -> bool:
        """Whether the client left before the reply was whole."""
        return self.end == "cancelled"

    def with_end(self, **outcome: Any) -> LedgerRow:
        """Return the row with what is known of its end."""
        return self._replace(**outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerTotals:
    """The sums of a ledger at one moment.

    Example:
        >>> import llmnb
        >>> from llmnb.testing import SimulatedProvider
        >>> with SimulatedProvider(reply="Four.") as sim:
        ...     text = llmnb.LLM(sim.base_url, "key", "any").generate("3 + 1?")
        ...     totals = sim.ledger.totals()
        >>> totals.received, totals.finished, totals.failed
        (1, 1, 0)
    """

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


class Ledger:
    """Every request that a simulated provider received.

    Args:
        keep_rows: Keep one row per request. Without it only the totals are
            kept, so that memory does not grow with the number of requests.

    Example:
        >>> ledger = Ledger()
        >>> request = SimulatedRequest(
        ...     endpoint="text", body={}, model="sim", prompt="Hi", identity="Hi"
        ... )
        >>> row = ledger.open(request, now=0.0, body=b"{}")
        >>> ledger.close(row, finished=0.2, end="finished", status=200, billed=True, usd=0.001)
        >>> ledger.count("Hi"), ledger.totals().usd
        (1, 0.001)
    """

    def __init__(self, *, keep_rows: bool = True) -> None:
        self.keep_rows = keep_rows
        self.counts_prompts = keep_rows
        """Whether `attempt` is counted; memory then grows with the number of prompts."""
        self._lock = threading.RLock()
        self._watches: list[tuple[Callable[[LedgerTotals], bool], threading.Event]] = []
        self._clear()

    def _clear(self) -> None:
        self._rows: list[LedgerRow] = []
        self._open: dict[int, LedgerRow] = {}
        self._seen: Counter[str] = Counter()
        # The same names as LedgerTotals, to be counted up.
        self._sums = SimpleNamespace(**dataclasses.asdict(LedgerTotals()))

    # ------------------------------------------------------------ the server writes

    def open(
        self,
        request: SimulatedRequest,
        *,
        now: float,
        body: bytes,
        key: str = "",
        charged_tokens: int = 0,
    ) -> LedgerRow:
        """Enter a request that has come in whole; return its row for `close`."""
        of_prompt = fingerprint(request.identity.encode("utf-8", "surrogatepass"))
        of_body = fingerprint(body) if self.keep_rows else ""
        of_key = fingerprint(key.encode()) if key and self.keep_rows else ""
        with self._lock:
            sums = self._sums
            attempt = 0
            if self.counts_prompts:
                attempt = self._seen[of_prompt]
                self._seen[of_prompt] = attempt + 1
            row = LedgerRow(
                sums.received, request.endpoint, request.model, now, of_prompt, of_body, of_key,
                request.is_streamed, attempt, request.prompt_tokens, charged_tokens,
            )  # fmt: skip
            self._open[row.number] = row
            if self.keep_rows:
                self._rows.append(row)
            if sums.first_received is None:
                sums.first_received = now
            sums.last_received = now
            sums.received += 1
            sums.streamed += request.is_streamed
            sums.in_flight += 1
            if sums.in_flight > sums.max_in_flight:
                sums.max_in_flight = sums.in_flight
            if self._watches:
                self._wake_watches()
        return row

    def close(self, row: LedgerRow, **outcome: Any) -> None:
        """Enter how a request ended, by fields of its row; a second time changes nothing."""
        with self._lock:
            if not self.is_open(row):
                return
            del self._open[row.number]
            ended = row.with_end(**outcome)
            if self.keep_rows:
                self._rows[row.number] = ended
            sums = self._sums
            sums.in_flight -= 1
            setattr(sums, ended.end, getattr(sums, ended.end) + 1)
            if ended.billed:
                sums.billed += 1
                sums.prompt_tokens += ended.prompt_tokens
                sums.completion_tokens += ended.completion_tokens
                sums.usd += ended.usd
            if self._watches:
                self._wake_watches()

    def is_open(self, row: LedgerRow) -> bool:
        """Return whether a row of this book has not ended."""
        return self._open.get(row.number) is row

    def note_model_list(self) -> None:
        """Count a request for the list of models."""
        with self._lock:
            self._sums.model_lists += 1

    def reset(self) -> None:
        """Begin an empty book, numbered from 0; requests still open stay in the old one."""
        with self._lock:
            self._clear()

    # ---------------------------------------------------------- everybody else reads

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
            return list(self._rows)

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
        name = prompt_hash(prompt)
        rows: list[LedgerRow] = getattr(self, of)
        return sum(row.prompt_hash == name for row in rows)

    def __repr__(self) -> str:
        return f"<Ledger {self.totals().summary()}>"

    # -------------------------------------------------------------------- waiting

    def wait_until(self, is_met: Callable[[LedgerTotals], bool], timeout: float = 30.0) -> None:
        """Block until the totals satisfy a condition; woken by the server, it does not poll.

        Raises:
            TimeoutError: If they do not in time; the message tells the totals.
        """
        watch = (is_met, threading.Event())
        try:
            with self._lock:
                self._watches.append(watch)
                self._wake_watches()
            if not watch[1].wait(timeout):
                raise TimeoutError(f"Waited {timeout:g} s in vain. {self.totals().summary()}")
        finally:
            with self._lock:
                self._watches.remove(watch)

    def _wake_watches(self) -> None:
        totals = self.totals()
        for is_met, event in self._watches:
            if is_met(totals):
                event.set()
