"""Promises of shares: however processes came and went, their parts never exceed the limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmnb.decide.lease import HEARTBEAT_SECONDS, offline_share


def test_settled_processes_divide_the_limit():
    """
    Four that know of each other use nearly all of it.
    """
    parts = [offline_share(alive=4, known_for=60.0, silent_for=1.0) for _ in range(4)]

    assert sum(parts) == pytest.approx(0.95)


@given(settled=st.integers(1, 20), late=st.integers(0, 20))
def test_late_ones_find_room_beside_settled_ones_that_do_not_know_them(settled, late):
    """
    The settled count themselves only; the late know of all.
    """
    total = sum(
        offline_share(alive=settled, known_for=60.0, silent_for=1.0) for _ in range(settled)
    )
    total += sum(
        offline_share(alive=settled + late, known_for=0.5, silent_for=0.2) for _ in range(late)
    )

    assert total <= 1.0


def test_a_process_alone_is_not_slowed_for_being_new():
    """
    It knows that there is nobody else.
    """
    assert offline_share(alive=1, known_for=0.1, silent_for=0.1) == 0.95


def test_a_process_does_not_trust_what_it_heard_long_ago():
    """
    Others may have come since, counting without it.
    """
    assert offline_share(alive=1, known_for=60.0, silent_for=HEARTBEAT_SECONDS + 1) < 0.05


def test_a_process_that_never_heard_is_neither_stopped_nor_unlimited():
    """
    A wrong address leaves a twentieth.
    """
    assert offline_share(alive=1, known_for=None, silent_for=0.0) == 0.05
