"""Promises about models that are objects and are found by their name."""

from __future__ import annotations

import gc

from llmnb.targets.endpoint import register_model
from llmnb.targets.resolve import resolve
from llmnb.targets.target import HTTPTarget


class Engine:
    """An object that is a model."""

    def __init__(self) -> None:
        self.answering = resolve("sim/m")

    def target(self, gen_type: str = "chat") -> HTTPTarget:
        return self.answering


def test_a_name_means_the_object_as_long_as_it_lives():
    """
    After that the name is the catalog's again.
    """
    engine = Engine()
    register_model("vllm", "mine", engine)

    assert resolve("vllm/mine") is engine.answering

    answering = engine.answering
    del engine
    gc.collect()
    assert resolve("vllm/mine") is not answering


def test_an_address_wins_over_an_object():
    """
    Whoever gives an address means the server there.
    """
    engine = Engine()
    register_model("vllm", "mine", engine)

    assert resolve("vllm/mine", url="http://127.0.0.1:1/v1").url.startswith("http://127.0.0.1:1/")


def test_when_the_later_of_two_is_gone_the_earlier_has_the_name_again():
    """
    A second object of the same name takes nothing away for ever.
    """
    first, second = Engine(), Engine()
    register_model("vllm", "twice", first)
    register_model("vllm", "twice", second)

    assert resolve("vllm/twice") is second.answering

    del second
    gc.collect()
    assert resolve("vllm/twice") is first.answering
