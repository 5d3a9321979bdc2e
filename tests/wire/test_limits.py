"""Promises about announced limits: each provider's way of telling them is read as it is meant."""

from __future__ import annotations

import pytest

from llmnb.records import LimitReport
from llmnb.wire.limits import FAMILIES, limit_reports

OPENAI = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-limit-tokens": "30000",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-remaining-tokens": "29970",
    "x-ratelimit-reset-requests": "120ms",
    "x-ratelimit-reset-tokens": "1m0s",
}
DATE = {"date": "Thu, 01 Jan 2026 00:00:00 GMT"}

RECORDED = [
    (
        "openai",
        OPENAI,
        [
            LimitReport("requests", 500.0, 499.0, 0.12, 60.0, 1.0, 0.001),
            LimitReport("tokens", 30_000.0, 29_970.0, 60.0, 60.0, 1.0, 0.001),
        ],
    ),
    (
        "openai",  # on a small tier: requests by the day, under the same names
        {
            "x-ratelimit-limit-requests": "200",
            "x-ratelimit-remaining-requests": "199",
            "x-ratelimit-reset-requests": "7m12s",
        },
        [LimitReport("requests", 200.0, 199.0, 432.0, 60.0, 1.0, 0.001)],
    ),
    (
        "anthropic",
        DATE
        | {
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:02Z",
            "anthropic-ratelimit-tokens-limit": "40000",
            "anthropic-ratelimit-tokens-remaining": "39000",
            "anthropic-ratelimit-tokens-reset": "2026-01-01T00:01:00Z",
            "anthropic-ratelimit-input-tokens-limit": "30000",
            "anthropic-ratelimit-input-tokens-remaining": "29000",
            "anthropic-ratelimit-input-tokens-reset": "2026-01-01T00:00:30Z",
            "anthropic-ratelimit-output-tokens-limit": "10000",
            "anthropic-ratelimit-output-tokens-remaining": "10000",
            "anthropic-ratelimit-output-tokens-reset": "2026-01-01T00:00:00Z",
        },
        [
            LimitReport("requests", 50.0, 49.0, 2.0, 60.0, 1.0, 2.0),
            LimitReport("tokens", 40_000.0, 39_000.0, 60.0, 60.0, 1000.0, 2.0),
            LimitReport("input", 30_000.0, 29_000.0, 30.0, 60.0, 1000.0, 2.0),
            LimitReport("output", 10_000.0, 10_000.0, 0.0, 60.0, 1000.0, 2.0),
        ],
    ),
    (
        "groq",
        {
            "x-ratelimit-limit-requests": "14400",
            "x-ratelimit-limit-tokens": "18000",
            "x-ratelimit-remaining-requests": "14370",
            "x-ratelimit-remaining-tokens": "17997",
            "x-ratelimit-reset-requests": "2m59.56s",
            "x-ratelimit-reset-tokens": "7.66s",
        },
        [
            LimitReport("requests", 14_400.0, 14_370.0, 179.56, 86_400.0, 1.0, 0.001),
            LimitReport("tokens", 18_000.0, 17_997.0, 7.66, 60.0, 1.0, 0.001),
        ],
    ),
    (
        "azure",  # 120 a minute shows 20 of 10 seconds; what a reset means there nobody says
        {
            "x-ratelimit-limit-requests": "20",
            "x-ratelimit-remaining-requests": "19",
            "x-ratelimit-renewalperiod-requests": "10",
            "x-ratelimit-reset-requests": "9",
            "x-ratelimit-limit-tokens": "-1",
            "x-ratelimit-remaining-tokens": "1190",
        },
        [
            LimitReport("requests", 20.0, 19.0, None, 10.0),
            LimitReport("tokens", None, 1190.0, None, 60.0),
        ],
    ),
    (
        "together",
        {
            "x-ratelimit-limit": "10",
            "x-ratelimit-remaining": "9",
            "x-ratelimit-reset": "1",
            "x-tokenlimit-limit": "3000",
            "x-tokenlimit-remaining": "2900",
        },
        [
            LimitReport("requests", 10.0, 9.0, None, 1.0),
            LimitReport("tokens", 3000.0, 2900.0, None, 1.0),
        ],
    ),
    (
        "mistral",
        {
            "x-ratelimit-limit-req-10-second": "60",
            "x-ratelimit-remaining-req-10-second": "59",
            "x-ratelimit-limit-tokens-minute": "5000000",
            "x-ratelimit-remaining-tokens-minute": "4999000",
            "x-ratelimit-limit-tokens-month": "4000000000",
        },
        [
            LimitReport("requests", 60.0, 59.0, None, 10.0),
            LimitReport("tokens", 5e6, 4_999_000.0, None, 60.0),
            LimitReport("tokens", 4e9, None, None, 2_592_000.0),
        ],
    ),
    (
        "cerebras",
        {
            "x-ratelimit-limit-requests-day": "14400",
            "x-ratelimit-remaining-requests-day": "14390",
            "x-ratelimit-reset-requests-day": "33011.4",
            "x-ratelimit-limit-tokens-minute": "60000",
            "x-ratelimit-remaining-tokens-minute": "59000",
        },
        [
            LimitReport("requests", 14_400.0, 14_390.0, 33_011.4, 86_400.0, 1.0, 0.001),
            LimitReport("tokens", 60_000.0, 59_000.0, None, 60.0),
        ],
    ),
    (
        "xai",
        {"x-ratelimit-limit-requests": "480", "x-ratelimit-remaining-requests": "479"},
        [LimitReport("requests", 480.0, 479.0, None, 60.0)],
    ),
    (
        "gateway",  # OpenRouter: milliseconds since the epoch
        DATE
        | {
            "x-ratelimit-limit": "20",
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": "1767225630000",
        },
        [LimitReport("requests", 20.0, 0.0, 30.0, 60.0, 1.0, 2.0)],
    ),
    (
        "gateway",  # draft 8 and later
        {
            "ratelimit-policy": '"burst";q=100;w=60, "day";q=5000;w=86400, "b";q=9;w=1;qu="bytes"',
            "ratelimit": '"burst";r=50;t=30, "day";r=4000;t=3600, "b";r=1;t=1',
        },
        [
            LimitReport("requests", 100.0, 50.0, 30.0, 60.0, 1.0, 1.0),
            LimitReport("requests", 5000.0, 4000.0, 3600.0, 86_400.0, 1.0, 1.0),
        ],
    ),
    (
        "gateway",  # draft 7
        {"ratelimit": "limit=100, remaining=50, reset=5", "ratelimit-policy": "100;w=10"},
        [LimitReport("requests", 100.0, 50.0, 5.0, 10.0, 1.0, 1.0)],
    ),
    (
        "gateway",  # draft 3 to 6
        {
            "ratelimit-limit": "100, 100;w=10",
            "ratelimit-remaining": "50",
            "ratelimit-reset": "5",
        },
        [LimitReport("requests", 100.0, 50.0, 5.0, 10.0, 1.0, 1.0)],
    ),
    (
        "openai",  # a stranger's server that speaks OpenAI's protocol behind a gateway
        {"ratelimit-limit": "30", "ratelimit-remaining": "29", "ratelimit-reset": "60"},
        [LimitReport("requests", 30.0, 29.0, 60.0, 60.0, 1.0, 1.0)],
    ),
]


