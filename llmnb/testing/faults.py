"""Faults of replies, and rules that say which request meets which fault; both are values.

A script of faults is a list with one entry per request (a fault, a status
code, the name of a fault, or None for a healthy reply), a rule, a list of
rules of which the first that speaks decides, or any callable from a
`SimulatedRequest` to one of these.

Every fault knows whether the provider charges for the request: what was
refused or failed on the way in costs nothing; what was answered and then lost
or spoilt is billed, as it is in life. `but(billed=...)` changes it.
Being values, faults and rules can travel to another process.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

from llmnb.errors import ConfigurationError
from llmnb.option_kinds import any_number, choice, whole_number
from llmnb.testing.limits import setting
from llmnb.testing.request import SimulatedRequest, uniform

Then = Literal["end", "close", "reset", "stall", "error"]
"""What follows where a reply breaks off: a proper end, a closed connection, a
reset one, silence for ever, or (in a stream) an error event."""

BreakPoint = Literal["before", "head", "body"]
"""Where a reply breaks off: before its first byte, after its headers, in its body."""

_STATUS = setting(whole_number(100, 599))
_SECONDS = setting(any_number(0))
_SHARE = setting(any_number(0, 1))
_BREAK_POINT = setting(choice(*get_args(BreakPoint)))

Meaning = Literal["exact", "status", "quota", "context", "key", "error in 200"]
"""What a reply in place of an answer means; each provider has its own words for all but "exact"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Base of all faults."""

    name: str
    """What the ledger calls it."""

    billed: bool = False
    """Whether the provider charges for the request all the same."""

    delay: float | None = None
    """Seconds until it shows. None: as long as the answer would have taken
    where it is billed, at once where it is not."""

    is_whole: ClassVar[bool] = False
    """Whether the answer arrives whole and right all the same."""

    def but(self, **changes: Any) -> Self:
        """Return the same fault with some fields changed."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instead(Fault):
    """A reply that is sent instead of the answer."""

    status: int
    body: bytes = b""
    """What is sent where `meaning` is "exact"."""

    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    meaning: Meaning = "exact"
    figures: tuple[tuple[str, int], ...] = ()
    """Names and values of the numbers in its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Break(Fault):
    """The reply breaks off."""

    at: BreakPoint
    after: int | None = None
    """In a stream: tokens sent before it breaks. None is half of them."""

    then: Then = "reset"

    @property
    def is_before_reply(self) -> bool:
        """Whether not even a status is sent."""
        return self.at == "before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending(Fault):
    """A fault in how a reply is sent; a subclass sends it."""

    async def send(self, exchange: Any) -> None:
        """Send the reply.

        Args:
            exchange: The request and its reply, as an `llmnb.testing.server.Exchange`.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Bend(Fault):
    """An answer that is whole as HTTP but not as it should be."""

    finish_reason: str | None = None
    refusal: str | None = None
    has_usage: bool = True
    has_choices: bool = True
    has_content: bool = True


FaultLike = Fault | int | str | None
"""What stands for a fault in a script: itself, a status, a name; None is none."""


# --------------------------------------------------------------- refused or failed


