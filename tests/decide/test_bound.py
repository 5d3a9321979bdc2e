"""Promises of bound admissions: further limits hold with the target's own, or none does."""

from __future__ import annotations

import math

from llmnb.decide.admission import Admission, BoundAdmission, rebound
from llmnb.records import Limits


class Further:
    """Further limits that say what a test wants."""

    limits = Limits(requests_per_minute=30.0, tokens_per_minute=900.0)

    def __init__(self) -> None:
        self.delay = 0.0
        self.asked = 0
        self.used: list[tuple[float, float]] = []

    def wait(self, tokens, now):
        self.asked += 1
        return self.delay, "tokens" if self.delay else ""

    def take(self, tokens, now):
        self.used.append((1.0, tokens))

    def give_back(self, requests, tokens):
        self.used.append((-requests, -tokens))


def test_the_further_limits_hold_a_request():
    """
    What holds it is named as if it were the target's own.
    """
    further = Further()
    admission = BoundAdmission(Limits(), further, now=0.0)
    further.delay = 1.5

    assert admission.wait(10, now=0.0) == 1.5
    assert admission.reason == "tokens"


def test_nothing_is_asked_of_them_for_a_request_that_could_not_go():
    """
    Permission is not drawn to lie about.
    """
    further = Further()
    admission = BoundAdmission(Limits(concurrency=1), further, now=0.0)
    admission.admit(5, now=0.0)

    assert admission.wait(5, now=0.0) == math.inf
    assert further.asked == 0


def test_what_was_taken_is_settled():
    """
    Tokens as they turned out; the request's place only if it never left.
    """
    further = Further()
    admission = BoundAdmission(Limits(), further, now=0.0)

    admission.admit(100, now=0.0)
    admission.release(reserved=100, used=40, was_sent=True)
    admission.admit(100, now=0.0)
    admission.release(reserved=100, used=0, was_sent=False)
    admission.admit(100, now=0.0)
    admission.release(reserved=100, used=100, was_sent=True)

    assert further.used == [(1, 100), (0, -60), (1, 100), (-1, -100), (1, 100)]


def test_the_smaller_rates_are_shown():
    """
    Whoever reads the limits reads those that hold.
    """
    own = Limits(requests_per_minute=60.0, tokens_per_minute=100.0)
    admission = BoundAdmission(own, Further(), now=0.0)

    assert admission.limits.requests_per_minute == 30.0
    assert admission.limits.tokens_per_minute == 100.0


def test_binding_and_unbinding_keeps_what_is_in_flight_and_what_was_used():
    """
    A change of limits in a run gives no fresh burst and loses no place.
    """
    before = Admission(Limits(requests_per_minute=60.0, concurrency=3), now=0.0)
    before.admit(5, now=0.0)
    before.pause(9.0)

    bound = rebound(before, Further(), now=0.0)
    after = rebound(bound, None, now=0.0)

    for one in (bound, after):
        assert (one.in_flight, one.concurrency, one.paused_until) == (1, 3, 9.0)
        assert one.requests is before.requests
    assert type(after) is Admission
    assert rebound(after, None, now=0.0) is after
