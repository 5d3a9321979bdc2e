"""Every error of llmnb, sorted by whose fault it is.

::

    LLMNBError
    ├── ConfigurationError          the caller can fix it; nothing was sent      never re-sent
    │   ├── UnknownProvider
    │   ├── UnknownModel
    │   ├── UnknownOption
    │   ├── MissingKey
    │   ├── InvalidKey
    │   ├── UnsafeURL
    │   ├── RedirectRefused
    │   ├── MissingExtra
    │   ├── RealRequestForbidden
    │   └── BudgetExceeded
    ├── InputError                  the data handed in; nothing was sent         never re-sent
    │   ├── UnknownField
    │   ├── UnreadableFile
    │   ├── AddressInFile
    │   └── InvalidProjectName
    ├── AccountError                the account; stops the target                never re-sent
    │   ├── AuthenticationError
    │   └── QuotaExhausted
    ├── FlowControl                 pauses the target; costs no attempt          re-sent
    │   ├── RateLimited
    │   └── Overloaded
    ├── Unsent                      provably never left this machine             up to max_attempts
    ├── ProviderError               500, 502, 503, 529: nothing was bought       up to max_attempts
    ├── MaybeBilled                 408, 504, or sent and the reply lost         once, few per run
    │   └── TimedOut
    ├── RequestRejected             the provider refuses this one request        never re-sent
    │   └── ContextOverflow
    ├── BadReply                    came, could not be read; raw bytes kept      never re-sent
    │   ├── IncompleteReply
    │   └── ReplyTooLarge
    ├── NotGood                     an answer, but not a good one                policy
    │   ├── Truncated
    │   ├── Refused
    │   ├── Filtered
    │   ├── NoAnswer
    │   └── UnknownEnd              kept; good_finish re-reads it for nothing    not bought again
    ├── SchemaMismatch              did not fit; raw text kept                   one repair
    ├── StoreError                  an answer cannot be saved; stop buying       never re-sent
    ├── LimiterError                the shared limiter is lost                   shrink
    │   └── LimiterTimeout          no permission in the caller's time           the caller's choice
    ├── RowsFailed                  a table's rows, raised once at its end       on the next run
    └── Stopped                     the person stopped                           on the next run

Whether a request may be sent again is a matter of type, never of text.
Errors pickle, carry what a program needs as attributes, and never hold an
error of the HTTP library, whose repr shows headers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from llmnb import user_code

MAX_MESSAGE_LINES = 10
"""No message is longer than this many lines."""


@dataclasses.dataclass(slots=True, kw_only=True)
class ErrorDetails:
    """What a program may want to know of an error, beside its text."""

    status: int | None = None
    """HTTP status of the reply, None when there was none."""

    request_id: str | None = None
    """The provider's own name for the request, for its support."""

    body: str | None = None
    """The reply as text, masked and cut to 2,000 characters."""

    raw: bytes | None = None
    """The reply's bytes where they must be kept (`BadReply`, `NotGood`)."""

    provider: str | None = None
    """Catalog name of the provider, such as ``"openai"``."""

    model: str | None = None
    """Model that was asked, as the provider spells it."""

    row: int | None = None
    """Position of the input in the caller's order, from 0."""

    retry_after: float | None = None
    """Seconds that the server asked to wait, already clamped to at least 0."""

    attempts: int | None = None
    """Requests sent for this row before giving up."""

    history: tuple[str, ...] = ()
    """Texts of the earlier attempts' errors, oldest first."""

    maybe_billed: bool = False
    """Whether money may have been spent on the request that failed."""

    cause: str | None = None
    """In a few words why there was no reply, such as "connection refused"."""


