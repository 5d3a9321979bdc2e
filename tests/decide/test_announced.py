"""Promises about announced limits: nobody is refused who waits, nobody waits in vain.

A server that counts at arrival, and shares no code with `llmnb.decide`, is asked by clients
that keep to `AnnouncedLimits`; times are made up, so that hours take milliseconds.
"""

from __future__ import annotations

import math
import random

import pytest
from announcing import Bucket, Server, Window, as_it_is, ask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from laboratory.windows import worst_window

from llmnb.decide.announced_limits import HANDFUL, AnnouncedLimits
from llmnb.decide.refill import REACH
from llmnb.records import LimitReport, Limits

SILENT = 1.0
"""Seconds of latency from which another handful may go before the first reply."""


def seeded(examples: int) -> settings:
    """Return settings of a property that tries the same cases every time."""
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def between(low: float, high: float):
    """Return a draw of seconds around a middle."""
    return lambda dice: low + (high - low) * dice.random()


@st.composite
def buckets(draw):
    """Return a bucket of any rate and capacity, as full as it likes, and a client's manners."""
    rate = 60_000 ** draw(st.floats(0, 1))
    capacity = max(1.0, rate ** draw(st.floats(0, 1)))
    level = capacity * draw(st.sampled_from([1.0, 1.0, 0.5, 0.1, 0.0]))
    latency = 0.05 * 400 ** draw(st.floats(0, 1))
    travel = draw(st.sampled_from([0.0, 0.1, 0.45]))
    at_once = draw(st.sampled_from([8, 64, 300]))
    return rate, capacity, level, latency, travel, at_once, draw(st.integers(0, 1000))


def asked_of(case, *, rows: int = 150):
    """Return what becomes of a run against a bucket, watched at every step."""
    rate, capacity, level, latency, travel, at_once, seed = case
    return ask(
        Server(Bucket(rate, capacity, level)),
        rows=min(rows, int(20 + 2 * rate)),
        at_once=at_once,
        latency=between(0.7 * latency, 1.3 * latency),
        travel=between(0.0, travel),
        seed=seed,
        is_watched=True,
        longest=100_000.0,
    )


def is_kept(case, asked) -> None:
    """Check the promises to one client with one bucket."""
    _, _, level, latency, *_ = case
    most = max(0, math.ceil(HANDFUL - level)) if latency < SILENT else HANDFUL
    assert len(asked.refused) <= most
    assert asked.worst <= 1e-6
    assert asked.doubts == [""]


@seeded(150)
@given(case=buckets())
def test_nobody_is_refused_after_the_first_handful(case):
    """
    Of any bucket, in whatever order requests arrive; and never more is allowed than there is.
    """
    is_kept(case, asked_of(case))


@pytest.mark.slow
@seeded(4000)
@given(case=buckets())
def test_nobody_is_refused_after_the_first_handful_in_many_buckets(case):
    """
    The same for thousands of them.
    """
    is_kept(case, asked_of(case, rows=400))


@pytest.mark.parametrize("capacity", [10, 30, 100])
@pytest.mark.parametrize("latency", [0.05, 0.5])
@pytest.mark.parametrize("travel", [0.0, 0.45])
def test_an_announced_bucket_is_used_whole(capacity, latency, travel):
    """
    400 rows at 600 a minute take what the server would let pass, to 97 %.
    """
    server = Server(Bucket(600, capacity))
    asked = ask(server, rows=400, latency=between(latency, latency), travel=between(0, travel))

    could = capacity + 10 * asked.sent[-1]
    assert (0.97 if capacity > HANDFUL + 2 and travel == 0 else 0.95) * could <= 400
    assert asked.refused == []


def test_a_small_table_is_done_in_a_handful_of_rounds():
    """
    200 rows with 500 left of 500 a minute: five rounds of half a second, not twenty-four seconds.
    """
    asked = ask(Server(Bucket(500, 500)), rows=200)

    assert asked.seconds <= 2.5
    assert asked.refused == []
    assert ask(Server(Bucket(500, 500)), rows=200, burst="smooth").seconds >= 22.0


def poisson(a_second: float, seed: int, seconds: float = 400.0) -> list[float]:
    dice, now, moments = random.Random(seed), 0.0, []
    while now < seconds:
        now += dice.expovariate(a_second)
        moments.append(now)
    return moments


WAVES = [1.5 * wave + 0.001 * number for wave in range(200) for number in range(5)]
LATER = [10.0 + 0.2 * number for number in range(1000)]


@pytest.mark.parametrize("others", [poisson(10 / 3, 1), poisson(10 / 3, 2), WAVES, LATER])
def test_another_client_of_the_account_is_left_its_part(others):
    """
    By chance, in waves, or none and then many: at most 1 % is refused, 0.9 of the rest used.
    """
    server = Server(Bucket(600, 100), others=list(others))
    asked = ask(server, rows=400, latency=between(0.3, 0.7))

    assert len(asked.refused) <= 4
    assert 0.9 * (100 + 10 * asked.sent[-1] - server.others_passed) <= 400


