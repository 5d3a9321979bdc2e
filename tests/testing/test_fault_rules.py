from __future__ import annotations

import pickle

import pytest
from fault_timing import after, at_numbers, first_of_each_prompt, for_prompt

from llmnb.errors import ConfigurationError
from llmnb.testing import (
    SimulatedRequest,
    always,
    by_number,
    faults,
    outage,
    share,
)
from llmnb.testing.faults import NAMED, as_fault, as_rule


def request(number: int = 0, **changes) -> SimulatedRequest:
    fields = {"endpoint": "text", "body": {}, "model": "m", "prompt": "Hi", "identity": "Hi"}
    return SimulatedRequest(**{**fields, "number": number, **changes})


def names(rule, requests) -> list[str | None]:
    struck = [as_fault(rule(entry)) for entry in requests]
    return [None if fault is None else fault.name for fault in struck]


def test_a_list_is_read_by_order_of_arrival():
    """
    One entry per request: statuses, names, faults and None; who comes later is left in peace.
    """
    rule = as_rule([500, None, "html", faults.slow(1.0)])

    struck = names(rule, [request(number) for number in range(5)])

    assert struck == ["500", None, "html", "slow", None]


def test_a_list_set_later_begins_with_the_next_request():
    """
    Replacing the script in mid-run counts from there.
    """
    rule = as_rule([500], start=7)

    assert names(rule, [request(0), request(7)]) == [None, "500"]


def test_the_first_rule_that_speaks_decides():
    """
    Rules are asked in order until one has a fault.
    """
    rule = as_rule([for_prompt("bad", 400), at_numbers({1}, 500), always(None)])

    assert names(rule, [request(0), request(1), request(1, prompt="a bad one")]) == [
        None,
        "500",
        "400",
    ]


def test_rules_and_entries_do_not_mix():
    """
    A list that is neither one kind nor the other is an error, not a guess.
    """
    with pytest.raises(ConfigurationError, match="by_number"):
        as_rule([500, always(500)])
    assert names(as_rule([by_number([None, 500]), always(400)]), [request(0), request(1)]) == [
        "400",
        "500",
    ]


@pytest.mark.parametrize("wrong", ["html", 500, {500: 0.1}])
def test_a_bare_fault_is_no_script(wrong):
    """
    Whoever writes faults=500 is told to say whether always or once.
    """
    with pytest.raises(ConfigurationError, match="always"):
        as_rule(wrong)


@pytest.mark.parametrize("wrong", [200, 700, "htmlx", 1.5])
def test_what_stands_for_no_fault_is_refused_with_the_names_that_do(wrong):
    """
    A misspelt name is an error that lists the right ones.
    """
    with pytest.raises(ConfigurationError, match="cut_stream"):
        as_fault(wrong)


def test_each_prompt_can_fail_first():
    """
    The first two requests of each prompt meet the fault, the third does not.
    """
    rule = first_of_each_prompt(2, 503)

    assert names(rule, [request(attempt=attempt) for attempt in range(3)]) == ["503", "503", None]


def test_an_outage_has_a_beginning_and_an_end():
    """
    It strikes from its start for its duration, the end not included.
    """
    rule = outage(1.0, 2.0, "reset")
    struck = names(rule, [request(time=time) for time in (0.99, 1.0, 2.99, 3.0)])

    assert struck == [None, "reset_before", "reset_before", None]


def test_a_share_strikes_about_that_many_and_the_same_ones_again():
    """
    One in ten, drawn by seed and number; another fault draws on its own.
    """
    requests = [request(number) for number in range(5000)]
    first = names(share(0.1, 500), requests)
    other = names(share(0.1, 503), requests)

    assert 400 < sum(name is not None for name in first) < 600
    assert first == names(share(0.1, 500), requests)
    both = sum(a is not None and b is not None for a, b in zip(first, other, strict=True))
    assert 20 < both < 90
    with pytest.raises(ConfigurationError):
        share(1.1, 500)


def test_a_rule_can_begin_later():
    """
    From a number on, whatever the rule.
    """
    assert names(after(2, always(401)), [request(1), request(2)]) == [None, "401"]


def test_rules_and_faults_travel_to_other_processes():
    """
    A script pickles, so that a spawned provider can be given one.
    """
    rule = as_rule([first_of_each_prompt(1, "reset"), share(0.5, faults.quota())])

    requests = [request(number, attempt=1) for number in range(100)]
    there = pickle.loads(pickle.dumps(rule))

    assert names(there, requests) == names(rule, requests)
    assert 20 < names(there, requests).count("quota") < 80


def test_every_named_fault_can_be_made_without_arguments():
    """
    A name in a script stands for a fault whose default arguments make sense.
    """
    for name, made in NAMED.items():
        assert made().name, name


def test_only_what_was_worked_on_is_billed():
    """
    Refusals and failures cost nothing; lost and spoilt answers do.
    """
    free = [400, 401, 429, 500, 502, 503, 529, "quota", "html", "reset", "closed", "error_in_200"]
    paid = [408, 504, "lost_reply", "stall", "cut_stream", "empty", "no_usage"]

    assert [as_fault(entry).billed for entry in free] == [False] * len(free)
    assert [as_fault(entry).billed for entry in paid] == [True] * len(paid)
    assert faults.status(500).but(billed=True).billed
