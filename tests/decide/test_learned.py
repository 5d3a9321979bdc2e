"""Promises about learned limits: headers are believed as far as they go, and no further."""

from __future__ import annotations

import heapq

import pytest
from load_simulation import Metered

from llmnb.decide.admission import Admission
from llmnb.decide.bucket import Bucket
from llmnb.decide.learned import Learned
from llmnb.records import Announced, Limits
from llmnb.testing.windows import worst_window


def told(learned, *, sent_at=0.0, now=0.0, **said):
    """Hand a reply's headers over."""
    learned.on_headers(Announced(**said), sent_at=sent_at, now=now)


def admission_of(learned, *, now=0.0, **limits):
    """Return a full admission under the learned limits, or the given ones."""
    return Admission(Limits(**limits) if limits else learned.limits(), now=now)


def test_announced_limits_become_limits():
    """
    Nothing has to be configured.
    """
    learned = Learned()
    assert learned.limits() == Limits()

    told(learned, requests_per_minute=500.0, tokens_per_minute=30_000.0)

    assert learned.limits() == Limits(requests_per_minute=500.0, tokens_per_minute=30_000.0)


def test_silent_headers_change_nothing():
    """
    A reply from a proxy on the way takes back nothing.
    """
    learned = Learned()
    told(learned, requests_per_minute=500.0, tokens_per_minute=30_000.0)

    told(learned, sent_at=1.0, now=1.0)

    assert learned.limits() == Limits(requests_per_minute=500.0, tokens_per_minute=30_000.0)


def test_limits_that_change_are_followed():
    """
    Up and down; the latest request's reply counts, not the one that came last.
    """
    learned = Learned()
    told(learned, sent_at=1.0, now=2.0, requests_per_minute=500.0)
    told(learned, sent_at=3.0, now=4.0, requests_per_minute=100.0)
    assert learned.limits().requests_per_minute == 100.0

    told(learned, sent_at=2.0, now=9.0, requests_per_minute=500.0)
    assert learned.limits().requests_per_minute == 100.0

    told(learned, sent_at=5.0, now=9.0, requests_per_minute=900.0)
    assert learned.limits().requests_per_minute == 900.0


def kept_back(per_minute):
    """Return what is kept back when a limit is heard of for the first time."""
    return per_minute / 60 * 0.1


def test_what_remains_lowers_the_level():
    """
    Somebody else on the account has used it.
    """
    learned = Learned()
    told(learned, requests_per_minute=600.0, requests_remaining=2)
    admission = admission_of(learned)

    learned.reconcile(admission, now=0.0)

    assert admission.requests.level == pytest.approx(2.0 - kept_back(600))


def test_only_the_first_word_is_taken_with_reserve():
    """
    Later ones are taken as they are: our own bucket then holds the reserve.
    """
    learned = Learned()
    told(learned, requests_per_minute=600.0, requests_remaining=8)
    admission = admission_of(learned)
    learned.reconcile(admission, now=0.0)
    told(learned, requests_per_minute=600.0, requests_remaining=2)

    learned.reconcile(admission, now=0.0)

    assert admission.requests.level == pytest.approx(2.0)


def test_what_remains_never_raises_the_level():
    """
    We know better what we have sent.
    """
    learned = Learned()
    told(learned, requests_per_minute=600.0, requests_remaining=600)
    admission = admission_of(learned)
    for _ in range(9):
        admission.admit(0, now=0.0)

    learned.reconcile(admission, now=0.0)

    assert admission.requests.level == pytest.approx(0.0)


def test_what_was_sent_since_is_taken_off_and_what_flowed_back_is_added():
    """
    The figure is as old as its request.
    """
    learned = Learned()
    learned.on_sent(100, now=0.0)
    for _ in range(5):
        learned.on_sent(100, now=0.5)
    told(learned, sent_at=0.0, now=1.0, requests_per_minute=120.0, requests_remaining=8)
    admission = admission_of(learned, now=1.0, requests_per_minute=6000.0)

    learned.reconcile(admission, now=1.0)

    assert admission.requests.level == pytest.approx(8 - 5 + 2 - kept_back(120))


def test_tokens_are_reconciled_as_requests_are():
    """
    With the tokens that were reserved.
    """
    learned = Learned()
    learned.on_sent(100, now=0.0)
    learned.on_sent(300, now=0.5)
    told(learned, sent_at=0.0, now=0.5, tokens_per_minute=60_000.0, tokens_remaining=500)
    admission = admission_of(learned, now=0.5)

    learned.reconcile(admission, now=0.5)

    assert admission.tokens.level == pytest.approx(500 - 300 + 500 - kept_back(60_000))


def test_one_reply_lowers_once():
    """
    Reconciling again without news does nothing.
    """
    learned = Learned()
    told(learned, requests_per_minute=600.0, requests_remaining=0)
    admission = admission_of(learned)
    learned.reconcile(admission, now=0.0)

    learned.reconcile(admission, now=0.5)

    assert admission.requests.wait(5 - kept_back(600), now=0.5) == pytest.approx(0.0)


def test_a_remainder_without_a_limit_is_left_alone():
    """
    Requests that remain of a day (Groq) are not spread over minutes.
    """
    learned = Learned()
    told(learned, requests_remaining=0, requests_reset=40.0, tokens_per_minute=6000.0)
    admission = admission_of(learned, requests_per_minute=600.0)
    before = admission.requests.level

    learned.reconcile(admission, now=0.0)

    assert learned.limits() == Limits(tokens_per_minute=6000.0)
    assert admission.requests.level == before


