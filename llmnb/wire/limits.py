"""How the limits stand, as the headers of a reply tell it: one reader a family of names.

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

from llmnb.records import KindOfLimit, LimitReport
from llmnb.wire.durations import duration_of, moment_of, number_of, wait_of

_Headers = Mapping[str, str]

MINUTE, DAY = 60.0, 86_400.0

_SECONDS = {
    "second": 1.0,
    "minute": MINUTE,
    "hour": 3600.0,
    "day": DAY,
    "month": 30 * DAY,
}
_KINDS: dict[str, KindOfLimit] = {
    "requests": "requests",
    "req": "requests",
    "tokens": "tokens",
    "input-tokens": "input",
    "output-tokens": "output",
}
_NAMED = re.compile(
    rf"x-ratelimit-(limit|remaining|reset|renewalperiod)-({'|'.join(_KINDS)})"
    rf"(?:-(?:(\d{{1,6}})-)?({'|'.join(_SECONDS)}))?"
)
_ANTHROPIC = {name: f"anthropic-ratelimit-{name}" for name in _KINDS if name != "req"}
_GATEWAYS = ("ratelimit", "x-ratelimit")
"""How the names begin of what gateways tell of requests."""

_ITEM = re.compile(r'\s*(?:"([^"]*)"|([^;,=\s]+))((?:\s*;\s*[a-z]+\s*=\s*(?:"[^"]*"|[^;,\s]+))*)')
_PARAMETER = re.compile(r';\s*([a-z]+)\s*=\s*"?([^;,"\s]+)"?')

_COARSE, _FINE = 1.0, 0.001
"""Seconds by which a reset may be out: written in whole seconds, or as a duration."""

_DATE_IS_OUT_BY = 1.0
"""Seconds by which a ``Date`` lies before the moment it was written."""

_ANTHROPIC_TOKENS_GRAIN = 1000.0
"""Anthropic rounds the tokens that remain to the nearest thousand."""


def limit_reports(headers: _Headers, family: str) -> tuple[LimitReport, ...]:
    """Return how the limits stand, as a reply's headers tell it; empty where they tell nothing.

    Args:
        headers: Of any reply, good or bad.
        family: How the provider names them; one of `FAMILIES`, others tell nothing.

    Example:
        >>> headers = {"x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "499",
        ...            "x-ratelimit-reset-requests": "120ms"}
        >>> [one] = limit_reports(headers, "openai")
        >>> one.kind, one.limit, one.left, one.reset, one.period
        ('requests', 500.0, 499.0, 0.12, 60.0)
    """
    read = _FAMILIES.get(family)
    return () if read is None else tuple(read(headers))


_REQUESTED = re.compile(r"\bRequested:? (\d{1,12})\b")
_OF_TOKENS = re.compile(r"\btokens? per\b|\bTPM\b|\btokens/", re.IGNORECASE)
_OF_REQUESTS = re.compile(r"\brequests? per\b|\bRPM\b|\bconcurren", re.IGNORECASE)


def refused_for(body: str) -> tuple[KindOfLimit | None, float | None]:
    """Return which limit a refusal speaks of, and the tokens that it counts for the request.

    Example:
        >>> refused_for("Rate limit reached on tokens per min (TPM): Limit 600, Requested 120.")
        ('tokens', 120.0)
        >>> refused_for("Too many requests")
        (None, None)
    """
    is_tokens, is_requests = _OF_TOKENS.search(body), _OF_REQUESTS.search(body)
    if is_tokens and not is_requests:
        requested = _REQUESTED.search(body)
        return "tokens", None if requested is None else float(requested[1])
    return ("requests" if is_requests and not is_tokens else None), None


def resets(headers: _Headers) -> Iterator[tuple[bool, str | None, str]]:
    """Yield, of each limit whose reset is told, what its headers say, whoever sent them.

    Yields:
        Whether the reset is the end of a window, before which nothing is free, or when *all* of a
        limit is free again; what remains, None where that is not told; and the reset.

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
    for is_window, begins in ((False, _ANTHROPIC.values()), (True, _GATEWAYS)):
        for begin in begins:
            if (text := headers.get(f"{begin}-reset")) is not None:
                yield is_window, headers.get(f"{begin}-remaining"), text


# ------------------------------------------------------------- names with kind and period


@functools.lru_cache(maxsize=512)
def _named(name: str) -> tuple[str, KindOfLimit, float | None] | None:
    """Return what a header tells, of which limit, and the period in its name."""
    match = _NAMED.fullmatch(name)
    if match is None:
        return None
    part, kind, count, unit = match.groups()
    period = None if unit is None else float(count or 1) * _SECONDS[unit]
    return part, _KINDS[kind], period if period is None or period > 0 else None


def _openai(
    headers: _Headers, *, has_reset: bool = True, requests_period: float = MINUTE
) -> Iterator[LimitReport]:
    """Read ``x-ratelimit-limit-requests`` and its like, the period in the name or a minute."""
    found: dict[tuple[KindOfLimit, float | None], dict[str, str]] = {}
    for name in headers:
        if name.startswith("x-ratelimit-") and (known := _named(name)) is not None:
            part, kind, period = known
            found.setdefault((kind, period), {})[part] = headers[name]
    for (kind, named), texts in found.items():
        period = named or (requests_period if kind == "requests" else MINUTE)
        renewal = number_of(texts.get("renewalperiod", "").strip())
        yield from _one(
            kind,
            texts.get("limit"),
            texts.get("remaining"),
            texts.get("reset") if has_reset else None,
            period=renewal if renewal is not None and renewal > 0 else period,
            headers=headers,
        )


