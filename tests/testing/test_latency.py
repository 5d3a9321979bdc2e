from __future__ import annotations

import orjson
import pytest
from laboratory import LaboratoryBehaviour, LaboratoryHandler
from laboratory.latencies import FirstThenRest, Saturating, rest_of

from llmnb.errors import ConfigurationError
from llmnb.testing import Fixed, Lognormal, Stragglers
from llmnb.testing.latency import LatencyModel, latency_model
from llmnb.testing.options import Behaviour
from llmnb.testing.request_handler import RequestHandler


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


def test_lognormal_waits_have_their_median_and_their_spread():
    """
    Half of the waits stay below the median, and the 95th percentile follows sigma.
    """
    drawn = sorted(waits(Lognormal(0.2, sigma=0.5)))

    assert drawn[5000] == pytest.approx(0.2, rel=0.03)
    assert drawn[9500] == pytest.approx(0.2 * 2.276, rel=0.05)


def test_stragglers_are_rare_and_wait_ten_times_as_long():
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


def test_the_rest_of_an_answer_is_drawn_apart_from_its_first_token():
    """
    A late first token says nothing about a late end.
    """
    model = FirstThenRest(Stragglers(Fixed(1.0), share=0.5), rest=Stragglers(Fixed(1.0), share=0.5))
    firsts = waits(model)
    rests = [model.rest_seconds(number, seed=0, in_flight=1) for number in range(10_000)]
    both = sum(first > 1 and rest > 1 for first, rest in zip(firsts, rests, strict=True))

    assert firsts == waits(model.first)
    assert both == pytest.approx(2500, rel=0.1)


def test_who_straggles_does_so_until_the_end():
    """
    Wrapped around both waits, stragglers take ten times as long for each.
    """
    model = Stragglers(FirstThenRest(Fixed(0.1), rest=Fixed(0.2)), share=0.1)
    ratios = {
        (first / 0.1, (rest_of(model, number, seed=0, in_flight=1) or 0) / 0.2)
        for number, first in enumerate(waits(model, 200))
    }

    assert ratios == {(1.0, 1.0), (10.0, 10.0)}


def test_a_full_server_makes_the_rest_longer_too():
    """
    In the same proportion.
    """
    model = Saturating(FirstThenRest(Fixed(0.1), rest=Fixed(0.2)), places=10)

    assert rest_of(model, 0, seed=0, in_flight=30) == pytest.approx(0.6)


def test_most_models_leave_the_rest_open():
    """
    Then the pace of the tokens decides, or nothing does.
    """
    for model in (Fixed(1.0), Stragglers(Lognormal(1.0)), Saturating(Fixed(1.0), places=1)):
        assert rest_of(model, 0, seed=0, in_flight=1) is None


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_a_stream_spreads_the_rest_over_its_tokens(path):
    """
    Eleven tokens in one second: a tenth of a second between them. Unstreamed, all of it is a wait.
    """
    latency = FirstThenRest(Fixed(0.25), rest=Fixed(1.0))
    handler = LaboratoryHandler(
        LaboratoryBehaviour.of({"latency": latency, "reply": "four" * 11, "tokens_per_second": 1.0})
    )
    field = "input" if path.endswith("responses") else "messages"
    body = {"model": "m", field: [{"role": "user", "content": "Hi"}]}
    whole = handler.receive("POST", path, {}, orjson.dumps(body))
    stream = handler.receive("POST", path, {}, orjson.dumps({**body, "stream": True}))

    assert (whole.delay, whole.pace) == (1.25, None)
    assert (stream.delay, stream.pace) == (0.25, 10.0)


def test_without_such_a_model_the_pace_is_everybodys():
    """
    So many tokens a second after the first, or all at once.
    """
    body = b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}'
    for pace in (None, 50.0):
        handler = RequestHandler(Behaviour.of({"latency": 0.1, "tokens_per_second": pace}))
        plan = handler.receive("POST", "/v1/chat/completions", {}, body)
        assert (plan.delay, plan.pace) == (0.1, pace)


def test_two_requests_for_the_same_thing_wait_independently():
    """
    A second try at a straggler is as likely to be quick as any other request.
    """
    model = Stragglers(Fixed(0.1), share=0.1)
    drawn = waits(model)
    pairs = list(zip(drawn[::2], drawn[1::2], strict=True))
    slow_first = [second for first, second in pairs if first > 0.5]

    assert 400 < len(slow_first) < 600
    assert sum(second > 0.5 for second in slow_first) / len(slow_first) == pytest.approx(
        0.1, abs=0.05
    )