@pytest.mark.parametrize(("family", "headers", "figures"), RECORDED)
def test_what_a_provider_sends_is_read_as_it_is_meant(family, headers, figures):
    """
    Kind, limit, what remains, reset, period, and how exact they are.
    """
    assert list(limit_reports(headers, family)) == figures


def test_every_family_has_a_recorded_reply():
    """
    A family that nobody has seen a reply of would be a guess.
    """
    assert {family for family, _, _ in RECORDED} == FAMILIES


def test_a_moment_is_read_against_the_replys_own_date():
    """
    Our clock may be wrong by an hour; without a date the moment says nothing.
    """
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-reset": "1999-01-01T00:00:09Z",
    }

    [dated] = limit_reports(headers | {"date": "Fri, 01 Jan 1999 00:00:00 GMT"}, "anthropic")
    [undated] = limit_reports(headers, "anthropic")
    [past] = limit_reports(headers | DATE, "anthropic")

    assert (dated.reset, undated.reset, past.reset) == (9.0, None, 0.0)


@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan", "", "many", "1e999", "1_0"])
def test_a_limit_that_is_none_is_not_learned(value):
    """
    Azure says -1 and 0 where it does not know; a limit of 0 would stop everything for ever.
    """
    headers = {"x-ratelimit-limit-requests": value, "x-ratelimit-remaining-tokens": "5"}

    assert list(limit_reports(headers, "azure")) == [LimitReport("tokens", None, 5.0, None)]


@pytest.mark.parametrize("value", ["-1", "inf", "nan", "", "many"])
def test_a_remainder_that_is_none_is_not_believed(value):
    """
    Nor one that is no number.
    """
    requests = limit_reports(OPENAI | {"x-ratelimit-remaining-requests": value}, "openai")[0]

    assert requests.left is None


def test_headers_that_tell_nothing_give_nothing():
    """
    And so does a provider of whom no names are known.
    """
    assert limit_reports({"date": "x"}, "openai") == ()
    assert limit_reports(OPENAI, "none") == ()
    assert limit_reports(OPENAI, "unheard of") == ()
