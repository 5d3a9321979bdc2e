"""A bucket under any sequence of events, against a plain account of what passed."""

from __future__ import annotations

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from llmnb.decide.bucket import Bucket

rates = st.floats(1, 100_000)
costs = st.floats(0.01, 200)
spans = st.one_of(st.floats(0, 0.2), st.floats(0, 100), st.just(3600.0))


class Buckets(RuleBasedStateMachine):
    """Pass, wait, settle, sleep, set the clock back, change the rate.

    Beside the bucket an account is kept: what flowed in (a full bucket takes in
    nothing) and what went out; and the moments at which something passed.
    """

    @initialize(rate=rates, burst=st.floats(0, 5))
    def make(self, rate, burst):
        self.burst, self.now = burst, 0.0
        self.bucket = Bucket(rate, burst_seconds=burst, now=0.0)
        self.level = self.capacity = self.bucket.capacity
        self.open: list[float] = []
        self.highest = self.bucket.rate
        self.age = 0.0
        """Seconds that have passed, whatever the clock says."""
        self.passed: list[tuple[float, float]] = []
        self.is_refunded = False

    def pass_time(self, seconds):
        self.now += seconds
        self.age += seconds
        self.level = min(self.bucket.capacity, self.level + seconds * self.bucket.rate)

    def near(self, amount=0.0):
        """Return how far sums of so many floats may be apart."""
        return 1e-6 * (1 + abs(self.level) + abs(amount) + self.age * self.highest)

    @rule(seconds=spans)
    def sleep(self, seconds):
        self.pass_time(seconds)

    @rule(seconds=st.sampled_from([2.0, 60.0, 3600.0]))
    def set_the_clock_back(self, seconds):
        self.now -= seconds
        self.bucket.wait(0.0, self.now)  # looked at, as a gate does once a second

    @rule(cost=costs)
    def pass_if_it_may(self, cost):
        if self.bucket.wait(cost, self.now) <= 0:
            self.take(cost)

    @rule(cost=costs)
    def wait_and_pass(self, cost):
        self.pass_time(self.bucket.wait(cost, self.now))
        assert self.bucket.wait(cost, self.now) * self.bucket.rate <= self.near(cost)
        self.take(cost)

    def take(self, cost):
        # Whoever passes finds what it costs, or a bucket that is full.
        assert self.level >= min(cost, self.bucket.capacity) - self.near(cost)
        self.bucket.take(cost, self.now)
        self.level -= cost
        self.open.append(cost)
        self.passed.append((self.age, cost))

    @precondition(lambda self: self.open)
    @rule(share=st.floats(0, 1))
    def settle_with_less(self, share):
        rest = self.open.pop() * share
        self.bucket.give_back(rest)
        self.level = min(self.bucket.capacity, self.level + rest)
        self.is_refunded = True

    @precondition(lambda self: self.open)
    @rule(more=st.floats(0, 50))
    def settle_with_more(self, more):
        self.open.pop()
        self.bucket.give_back(-more)
        self.level -= more

    @rule(rate=rates)
    def change_the_rate(self, rate):
        self.bucket.change_rate(rate, burst_seconds=self.burst, now=self.now)
        self.level = min(self.level, self.bucket.capacity)
        self.highest = max(self.highest, self.bucket.rate)
        self.capacity = max(self.capacity, self.bucket.capacity)

    @invariant()
    def it_holds_what_the_account_says(self):
        if hasattr(self, "bucket"):
            assert 0 <= self.bucket.wait(1.0, self.now) < math.inf
            assert self.bucket.level <= self.bucket.capacity
            assert abs(self.bucket.level - self.level) <= self.near()

    def teardown(self):
        """In every window: what flows at the highest rate, one capacity, one large request."""
        if not hasattr(self, "bucket") or self.is_refunded:
            return
        for first, (start, _) in enumerate(self.passed):
            total = largest = 0.0
            for end, cost in self.passed[first:]:
                total, largest = total + cost, max(largest, cost)
                bound = self.highest * (end - start) + self.capacity + largest
                assert total <= bound + self.near(total)


def test_a_bucket_never_lets_more_pass_than_its_rate_its_capacity_and_a_request():
    """
    Whatever befalls it, and it holds what its account says.
    """
    quick = settings(
        max_examples=100, stateful_step_count=30, deadline=None, derandomize=True, database=None
    )
    run_state_machine_as_test(Buckets, settings=quick)
