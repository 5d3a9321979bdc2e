"""Promises of the adaptive limit: it finds what a server takes, and costs it little to be found."""

from __future__ import annotations

import pytest
from load_simulation import Crowded, Fixed, Metered, Places, Unlucky, lognormal, simulate

from llmnb.decide.concurrency import Adaptive, Finding

ROUNDS = 200
WARM_UP = 20


def use_and_refused(server, best, **how):
    """Return the share of the best static throughput after round 20, and of refusals in all."""
    load = simulate(Finding(), server(), answers=ROUNDS * best, **how)
    known = simulate(Fixed(best), server(), answers=ROUNDS * best, **how)
    return load.rate(WARM_UP * best) / known.rate(WARM_UP * best), load.refused_share


def half_a_second(dice):
    """Draw a pause with full jitter."""
    return dice.random() * 0.5


@pytest.mark.parametrize("places", [5, 16, 50, 300])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"refusal_seconds": 1.0},
        {"seconds": lognormal(1.0, 0.8)},
        {"seconds": lognormal(1.0, 0.4), "pause": half_a_second},
    ],
    ids=["steady", "slow-to-refuse", "uneven", "paused"],
)
def test_a_hidden_number_of_slots_is_learned_and_kept(places, how):
    """
    At least 97 % of the best static throughput, at most 1 % of refusals over 200 rounds.
    """
    use, refused = use_and_refused(lambda: Places(places), places, **how)

    assert use >= 0.97
    assert refused <= 0.01


