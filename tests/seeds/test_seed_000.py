"""Every usage example of the AsyncLLM document, imports renamed, requests redirected."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import logging

import pytest

from llmnb import APIRequest, AsyncLLM, StatusTracker
from llmnb.testing import SimulatedProvider, redirect

request_list = [
    {"messages": [{"role": "user", "content": "Why is the sky blue?"}]},
    {"messages": [{"role": "user", "content": "Why is grass green?"}], "metadata": {"id": 7}},
]

DEPARTURES = {"cache_dir": None}
"""The document says ``.cache/dataformer``; None is `LLMNB_CACHE_DIR`, else ``.cache/llmnb``."""


def test_the_example_runs(tmp_path):
    """
    The document's own example, its address and key included, gives a row for every request.
    """
    llm_params = {
        "api_provider": "groq",
        "model": "gpt-3.5-turbo",
        "api_key": "your_api_key_here",
        "url": "https://api.groq.com/v1",
        "sampling_params": {"temperature": 0.7},
        "max_requests_per_minute": 60,
        "max_tokens_per_minute": 1000,
        "max_concurrent_requests": 5,
        "max_rps": True,
        "max_attempts": 3,
        "token_encoding_name": "cl100k_base",
        "logging_level": "logging.INFO",
        "gen_type": "chat",
        "project_name": "MyProject",
        "cache_dir": str(tmp_path / "cache"),
    }
    with (
        SimulatedProvider(reply="Because.") as sim,
        redirect({"https://api.groq.com": sim.base_url}),
    ):
        llm = AsyncLLM(**llm_params)
        response_list = llm.generate(request_list)

    assert [len(row) for row in response_list] == [2, 3]
    for row, request in zip(response_list, request_list, strict=True):
        assert row[0] == {"messages": request["messages"]}
        assert row[1]["choices"][0]["message"]["content"] == "Because."
    assert response_list[1][2] == {"id": 7}
    assert "metadata" in request_list[1], "the input was changed"


def test_the_signature_is_the_documents():
    """
    Names, order and defaults, but for the departures that are stated.
    """
    documented = {
        "api_provider": "openai",
        "model": "",
        "api_key": None,
        "url": "",
        "sampling_params": {},
        "max_requests_per_minute": None,
        "max_tokens_per_minute": None,
        "max_concurrent_requests": None,
        "max_rps": False,
        "max_attempts": 3,
        "token_encoding_name": "cl100k_base",
        "logging_level": logging.INFO,
        "gen_type": "chat",
        "project_name": None,
        "cache_dir": ".cache/dataformer",
    }
    ours = {
        name: parameter.default
        for name, parameter in inspect.signature(AsyncLLM).parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    }

    assert list(ours) == list(documented)
    assert ours == {**documented, **DEPARTURES}


def test_the_status_tracker_starts_with_the_eight_fields_at_zero():
    """
    Same names, same order, all 0.
    """
    names = [field.name for field in dataclasses.fields(StatusTracker)][:8]

    assert names == [
        "num_tasks_started",
        "num_tasks_in_progress",
        "num_tasks_succeeded",
        "num_tasks_failed",
        "num_rate_limit_errors",
        "num_api_errors",
        "num_other_errors",
        "time_of_last_rate_limit_error",
    ]
    assert {getattr(StatusTracker(), name) for name in names} == {0}


def test_an_api_request_has_the_documents_fields_and_call():
    """
    Same fields in the same order, and `call_api` takes the same arguments.
    """
    fields = [field.name for field in dataclasses.fields(APIRequest)]
    assert fields == [
        "task_id",
        "recent_task_id",
        "difference_task_id",
        "request_json",
        "token_consumption",
        "attempts_left",
        "metadata",
        "result",
    ]
    assert list(inspect.signature(APIRequest.call_api).parameters) == [
        "self",
        "session",
        "request_url",
        "request_header",
        "retry_queue",
        "cache_filepath",
        "association_filepath",
        "project_name",
        "status_tracker",
        "asyncllm_instance",
    ]


async def test_an_api_request_calls_once_and_counts():
    """
    One call: the row is in `result`, the tracker has moved, the answer is in the project.
    """
    with SimulatedProvider(reply="yes") as sim:
        llm = AsyncLLM(model="m", api_key="k", url=sim.base_url)
        tracker = StatusTracker(num_tasks_started=1, num_tasks_in_progress=1)
        request = APIRequest(
            task_id=0,
            recent_task_id=0,
            difference_task_id=0,
            request_json={"messages": [{"role": "user", "content": "Is it?"}], "model": "m"},
            token_consumption=10,
            attempts_left=3,
            metadata={"id": 1},
        )
        await request.call_api(
            session=None,
            request_url=sim.base_url + "/chat/completions",
            request_header={"Authorization": "Bearer k"},
            retry_queue=asyncio.Queue(),
            cache_filepath="ignored",
            association_filepath="ignored",
            project_name="One",
            status_tracker=tracker,
            asyncllm_instance=llm,
        )

        assert request.result[1]["choices"][0]["message"]["content"] == "yes"
        assert request.result[2] == {"id": 1}
        assert (tracker.num_tasks_in_progress, tracker.num_tasks_succeeded) == (0, 1)
        assert len(sim.ledger.finished) == 1


async def test_an_api_request_that_fails_goes_to_the_retry_queue():
    """
    A failed call puts the request back while attempts are left, with its error kept.
    """
    with SimulatedProvider(faults=[500] * 9) as sim:
        llm = AsyncLLM(model="m", api_key="k", url=sim.base_url)
        tracker = StatusTracker(num_tasks_started=1, num_tasks_in_progress=1)
        queue = asyncio.Queue()
        request = APIRequest(0, 0, 0, {"prompt": "x"}, 1, 1, None)
        arguments = (
            None,
            sim.base_url + "/chat/completions",
            {"Authorization": "Bearer k"},
            queue,
            "",
            "",
            "One",
            tracker,
            llm,
        )

        await request.call_api(*arguments)
        assert queue.get_nowait() is request
        assert tracker.num_tasks_in_progress == 1

        await request.call_api(*arguments)
        assert queue.empty()
        assert (tracker.num_tasks_in_progress, tracker.num_tasks_failed) == (0, 1)
        assert tracker.num_api_errors == 2
        assert len(sim.ledger.received) == 2


@pytest.mark.parametrize(
    ("level", "number"), [("logging.INFO", 20), ("debug", 10), (30, 30), ("ERROR", 40)]
)
def test_a_level_may_be_a_number_or_its_name(level, number):
    """
    The example writes ``"logging.INFO"``; the evident meaning is accepted.
    """
    AsyncLLM(model="openai/gpt-4o-mini", api_key="k", logging_level=level)

    assert logging.getLogger("llmnb").level == number
