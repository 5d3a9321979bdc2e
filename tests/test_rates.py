"""Promises about rates: every form that a person may write means what it says."""

from __future__ import annotations

import limits
import pytest

from llmnb.errors import ConfigurationError
from llmnb.rates import per_minute


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (600, 600.0),
        (0.5, 0.5),
        ("600", 600.0),
        ("30_000", 30_000.0),
        ("10,000", 10_000.0),
        ("100/minute", 100.0),
        ("100 / min", 100.0),
        ("5 per second", 300.0),
        ("5/s", 300.0),
        ("1000 per 2 hours", 1000 / 120),
        ("1440 per day", 1.0),
        ("100/minute; 1000/hour", 1000 / 60),
        (limits.parse("5 per second"), 300.0),
        (limits.RateLimitItemPerHour(120, 2), 1.0),
    ],
)
def test_every_accepted_form_gives_a_number_a_minute(rate, expected):
    """
    Numbers, texts and the objects of `limits` mean the same.
    """
    assert per_minute(rate) == pytest.approx(expected)


def test_no_rate_is_no_limit():
    """
    None stays None.
    """
    assert per_minute(None) is None


@pytest.mark.parametrize(
    "rate",
    [
        0,
        -1,
        "0/minute",
        float("nan"),
        float("inf"),
        "nan",
        "",
        "fast",
        "5 per fortnight",
        True,
        [5],
    ],
)
def test_what_is_no_rate_is_refused_with_a_sentence(rate):
    """
    The error names every form that is accepted.
    """
    with pytest.raises(ConfigurationError, match="100/minute") as caught:
        per_minute(rate)

    assert "RateLimitItem" in caught.value.message
    assert "number a minute" in caught.value.message


def test_a_long_text_is_not_repeated_whole():
    """
    A whole prompt given by mistake stays out of the message.
    """
    with pytest.raises(ConfigurationError) as caught:
        per_minute("please " * 100)

    assert len(caught.value.message) < 300
