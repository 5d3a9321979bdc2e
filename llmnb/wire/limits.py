"""What replies say of rate limits, and refusals of how long to wait, as each provider writes it.

Header names are expected in lower case, as `RawReply.headers` has them. A reset that is a
moment is read against the reply's own ``Date``: our clock may be wrong by an hour.

Source:
    OpenAI, "Rate limits in headers"; Anthropic, "Rate limits: response headers"; Azure OpenAI,
    "Manage quota"; Groq, Together AI, Mistral AI, Cerebras and xAI on rate limits; IETF,
    draft-ietf-httpapi-ratelimit-headers (versions 3 to 10).
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from llmnb.records import KindOfLimit, LimitReport

# ------------------------------------------------------- waits: seconds, durations, dates, times

_SECONDS = {
    **dict.fromkeys(("ns",), 1e-9),
    **dict.fromkeys(("us", "µs", "μs"), 1e-6),  # the sign "micro" and the Greek letter
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
_NUMBER = r"(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})"
_UNIT = "|".join(sorted(_SECONDS, key=len, reverse=True))
_PART = re.compile(rf"({_NUMBER})\s*({_UNIT})(?![a-zµμ])\s*")
DURATION = rf"(?:{_NUMBER}\s*(?:{_UNIT})(?![a-zµμ])\s*){{1,8}}"
"""Pattern of one duration, such as ``1m30s`` or ``20 seconds``."""

LONGEST = 366 * 86400.0
"""Seconds; a longer wait is ignored, as a garbled header or one that means "never"."""

LONGEST_TEXT = 100
"""Characters; a longer text is no wait."""

_DAWN = 1_000_000_000
"""The year 2001 in seconds since the epoch. A larger number is a time, not a wait of 30 years."""


def wait_of(text: str, *, now: float) -> float | None:
    """Return how many seconds a text says to wait, None where it cannot be read.

    Args:
        text: A number of seconds, a duration (``1m30s``, ``250ms``), an HTTP
            date, an ISO time, or a moment in seconds or milliseconds since the
            epoch. What is past or negative means 0; what is infinite, or more
            than a year, nothing.
        now: Seconds since the epoch.

    Example:
        >>> wait_of("1m30s", now=0.0), wait_of("2.5", now=0.0), wait_of("soon", now=0.0)
        (90.0, 2.5, None)
        >>> wait_of("Thu, 01 Jan 1970 00:01:00 GMT", now=50.0)
        10.0

    Source:
        RFC 9110, section 10.2.3 (seconds and HTTP dates); the rest as providers send it.
    """
    text = text.strip()
    if len(text) > LONGEST_TEXT:
        return None
    seconds = duration_of(text) if text[-1:].isalpha() else None
    if seconds is None:
        moment = moment_of(text)
        seconds = number_of(text) if moment is None else moment - now
    return None if seconds is None or seconds > LONGEST else max(0.0, seconds)


def number_of(text: str) -> float | None:
    """Return a finite number, None for anything else.

    Example:
        >>> number_of("12"), number_of("inf"), number_of("1_0")
        (12.0, None, None)
    """
    try:
        number = float(text)
    except ValueError:
        return None
    # float() also reads 1_0 and the digits of every script; no server means those.
    return number if math.isfinite(number) and "_" not in text and text.isascii() else None


@functools.lru_cache(maxsize=4096)
def duration_of(text: str) -> float | None:
    """Return the seconds of a duration with units, None where the text is none.

    Example:
        >>> duration_of("6m0s"), duration_of("1 minute 30 seconds"), duration_of("6 apples")
        (360.0, 90.0, None)
    """
    text = text.strip().lower()
    seconds, position = 0.0, 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            return None
        seconds += float(part[1]) * _SECONDS[part[2]]
        position = part.end()
    return seconds if position else None


@functools.lru_cache(maxsize=256)
def moment_of(text: str) -> float | None:
    """Return a date or time in seconds since the epoch, None where the text is neither.

    Args:
        text: An HTTP date, an ISO time (in UTC where it has no zone), or seconds or
            milliseconds since the epoch.

    Example:
        >>> moment_of("1970-01-01T00:01:00Z"), moment_of("1767225600"), moment_of("20")
        (60.0, 1767225600.0, None)
    """
    if len(text) > LONGEST_TEXT:
        return None
    number = number_of(text)
    if number is not None:
        if number >= _DAWN * 1000:
            return number / 1000
        return number if number >= _DAWN else None
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            return moment.timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


# -------------------------------------------------------------------------------- rate limits

_Headers = Mapping[str, str]

MINUTE, DAY = 60.0, 86_400.0

_UNITS = {"second": 1.0, "minute": MINUTE, "hour": 3600.0, "day": DAY, "month": 30 * DAY}
_KINDS: dict[str, KindOfLimit] = {
    "requests": "requests",
    "req": "requests",
    "tokens": "tokens",
    "input-tokens": "input",
    "output-tokens": "output",
}
_NAMED = re.compile(
    rf"x-ratelimit-(limit|remaining|reset|renewalperiod)-({'|'.join(_KINDS)})"
    rf"(?:-(?:(\d{{1,6}})-)?({'|'.join(_UNITS)}))?"
)
_ITEM = re.compile(r'\s*(?:"([^"]*)"|([^;,=\s]+))((?:\s*;\s*[a-z]+\s*=\s*(?:"[^"]*"|[^;,\s]+))*)')
_PARAMETER = re.compile(r';\s*([a-z]+)\s*=\s*"?([^;,"\s]+)"?')

_COARSE, _FINE = 1.0, 0.001
"""Seconds by which a reset may be out: written in whole seconds, or as a duration."""

_DATE_IS_OUT_BY = 1.0
"""Seconds by which a ``Date`` lies before the moment it was written."""


def limit_reports(headers: _Headers, family: str) -> tuple[LimitReport, ...]:
    """Return the rate limits that a reply's headers report; empty where they report none.

    Args:
        headers: Of any reply, good or bad.
        family: How the provider names them; one of `FAMILIES`, others say nothing.

    Example:
        >>> headers = {"x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "499",
        ...            "x-ratelimit-reset-requests": "120ms"}
        >>> [report] = limit_reports(headers, "openai")
        >>> report.kind, report.limit, report.left, report.reset, report.period
        ('requests', 500.0, 499.0, 0.12, 60.0)
    """
    read = _FAMILIES.get(family)
    if read is None:
        return ()
    reports = [report for texts in read(headers) if (report := _report(texts, headers)) is not None]
    return tuple(reports)


_REQUESTED = re.compile(r"\bRequested:? (\d{1,12})\b")
_OF_TOKENS = re.compile(r"\btokens? per\b|\bTPM\b|\btokens/", re.IGNORECASE)
_OF_REQUESTS = re.compile(r"\brequests? per\b|\bRPM\b|\bconcurren", re.IGNORECASE)


def limit_in_refusal(body: str) -> tuple[KindOfLimit | None, float | None]:
    """Return which limit a refusal names, and the tokens that it counts for the request.

    Example:
        >>> limit_in_refusal("Limit reached on tokens per min (TPM): Limit 600, Requested 120.")
        ('tokens', 120.0)
        >>> limit_in_refusal("Too many requests")
        (None, None)
    """
    is_tokens, is_requests = _OF_TOKENS.search(body), _OF_REQUESTS.search(body)
    if is_tokens and not is_requests:
        requested = _REQUESTED.search(body)
        return "tokens", None if requested is None else float(requested[1])
    return ("requests" if is_requests and not is_tokens else None), None


def resets(headers: _Headers) -> Iterator[tuple[bool, str | None, str]]:
    """Yield, of each limit whose reset is reported, what its headers say, of any provider.

    Yields:
        Whether the reset is the end of a window, before which nothing is free, or when *all* of a
        limit is free again; what remains, None where that is not reported; and the reset.

    Source:
        draft-ietf-httpapi-ratelimit-headers-07, section 5.3, for windows.

    Example:
        >>> list(resets({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "3s"}))
        [(False, '0', '3s')]
        >>> list(resets({"ratelimit-reset": "9"}))
        [(True, None, '9')]
    """
    for name, reset in headers.items():
        if name.startswith("x-ratelimit-reset-") and _named(name) is not None:
            left = headers.get(name.replace("-reset-", "-remaining-", 1))
            yield False, left, reset
    for is_window, stems in ((False, _ANTHROPIC), (True, _GATEWAYS)):
        for stem in stems:
            texts = stem.read(headers)
            if texts.reset is not None:
                yield is_window, texts.left, texts.reset


class _Texts(NamedTuple):
    """The header values of one limit; None where a header is missing."""

    kind: KindOfLimit
    limit: str | None
    left: str | None
    reset: str | None = None
    period: float = MINUTE
    grain: float = 1.0


def _report(texts: _Texts, headers: _Headers) -> LimitReport | None:
    most = None if texts.limit is None else number_of(texts.limit.strip())
    left = None if texts.left is None else number_of(texts.left.strip())
    # 0 and -1 are how Azure says that it does not know; taken at its word nothing is ever sent.
    most = most if most is not None and most > 0 else None
    left = left if left is not None and left >= 0 else None
    if most is None and left is None:
        return None
    reset, out_by = (None, 0.0) if texts.reset is None else _reset(texts.reset.strip(), headers)
    return LimitReport(texts.kind, most, left, reset, texts.period, texts.grain, out_by)


def _reset(text: str, headers: _Headers) -> tuple[float | None, float]:
    """Return the seconds until a reset, and by how many they may be out."""
    if len(text) > LONGEST_TEXT:
        return None, 0.0
    if text[-1:].isalpha() and (seconds := duration_of(text)) is not None:
        return seconds, _FINE
    moment = moment_of(text)
    if moment is None:
        return wait_of(text, now=0.0), _FINE if "." in text else _COARSE
    date = headers.get("date")
    now = None if date is None else moment_of(date)
    if now is None or moment - now > 366 * DAY:
        return None, 0.0
    return max(0.0, moment - now), _DATE_IS_OUT_BY + (_FINE if moment % 1 else _COARSE)


# ------------------------------------------------------------------- readers of one family


@functools.lru_cache(maxsize=512)
def _named(name: str) -> tuple[str, KindOfLimit, float | None] | None:
    """Return what a header's name stands for: its part, its limit, and the period in it."""
    match = _NAMED.fullmatch(name)
    if match is None:
        return None
    part, kind, count, unit = match.groups()
    period = None if unit is None else float(count or 1) * _UNITS[unit]
    return part, _KINDS[kind], period or None


