"""Promises about the run card: every word and figure of it, without a page."""

from __future__ import annotations

import dataclasses
import json
import unicodedata
from typing import Any

import pytest
from markup import PAYLOADS, about
from snapshots import CAUSES, NOW, counts, pool, samples, snapshot

from llmnb.display import moments
from llmnb.engine.status import FailureCause, ModelShare, StatusSnapshot, StatusTracker
from llmnb.notebook.card import card
from llmnb.notebook.facts import row_counts


def shown(status: StatusSnapshot | None = None, **options: Any) -> dict[str, Any]:
    return card(status or snapshot(), NOW, **options)


def sentence(found: dict[str, Any]) -> str:
    return "".join(found["because"]["parts"])


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in leaves(one)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in leaves(one)]
    return [value]


def test_the_running_card():
    """
    How far, how much, what went wrong, why not faster.
    """
    found = shown(asked="openai/gpt-5-mini, then 2 more")

    assert found["title"] == "Running"
    assert found["subject"] == "tickets · openai/gpt-5-mini, then 2 more"
    assert found["region"] == "Run of project tickets"
    assert found["hero"]["far"] == "56"
    assert found["hero"]["of"] == ["", "1,338", " of 2,400 rows"]
    assert found["hero"]["speed"] == ["304", "requests/min", "331k tokens/min"]
    assert found["hero"]["money"][0] == "$1.59"
    assert found["hero"]["money"][2] == "budget $5.00"
    assert found["legend"] == ["214 reused", "96 merged"]
    assert found["progress"]["parts"] == [8.92, 4.0, 42.46, 0.38]
    assert found["ledger"]["counts"] == ["1,092", "64", "1,019", "9", "31", "12", "2"]
    assert found["ledger"]["ago"] == "41 s ago"
    assert found["because"]["saved"] == "saved $0.48"
    assert sentence(found) == "Waiting on replies: all 64 places in flight are taken."
    assert found["says"].startswith("56 %, 9 failed, about ")


def test_it_holds_text_and_numbers_only_and_is_small():
    """
    A message is some kilobytes however many rows there are, and JSON as it is.
    """
    found = shown(snapshot(samples=samples(120)))

    assert {type(leaf) for leaf in leaves(found)} <= {str, int, float}
    assert len(json.dumps(found)) < 10_000


def test_the_same_moment_gives_the_same_card():
    """
    It is a pure function: equal cards are how nothing is sent when nothing changed.
    """
    assert shown() == shown()


@pytest.mark.parametrize(
    ("text", "view", "tone"),
    [
        ("Waiting on openai: it asked for 12 s (Retry-After). 8 s left.", "waiting", "wait"),
        ("Waiting on anthropic: 5 server errors in a row.", "waiting", "wait"),
        ("Waiting on openai’s limit of 500 requests/min.", "waiting", ""),
        ("Waiting on replies.", "running", ""),
        ("Looking up what is already answered.", "running", ""),
    ],
)
def test_a_run_that_sends_nothing_is_waiting(text, view, tone):
    """
    With nothing in flight the title says so; being refused is washed, a limit that holds is not.
    """
    found = shown(snapshot(in_flight=0, waiting_on=text, idle_seconds=5.0))

    assert found["view"] == view
    assert found["because"]["tone"] == tone


def test_a_run_that_keeps_to_a_limit_is_not_waiting_between_two_requests():
    """
    The card does not turn back and forth with every request: its speed and its title stay.
    """
    text = "Waiting on sim’s limit of 200 requests/min, as given."

    found = shown(snapshot(in_flight=0, waiting_on=text, idle_seconds=0.3))

    assert found["title"] == "Running"
    assert found["hero"]["speed"][0] == "304"
    assert sentence(found) == text


def test_the_time_left_of_a_pause_is_stressed():
    """
    The eye finds the seconds.
    """
    text = "Waiting on openai: it asked for 12 s. 8 s left, then sending at 14:35:40."

    assert shown(snapshot(waiting_on=text))["because"]["parts"][1] == "8 s left"


def test_waiting_and_paused_say_for_how_long():
    """
    Seconds since the latest request, or since the state began.
    """
    waiting = snapshot(
        in_flight=0, waiting_on="Waiting on openai: 5 server errors in a row.", idle_seconds=4.6
    )
    paused = snapshot(state="paused", waiting_on="Waiting on you.")

    assert shown(waiting)["hero"]["left"] == ["nothing sent for ", "4 s"]
    assert shown(paused, since=NOW - 48)["hero"]["left"] == ["paused for 48 s"]
    assert shown(paused)["buttons"]["first"] == "resume"


def test_a_waiting_cell_says_how_to_stop():
    """
    Buttons that cannot act are not offered; the toolbar's can.
    """
    found = shown(holds_kernel=True)

    assert found["buttons"] == {"first": "pause", "acts": 0}
    assert sentence(found) == (
        "Waiting on replies. This cell holds the kernel: "
        "press ■ in the toolbar to stop and keep 1,329 rows."
    )


def test_rows_without_a_known_end_are_counted():
    """
    An iterator of unknown length shows rows, not percent.
    """
    found = shown(snapshot(total=None))

    assert found["hero"]["far"] == "1,338"
    assert found["hero"]["unit"] == ""


def test_the_first_seconds_promise_nothing():
    """
    No time left is named before ten seconds.
    """
    assert shown(snapshot(seconds=3.0))["hero"]["left"] == ["estimating time left"]
    assert shown(snapshot(seconds=30.0, completed=214))["hero"]["left"] == ["time left unknown"]


