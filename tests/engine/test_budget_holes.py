"""A budget binds where the provider's usage has holes."""

from __future__ import annotations

import orjson
import pytest
from script_server import ScriptServer, reply

from llmnb.running.asking import Asking
from llmnb.running.start import start

QUESTIONS = [{"prompt": f"question {row}"} for row in range(40)]


def serving(usage):
    """Return a server whose answers tell this usage."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "fine"},
        "finish_reason": "stop",
    }
    body = {"id": "1", "object": "chat.completion", "model": "gpt-4o-mini", "choices": [choice]}
    return ScriptServer([reply(orjson.dumps({**body, "usage": usage}), "connection: close")])


def run(server, budget, max_tokens=1000):
    """Ask forty questions, one at a time."""
    asking = Asking(
        model="gpt-4o-mini",
        api_provider="openai",
        api_key="k",
        url=server.base_url,
        params={"max_tokens": max_tokens},
    )
    made = start(QUESTIONS, asking, budget_usd=budget, max_concurrent_requests=1)
    return made.result(60)


# A thousand tokens of gpt-4o-mini cost $0.0006, and the prompt almost nothing.
TWO = 0.00135


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 9},
        {"prompt_tokens": 9, "completion_tokens": None},
        {"prompt_tokens": 9, "completion_tokens": 0},
        {"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9},
    ],
)
def test_an_unknown_count_is_settled_at_its_reservation(usage):
    """
    A budget of two requests lets two go, whatever the provider leaves out.
    """
    with serving(usage) as server:
        outcomes = run(server, TWO)

        assert len(server.requests) == 2
        assert [outcome.usd for outcome in outcomes if outcome.error is None] == [None, None]


@pytest.mark.parametrize("length", [-1, -(10**9), 10**400, 1e300, "many"])
def test_a_length_that_is_no_number_of_tokens_lowers_no_reservation(length):
    """
    What a request may cost is then what one costs that says no length.
    """
    with serving(None) as server:
        outcomes = run(server, 4.1 * TWO, length)

        assert len(server.requests) == 2
        assert {type(outcome.error).__name__ for outcome in outcomes[2:]} == {"BudgetExceeded"}


def test_a_missing_count_is_taken_from_the_total():
    """
    The price is that of the tokens which the total leaves for the answer.
    """
    with serving({"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 10}) as server:
        outcomes = run(server, 1.0)

    assert [outcome.error for outcome in outcomes] == [None] * 40
    assert outcomes[0].reply.usage.completion == 1
    assert 0 < outcomes[0].usd < 1e-5
