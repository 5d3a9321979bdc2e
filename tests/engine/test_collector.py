"""Promises about the garbage collector's thresholds: raised while runs go on, put back after."""

from __future__ import annotations

import gc

import pytest

from llmnb.engine import collector


@pytest.fixture(autouse=True)
def usual(monkeypatch):
    # Whatever other tests of this process have left under way is not counted here.
    monkeypatch.setattr(collector, "_runs", 0)
    monkeypatch.setattr(collector, "_before", None)
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


def test_they_are_raised_once_and_put_back_at_the_last_end():
    """
    Two runs at once: the second end puts them back, not the first.
    """
    with collector.calmed():
        with collector.calmed():
            assert gc.get_threshold() == collector.CALM
        assert gc.get_threshold() == collector.CALM
    assert gc.get_threshold() == (700, 10, 10)


def test_what_somebody_else_sets_meanwhile_stays():
    """
    Only our own change is taken back.
    """
    with collector.calmed():
        gc.set_threshold(123, 4, 5)
    assert gc.get_threshold() == (123, 4, 5)


def test_they_are_never_lowered():
    """
    A person who calmed it further, or switched it off, keeps that.
    """
    for chosen in ((0, 10, 10), (900_000, 10, 10)):
        gc.set_threshold(*chosen)
        with collector.calmed():
            assert gc.get_threshold() == chosen