@pytest.mark.parametrize("clients", [2, 4, 8])
def test_processes_that_know_of_each_other_share_a_bucket(clients):
    """
    Each counts on its part from the beginning.
    """
    server = Server(Bucket(600, 100))
    asked = ask(server, rows=600, clients=clients, known=clients, latency=between(0.3, 0.7))

    assert asked.refused_share() <= 0.01
    assert 0.95 * (100 + 10 * asked.sent[-1]) <= 600


@pytest.mark.parametrize("capacity", [30, 100, 300])
@pytest.mark.parametrize("seed", [1, 5])
def test_eight_processes_refuse_each_other_nothing(capacity, seed):
    """
    Each hears of what is left a round trip late, when seven others have spent of it already.
    """
    server = Server(Bucket(600, capacity))
    how = {"clients": 8, "known": 8, "latency": between(0.3, 0.7), "seed": seed}
    asked = ask(server, rows=600, **how)

    assert asked.refused == []
    assert 0.95 * (capacity + 10 * asked.sent[-1]) <= 600


def test_processes_that_do_not_know_of_each_other_find_out():
    """
    Four of them are refused in one case of twenty-five at most.
    """
    asked = ask(Server(Bucket(600, 100)), rows=600, clients=4, latency=between(0.3, 0.7))

    assert asked.refused_share() <= 0.04


@pytest.mark.parametrize("seconds", [0.1, 1.0, 10.0])
def test_a_smaller_window_that_is_hidden_is_met_once(seconds):
    """
    A refusal beside a remainder that is large enough ends the trust; what it cost is bounded.
    """
    holds = max(1.0, 10 * seconds)
    server = Server(Bucket(600, 600), hidden=(Window(holds, seconds),))
    asked = ask(server, rows=200)

    assert "refused though" in asked.doubts[0]
    assert len(asked.refused) <= 2 * holds + HANDFUL


@pytest.mark.parametrize("phase", [0.3, 7.0, 33.0, 59.9])
@pytest.mark.parametrize("seconds", [10.0, 60.0])
def test_a_fixed_window_is_not_overrun(phase, seconds):
    """
    Nothing flows in before its end, and then everything does.
    """
    server = Server(Window(seconds * 2, seconds, phase % seconds))
    asked = ask(server, rows=int(5 * seconds), latency=between(0.2, 0.8))

    assert asked.refused == []
    assert asked.doubts == [""]


def constant(limit, now):
    return (LimitReport("requests", limit.per_minute, 499.0, 0.1),)


def unrelated(limit, now):
    return (LimitReport("requests", limit.per_minute, 400.0 + (now * 7.3) % 3, 12.0),)


def rising(limit, now):
    return (LimitReport("requests", limit.per_minute, 100.0 + 20.0 * now, 5.0),)


def absent(limit, now):
    return (LimitReport("requests", limit.per_minute, None, None),)


def garbled(limit, now):
    digit = int(now * 1000) % 7
    return (LimitReport("requests", limit.per_minute, 37.0 * digit, 0.4 * digit),)


@pytest.mark.parametrize("tell", [constant, unrelated, rising, absent, garbled])
def test_a_remainder_that_means_nothing_is_no_leave_to_go_faster(tell):
    """
    Constant, somebody else's, rising, missing, garbled: the limit is kept as if it were alone.
    """
    server = Server(Bucket(500, 500), tell)
    asked = ask(server, rows=200)

    worst = worst_window(asked.sent, rate=500 / 60, burst=1.0, slack=1.0)
    shown_late = tell is garbled  # it falls and rises at first as if our requests were counted
    assert worst.amount <= worst.allowed + (4 if shown_late else 2) * HANDFUL
    assert asked.seconds <= 36.0  # 24 are the limit's own; a low figure still slows down


@pytest.mark.parametrize("burst", ["announced", "smooth"])
@pytest.mark.parametrize("clock", [lambda now: now, lambda now: now - 3600 * (now > 5)])
def test_lost_replies_and_a_clock_that_is_set_stop_nobody(burst, clock):
    """
    Each row is answered at last, and no wait is negative or endless.
    """
    server = Server(Bucket(600, 60))
    asked = ask(server, rows=200, lost=0.05, burst=burst, clock=clock, longest=8000.0)

    assert len(asked.answered) == 200


@pytest.mark.parametrize("burst", [1, 10, 60])
@pytest.mark.parametrize("latency", [0.05, 1.0, 4.0])
def test_what_was_sent_before_a_limit_was_heard_of_counts(burst, latency):
    """
    Kept smoothly, no window has more than it is long, and a second's worth.
    """
    server = Server(Bucket(600, 10 * burst))
    asked = ask(server, rows=400, burst="smooth", latency=between(latency, latency))

    first = [moment for moment in asked.sent if moment > latency + 1.0]
    assert worst_window(first, rate=10.0, burst=1.0, slack=1.01).is_within