def test_a_window_longer_than_a_minute_is_no_limit_a_minute():
    """
    200 a day, whole again in seven minutes, stands under the same header names.
    """
    learned = Learned()

    told(learned, requests_per_minute=200.0, requests_remaining=199, requests_reset=432.0)

    assert learned.limits() == Limits()


def test_a_window_that_turns_out_longer_is_given_up():
    """
    10,000 a day look like a minute's for the first seven requests.
    """
    learned = Learned()
    for used in range(1, 9):
        told(
            learned,
            sent_at=used,
            now=used,
            requests_per_minute=10_000.0,
            requests_remaining=10_000 - used,
            requests_reset=8.64 * used,
        )

    assert learned.limits() == Limits()


def test_memory_of_what_was_sent_is_bounded_and_exact():
    """
    A hundred thousand requests later the last second is still known.
    """
    learned = Learned()
    for number in range(100_000):
        learned.on_sent(1, now=number / 100)

    told(learned, sent_at=998.99, now=999.99, requests_per_minute=6000.0, requests_remaining=200)
    admission = admission_of(learned, now=999.99, requests_per_minute=60_000.0)
    learned.reconcile(admission, now=999.99)

    assert admission.requests.level == pytest.approx(200 - 100 + 100 - kept_back(6000))


class Announcing(Metered):
    """A metered server whose replies tell what remains; others use the account, too."""

    others_per_second = 0.0
    others_at = 0.0

    def __post_init__(self):
        super().__post_init__()
        self.passed = []
        """When those that passed came."""

    def serve(self, now):
        """Return whether a request passes, and what the reply tells."""
        while self.others_per_second and self.others_at <= now:
            self.admits(self.others_at, 0)
            self.others_at += 1 / self.others_per_second
        passes = self.admits(now, 0)
        if passes:
            self.passed.append(now)
        return passes, Announced(
            requests_per_minute=self.per_minute, requests_remaining=max(0, int(self.level))
        )


def run(server, *, seconds, latency, travel=0.01):
    """Ask as fast as the headers allow; return the answers and the refusals."""
    learned, admission = Learned(), Admission(Limits(concurrency=8), now=0.0)
    events, now, answers, refusals, number = [(0.0, 0, "look", 0.0, None)], 0.0, 0, 0, 0
    look_at = 0.0
    while now < seconds:
        now, _, kind, began, said = heapq.heappop(events)
        if kind == "arrive":
            passes, said = server.serve(now)
            answers, refusals = answers + passes, refusals + (not passes)
            number += 1
            back = now + travel + (latency if passes else 0.0)
            heapq.heappush(events, (back, number, "reply", began, said))
        if kind == "reply":
            before = learned.limits()
            learned.on_headers(said, began, now)
            if learned.limits() != before:
                admission.change(learned.limits(), now=now)
            learned.reconcile(admission, now)
            admission.release(reserved=0, used=0, was_sent=True)
        while (delay := admission.wait(0, now)) <= 0:
            now += 1e-6  # no two leave in the same moment
            admission.admit(0, now)
            learned.on_sent(0, now)
            number += 1
            heapq.heappush(events, (now + travel, number, "arrive", now, None))
        if delay < 1e9 and not now < look_at <= now + delay:
            number, look_at = number + 1, now + delay
            heapq.heappush(events, (look_at, number, "look", 0.0, None))
    return answers, refusals


@pytest.mark.parametrize("burst", [1, 10])
@pytest.mark.parametrize("latency", [0.05, 1.0, 4.0])
def test_a_limit_known_from_headers_alone_is_used_whole(burst, latency):
    """
    600 a minute for a minute after the first replies: 97 % used, next to nothing refused.
    """
    answers, refusals = run(Announcing(600, burst), seconds=60 + latency, latency=latency)

    assert answers >= 0.97 * 600
    assert refusals <= 3


@pytest.mark.parametrize("burst", [1, 10, 60])
@pytest.mark.parametrize("latency", [0.05, 1.0, 4.0])
def test_what_was_sent_before_a_limit_was_heard_of_counts(burst, latency):
    """
    However much a server holds, no window has more than it is long, and a second's worth.
    """
    server = Announcing(600, burst)

    run(server, seconds=60 + latency, latency=latency)

    assert worst_window(server.passed, rate=10.0, burst=1.0, slack=1.01).is_within


def test_a_server_with_nothing_left_may_have_counted_none_of_what_was_sent():
    """
    Forty requests, most of them refused, are no debt of thirteen minutes at three a minute.
    """
    learned = Learned()
    for _ in range(40):
        learned.on_sent(0, now=0.0)
    told(learned, sent_at=0.0, now=1.0, requests_per_minute=3.0, requests_remaining=0)
    admission = admission_of(learned, now=1.0)

    learned.reconcile(admission, now=1.0)

    assert admission.wait(0, now=1.0) <= 21.0


def test_an_account_that_others_use_too_is_shared():
    """
    Where others take six in ten the rest is used, and one in eight is refused, not six in ten.
    """
    server = Announcing(600, 10)
    server.others_per_second = 6.0

    answers, refusals = run(server, seconds=120, latency=0.5)

    assert answers >= 0.97 * 4 * 120
    assert refusals <= answers / 8


def test_a_bucket_that_is_in_debt_stays_in_debt():
    """
    A large request's debt is not forgiven by a server that counts otherwise.
    """
    learned = Learned()
    told(learned, requests_per_minute=60.0, requests_remaining=50)
    admission = admission_of(learned)
    admission.requests = Bucket(60, now=0.0)
    admission.requests.take(30, now=0.0)

    learned.reconcile(admission, now=0.0)

    assert admission.requests.level == pytest.approx(-29.0)