@pytest.mark.parametrize("places", [5, 16, 50, 300])
def test_a_server_that_slows_down_instead_is_not_run_over(places):
    """
    Throughput is whole, and no more than three times what it can work on is in flight.
    """
    for seconds in (lambda dice: 1.0, lognormal(1.0, 0.4)):
        load = simulate(Finding(), Crowded(places), answers=ROUNDS * places, seconds=seconds)
        known = simulate(Fixed(places), Crowded(places), answers=ROUNDS * places, seconds=seconds)

        assert load.rate(WARM_UP * places) >= 0.9 * known.rate(WARM_UP * places)
        late = load.limits[len(load.limits) // 4 :]
        assert sum(late) / len(late) <= 3 * places


@pytest.mark.parametrize("burst", [1, 10])
@pytest.mark.parametrize(
    "seconds",
    [
        lambda dice: 0.02,
        lambda dice: 0.2,
        lambda dice: 1.0,
        lognormal(0.2, 0.4),
        lognormal(0.92, 0.4),
    ],
    ids=["0.02 s", "0.2 s", "1 s", "uneven 0.2 s", "uneven 1 s"],
)
def test_a_server_that_counts_by_time_is_met_at_its_pace(burst, seconds):
    """
    Ten a second are used to nine tenths, with at most 3 % of refusals, however short answers are.
    """
    load = simulate(
        Finding(),
        Metered(600, burst),
        answers=4000,
        seconds=seconds,
        refusal_seconds=0.02,
        pause=lambda dice: 0.2 * dice.random(),
    )

    assert load.refused_share <= 0.03
    assert load.rate(1000) >= 0.9 * 10


@pytest.mark.parametrize("seconds", [0.05, 1.0])
def test_a_pace_that_was_raised_or_lowered_is_followed(seconds):
    """
    To three times the old one and back, within some minutes.
    """
    server = Metered(600, 1.0)

    def change(answers, server):
        if answers in (3000, 30_000):
            server.per_minute = 1800 if answers == 3000 else 600

    load = simulate(
        Finding(),
        server,
        answers=40_000,
        seconds=lambda dice: seconds,
        refusal_seconds=0.02,
        pause=lambda dice: 0.2 * dice.random(),
        on_answer=change,
    )

    assert load.rate(25_000, 29_000) >= 0.9 * 30
    assert 0.9 * 10 <= load.rate(35_000) <= 10.1
    assert load.refused_share <= 0.02


def refused_by_chance(server, controller, share):
    """Run against a server that refuses a share of the requests whatever it is asked."""
    return simulate(
        controller,
        Unlucky(server, share),
        answers=8000,
        refusal_seconds=0.02,
        pause=lambda dice: 0.2 * dice.random(),
    )


@pytest.mark.parametrize("share", [0.01, 0.02, 0.05, 0.1])
def test_refusals_by_chance_slow_nothing_down(share):
    """
    Three fifths of the best static throughput where up to one request in ten is refused.
    """
    load = refused_by_chance(Places(64), Finding(), share)
    known = refused_by_chance(Places(64), Fixed(64), share)

    assert load.rate(4000) >= 0.6 * known.rate(4000)
    assert load.refused_share <= share + 0.04


def test_a_server_that_counts_by_time_is_met_at_its_pace_though_it_refuses_some_by_chance():
    """
    Four fifths of ten a second, and no more than one refusal in ten beyond those by chance.
    """
    load = refused_by_chance(Metered(600, 1.0), Finding(), 0.05)

    assert load.rate(4000) >= 0.8 * 10
    assert load.refused_share <= 0.15


@pytest.mark.parametrize("spread", [0.4, 0.8, 1.2])
def test_answers_of_uneven_length_do_not_hold_an_open_server_back(spread):
    """
    Where nothing is refused and nothing slows down, all places come to be used.
    """
    for seed in range(3):
        load = simulate(
            Finding(), Places(10**6), answers=30_000, seconds=lognormal(1.0, spread), seed=seed
        )
        assert load.limits[10_000] == load.limits[-1] == 1000


def test_slow_start_doubles_each_round():
    """
    From 8 to a hundred in four rounds.
    """
    adaptive, levels = Adaptive(most=100), []
    for _ in range(5):
        levels.append(adaptive.limit)
        sent = [adaptive.on_start() for _ in range(adaptive.limit)]
        for sequence in sent:
            adaptive.on_success(sequence, 1.0, len(sent))

    assert levels == [8, 16, 32, 64, 100]


def test_a_congestion_event_costs_a_single_cut():
    """
    What was sent before the cut tells nothing new.
    """
    adaptive = Adaptive(start=64)
    sent = [adaptive.on_start() for _ in range(64)]

    adaptive.on_refusal(sent[-1])
    after_first = adaptive.limit
    for sequence in sent[30:-1]:
        adaptive.on_refusal(sequence)

    assert adaptive.limit == after_first < 64


def test_a_refusal_of_what_was_sent_after_the_cut_cuts_again():
    """
    It is a new congestion event.
    """
    adaptive = Adaptive(start=64)
    adaptive.on_refusal(adaptive.on_start())
    before = adaptive.limit

    adaptive.on_refusal(adaptive.on_start())

    assert adaptive.limit < before


def test_places_that_are_not_used_do_not_grow():
    """
    Nothing is learned about 64 places from four requests in flight.
    """
    adaptive = Adaptive(start=64)
    for _ in range(1000):
        adaptive.on_success(adaptive.on_start(), 1.0, 4)

    assert adaptive.limit == 64


def test_it_never_goes_below_a_single_slot():
    """
    However often it is refused.
    """
    adaptive = Adaptive()
    for _ in range(100):
        adaptive.on_refusal(adaptive.on_start())

    assert adaptive.limit == 1


def test_the_limit_never_exceeds_the_most_places():
    """
    A server that takes everything gets no more than that.
    """
    load = simulate(Finding(most=40), Places(10**6), answers=4000)

    assert max(load.limits) == 40


def test_a_server_that_comes_to_take_more_is_followed():
    """
    Where the ceiling is gone, growth is fast again.
    """

    def grow(answers, server):
        if answers == 2000:
            server.places = 200

    load = simulate(Finding(), Places(20), answers=30_000, on_answer=grow)

    assert load.limits[1999] <= 21
    assert load.limits[-1] >= 190
    assert load.refused_share <= 0.02


def test_a_server_that_comes_to_take_less_is_followed():
    """
    What was safe is given up when it is refused.
    """

    def shrink(answers, server):
        if answers == 5000:
            server.places = 20

    load = simulate(Finding(), Places(100), answers=12_000, on_answer=shrink)

    assert load.limits[4999] >= 95
    assert load.limits[-1] in (19, 20, 21)
    assert load.refused_share <= 0.03


def test_answers_that_become_longer_are_not_taken_for_crowding():
    """
    When a trial brings no relief, the places come back.
    """
    factor = [1.0]

    def lengthen(answers, server):
        if answers == 10_000:
            factor[0] = 4.0

    load = simulate(
        Finding(most=100),
        Places(10**6),
        answers=30_000,
        seconds=lambda dice: factor[0] * dice.uniform(0.5, 1.5),
        on_answer=lengthen,
    )

    assert load.limits[9_999] == 100
    assert sum(load.limits[12_000:]) / 18_000 >= 95
