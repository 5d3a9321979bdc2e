"""Promises about a release of aiohttp whose inside is not as the fast path takes it for."""

from __future__ import annotations

import json
from collections import Counter

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from asking import ask, questions
from script_server import GOOD, ScriptServer, reply

from llmnb.adapters.http import exchange, trial

pytestmark = pytest.mark.usefixtures("untried")


def answers(server, rows):
    """Ask so many questions; return how often each was sent, after all were answered."""
    run = ask(server, questions(rows))
    outcomes = run.result(60)
    assert [outcome.text for outcome in outcomes] == ["fine"] * rows, [
        outcome.error for outcome in outcomes
    ]
    assert [outcome.attempts for outcome in outcomes] == [1] * rows
    bodies = [json.loads(request.partition(b"\r\n\r\n")[2]) for request in server.requests]
    return Counter(body["messages"][0]["content"] for body in bodies)


def refuses_parameters(monkeypatch):
    """Have connections take their parameters only as a session gives them."""
    right = ResponseHandler.set_response_params

    def wrong(self, *, timer, **options):
        return right(self, timer=timer, **options)

    monkeypatch.setattr(ResponseHandler, "set_response_params", wrong)


def refuses_addresses(monkeypatch):
    """Have a request be made only as a session makes it."""
    right = aiohttp.ClientRequest.__init__

    def wrong(self, *args, response_class, **options):
        right(self, *args, response_class=response_class, **options)

    monkeypatch.setattr(aiohttp.ClientRequest, "__init__", wrong)


def refuses_the_pool(monkeypatch):
    """Have a pool be asked only as a session asks it."""
    right = aiohttp.BaseConnector.connect

    async def wrong(self, req, *, traces, timeout):
        return await right(self, req, traces=traces, timeout=timeout)

    monkeypatch.setattr(aiohttp.BaseConnector, "connect", wrong)


def never_wakes(monkeypatch):
    """Have connections take no error from outside: a time-out would not end the waiting."""
    right = ResponseHandler.set_exception

    def wrong(self, error, *cause):
        if not isinstance(error, aiohttp.ServerTimeoutError):
            right(self, error, *cause)

    monkeypatch.setattr(ResponseHandler, "set_exception", wrong)


def writes_otherwise(monkeypatch):
    """Have what is sent be other bytes than it should be."""
    right = exchange.request_head

    def wrong(*args):
        made = right(*args)
        return exchange.RequestHead(made.address, made.head.replace(b"Accept", b"Except"))

    monkeypatch.setattr(exchange, "request_head", wrong)


@pytest.mark.parametrize(
    "change", [refuses_parameters, refuses_addresses, refuses_the_pool, writes_otherwise]
)
def test_what_is_unlike_is_not_used_and_every_row_is_answered_by_a_single_request(
    change, monkeypatch
):
    """
    The public way is taken instead: nothing fails, and nothing is sent twice.
    """
    change(monkeypatch)

    with ScriptServer([reply(GOOD, "connection: close")]) as server:
        sent = answers(server, 20)

    assert sent == {f"question {row}": 1 for row in range(20)}
    assert trial.is_passed is False


def test_a_time_out_that_does_not_end_the_waiting_is_unlike(monkeypatch):
    """
    The trial does not wait for ever, and its way is not taken.
    """
    monkeypatch.setattr(trial, "_SECONDS", 0.5)
    never_wakes(monkeypatch)

    with ScriptServer([reply(GOOD, "connection: close")]) as server:
        assert answers(server, 3) == {f"question {row}": 1 for row in range(3)}

    assert trial.is_passed is False


def test_what_turns_unlike_after_the_trial_sends_nothing_twice(monkeypatch):
    """
    A request that could not be written by hand goes out by the session, once.
    """
    with ScriptServer([reply(GOOD, "connection: close")]) as server:
        assert answers(server, 1) == {"question 0": 1}
        assert trial.is_passed is True
        refuses_parameters(monkeypatch)
        run = ask(server, questions(9, first=1))
        assert [outcome.text for outcome in run.result(60)] == ["fine"] * 9
        assert len(server.requests) == 10

    assert trial.is_passed is False


def test_this_release_is_like():
    """
    The fast path is what the tests of the fast path test.
    """
    with ScriptServer([reply(GOOD, "connection: close")]) as server:
        answers(server, 1)

    assert trial.is_passed is True
