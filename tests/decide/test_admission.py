"""Promises of admission: all limits together or none."""

from __future__ import annotations

import math

import pytest

from llmnb.decide.admission import Admission
from llmnb.records import Limits


def test_waiting_for_a_limit_takes_nothing_from_another():
    """
    A request short of tokens leaves the request limit untouched.
    """
    admission = Admission(Limits(requests_per_minute=60, tokens_per_minute=60), now=0.0)
    admission.admit(tokens=50, now=0.0)

    assert admission.wait(tokens=1, now=1.0) > 0
    assert admission.reason == "tokens"
    assert admission.requests.level == pytest.approx(1.0)


def test_evenly_spaced_requests_have_no_burst():
    """
    With `even` the second request waits a whole interval, below 60 a minute too.
    """
    admission = Admission(Limits(requests_per_minute=30, even=True), now=0.0)
    admission.admit(tokens=0, now=0.0)

    assert admission.wait(tokens=0, now=0.0) == pytest.approx(2.0)


def test_full_concurrency_waits_for_an_end_not_for_time():
    """
    No time frees a place, a release does.
    """
    admission = Admission(Limits(concurrency=2), now=0.0)
    admission.admit(tokens=0, now=0.0)
    admission.admit(tokens=0, now=0.0)
    assert admission.wait(tokens=0, now=1e9) == math.inf

    admission.release(reserved=0, used=0, was_sent=True)

    assert admission.wait(tokens=0, now=1e9) == 0


def test_an_unsent_request_gives_back_what_it_took_of_the_rate():
    """
    What never left this machine counts against no limit.
    """
    admission = Admission(Limits(requests_per_minute=60), now=0.0)
    admission.admit(tokens=0, now=0.0)

    admission.release(reserved=0, used=0, was_sent=False)

    assert admission.wait(tokens=0, now=0.0) == 0


def test_settling_returns_what_was_reserved_too_much():
    """
    A reservation of 40 tokens that used 10 gives 30 back.
    """
    admission = Admission(Limits(tokens_per_minute=6000), now=0.0)
    admission.admit(tokens=40, now=0.0)
    before = admission.tokens.level

    admission.release(reserved=40, used=10, was_sent=True)

    assert admission.tokens.level == before + 30


def test_the_longer_pause_holds():
    """
    A second, shorter pause does not shorten the first.
    """
    admission = Admission(Limits(), now=0.0)
    admission.pause(until=10.0)
    admission.pause(until=5.0)

    assert admission.wait(tokens=0, now=0.0) == 10.0
    assert admission.reason == "pause"
