"""Promises about headers: every way of writing a wait is understood, no value leads astray."""

from __future__ import annotations

import math
import time

import pytest

from llmnb.wire.limits import (
    delay_in_body,
    duration_of,
    number_of,
    request_id,
    retry_after,
    wait_of,
)

NOW = 1_767_225_600.0
"""2026-01-01T00:00:00Z, a Thursday."""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("20", 20.0),
        (" 20 ", 20.0),
        ("1.5", 1.5),
        ("+3", 3.0),
        ("1e1", 10.0),
        ("7200", 7200.0),
        ("-5", 0.0),
        ("-0.0", 0.0),
        ("20s", 20.0),
        ("250ms", 0.25),
        ("1m30s", 90.0),
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("2d", 172800.0),
        ("500us", 0.0005),
        ("500µs", 0.0005),
        ("100ns", 1e-7),
        (".5s", 0.5),
        ("34.074824224s", 34.074824224),
        ("20 seconds", 20.0),
        ("1 minute 5 seconds", 65.0),
        ("2 MINUTES", 120.0),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Thursday, 01-Jan-26 00:00:30 GMT", 30.0),
        ("Thu Jan  1 00:00:30 2026", 30.0),
        ("Thu, 01 Jan 2026 01:00:30 +0100", 30.0),
        ("Wed, 31 Dec 2025 23:59:00 GMT", 0.0),
        ("2026-01-01T00:00:30Z", 30.0),
        ("2026-01-01T00:00:30", 30.0),
        ("2026-01-01T02:00:30+02:00", 30.0),
        ("1767225630", 30.0),
        ("1767225630.5", 30.5),
        ("1767225630000", 30.0),
        ("1767225000", 0.0),
    ],
)
def test_every_form_of_a_wait_is_understood(text, seconds):
    """
    Seconds, durations, dates in all three forms of HTTP, moments.
    """
    assert wait_of(text, now=NOW) == pytest.approx(seconds)
    assert retry_after({"retry-after": text}, b"", now=NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "soon", "inf", "-inf", "nan", "Infinity", "1e999", "1_000", "0x10", "5 5"),
        *("5m5", "5x", "s", "ms", "5 ducks", "1m30", "--5", "1,5", "12:30", "٣"),
        *("Thu, 99 Jan 2026 00:00:00 GMT", "Thu, 01 Jan 99999 00:00:00 GMT", "2026-13-01"),
        *("Thu, 01 Jan 2026 00:00:00 +9999999999", "x" * 100_000, "1" * 100_000),
        *("\x00", "9" * 400, "1e300", "99999999s", "Sat, 01 Jan 2028 00:00:00 GMT", "9" * 15),
    ],
)
def test_what_means_nothing_is_left_aside(text):
    """
    Infinite, absurd or foreign: as if the header were not there, so the engine's own wait holds.
    """
    assert retry_after({"retry-after": text}, b"", now=NOW) is None


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system has one zone per process")
@pytest.mark.parametrize("text", ["Thu Jan  1 00:00:30 2026", "2026-01-01T00:00:30"])
def test_a_date_without_a_zone_is_in_utc(monkeypatch, text):
    """
    Whatever the zone of the machine that reads it.
    """
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert wait_of(text, now=NOW) == 30.0
    finally:
        monkeypatch.undo()
        time.tzset()


