"""Promises about the garbage collector's thresholds: raised while runs go on, put back after."""

from __future__ import annotations

import gc

import pytest

from llmnb.engine import gc_thresholds


@pytest.fixture(autouse=True)
def usual(monkeypatch):
    # Whatever other tests of this process have left under way is not counted here.
    monkeypatch.setattr(gc_thresholds, "_users", 0)
    monkeypatch.setattr(gc_thresholds, "_before", None)
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


def test_they_are_raised_once_and_put_back_at_the_last_end():
    """
    Two runs at once: the second end puts them back, not the first.
    """
    with gc_thresholds.raised():
        with gc_thresholds.raised():
            assert gc.get_threshold() == gc_thresholds.RAISED
        assert gc.get_threshold() == gc_thresholds.RAISED
    assert gc.get_threshold() == (700, 10, 10)


def test_what_somebody_else_sets_meanwhile_stays():
    """
    Only our own change is taken back.
    """
    with gc_thresholds.raised():
        gc.set_threshold(123, 4, 5)
    assert gc.get_threshold() == (123, 4, 5)


def test_they_are_never_lowered():
    """
    A person who calmed it further, or switched it off, keeps that.
    """
    for chosen in ((0, 10, 10), (900_000, 10, 10)):
        gc.set_threshold(*chosen)
        with gc_thresholds.raised():
            assert gc.get_threshold() == chosen