def reported_once(limits, *figures, now=0.5, **how):
    """Send one request and take one reply."""
    request = limits.on_sent(0.0)
    limits.on_reply(request, figures, now, **how)
    limits.on_end(request)


def test_announced_limits_become_limits():
    """
    Nothing has to be configured; of two windows the narrower holds; a day's is none a minute.
    """
    limits = AnnouncedLimits()
    assert limits.limits() == Limits()

    reported_once(
        limits,
        LimitReport("requests", 60.0, 59.0, None, 10.0),
        LimitReport("requests", 300.0, 299.0, None, 60.0),
        LimitReport("tokens", 30_000.0, None, None),
        LimitReport("tokens", 9e9, 8e9, None, 86_400.0),
    )

    assert limits.limits() == Limits(requests_per_minute=300.0, tokens_per_minute=30_000.0)


def test_a_reply_without_headers_takes_back_nothing():
    """
    A proxy on the way may answer, too.
    """
    limits = AnnouncedLimits()
    reported_once(limits, LimitReport("requests", 500.0, 499.0, 0.1))
    reported_once(limits)

    assert limits.limits().requests_per_minute == 500.0


def test_a_reply_that_announced_nothing_holds_the_next_request_for_no_minute():
    """
    Nothing left for a second, then a reply without a word: once the second is over, one goes.
    """
    limits = AnnouncedLimits()
    for now, reports in ((0.0, (LimitReport("requests", 60.0, 0.0, 1.0),)), (1.2, ())):
        request = limits.on_sent(now)
        limits.on_reply(request, reports, now + 0.01)
        limits.on_end(request)

    assert limits.wait(1.3) == 0.0


def test_a_limit_of_a_day_under_the_minutes_name_is_no_limit_a_minute():
    """
    200 a day, whole again in seven minutes; or 10,000, which shows after a few requests.
    """
    at_once, later = AnnouncedLimits(), AnnouncedLimits()
    reported_once(at_once, LimitReport("requests", 200.0, 199.0, 432.0))
    for used in range(1, 9):
        request = later.on_sent(float(used))
        reports = LimitReport("requests", 10_000.0, 10_000.0 - used, 8.64 * used)
        later.on_reply(request, (reports,), used + 0.1)
        later.on_end(request)

    assert at_once.limits() == later.limits() == Limits()


def test_a_limit_that_changes_to_and_fro_is_distrusted():
    """
    Two servers that count apart answer in turn.
    """
    limits = AnnouncedLimits()
    for number in range(8):
        request = limits.on_sent(float(number))
        limits.on_reply(
            request, (LimitReport("requests", [500.0, 100.0][number % 2], 90.0, 1.0),), number + 0.5
        )

    assert limits.distrust == "its limit changes to and fro"


def test_after_a_pause_a_handful_goes_and_another_for_each_answer():
    """
    Never all who wait, also where nothing is announced.
    """
    limits = AnnouncedLimits()
    reported_once(limits)
    limits.on_pause()
    sent = []
    while limits.wait(1.0) == 0:
        sent.append(limits.on_sent(1.0))
    assert (len(sent), limits.reason) == (HANDFUL, "start")

    limits.on_reply(sent[0], (), 1.5)
    limits.on_end(sent[0])

    more = 0
    while limits.wait(1.5) == 0:
        limits.on_sent(1.5)
        more += 1
    assert more == 2


def test_a_stale_reply_changes_nothing():
    """
    What a reply of a minute ago tells has long been overtaken.
    """
    limits = AnnouncedLimits()
    old = limits.on_sent(0.0)
    for number in range(1, 40):
        request = limits.on_sent(0.1 * number)
        limits.on_reply(request, as_it_is(Bucket(600, 100, 100 - number), 0.0), 0.1 * number + 0.05)
        limits.on_end(request)
    before = limits.left("requests", 60.0)

    limits.on_reply(old, (LimitReport("requests", 600.0, 3.0, 9.0),), 60.0)

    assert limits.left("requests", 60.0) == before


@example(gap=REACH)
@seeded(50)
@given(gap=st.floats(0.0, 2.0))
def test_a_figure_that_is_lower_never_raises_what_may_be_sent(gap):
    """
    Nor does silence, but for what flows in.
    """
    limits = AnnouncedLimits()
    first, second = limits.on_sent(0.0), limits.on_sent(gap)
    limits.on_reply(first, (LimitReport("requests", 600.0, 50.0, 5.0),), gap + 0.1)
    before = limits.left("requests", gap + 0.2)

    limits.on_reply(second, (LimitReport("requests", 600.0, 10.0, 9.0),), gap + 0.2)

    assert limits.left("requests", gap + 0.2) <= before
