"""Promises of bound admissions: further limits hold with the target's own, or none does."""

from __future__ import annotations

import math

from llmnb.decide.admission import Admission
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


def bound_by(further, limits=None):
    """Return an admission that further limits bind."""
    admission = Admission(limits or Limits(), now=0.0)
    admission.bound = further
    admission.change(limits or Limits(), now=0.0)
    return admission


def test_the_further_limits_hold_a_request():
    """
    What holds it is named as if it were the target's own.
    """
    further = Further()
    admission = bound_by(further)
    further.delay = 1.5

    assert admission.wait(10, now=0.0) == 1.5
    assert admission.reason == "tokens"


def test_nothing_is_asked_of_them_for_a_request_that_could_not_go():
    """
    Permission is not drawn to lie about.
    """
    further = Further()
    admission = bound_by(further, Limits(concurrency=1))
    admission.admit(5, now=0.0)

    assert admission.wait(5, now=0.0) == math.inf
    assert further.asked == 0


def test_what_was_taken_is_settled():
    """
    Tokens as they turned out; the request's place only if it never left.
    """
    further = Further()
    admission = bound_by(further)

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
    admission = bound_by(Further(), own)

    assert admission.limits.requests_per_minute == 30.0
    assert admission.limits.tokens_per_minute == 100.0


def test_binding_and_unbinding_keeps_what_is_in_flight_and_what_was_used():
    """
    A change of limits in a run gives no fresh burst and loses no place.
    """
    limits = Limits(requests_per_minute=60.0, concurrency=3)
    admission = Admission(limits, now=0.0)
    admission.admit(5, now=0.0)
    admission.pause(9.0)
    own = admission.requests

    for bound, rate in ((Further(), 30.0), (None, 60.0)):
        admission.bound = bound
        admission.change(limits, now=0.0)

        assert (admission.in_flight, admission.concurrency, admission.paused_until) == (1, 3, 9.0)
        assert admission.requests is own
        assert admission.limits.requests_per_minute == rate
