"""Promises of what is told where an address answers nothing: one line that names it."""

from __future__ import annotations

import functools
import socket

import pandas as pd
import pytest
from asking import questions

import llmnb.engine.row_errors
import llmnb.engine.run_context
import llmnb.running.start
from llmnb.decide.retry import RetryPolicy
from llmnb.running.asking import Asking
from llmnb.running.start import start


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Wait hundredths of seconds where a run would wait seconds."""
    policy = functools.partial(RetryPolicy, base_seconds=0.02)
    monkeypatch.setattr(llmnb.running.start, "RetryPolicy", policy)
    for module in (llmnb.engine.row_errors, llmnb.engine.run_context):
        monkeypatch.setattr(module, "UNREACHED_SECONDS", 0.3)


@pytest.fixture
def address():
    """Return a place where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"127.0.0.1:{port}"


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_every_row_tells_the_address_in_its_first_line(address, rows):
    """
    However many rows there are, and whether a row was tried or not: with its port, and the cause.
    """
    asking = Asking(model="m", api_key="k", url=f"http://{address}/v1")
    outcomes = start(questions(rows), asking, max_concurrent_requests=4).result(30)

    for outcome in outcomes:
        first = outcome.error.message.splitlines()[0]
        assert f"http://{address}/v1/chat/completions" in first
        assert "connection refused" in first
        assert "Check the address" in first


@pytest.mark.parametrize("rows", [3, 40])
def test_the_warning_of_a_table_names_the_command_that_starts_a_local_server(
    address, rows, monkeypatch
):
    """
    The one line that it shows of a row's error has it.
    """
    table = pd.DataFrame({"text": [f"text {row}" for row in range(rows)]})
    monkeypatch.setenv("OLLAMA_BASE_URL", f"http://{address}/v1")

    with pytest.warns(UserWarning, match="ollama serve") as warned:
        table.llm.generate("{text}", model="ollama/m", progress=False)
    assert address in str(warned[0].message)