def test_hours_are_returned_as_they_are():
    """
    Whether that is too long is for the engine to judge: it must say when to come back.
    """
    assert retry_after({"retry-after": "86400"}, b"", now=NOW) == 86400.0
    assert retry_after({"retry-after": "Fri, 02 Jan 2026 00:00:00 GMT"}, b"", now=NOW) == 86400.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250.5", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "1500", "retry-after": "1"}, 1.5),
        ({"retry-after-ms": "0", "retry-after": "1"}, 1.0),
        ({"retry-after": "0", "x-ratelimit-reset-requests": "3s"}, 3.0),
        ({"retry-after": "2", "x-ratelimit-reset-requests": "6m0s"}, 2.0),
        ({"retry-after": "0", "x-ratelimit-reset-requests": "0s"}, 0.0),
        ({"retry-after": "2", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "9"}, 9.0),
        ({"retry-after": "9", "ratelimit-remaining": "0", "ratelimit-reset": "2"}, 9.0),
        ({"retry-after": "2", "ratelimit-remaining": "5", "ratelimit-reset": "9"}, 2.0),
        ({"retry-after": "2", "x-ratelimit-reset": "9"}, 2.0),
        ({"retry-after-ms": "-250"}, 0.0),
        ({"retry-after-ms": "nan", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "inf", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "soon"}, None),
        ({}, None),
    ],
)
def test_the_longest_of_all_hints_counts(headers, seconds):
    """
    Azure sends a wait of no milliseconds beside one of a second; a broken one hides no good one.
    """
    assert retry_after(headers, b"", now=NOW) == seconds


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (b"Please try again in 20s.", 20.0),
        (b"Please try again in 6m0s. Visit", 360.0),
        (b"Please try again in 1h2m3.4s.", 3723.4),
        (b"Please try again in 800ms.", 0.8),
        (b"Please retry after 37 seconds.", 37.0),
        (b"Try again in 86 seconds", 86.0),
        (b"Please retry in 45.578569677s.", 45.578569677),
        (b"please wait 2 minutes and", 120.0),
        (b'{"retryDelay": "34.07s"}', 34.07),
        (b'{"retry_after": 12}', 12.0),
        (b'{"retry_after": "1m"}', 60.0),
        (b'{"retry_after_ms": 1500}', 1.5),
        (b'{"retry_after_seconds": 1.5}', 1.5),
        (b'{"retry_after": -3}', 0.0),
        (b'{"retry_after": NaN}', None),
        (b'{"retry_after": "soon"}', None),
        (b"Please try again later.", None),
        (b"try again in 5 ducks", None),
        (b"You wait 20 sheep", None),
        (b"\xff\xfe", None),
        (b"", None),
    ],
)
def test_delays_in_bodies_are_read(body, seconds):
    """
    In words as OpenAI and Azure write them, in fields as Google does.
    """
    assert retry_after({}, body, now=NOW) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("x-ratelimit-{}-requests-minute", 3.0),
        ("x-ratelimit-{}-tokens-10-second", 3.0),
        ("anthropic-ratelimit-output-tokens-{}", 3.0),
        ("ratelimit-{}", 3.0),
        ("x-ratelimit-{}-coffee", None),
    ],
)
def test_each_limit_whose_headers_are_read_tells_when_to_come_back(name, seconds):
    """
    One table of names serves the pace and the waits.
    """
    headers = {name.format("remaining"): "0", name.format("reset"): "3"}

    assert retry_after(headers, b"", now=NOW) == seconds


def test_a_reset_to_the_full_limit_counts_only_where_no_delay_is_named():
    """
    A limit that fills up bit by bit has room for one request long before it is full again.
    """
    resets = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "3s"}

    assert retry_after({"retry-after": "1", **resets}, b"try again in 2s", now=NOW) == 2.0
    assert retry_after(resets, b"try again in 2s", now=NOW) == 2.0
    assert retry_after(resets, b"", now=NOW) == 3.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "12s",
                "x-ratelimit-remaining-tokens": "900",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            12.0,
        ),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "12s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "30s",
            },
            30.0,
        ),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:09Z",
            },
            9.0,
        ),
        ({"x-ratelimit-reset-requests": "1s"}, 1.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1767225605"}, 5.0),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "5"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "inf"}, None),
    ],
)
def test_only_a_window_that_is_used_up_must_open_again(headers, seconds):
    """
    The other window's reset would make the run wait for nothing.
    """
    assert retry_after(headers, b"", now=NOW) == seconds


def test_a_prompt_far_down_a_large_body_is_not_searched():
    """
    A megabyte of somebody's text costs nothing and says nothing.
    """
    assert delay_in_body(b"x" * 1_000_000 + b" try again in 5s") is None


def test_a_request_id_is_short_and_harmless():
    """
    It is shown to people and sent to the support.
    """
    assert request_id({}) is None
    assert request_id({"x-request-id": ""}) is None
    assert request_id({"x-request-id": "req_\x1b[2J" + "x" * 1000}) == "req_?[2J" + "x" * 192


def test_parts_of_numbers_and_durations_are_not_taken_for_the_whole():
    """
    What is half understood is not understood.
    """
    assert duration_of("1m and a bit") is None
    assert duration_of("") is None
    assert number_of("1_0") is None
    assert math.isclose(duration_of("1h 1 min 1sec"), 3661.0)
