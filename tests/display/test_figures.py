"""Promises about figures as every surface writes them."""

from __future__ import annotations

import math
import random
import re

import pytest

from llmnb.display import aligned, durations, moments, money, numbers, texts

INF, NAN = math.inf, math.nan

EDGES = [
    border * (1 + tiny)
    for border in (
        *(1e-4, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 9.5, 9.95, 59.5, 59.95, 60, 99.5, 99.95, 119.5),
        *(999.5, 999.95, 3569.5, 3599.5, 3600, 5400, 7199, 9950, 86_369, 86_399, 86_400, 99_950),
        *(171_000, 172_799, 999_500, 999_950, 1e6, 9.995e6, 9.995e8, 1e9, 9.9999e11, 1e12, 1e15),
    )
    for tiny in (-1e-3, -1e-6, -1e-12, 0.0, 1e-12, 1e-6, 1e-3)
]


def samples(most: float) -> list[float]:
    """Return numbers up to `most`: at every border, and of every size."""
    dice = random.Random(7)
    spread = [10 ** dice.uniform(-6, math.log10(most)) for _ in range(4000)]
    return [number for number in (0.0, *EDGES, *spread) if number <= most]


# ------------------------------------------------------------------------------ dollars


@pytest.mark.parametrize(
    ("dollars", "text"),
    [
        (0.0, "$0"),
        (0.0123, "$0.0123"),
        (0.5, "$0.50"),
        (0.4800001, "$0.48"),
        (0.12001, "$0.12"),
        (0.009999, "$0.01"),
        (0.99994, "$0.9999"),
        (0.99999, "$1.00"),
        (1.589, "$1.59"),
        (1234.5, "$1,234.50"),
        (-0.25, "-$0.25"),
        (-0.00001, "-$0.0001"),
        (None, "unknown"),
        (NAN, "unknown"),
        (INF, "unknown"),
    ],
)
def test_dollars(dollars, text):
    """
    Four decimals below one dollar unless they are whole cents, two above; unknown is not free.
    """
    assert money.usd(dollars) == text


def test_dollars_are_written_alike_everywhere():
    """
    A figure read back and written again is the same text, and is near to what it stands for.
    """
    for dollars in samples(1e9):
        text = money.usd(dollars)
        if text.startswith("<"):
            assert 0 < dollars < 0.0001
            continue
        read = float(text.removeprefix("$").replace(",", ""))

        assert money.usd(read) == text, dollars
        assert abs(read - dollars) <= (0.00005001 if dollars < 1 else 0.005001), dollars


def test_a_range_names_what_differs():
    """
    Two ends that are written alike are one figure; a range with an unknown end is unknown.
    """
    assert money.usd_range(0.48, 0.4800001) == "$0.48"
    assert money.usd_range(0.31, 12) == "$0.31–12.00"
    assert money.usd_range(0.00001, 0.02) == "<$0.0001–0.02"
    assert money.usd_range(0.1, None) == "unknown"
    assert money.usd(1.5, more_unknown=True) == "$1.50 + unknown"
    assert money.usd(0.0, more_unknown=True) == "unknown"


# ------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize(
    ("number", "text"),
    [(999, "999"), (9_996, "10.0k"), (999_600, "1.00M"), (1_240_000, "1.24M"), (3e12, "3.00T")],
)
def test_tokens_have_three_figures(number, text):
    """
    The unit changes before a fourth figure appears.
    """
    assert numbers.tokens(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(999.4, "999"), (999.6, "1.0k"), (9_960, "10k"), (999_600, "1.0M"), (1e15, "1,000T")],
)
def test_rates_have_two_figures_that_matter(number, text):
    """
    A thousand is never written in the unit below, and ten never as 10.0.
    """
    assert numbers.short(number) == text


@pytest.mark.parametrize("write", [numbers.short, numbers.tokens, numbers.size])
def test_a_larger_number_never_looks_smaller(write):
    """
    Across every border of a unit, and each text says nearly what it stands for.
    """
    scales = {"": 1, "B": 1 if write is numbers.size else 1e9, "k": 1e3, "M": 1e6, "G": 1e9}
    scales |= {"T": 1e12}
    last = 0.0
    for number in sorted(samples(1e14)):
        text = write(number)
        digits, unit = re.fullmatch(r"([\d.,]+) ?([kMGBT]?)B?", text).groups()
        read = float(digits.replace(",", "")) * scales[unit]

        assert read >= last, number
        assert abs(read - number) <= max(0.5, 0.051 * number), number
        assert number > 9e14 or len(digits.replace(".", "")) <= 3, text
        last = read


@pytest.mark.parametrize("number", [1, 60, 500, 1240, 500_000, 2_000_000, 1_500_000, 0.5])
def test_a_limit_in_its_field_loses_nothing(number):
    """
    Pressing Enter in an untouched field would give the same limit.
    """
    text = numbers.amount(number)
    size = {"k": 1e3, "M": 1e6}.get(text[-1], 1)

    assert float(text.rstrip("kM")) * size == number


