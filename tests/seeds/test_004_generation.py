"""Every usage example of the generation document but vLLM's, imports renamed."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys

import pytest

import llmnb
from llmnb.testing import SimulatedProvider, redirect


@pytest.fixture
def sim(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    with SimulatedProvider() as sim, redirect({"https://api.openai.com": sim.base_url}):
        yield sim


def test_openai_parallel_generation(sim):
    """
    The document's own example, to the letter but for the package's name.
    """
    from llmnb.generation import openai_parallel_generate, requests_limits_dict, requests_url_dict

    requests = [
        {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Tell me a story"}]},
        {
            "model": "gpt-3.5-turbo",
            "messages": [{"role": "user", "content": "Explain quantum physics"}],
        },
    ]

    results = asyncio.run(
        openai_parallel_generate(
            requests=requests,
            max_requests_per_minute=requests_limits_dict["gpt-3.5-turbo-0125"][
                "max_requests_per_minute"
            ],
            max_tokens_per_minute=requests_limits_dict["gpt-3.5-turbo-0125"][
                "max_tokens_per_minute"
            ],
            request_url=requests_url_dict["gpt-3.5-turbo-0125"],
        )
    )

    assert [row[0] for row in results] == requests
    assert all(row[1]["choices"][0]["message"]["content"] for row in results)
    assert len(sim.ledger.finished) == 2


def test_the_documents_modules_are_there_under_their_names():
    """
    Each file that the document lists can be imported from, too.
    """
    from llmnb.generation.api_request_parallel_processor import process_api_requests_from_file
    from llmnb.generation.openai_parallel_generate import openai_parallel_generate
    from llmnb.generation.prompt_formatting import make_prompts, task_prompts_dict_book
    from llmnb.generation.rate_limits import SAFETY_MARGIN, requests_limits_dict

    assert inspect.iscoroutinefunction(openai_parallel_generate)
    assert inspect.iscoroutinefunction(process_api_requests_from_file)
    assert callable(make_prompts)
    assert "bookMIA" in task_prompts_dict_book
    assert SAFETY_MARGIN == 0.75
    assert "gpt-3.5-turbo-0125" in requests_limits_dict


def test_prompt_formatting():
    """
    The document's own example.
    """
    from llmnb.generation import make_prompts, task_prompts_dict_book

    formatted_prompts = make_prompts(
        prompts=["Once upon a time"],
        task_prompt="Continue the story: ",
        model_name="llama-2-7b-chat",
        prompt_key="lightest",
    )
    book_prompts = task_prompts_dict_book["bookMIA"]["instruct-autoregressive"]

    (prompt,) = formatted_prompts
    assert prompt.startswith("[INST] <<SYS>>\n")
    assert prompt.endswith("<</SYS>>\n\nContinue the story: Once upon a time [/INST]")
    assert book_prompts
    assert all("task_prompt" in prompt for prompt in book_prompts)


def test_the_testing_section():
    """
    `python -m …openai_parallel_generate` checks itself, without a key.
    """
    done = subprocess.run(
        [sys.executable, "-m", "llmnb.generation.openai_parallel_generate"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "documented"),
    [
        (
            "openai_parallel_generate",
            ["requests", "max_requests_per_minute", "max_tokens_per_minute", "request_url"],
        ),
        (
            "process_api_requests_from_file",
            [
                *("requests_filepath", "save_filepath", "request_url", "api_key"),
                *("max_requests_per_minute", "max_tokens_per_minute"),
                *("token_encoding_name", "max_attempts", "logging_level"),
            ],
        ),
        (
            "make_prompts",
            [
                *("prompts", "task_prompt", "task_preprompt", "task_postprompt"),
                *("model_name", "prompt_key"),
            ],
        ),
    ],
)
def test_the_signatures_are_the_documents(name, documented):
    """
    The same names in the same order; what is ours comes behind.
    """
    from llmnb.generation.openai_parallel_generate import openai_parallel_generate  # noqa: F401

    signature = inspect.signature(getattr(llmnb.generation, name))

    assert list(signature.parameters)[: len(documented)] == documented


def test_the_defaults_are_the_documents():
    """
    A request's pace, the number of attempts, and the cooldown.
    """
    from llmnb.generation.parallel import (
        COOLDOWN_SECONDS,
        MAX_ATTEMPTS,
        openai_parallel_generate,
    )

    parameters = inspect.signature(openai_parallel_generate).parameters

    assert parameters["max_requests_per_minute"].default == 10_000
    assert parameters["max_tokens_per_minute"].default == 30_000_000
    assert parameters["max_attempts"].default == MAX_ATTEMPTS == 5
    assert COOLDOWN_SECONDS == 15
