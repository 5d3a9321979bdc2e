"""Promises about a list of requests: order, errors in their rows, patience, what is told."""

from __future__ import annotations

import asyncio
import copy
import logging

import pytest

from llmnb.decide.retry import RetryPolicy, Tries, next_wait
from llmnb.errors import ConfigurationError, MissingKey, RateLimited
from llmnb.generation import (
    openai_parallel_generate,
    openai_parallel_generate_sync,
    requests_url_dict,
)
from llmnb.generation.parallel import COOLDOWN_SECONDS, MAX_ATTEMPTS
from llmnb.testing import SimulatedProvider, faults, redirect


def questions(rows, **fields):
    return [
        {"model": "gpt-4-0613", "messages": [{"role": "user", "content": f"q {row}"}], **fields}
        for row in range(rows)
    ]


def options(sim, **more):
    return {"request_url": f"{sim.base_url}/chat/completions", "api_key": "k", **more}


def text(row):
    return row[1]["choices"][0]["message"]["content"]


async def test_rows_come_in_the_order_of_the_requests():
    """
    Whatever came back first; metadata stands behind, is not sent, and nothing given is changed.
    """
    requests = [{**item, "metadata": {"n": n}} for n, item in enumerate(questions(40))]
    before = copy.deepcopy(requests)
    with SimulatedProvider(reply=lambda prompt: f"answer to {prompt}") as sim:
        rows = await openai_parallel_generate(requests, **options(sim))

    assert requests == before
    assert [text(row) for row in rows] == [f"answer to q {n}" for n in range(40)]
    assert [row[2] for row in rows] == [{"n": n} for n in range(40)]
    assert all("metadata" not in row[0] for row in rows)


def test_the_blocking_twin_does_the_same(provider):
    """
    Also while a loop runs on this thread.
    """

    async def inside():
        return openai_parallel_generate_sync(questions(2), **options(provider))

    rows = asyncio.run(inside())

    assert [row[0] for row in rows] == questions(2)


async def test_a_failed_request_has_a_text_for_each_attempt(provider):
    """
    Five attempts unless told otherwise, and the other rows are answered.
    """
    with SimulatedProvider(faults=lambda seen: 500 if seen.prompt == "q 1" else None) as sim:
        rows = await openai_parallel_generate(
            questions(3), **options(sim), logging_level=logging.CRITICAL
        )
        sent = sim.ledger.count("q 1")

    assert sent == MAX_ATTEMPTS == 5
    assert isinstance(rows[1][1], list)
    assert len(rows[1][1]) == 5
    assert all("500" in item for item in rows[1][1])
    assert isinstance(rows[0][1], dict)
    assert isinstance(rows[2][1], dict)


async def test_what_is_no_request_keeps_its_position(provider):
    """
    An error in its row, the others answered.
    """
    rows = await openai_parallel_generate(
        [questions(1)[0], 7, {"model": "m"}], **options(provider), logging_level=50
    )

    assert isinstance(rows[0][1], dict)
    assert rows[1][0] == 7
    assert "not a request" in rows[1][1][0]
    assert "asks nothing" in rows[2][1][0]


async def test_a_mapping_instead_of_a_list_is_refused(provider):
    """
    Before anything is sent.
    """
    with pytest.raises(ConfigurationError, match="takes a list"):
        await openai_parallel_generate(questions(1)[0], **options(provider))
    assert await openai_parallel_generate([]) == []
    with pytest.raises(ConfigurationError, match="duplicates"):
        await openai_parallel_generate(questions(1), **options(provider), duplicates="both")

    assert provider.ledger.received == []


async def test_without_a_key_nothing_is_sent():
    """
    One error that says how to give it.
    """
    with pytest.raises(MissingKey, match="OPENAI_API_KEY"):
        await openai_parallel_generate(questions(1))


@pytest.mark.parametrize("model", ["gpt-3.5-turbo-instruct", "gpt-4-0613", "ft:gpt-4o:us::1"])
async def test_without_an_address_the_model_says_which_endpoint(model, monkeypatch):
    """
    Texts are completed where the table says so, everything else is a chat at OpenAI.
    """
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with SimulatedProvider() as sim, redirect({"https://api.openai.com": sim.base_url}):
        ((_, response),) = await openai_parallel_generate([{"model": model, "prompt": "Hi"}])

    is_text = requests_url_dict.get(model, "").endswith("/v1/completions")
    assert response["object"] == ("text_completion" if is_text else "chat.completion")


