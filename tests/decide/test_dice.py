"""Random numbers that disturb nobody."""

from __future__ import annotations

import random

from llmnb.decide.breaker import Breaker
from llmnb.decide.retry import roll
from llmnb.engine.counters import Quantiles


def test_a_persons_seeded_numbers_are_not_touched():
    """
    What runs in the background draws from dice of its own.
    """
    random.seed(7)
    expected = random.random()
    random.seed(7)

    sample = Quantiles()
    for value in range(1000):
        sample.add(value)
    breaker = Breaker()
    for second in range(20):
        breaker.on_failure(float(second), second, sent_at=float(second))
    assert 0 <= roll() < 1

    assert random.random() == expected
