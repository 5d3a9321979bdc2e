"""Promises about names: an option of the engine and a field of a request are never taken for one
another.
"""

from __future__ import annotations

import pytest

from llmnb import LLM
from llmnb.testing import SimulatedProvider


@pytest.mark.parametrize("field", ["store", "window", "streams", "in_order", "on_outcome"])
def test_a_field_named_like_a_part_of_the_engine_is_sent(field):
    """A field that the engine uses inside under the same name reaches the provider."""
    bodies = []

    def note(request):
        bodies.append(dict(request.body))

    with SimulatedProvider(reply="fine", faults=note) as sim:
        llm = LLM(url=sim.base_url, api_key="k", model="m")
        assert llm.call_single_sync("Hi", **{field: True}, project_name="p").text == "fine"

    assert bodies[0][field] is True
    assert "project_name" not in bodies[0]