class LLMNBError(Exception):
    """Base of every error that llmnb raises on purpose.

    Args:
        message: What happened, what was kept, what to do next.
        **details: The fields of `ErrorDetails`; each is an attribute too.

    Example:
        >>> error = RateLimited("openai refused (HTTP 429).", status=429, retry_after=2.0)
        >>> error.status, error.retry_after
        (429, 2.0)
        >>> import pickle
        >>> pickle.loads(pickle.dumps(error)).retry_after
        2.0
    """

    _maybe_billed = False
    """Whether money may have been spent, unless the details say otherwise."""

    def __init__(self, message: str, **details: Any) -> None:
        lines = str(message).splitlines() or [""]
        super().__init__("\n".join(lines[:MAX_MESSAGE_LINES]))
        self.details = ErrorDetails(**{"maybe_billed": self._maybe_billed, **details})

    @property
    def message(self) -> str:
        """The text, at most ten lines, without any key."""
        return str(self.args[0])

    @property
    def _render_traceback_(self) -> Callable[[], list[str]]:
        """What IPython asks an exception for before it makes a traceback of its own."""
        mode = getattr(getattr(user_code.shell(), "InteractiveTB", None), "mode", "")
        if mode == "Verbose" or user_code.has_other_cause(self):
            raise AttributeError("IPython shows all of it.")
        return lambda: user_code.short_traceback(self)

    def __getattr__(self, name: str) -> Any:
        # Only reached for names that are not set: the details' own fields.
        if name in ErrorDetails.__slots__:
            return getattr(self.details, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        details = {name: getattr(self.details, name) for name in ErrorDetails.__slots__}
        return _rebuild, (type(self), self.message, details)

    def with_details(self, **changes: Any) -> LLMNBError:
        """Fill in details that a lower floor could not know; returns itself."""
        self.details = dataclasses.replace(self.details, **changes)
        return self


_ABOUT_MONEY = (
    *(" It may have been billed.", " It was paid for."),
    *("; it may have been billed", "; nothing was bought"),
)
"""What messages say of money, each always in these words."""


def without_money(error: LLMNBError) -> LLMNBError:
    """Take out of an error what it says of money: its model costs nothing; returns the error.

    Example:
        >>> without_money(ProviderError("ollama failed; nothing was bought (HTTP 500).")).message
        'ollama failed (HTTP 500).'
    """
    text = error.message
    for sentence in _ABOUT_MONEY:
        text = text.replace(sentence, "")
    error.args = (text,)
    return error.with_details(maybe_billed=False)


def cause_of(error: LLMNBError) -> str:
    """Return in a few words what went wrong, for a line that has no room for a message.

    Example:
        >>> cause_of(ProviderError("openai failed (HTTP 503).", status=503))
        'HTTP 503'
        >>> cause_of(Unsent("openai could not be reached.", cause="connection refused"))
        'connection refused'
    """
    details = error.details
    if details.cause is not None:
        return details.cause
    if details.status is not None:
        return f"HTTP {details.status}"
    return "no reply in time" if isinstance(error, TimedOut) else "no reply"


def _rebuild(kind: type[LLMNBError], message: str, details: dict[str, Any]) -> LLMNBError:
    return kind(message, **details)


# ------------------------------------------------------------------ the caller


class ConfigurationError(LLMNBError, ValueError):
    """The caller can fix it; nothing was sent."""


class UnknownProvider(ConfigurationError):
    """No provider of that name is in the catalog."""


class UnknownModel(ConfigurationError):
    """No single provider is known to have a model of that name."""


class UnknownOption(ConfigurationError, TypeError):
    """A function takes no keyword of that name."""


class MissingKey(ConfigurationError):
    """The provider needs an API key and none was found."""


class InvalidKey(ConfigurationError):
    """The key cannot travel in a header; the message names the position, never the value."""


class UnsafeURL(ConfigurationError):
    """The address would leak a key, or is one at which no model can be."""


class RedirectRefused(ConfigurationError):
    """The server answered with a redirect; nothing was sent to the second origin."""


class MissingExtra(ConfigurationError, ImportError):
    """An optional package is not installed; the message gives the install command."""


class RealRequestForbidden(ConfigurationError):
    """`llmnb.testing.forbid_real_requests()` is on and the address is not loopback."""


class BudgetExceeded(ConfigurationError):
    """The next request could break `budget_usd`; it was not sent."""


class InputError(LLMNBError, ValueError):
    """The data handed in cannot be used; nothing was sent."""


class UnknownField(InputError, KeyError):
    """A template names a column that the table does not have."""

    __str__ = Exception.__str__  # KeyError's own would quote the message


class UnreadableFile(InputError):
    """A file cannot be read as the table or list it should be."""


class AddressInFile(InputError):
    """A line of a file names a URL or a key of its own, which was not allowed."""


class InvalidProjectName(InputError):
    """A project's name is empty, too long or holds characters no name can."""


# ----------------------------------------------------------------- the account


class AccountError(LLMNBError):
    """The account is refused; the target is stopped, finished rows are kept."""


class AuthenticationError(AccountError):
    """The key is not accepted (HTTP 401 or 403)."""


class QuotaExhausted(AccountError):
    """The account has no credit or its spend cap is reached (HTTP 402, insufficient_quota)."""


# ---------------------------------------------------------------- the provider


class FlowControl(LLMNBError):
    """The server asks for a slower pace; the target pauses and no attempt is spent."""


class RateLimited(FlowControl):
    """The provider refuses the request for its rate limit (HTTP 429)."""


class Overloaded(FlowControl):
    """The provider says that it is overloaded and for how long (503 or 529 with a delay)."""


class Unsent(LLMNBError):
    """Provably never left this machine: unknown host, refused connection, failed TLS."""


class ProviderError(LLMNBError):
    """The server failed (500, 502, 503, 529) and nothing was bought."""


class MaybeBilled(LLMNBError):
    """The request was sent and its reply is lost: it may have been billed."""

    _maybe_billed = True


class TimedOut(MaybeBilled):
    """No reply, or no further byte of it, came in time."""


class RequestRejected(LLMNBError):
    """The provider refuses this one request (400, 404, 413, 422); the run goes on."""


class ContextOverflow(RequestRejected):
    """The prompt is longer than the model's context."""


class BadReply(LLMNBError):
    """A reply came and could not be read; its raw bytes are kept."""

    _maybe_billed = True


class IncompleteReply(BadReply):
    """The reply ended before its end: a stream without its finish marker, a short body."""


class ReplyTooLarge(BadReply):
    """The decoded reply passes the cap and was not read further."""


class NotGood(LLMNBError):
    """An answer came, but not a usable one."""

    _maybe_billed = True


class Truncated(NotGood):
    """The answer was cut off before its end."""


class Refused(NotGood):
    """The model refused to answer."""


class Filtered(NotGood):
    """The provider's content filter withheld the answer."""


class NoAnswer(NotGood):
    """The reply is whole and holds no answer: no text, or reasoning alone."""


class UnknownEnd(NotGood):
    """The answer ended for a reason that llmnb does not know; it is kept and not bought again."""


class SchemaMismatch(LLMNBError):
    """The answer does not fit the schema; its raw text is kept."""


# ------------------------------------------------------------------- ourselves


class StoreError(LLMNBError):
    """Answers cannot be saved; nothing more is bought."""


class LimiterError(LLMNBError):
    """The shared limiter is lost; each process keeps to its share."""


class LimiterTimeout(LimiterError, TimeoutError):
    """A limit gave no permission within the time that the caller would wait; nothing was used."""


class RowsFailed(LLMNBError):
    """Rows of a table failed, and `on_error="raise"` asks for an error."""

    partial: Any = None
    """The whole result, with the failed rows missing."""

    def carrying(self, partial: Any) -> RowsFailed:
        """Take the partial result along; returns itself."""
        self.partial = partial
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (*super().__reduce__(), {"partial": self.partial})


class Stopped(LLMNBError):
    """The person stopped the run before this row was asked."""
