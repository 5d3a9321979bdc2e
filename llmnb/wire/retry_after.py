"""How long a refusal asks to wait, in its headers or its body, as each provider writes it.

Header names are expected in lower case, as `RawReply.headers` has them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from llmnb.wire.limits import resets
from llmnb.wire.waits import DURATION, LONGEST, duration_of, number_of, wait_of

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