def _openai(
    headers: _Headers, *, has_reset: bool = True, requests_period: float = MINUTE
) -> Iterator[_Texts]:
    """Read ``x-ratelimit-limit-requests`` and its like, the period in the name or a minute."""
    limits: dict[tuple[KindOfLimit, float | None], dict[str, str]] = {}
    for name in headers:
        if name.startswith("x-ratelimit-") and (known := _named(name)) is not None:
            part, kind, period = known
            limits.setdefault((kind, period), {})[part] = headers[name]
    for (kind, named), texts in limits.items():
        period = named or (requests_period if kind == "requests" else MINUTE)
        yield _Texts(
            kind,
            texts.get("limit"),
            texts.get("remaining"),
            texts.get("reset") if has_reset else None,
            _seconds(texts.get("renewalperiod", "").strip(), period),
        )


_OPENAI_LIMITS = frozenset(
    f"x-ratelimit-{part}-{kind}"
    for part in ("limit", "remaining")
    for kind in ("requests", "tokens")
)
_GATEWAY_LIMITS = frozenset(("ratelimit", "ratelimit-limit", "x-ratelimit-limit"))
"""One of these is in every reply that reports limits in a gateway's headers."""


def _openai_or_gateway(headers: _Headers) -> Iterable[_Texts]:
    """Read OpenAI's headers, or those of the gateway in front where there are none."""
    if not _OPENAI_LIMITS.isdisjoint(headers):
        return _openai(headers)
    return () if _GATEWAY_LIMITS.isdisjoint(headers) else _gateway(headers)