def _openai_or_gateway(headers: _Headers) -> Iterable[LimitReport]:
    """Read OpenAI's names; where there are none those of whatever stands before the server."""
    if not _OPENAI_LIMITS.isdisjoint(headers):
        return _openai(headers)
    return () if _GATEWAY_LIMITS.isdisjoint(headers) else _gateway(headers)


_OPENAI_LIMITS = frozenset(
    f"x-ratelimit-{part}-{kind}"
    for part in ("limit", "remaining")
    for kind in ("requests", "tokens")
)
_GATEWAY_LIMITS = frozenset(("ratelimit", "ratelimit-limit", "x-ratelimit-limit"))
"""Looked for in every reply of those who may tell nothing."""


def _azure(headers: _Headers) -> Iterator[LimitReport]:
    """Read Azure's: figures of a period, whose windows are shorter than what is announced."""
    return _openai(headers, has_reset=False)


def _groq(headers: _Headers) -> Iterator[LimitReport]:
    """Read Groq's: requests by the day, tokens by the minute."""
    return _openai(headers, requests_period=DAY)


def _anthropic(headers: _Headers) -> Iterator[LimitReport]:
    for name, begin in _ANTHROPIC.items():
        yield from _one(
            _KINDS[name],
            headers.get(f"{begin}-limit"),
            headers.get(f"{begin}-remaining"),
            headers.get(f"{begin}-reset"),
            grain=1.0 if name == "requests" else _ANTHROPIC_TOKENS_GRAIN,
            headers=headers,
        )


def _together(headers: _Headers) -> Iterator[LimitReport]:
    """Read Together's, which count by the second: there is nothing to spend at once."""
    kinds: tuple[tuple[KindOfLimit, str], ...] = (
        ("requests", "x-ratelimit"),
        ("tokens", "x-tokenlimit"),
    )
    for kind, begin in kinds:
        limit, left = headers.get(f"{begin}-limit"), headers.get(f"{begin}-remaining")
        yield from _one(kind, limit, left, None, period=1.0, headers=headers)


def _gateway(headers: _Headers) -> Iterator[LimitReport]:
    """Read what gateways send: the IETF's fields in all their versions, or ``x-ratelimit-*``."""
    if (field := headers.get("ratelimit")) is not None:
        yield from _ietf(headers, field)
        return
    for begin in _GATEWAYS:
        limit, left = headers.get(f"{begin}-limit"), headers.get(f"{begin}-remaining")
        if limit is None and left is None:
            continue
        figure, period = _first_quota(limit, headers.get(f"{begin}-policy"))
        yield from _one(
            "requests", figure, left, headers.get(f"{begin}-reset"), period=period, headers=headers
        )
        return


def _ietf(headers: _Headers, field: str) -> Iterator[LimitReport]:
    policies = dict(_items(headers.get("ratelimit-policy", "")))
    old = dict(re.findall(r"(limit|remaining|reset)\s*=\s*([^;,\s]+)", field))
    if old:  # versions 3 to 7: limit=100, remaining=50, reset=5
        figure, period = _first_quota(old.get("limit"), headers.get("ratelimit-policy"))
        yield from _one(
            *("requests", figure, old.get("remaining"), old.get("reset")),
            period=period,
            headers=headers,
        )
        return
    for name, parts in _items(field):
        policy = policies.get(name, {})
        if policy.get("qu", "requests") != "requests":
            continue
        window = number_of(policy.get("w", ""))
        yield from _one(
            *("requests", policy.get("q"), parts.get("r"), parts.get("t")),
            period=window if window is not None and window > 0 else MINUTE,
            headers=headers,
        )


def _items(field: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Return names and parameters of a list such as ``"burst";q=100;w=60, "day";q=5000``."""
    for match in _ITEM.finditer(field[:1000]):
        quoted, bare, parameters = match.groups()
        yield bare if quoted is None else quoted, dict(_PARAMETER.findall(parameters))


def _first_quota(limit: str | None, policy: str | None) -> tuple[str | None, float]:
    """Return the limit and the seconds of its window from ``100`` or ``100, 100;w=60``."""
    items = [*_items(limit or ""), *_items(policy or "")]
    figure = items[0][0] if limit and items else None
    windows = [parts["w"] for name, parts in items if name == figure and "w" in parts]
    window = number_of(windows[0]) if windows else None
    return figure, window if window is not None and window > 0 else MINUTE


# --------------------------------------------------------------------------- one figure


def _one(
    kind: KindOfLimit,
    limit: str | None,
    left: str | None,
    reset: str | None,
    *,
    headers: _Headers,
    period: float = MINUTE,
    grain: float = 1.0,
) -> Iterator[LimitReport]:
    if limit is None and left is None:
        return
    most = None if limit is None else number_of(limit.strip())
    rest = None if left is None else number_of(left.strip())
    seconds, out_by = (None, 0.0) if reset is None else _reset(reset.strip(), headers)
    # 0 and -1 are how Azure says that it does not know; taken at its word nothing is ever sent.
    most = most if most is not None and most > 0 else None
    rest = rest if rest is not None and rest >= 0 else None
    if most is not None or rest is not None:
        yield LimitReport(kind, most, rest, seconds, period, grain, out_by)


def _reset(text: str, headers: _Headers) -> tuple[float | None, float]:
    """Return the seconds until a reset, and by how many they may be out."""
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


_FAMILIES: dict[str, Callable[[_Headers], Iterable[LimitReport]]] = {
    "openai": _openai_or_gateway,
    "azure": _azure,
    "groq": _groq,
    "anthropic": _anthropic,
    "together": _together,
    "mistral": _openai,
    "cerebras": _openai,
    "xai": _openai,
    "gateway": _gateway,
}

FAMILIES = frozenset(_FAMILIES)
"""Names for `limit_headers` in the catalog, beside ``"none"``."""
