"""Promises about the way in which a simulated provider is extended."""

from __future__ import annotations

import urllib.request

import pytest
from laboratory import Laboratory, LaboratoryHandler

from llmnb.testing.plan import ReplyPlan


class Greeter(LaboratoryHandler):
    """Answers at one more address."""

    def receive(self, method, path, headers, raw) -> ReplyPlan:
        if path == "/hello":
            return ReplyPlan(status=200, body=b"Good day.")
        return super().receive(method, path, headers, raw)


class Greeting(Laboratory):
    handler_class = Greeter


def page(sim) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{sim.origin}/hello", timeout=60) as reply:
        return reply.read()


@pytest.mark.parametrize("transport", ["aiohttp", "fast"])
def test_a_subclass_brings_its_own_request_handler(transport):
    """
    Here, and in another process.
    """
    with Greeting(transport=transport) as sim:
        assert page(sim) == b"Good day."
    with Greeting.spawn(transport=transport) as spawned:
        assert page(spawned) == b"Good day."


async def test_the_laboratory_travels_to_another_process(ask):
    """
    What only the tests need is there, too.
    """
    with Laboratory.spawn(reply=str.upper) as sim:
        assert (await ask(sim, "hi")).text == "HI"
        assert sim.ledger.count("hi") == 1
