from __future__ import annotations

import pytest

from llmnb.errors import ConfigurationError
from llmnb.testing import Fixed, Lognormal, Saturating, Stragglers
from llmnb.testing.latency import LatencyModel, latency_model


def waits(model: LatencyModel, count: int = 10_000, seed: int = 0) -> list[float]:
    return [model.seconds(number, seed=seed, in_flight=1) for number in range(count)]


def test_a_number_of_seconds_is_a_fixed_wait():
    """
    Plain seconds are the simplest latency model.
    """
    assert set(waits(latency_model(0.25), 10)) == {0.25}


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), "fast", None])
def test_what_is_no_latency_is_refused(wrong: object):
    """
    Negative, endless and foreign latencies are a configuration error, not a strange run.
    """
    with pytest.raises(ConfigurationError):
        latency_model(wrong)  # type: ignore[arg-type]


def test_lognormal_waits_have_the_median_and_spread_they_are_given():
    """
    Half of the waits stay below the median, and the 95th percentile follows sigma.
    """
    drawn = sorted(waits(Lognormal(0.2, sigma=0.5)))

    assert drawn[5000] == pytest.approx(0.2, rel=0.03)
    assert drawn[9500] == pytest.approx(0.2 * 2.276, rel=0.05)


def test_stragglers_are_few_and_wait_ten_times_as_long():
    """
    Two in a hundred wait ten times as long, drawn apart from the ordinary wait.
    """
    base, model = Lognormal(0.1), Stragglers(Lognormal(0.1), share=0.02, factor=10)
    ratios = [slow / plain for slow, plain in zip(waits(model), waits(base), strict=True)]

    assert {round(ratio) for ratio in ratios} == {1, 10}
    assert 150 < sum(ratio > 5 for ratio in ratios) < 250


def test_the_same_seed_gives_the_same_waits_and_another_gives_others():
    """
    A run can be repeated wait by wait.
    """
    model = Stragglers(Lognormal(0.1))

    assert waits(model, 100, seed=1) == waits(model, 100, seed=1)
    assert waits(model, 100, seed=1) != waits(model, 100, seed=2)


def test_a_full_server_is_slower_in_proportion():
    """
    Beyond its places a saturating server makes everybody wait longer, below them nobody.
    """
    model = Saturating(Fixed(0.1), places=10)

    assert model.seconds(0, seed=0, in_flight=10) == 0.1
    assert model.seconds(0, seed=0, in_flight=30) == pytest.approx(0.3)