class _Stem(NamedTuple):
    """Header names with one beginning that end in ``-limit``, ``-remaining`` and ``-reset``."""

    begin: str
    kind: KindOfLimit
    period: float = MINUTE
    grain: float = 1.0
    has_reset: bool = True

    def read(self, headers: _Headers) -> _Texts:
        """Return what the headers of these names say."""
        reset = headers.get(f"{self.begin}-reset") if self.has_reset else None
        limit, left = headers.get(f"{self.begin}-limit"), headers.get(f"{self.begin}-remaining")
        return _Texts(self.kind, limit, left, reset, self.period, self.grain)


_ANTHROPIC = (
    _Stem("anthropic-ratelimit-requests", "requests"),
    # The tokens that remain are rounded to the nearest thousand.
    _Stem("anthropic-ratelimit-tokens", "tokens", grain=1000.0),
    _Stem("anthropic-ratelimit-input-tokens", "input", grain=1000.0),
    _Stem("anthropic-ratelimit-output-tokens", "output", grain=1000.0),
)
_TOGETHER = (
    # Counted by the second: there is nothing to spend at once.
    _Stem("x-ratelimit", "requests", period=1.0, has_reset=False),
    _Stem("x-tokenlimit", "tokens", period=1.0, has_reset=False),
)
_GATEWAYS = (_Stem("ratelimit", "requests"), _Stem("x-ratelimit", "requests"))


