"""What a reply's headers say about rate limits: one reader for each family of header names.

Header names are expected in lower case, as `RawReply.headers` has them. A reset that is a
moment is read against the reply's own ``Date``: our clock may be wrong by an hour.

Source:
    OpenAI, "Rate limits in headers"; Anthropic, "Rate limits: response headers"; Azure OpenAI,
    "Manage quota"; Groq, Together AI, Mistral AI, Cerebras and xAI on rate limits; IETF,
    draft-ietf-httpapi-ratelimit-headers (versions 3 to 10).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from llmnb.records import KindOfLimit, LimitReport
from llmnb.wire.waits import LONGEST_TEXT, duration_of, moment_of, number_of, wait_of

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