def test_a_slow_limit_is_never_written_as_none():
    """
    Thirty an hour are 0.5 a minute, not 0; a fast one has its thousands apart.
    """
    assert numbers.limit(0.5) == "0.5"
    assert numbers.limit(0.0167) == "0.0167"
    assert numbers.limit(99.94) == "99.9"
    assert numbers.limit(99.96) == "100"
    assert numbers.limit(30_000) == "30,000"


def test_a_hundred_percent_is_said_only_when_done():
    """
    99.99 % is 99, and one row of a million is not nothing.
    """
    assert numbers.percent(999_999, 1_000_000) == "99"
    assert numbers.percent(1, 1_000_000) == "1"
    assert numbers.percent(0, 10) == "0"
    assert numbers.percent(10, 10, done=True) == "100"
    assert numbers.percent(0, 0) == "0"
    assert numbers.share(0.004) == "<1 %"


@pytest.mark.parametrize(
    "write", [numbers.count, numbers.short, numbers.tokens, numbers.size, numbers.limit]
)
def test_what_is_no_number_is_said(write):
    """
    Neither raises nor prints "nan"; a number below zero keeps its sign.
    """
    assert write(NAN) == "unknown"
    assert write(INF) == "∞"
    assert write(-INF) == "-∞"
    assert write(-1234).startswith("-1")


# ---------------------------------------------------------------------------- durations

TIMES = (
    *(durations.span, durations.elapsed, durations.latency, durations.remaining),
    *(durations.spoken, durations.age, durations.ago),
)


@pytest.mark.parametrize("write", TIMES)
def test_no_time_is_ever_written_with_sixty(write):
    """
    Rounding never gives 60 s, 60 min or 24 h beside days, at any border.
    """
    for seconds in samples(1e9):
        text = write(seconds)

        assert not re.search(r"\b60(\.0)? (s|min)|d 24 h|\b0 (min|h)", text), (seconds, text)


@pytest.mark.parametrize("write", TIMES)
def test_a_time_that_makes_no_sense_is_written_all_the_same(write):
    """
    Below zero is nothing yet, as when a clock was set back; no number and no end are told.
    """
    assert write(-5.0) == write(0.0)
    assert "nan" not in write(NAN)
    assert "inf" not in write(INF)


def test_a_longer_time_never_looks_shorter():
    """
    Across all borders of units; and no figure is further off than its smaller unit.
    """
    units = {"s": 1, "min": 60, "h": 3600, "d": 86400}
    for write in (durations.span, durations.elapsed, durations.remaining, durations.latency):
        last = 0.0
        for seconds in sorted(samples(1e8)):
            pairs = re.findall(r"([\d.,]+) (s|min|h|d)", write(seconds))
            read = sum(float(figure.replace(",", "")) * units[unit] for figure, unit in pairs)

            assert read >= last - 1e-9, (write, seconds)
            last = read


def test_time_left_moves_in_steps_of_ten_seconds():
    """
    Above a minute the guess does not flicker.
    """
    assert {durations.remaining(195 + tenth / 10) for tenth in range(1, 100)} == {"3 min 20 s"}


def test_ages_have_a_single_unit_and_a_word_that_agrees_with_its_number():
    """
    One day, two days; yesterday, never "1 days".
    """
    assert durations.age(86400) == "1 day"
    assert durations.age(2 * 86400) == "2 days"
    assert durations.age(61 * 86400) == "2 months"
    assert durations.age(400 * 86400) == "1 year"
    assert durations.ago(59) == durations.ago(-3) == durations.ago(NAN) == "just now"
    assert durations.ago(41, is_live=True) == "41 s ago"
    assert durations.ago(86400) == "yesterday"
    assert durations.ago(INF) == "never"


def test_a_moment_far_away_has_its_day():
    """
    The clock says enough for what comes within half a day.
    """
    now = 1_700_000_000.0

    assert moments.coming(60, now) == moments.clock(now + 60)
    assert moments.coming(90_000, now) == moments.moment(now + 90_000)
    assert re.fullmatch(r"\d+ \w{3} 20\d\d, \d\d:\d\d:\d\d", moments.moment(now))


# ------------------------------------------------------------------------ text and tables


@pytest.mark.parametrize("longest", range(-2, 12))
def test_no_text_is_longer_than_it_may_be(longest):
    """
    And whoever reads a cut one sees that it is cut.
    """
    for text in ("", "a", "abcdefgh"):
        shown = texts.cut(text, longest)

        assert len(shown) <= max(0, longest)
        assert shown == text or shown in ("", text[: longest - 1] + "…")


def test_a_table_is_no_wider_than_it_may_be():
    """
    The widest column is cut; a control in a cell moves nothing; None is an empty cell.
    """
    rows = [("name", "n"), ("x" * 200, 1), ("red\x1b[31m", None)]
    lines = aligned.columns(rows, right={1}, width=30)

    assert max(map(len, lines)) == 30
    assert lines[1].endswith("…  1")
    assert lines[2] == "red\\x1b[31m"