def _stems(headers: _Headers, stems: Iterable[_Stem]) -> Iterator[_Texts]:
    return (stem.read(headers) for stem in stems)


def _gateway(headers: _Headers) -> Iterator[_Texts]:
    """Read what gateways send: the IETF's fields in all their versions, or ``x-ratelimit-*``."""
    if (field := headers.get("ratelimit")) is not None:
        yield from _ietf(headers, field)
        return
    for stem in _GATEWAYS:
        texts = stem.read(headers)
        if texts.limit is not None or texts.left is not None:
            limit, period = _first_quota(texts.limit, headers.get(f"{stem.begin}-policy"))
            yield _Texts("requests", limit, texts.left, texts.reset, period)
            return


def _ietf(headers: _Headers, field: str) -> Iterator[_Texts]:
    policies = headers.get("ratelimit-policy", "")
    old = dict(re.findall(r"(limit|remaining|reset)\s*=\s*([^;,\s]+)", field))
    if old:  # versions 3 to 7: limit=100, remaining=50, reset=5
        limit, period = _first_quota(old.get("limit"), policies)
        yield _Texts("requests", limit, old.get("remaining"), old.get("reset"), period)
        return
    by_name = dict(_items(policies))
    for name, parts in _items(field):
        policy = by_name.get(name, {})
        if policy.get("qu", "requests") == "requests":
            period = _seconds(policy.get("w", ""), MINUTE)
            yield _Texts("requests", policy.get("q"), parts.get("r"), parts.get("t"), period)


