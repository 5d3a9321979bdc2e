"""How the simulated provider behaves for the peers: what it answers, and whom it fails."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from llmnb.testing import SimulatedRequest, faults
from llmnb.testing.faults import Fault

_NUMBER = re.compile(r"row (\d+) of it")

RETRY_AFTER = 2.0
"""Seconds that a refusal asks a client to stay away."""


def reply(prompt: str, request: SimulatedRequest) -> str:
    """Answer with the number in the prompt, so that an answer in the wrong row shows.

    openaivec sends its rows as JSON and wants JSON back.
    """
    if request.endpoint != "responses":
        return f"row {_number(prompt)}"
    asked = json.loads(prompt)["user_messages"]
    answers = [{"id": one["id"], "body": f"row {_number(one['body'])}"} for one in asked]
    return json.dumps({"assistant_messages": answers})


def _number(prompt: str) -> int:
    found = _NUMBER.search(prompt)
    return int(found[1]) if found else -1


@dataclass(frozen=True, slots=True)
class TwoKindsOnce:
    """One prompt in fifty meets a 500, another one in fifty a 429 that says when to come back.

    Each once, at its first request; the same prompts for every peer.
    """

    def __call__(self, request: SimulatedRequest) -> Fault | None:
        """Decide by the number in the prompt."""
        if request.attempt:
            return None
        place = _number(request.prompt) % 50
        if place == 7:
            return faults.status(500)
        if place == 31:
            return faults.rate_limited(retry_after=int(RETRY_AFTER))
        return None