def test_replies_without_a_price_are_not_free():
    """
    Unknown is a word, not a zero.
    """
    unknown = shown(snapshot(counts(usd=0.0, num_unpriced=12)))["hero"]["money"]
    partly = shown(snapshot(counts(num_unpriced=12)))["hero"]["money"]

    assert unknown[:2] == ["unknown", "no price known"]
    assert partly[:2] == ["$1.59", "+ 12 unpriced"]


def test_parts_always_sum_to_what_is_done():
    """
    Counters read in mid-change are cut to fit: no part is negative, none is lost.
    """
    for tracker in (
        counts(num_tasks_succeeded=5000),
        counts(num_tasks_failed=5000),
        counts(num_cached=5000),
        counts(num_stopped=5000),
        StatusTracker(),
    ):
        rows = row_counts(snapshot(tracker))

        parts = (rows.answered, rows.reused, rows.merged, rows.failed)
        assert min(parts) >= 0
        assert sum(parts) == rows.completed
        assert rows.completed <= rows.launched


# --------------------------------------------------------------------------- charts


def test_a_learned_limit_is_not_put_in_the_field():
    """
    The field holds what a person set; a learned limit is said to be learned.
    """
    assert shown()["requests"]["field"] == ""
    mixed = shown(snapshot(pools=(pool(tokens_from="given"),)))
    assert (mixed["requests"]["field"], mixed["tokens"]["field"]) == ("", "500k")
    assert shown()["requests"]["used_text"] == "61 %"


def test_limits_of_several_targets_add_up():
    """
    Rows go to any of them; one unknown limit leaves the sum unknown.
    """
    two = (pool(), pool(requests_per_minute=300.0))

    assert shown(snapshot(pools=two))["requests"]["axis"] == "limit 800"
    assert shown(snapshot(pools=(pool(), pool(requests_per_minute=None))))["requests"]["axis"] == (
        "no limit known"
    )


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("Waiting on openai’s limit of 500 requests/min.", "requests"),
        ("Waiting on openai’s limit of 500,000 tokens/min.", "tokens"),
        ("Waiting on replies: all 64 places in flight are taken.", "latency"),
    ],
)
def test_the_limit_that_binds_is_marked(text, bound):
    """
    Exactly one gauge is bold.
    """
    found = shown(snapshot(waiting_on=text))

    assert [name for name in ("requests", "tokens", "latency") if found[name]["binds"]] == [bound]


def test_charts_stay_in_their_box():
    """
    Zero at the base line, the larger of limit and maximum at the top, first and last at the edges.
    """
    found = shown(snapshot(samples=samples(120), pools=(pool(requests_per_minute=100),)))
    points = [tuple(map(float, pair.split(","))) for pair in found["requests"]["line"].split()]

    assert len(points) == 120
    assert points[-1][0] == 100
    assert all(0 <= x <= 100 and 6.4 <= y <= 46 for x, y in points)
    assert found["requests"]["hits"].count("M") == 2


def test_charts_of_nothing_are_empty():
    """
    A run that has just begun draws no line and divides by nothing.
    """
    found = shown(snapshot(samples=(), latencies=(), p50=None, p95=None, pools=()))

    assert found["requests"]["line"] == found["latency"]["ticks"] == ""
    assert found["latency"]["now"] == found["latency"]["used_text"] == "none yet"


@pytest.mark.parametrize("latencies", [(1.0,), (2.0, 2.0), (0.0, 0.0), (0.002, 900.0)])
def test_the_latency_axis_always_has_a_label(latencies):
    """
    Equal, tiny and far apart latencies all get an axis a person can read.
    """
    found = shown(snapshot(latencies=latencies, p50=latencies[0], p95=latencies[-1]))["latency"]

    assert found["axis"] or latencies[0] == 0.0
    assert all(0 <= where <= 100 for where, _ in found["axis"])


def test_many_models_end_in_others():
    """
    From eleven on the smallest are added up.
    """
    many = tuple(
        ModelShare(name=f"sim/m{place}", rows=10, share=1 / 12, p50=1.0, usd=0.5)
        for place in range(12)
    )
    rows = shown(snapshot(shares=many))["models"]

    assert len(rows) == 10
    assert rows[-1][0] == "3 others"
    assert rows[-1][3] == "30"
    assert rows[-1][5] == "$1.50"


# ---------------------------------------------------------------------------- safety


def test_whatever_is_told_is_visible_and_short():
    """
    Names, reasons and errors from outside reach the page as text without anything hidden.
    """
    hidden = ("Cc", "Cs", "Zl", "Zp")
    for payload in PAYLOADS:
        with about(payload):
            found = leaves(shown(hostile(payload), asked=payload * 50))
            texts = [one for one in found if isinstance(one, str)]

            assert not any(unicodedata.category(one) in hidden for text in texts for one in text)
            assert sum(map(len, texts)) < 20_000


def hostile(payload: str) -> StatusSnapshot:
    """Return a run in which everything that is text holds the payload, again and again."""
    cause = FailureCause(
        kind=payload, words=payload * 50, rows=1, first_row=0, example=payload * 500
    )
    return dataclasses.replace(
        snapshot(),
        project=payload * 50,
        waiting_on=payload * 50,
        shares=(ModelShare(name=payload * 50, rows=1, share=1.0, p50=None, usd=None),),
        causes=(cause, *CAUSES),
    )


def test_the_longest_clock_fits():
    """
    The last refusal is shown where the kernel's clock stands.
    """
    assert shown()["ledger"]["last"] == moments.clock(NOW - 41)
    assert shown(snapshot(StatusTracker()))["ledger"]["last"] == "none"