def status(
    code: int,
    *,
    retry_after: float | str | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Fault:
    """Answer with a status and the body that a provider sends with it.

    Args:
        code: HTTP status.
        retry_after: Value of a ``retry-after`` header, as it is to be written.
        headers: Further headers.
        body: Another body than the usual one.

    Example:
        >>> status(503, retry_after=2).headers
        (('retry-after', '2'),)
    """
    _STATUS.checked("code", code)
    all_headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return Instead(
        name=str(code),
        status=code,
        body=body or b"",
        headers=tuple((all_headers | dict(headers or {})).items()),
        meaning="status" if body is None else "exact",
        # The gateway gave up waiting; the model behind it did not.
        billed=code in (408, 504, 524),
    )


def rate_limited(
    retry_after: float | str | None = None, headers: Mapping[str, str] | None = None
) -> Fault:
    """Refuse with 429, whatever the limits say."""
    return status(429, retry_after=retry_after, headers=headers).but(name="rate_limited")


def quota() -> Fault:
    """Say that the account has no credit left."""
    return Instead(name="quota", status=429, meaning="quota")


def context_overflow(limit: int = 8192, asked: int = 9000) -> Fault:
    """Refuse a prompt as too long."""
    figures = (("limit", limit), ("asked", asked))
    return Instead(name="context_overflow", status=400, meaning="context", figures=figures)


def redirect(location: str, code: int = 307) -> Fault:
    """Send the client elsewhere."""
    return Instead(name="redirect", status=code, headers=(("location", location),))


def echo_key(code: int = 401) -> Fault:
    """Repeat the key in the text of an error, as some providers do."""
    return Instead(name="echo_key", status=code, meaning="key")


# ------------------------------------------------------------- 200, and no answer


def reply(
    code: int = 200,
    body: bytes = b"",
    *,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
    name: str = "reply",
    billed: bool = True,
) -> Fault:
    """Answer with exactly this, whatever was asked."""
    return Instead(
        name=name,
        status=code,
        body=body,
        content_type=content_type,
        headers=tuple((headers or {}).items()),
        billed=billed,
    )


def html() -> Fault:
    """Answer 200 with a page, as a captive portal does."""
    page = b"<!doctype html><title>Sign in</title><h1>Welcome to this network</h1>"
    return reply(200, page, content_type="text/html", name="html", billed=False)


def empty() -> Fault:
    """Answer 200 with nothing."""
    return reply(200, b"", name="empty")


def null() -> Fault:
    """Answer 200 with ``null``."""
    return reply(200, b"null", name="null")


def array() -> Fault:
    """Answer 200 with a list."""
    return reply(200, b'[{"choices":[]}]', name="array")


def garbage() -> Fault:
    """Answer 200 with what is neither JSON nor text."""
    return reply(200, b'{"choices":[{"index":0,\xff\xfe\x00 oops', name="garbage")


def error_in_200() -> Fault:
    """Answer 200 with an error object in the body."""
    return Instead(name="error_in_200", status=200, meaning="error in 200")


# ------------------------------------------------------------- the answer, spoilt


def no_usage() -> Fault:
    """Leave the usage out."""
    return Bend(name="no_usage", billed=True, has_usage=False)


def no_choices() -> Fault:
    """Answer with an empty list of choices."""
    return Bend(name="no_choices", billed=True, has_choices=False)


def no_content() -> Fault:
    """Answer with a message whose content is null."""
    return Bend(name="no_content", billed=True, has_content=False)


def content_filter() -> Fault:
    """Withhold the answer as the provider's content filter does."""
    return Bend(
        name="content_filter", billed=True, finish_reason="content_filter", has_content=False
    )


def refusal(text: str = "I cannot help with that.") -> Fault:
    """Let the model refuse, in the field made for it."""
    return Bend(name="refusal", billed=True, refusal=text, has_content=False)


def truncated() -> Fault:
    """Say that the answer was cut at the token limit."""
    return Bend(name="truncated", billed=True, finish_reason="length")


def slow(seconds: float) -> Fault:
    """Answer well, but only after so many seconds."""
    return Bend(name="slow", billed=True, delay=_SECONDS.checked("seconds", seconds))


# ------------------------------------------------------------------ the line is cut


def reset(at: BreakPoint = "before", *, after: int | None = None) -> Fault:
    """Reset the connection; before the reply began nothing is billed."""
    return Break(
        name=f"reset_{_BREAK_POINT.checked('at', at)}", at=at, after=after, billed=at != "before"
    )


def lost_reply() -> Fault:
    """Do the work, bill it, and reset the connection before the reply's first byte."""
    return Break(name="lost_reply", at="before", billed=True)


def closed() -> Fault:
    """Close the connection without a word, as a server does with one kept alive too long."""
    return Break(name="closed", at="before", then="close")


def short_body() -> Fault:
    """Close the connection before the body is as long as its header says."""
    return Break(name="short_body", at="body", then="close", billed=True)


def stall(at: BreakPoint = "before", *, after: int | None = None) -> Fault:
    """Fall silent for ever; the request ends when the client leaves."""
    return Break(
        name=f"stall_{_BREAK_POINT.checked('at', at)}",
        at=at,
        after=after,
        then="stall",
        billed=True,
    )


def cut_stream(after: int | None = None) -> Fault:
    """End a stream properly as HTTP, but without its finish marker.

    Not streamed, the body comes short.
    """
    return Break(name="cut_stream", at="body", after=after, then="end", billed=True)


def stream_error(after: int | None = None) -> Fault:
    """End a stream with an error event in place of the rest."""
    return Break(name="stream_error", at="body", after=after, then="error", billed=True)


NAMED: Mapping[str, Callable[[], Fault]] = {
    made.__name__: made
    for made in (
        rate_limited, quota, context_overflow, echo_key, html, empty, null, array, garbage,
        error_in_200, no_usage, no_choices, no_content, content_filter, refusal, truncated,
        reset, lost_reply, closed, short_body, stall, cut_stream, stream_error,
    )
}  # fmt: skip
"""Faults that need no argument, by the name that stands for them in a script."""


def as_fault(value: FaultLike) -> Fault | None:
    """Return the fault that a status code or a name stands for.

    Raises:
        ConfigurationError: If it stands for none; the message lists the names.

    Example:
        >>> as_fault(503).name, as_fault("html").name, as_fault(None)
        ('503', 'html', None)
    """
    if value is None or isinstance(value, Fault):
        return value
    if isinstance(value, str) and value in NAMED:
        return NAMED[value]()
    if isinstance(value, int) and 300 <= value <= 599:
        return status(value)
    raise ConfigurationError(
        f"{value!r} stands for no fault. Give a status code from 300 to 599, a Fault, None, "
        f"or one of: {', '.join(sorted(NAMED))}."
    )


# ------------------------------------------------------------------------- when it strikes

Rule = Callable[[SimulatedRequest], FaultLike]
"""Decides what befalls a request; None leaves it to the next rule, or in peace."""

Script = Rule | Sequence[FaultLike] | Sequence[Rule] | None
"""What `SimulatedProvider(faults=...)` takes."""

_DRAW = 3
"""Purpose of the draws that decide whom `share` strikes."""


def by_number(faults: Sequence[FaultLike], *, start: int = 0) -> Rule:
    """Apply faults to requests in order of arrival, one entry each; later requests have none.

    Args:
        faults: What befalls each; None lets it be.
        start: Number of the request that meets the first entry.

    Example:
        >>> from llmnb.testing import SimulatedProvider
        >>> with SimulatedProvider(faults=by_number([500, None, 429])) as sim:
        ...     pass  # the first request fails, the third is refused
    """
    return functools.partial(_by_number, tuple(map(as_fault, faults)), start)


def _by_number(
    faults: Sequence[Fault | None], start: int, request: SimulatedRequest
) -> Fault | None:
    position = request.number - start
    return faults[position] if 0 <= position < len(faults) else None


def first_that_speaks(rules: Sequence[Rule]) -> Rule:
    """Ask several rules in order; the first with a fault decides."""
    return functools.partial(_first_that_speaks, tuple(rules))


def _first_that_speaks(rules: Sequence[Rule], request: SimulatedRequest) -> Fault | None:
    for rule in rules:
        if (fault := as_fault(rule(request))) is not None:
            return fault
    return None


def always(fault: FaultLike) -> Rule:
    """Apply the fault to every request.

    Example:
        >>> from llmnb.testing import SimulatedProvider
        >>> with SimulatedProvider(faults=always(503)) as sim:
        ...     pass  # every request is answered with 503
    """
    return functools.partial(_during, -math.inf, math.inf, as_fault(fault))


def outage(start: float, duration: float, fault: FaultLike = 503) -> Rule:
    """Apply the fault to all requests from `start` on, for `duration` seconds.

    Time runs from the first request that the provider received.

    Example:
        >>> from llmnb.testing import SimulatedProvider
        >>> with SimulatedProvider(faults=outage(start=2, duration=20)) as sim:
        ...     pass  # 503 from second 2 to second 22
    """
    end = _SECONDS.checked("start", start) + _SECONDS.checked("duration", duration)
    return functools.partial(_during, start, end, as_fault(fault))


def _during(
    start: float, end: float, fault: Fault | None, request: SimulatedRequest
) -> Fault | None:
    return fault if start <= request.time < end else None


def share(rate: float, fault: FaultLike) -> Rule:
    """Apply the fault to a random share of the requests, from 0 to 1; the same ones at every run.

    Rules with different faults draw independently of each other.

    Example:
        >>> from llmnb.testing import SimulatedProvider
        >>> with SimulatedProvider(faults=[share(0.02, 500), share(0.02, 429)]) as sim:
        ...     pass  # one request in fifty fails, another one is refused
    """
    _SHARE.checked("rate", rate)
    resolved = as_fault(fault)
    name = resolved.name if resolved else ""
    purpose = _DRAW + sum(i * ord(c) for i, c in enumerate(name, 1))
    return functools.partial(_by_share, rate, purpose, resolved)


def _by_share(
    rate: float, purpose: int, fault: Fault | None, request: SimulatedRequest
) -> Fault | None:
    return fault if uniform(request.seed, request.number, purpose) < rate else None


def as_rule(script: Script, *, start: int = 0) -> Rule | None:
    """Return a script of faults as a single rule; None where there is nothing to do.

    Args:
        script: A rule, a list of rules, or a list with an entry per request.
        start: Number of the request that meets a list's first entry.

    Raises:
        ConfigurationError: If a list mixes rules with entries.

    Example:
        >>> as_rule([]) is None, callable(as_rule([503, None]))
        (True, True)
    """
    if script is None or callable(script):
        return script
    if isinstance(script, str) or not isinstance(script, Sequence):
        raise ConfigurationError(
            f"faults is a list with one entry per request, a rule such as always({script!r}), "
            "or a list of rules."
        )
    if not script:
        return None
    rules = [entry for entry in script if callable(entry)]
    entries = [entry for entry in script if not callable(entry)]
    if not rules:
        return by_number(entries, start=start)
    if not entries:
        return first_that_speaks(rules)
    raise ConfigurationError(
        "faults mixes rules with entries by number: give either, "
        "or wrap the entries as by_number([...]) among the rules."
    )