def _items(field: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Return names and parameters of a list such as ``"burst";q=100;w=60, "day";q=5000``."""
    for match in _ITEM.finditer(field[:1000]):
        quoted, bare, parameters = match.groups()
        yield bare if quoted is None else quoted, dict(_PARAMETER.findall(parameters))


def _first_quota(limit: str | None, policy: str | None) -> tuple[str | None, float]:
    """Return the limit and the seconds of its window from ``100`` or ``100, 100;w=60``."""
    items = [*_items(limit or ""), *_items(policy or "")]
    quota = items[0][0] if limit and items else None
    windows = [parts["w"] for name, parts in items if name == quota and "w" in parts]
    return quota, _seconds(windows[0] if windows else "", MINUTE)


def _seconds(text: str, otherwise: float) -> float:
    seconds = number_of(text)
    return otherwise if seconds is None or seconds <= 0 else seconds


_FAMILIES: dict[str, Callable[[_Headers], Iterable[_Texts]]] = {
    "openai": _openai_or_gateway,
    # Figures of a period, whose windows are shorter than what is announced: never opened.
    "azure": functools.partial(_openai, has_reset=False),
    # Requests by the day, tokens by the minute.
    "groq": functools.partial(_openai, requests_period=DAY),
    "anthropic": functools.partial(_stems, stems=_ANTHROPIC),
    "together": functools.partial(_stems, stems=_TOGETHER),
    "mistral": _openai,
    "cerebras": _openai,
    "xai": _openai,
    "gateway": _gateway,
}

FAMILIES = frozenset(_FAMILIES)
"""Names for `limit_headers` in the catalog, beside ``"none"``."""


# ------------------------------------------------------------------- how long to wait

_BODY_READ_BYTES = 20_000
"""How much of a body is searched for a delay."""

_IN_PROSE = re.compile(rf"\b(?:again|retry|wait)(?: (?:in|after|for))? ({DURATION})", re.IGNORECASE)
_AS_FIELD = re.compile(
    # With backslashes where the whole error stands as a text in another.
    r'"(retry[-_]?(?:delay|after)(?:_(?:ms|seconds))?)\\?"\s*:\s*\\?"?\s*([^",}\]\\]{1,40})',
    re.IGNORECASE,
)
_AS_MOMENT = re.compile(r'"x-ratelimit-reset"\s*:\s*"?(\d{10,13})\b', re.IGNORECASE)


def retry_after(headers: Mapping[str, str], body: bytes, *, now: float) -> float | None:
    """Return the seconds a refusal asks to wait, None where it does not say.

    The longest of ``retry-after-ms``, ``retry-after``, the delays in the body and
    the end of a window that is said to be used up. Where none of them is more than
    nothing, any reset of a limit that is used up: beside a delay it would be too
    long, as most providers tell the moment when the whole limit is free again.

    Args:
        headers: Of the reply.
        body: Of the reply; some providers write the delay there.
        now: Seconds since the epoch, for dates.

    Returns:
        At least 0, and as long as the server says: whether that is too long is
        for the caller to judge.

    Example:
        >>> retry_after({"retry-after-ms": "250"}, b"", now=0.0)
        0.25
        >>> retry_after({}, b'{"error": {"message": "Please try again in 6m0s."}}', now=0.0)
        360.0
    """
    wait = _longest(plain_retry_after(headers, now=now), delay_in_body(body, now=now))
    if wait:
        # A window of which it is not said that it is used up may be another than the refused one.
        return _longest(wait, _until_reset(headers, now, only_windows=True))
    return _longest(wait, _until_reset(headers, now))


def plain_retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return the seconds that the ``Retry-After`` headers alone ask to wait."""
    milliseconds = number_of(headers.get("retry-after-ms", "").strip())
    return _longest(
        None if milliseconds is None else max(0.0, milliseconds / 1000),
        wait_of(headers.get("retry-after", ""), now=now),
    )


def delay_in_body(body: bytes, *, now: float | None = None) -> float | None:
    """Return the seconds that a body asks to wait.

    Args:
        body: Of a refusal.
        now: Seconds since the epoch; None leaves out what is written as a moment.
    """
    text = body[:_BODY_READ_BYTES].decode("utf-8", "replace")
    fields = []
    for name, value in _AS_FIELD.findall(text):
        number = number_of(value.strip())
        if number is None:
            wait = duration_of(value)
        else:
            wait = max(0.0, number / (1000 if name.lower().endswith("ms") else 1))
        fields.append(wait)
    wait = _longest(*fields)
    if wait:
        return wait
    if (match := _IN_PROSE.search(text)) is not None:
        return _longest(wait, duration_of(match[1]))
    if now is not None and (match := _AS_MOMENT.search(text)) is not None:
        return _longest(wait, wait_of(match[1], now=now))
    return wait


def _longest(*waits: float | None) -> float | None:
    """Return the longest of the waits, those beyond `LONGEST` left out."""
    return max((wait for wait in waits if wait is not None and wait <= LONGEST), default=None)


def _until_reset(
    headers: Mapping[str, str], now: float, *, only_windows: bool = False
) -> float | None:
    """Return the wait until every limit that is used up is open again.

    Args:
        headers: Of the reply.
        now: Seconds since the epoch.
        only_windows: Whether to look at windows alone that are said to be used up: of others
            what a request needs is there before all of the limit is. Else a limit of which
            nothing is said but its reset is used up, too.
    """
    waits = []
    for is_window, remaining, reset in resets(headers):
        left = number_of((remaining or "").strip())
        is_used_up = left <= 0 if left is not None else not only_windows
        if is_used_up and (is_window or not only_windows):
            waits.append(wait_of(reset, now=now))
    return _longest(*waits)


_REQUEST_IDS = (
    *("x-request-id", "request-id", "apim-request-id", "x-ms-request-id", "x-amzn-requestid"),
    *("x-groq-request-id", "cf-ray"),
)


def request_id(headers: Mapping[str, str]) -> str | None:
    r"""Return the provider's id of a request, to quote to its support.

    Example:
        >>> request_id({"x-request-id": "req_1\x1b[2J"})
        'req_1?[2J'
    """
    for name in _REQUEST_IDS:
        if value := headers.get(name):
            return "".join(mark if mark.isprintable() else "?" for mark in value[:200])
    return None