async def test_identical_requests_are_merged_or_sampled(provider):
    """
    Sent once, or each for itself; asked again nothing is sent.
    """
    requests = questions(1) * 3

    await openai_parallel_generate(requests, **options(provider))
    assert provider.ledger.count("q 0") == 1

    for _ in range(2):
        await openai_parallel_generate(requests, **options(provider), duplicates="sample")
        assert provider.ledger.count("q 0") == 3


def test_after_a_refusal_that_names_no_time_everybody_waits_for_the_cooldown():
    """
    Fifteen seconds; where the server names a time, that is kept to instead.
    """
    policy = RetryPolicy(cooldown=COOLDOWN_SECONDS)

    def wait(error):
        return next_wait(error, Tries(), policy, since_success=0.0, can_resend=True)

    assert COOLDOWN_SECONDS == 15
    assert wait(RateLimited("no")) == 15
    assert wait(RateLimited("no", retry_after=2.5)) == 2.5


@pytest.mark.parametrize("concurrency", [None, 4])
async def test_the_cooldown_is_kept_whether_or_not_concurrency_is_adapted(concurrency):
    """
    No request comes before it is over.
    """
    with SimulatedProvider(faults=[None, faults.rate_limited()]) as sim:
        for question in questions(2):
            await openai_parallel_generate(
                [question],
                **options(sim),
                max_concurrent_requests=concurrency,
                cooldown=0.4,
                logging_level=50,
            )
        arrivals = [row.received for row in sim.ledger.received]

    assert len(arrivals) == 3
    assert arrivals[2] - arrivals[1] >= 0.4


SAID = {
    50: set(),
    40: {"ERROR"},
    30: {"ERROR", "WARNING"},
    20: {"ERROR", "WARNING", "INFO"},
    10: {"ERROR", "WARNING", "INFO", "DEBUG"},
}


@pytest.mark.parametrize("level", SAID)
async def test_the_level_decides_what_is_logged(level, caplog):
    """
    40: failures after all attempts; 30: refusals and errors; 20: starts and ends; 10: details.
    """
    script = [500, faults.rate_limited(retry_after=0.01)]

    def fault(seen):
        return 400 if seen.prompt == "q 1" else (script.pop(0) if script else None)

    with SimulatedProvider(faults=fault) as sim:
        await openai_parallel_generate(questions(2), **options(sim), logging_level=level)

    records = [item for item in caplog.records if item.name == "llmnb.requests"]
    messages_logged = [item.getMessage() for item in records]
    assert {item.levelname for item in records} == SAID[level]
    if level <= 40:
        assert any(item.startswith("Request #1 failed: ") for item in messages_logged)
    if level <= 30:
        assert any(
            item.startswith("Request #0, attempt 1: ProviderError: ") for item in messages_logged
        )
        assert any(
            item.startswith("Request #0, attempt 2: RateLimited: ") for item in messages_logged
        )
    if level <= 20:
        assert "Starting request #0" in messages_logged
        assert "Starting request #0, attempt 3" in messages_logged
        assert "Request #0 completed" in messages_logged


async def test_levels_are_understood_as_names_too(provider, caplog):
    """
    ``"INFO"``, ``"logging.INFO"`` and ``"20"``; anything else is an error before the first request.
    """
    for level in ("INFO", "logging.INFO", "20"):
        caplog.clear()
        await openai_parallel_generate(questions(1), **options(provider), logging_level=level)
        assert "Request #0 completed" in caplog.text

    with pytest.raises(ConfigurationError, match="10 \\(DEBUG\\)"):
        await openai_parallel_generate(questions(1), **options(provider), logging_level="LOUD")


def test_without_a_set_up_log_lines_go_where_the_bars_are(provider, capsys, monkeypatch):
    """
    And once the run is over the engine is silent again.
    """
    log = logging.getLogger("llmnb.requests")
    monkeypatch.setattr(log, "hasHandlers", lambda: False)

    openai_parallel_generate_sync(questions(1), **options(provider), logging_level=20)

    assert "INFO: Starting request #0" in capsys.readouterr().err
    assert log.handlers == []
    assert not log.isEnabledFor(logging.CRITICAL)


async def test_no_key_is_logged_at_any_level(provider, caplog):
    """
    Nor written into a row.
    """
    requests = [{**questions(1)[0], "api_key": "secret-1", "url": provider.base_url}]

    rows = await openai_parallel_generate(
        requests, request_url=provider.base_url, api_key="secret-2", logging_level=10
    )

    assert isinstance(rows[0][1], dict)
    assert "secret" not in caplog.text
    assert "secret" not in str(rows)
