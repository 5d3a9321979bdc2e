"""Promises of llmnb at a real vLLM server, which runs a model made on the spot."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import vllm_venv
from shells import new_shell

import llmnb
from llmnb.errors import AuthenticationError, LLMNBError
from llmnb.running.asking import Asking
from llmnb.running.start import start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FORM = {
    "type": "object",
    "properties": {"label": {"enum": ["yes", "no"]}},
    "required": ["label"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Server:
    url: str
    key: str


def is_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    """Whether the server answers; fails where it has ended."""
    assert process.poll() is None, log.read_text(errors="replace")[-3000:]
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("vllm-server")
    python = vllm_venv.find_python(tmp_path_factory.getbasetemp())
    env = vllm_venv.environment(folder)
    make = "import sys; from llmnb.adapters import tiny_model; tiny_model.make(sys.argv[1])"
    model = folder / "tiny"
    subprocess.run([str(python), "-c", make, str(model)], env=env, check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    key = secrets.token_urlsafe(12)
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    command += ["--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--dtype", "float32", "--max-model-len", "256", "--max-num-seqs", "8"]
    command += ["--enforce-eager", "--gpu-memory-utilization", "0.1", "--api-key", key]
    form = {"backend": "xgrammar", "disable_any_whitespace": True}
    command += ["--structured-outputs-config", json.dumps(form)]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output, cwd=folder)
    try:
        until = time.monotonic() + 1200
        while not is_ready(f"http://127.0.0.1:{port}/health", process, log):
            assert time.monotonic() < until, log.read_text(errors="replace")[-3000:]
            time.sleep(0.2)
        yield Server(f"http://127.0.0.1:{port}/v1", key)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Let `vllm/…` be the server."""
    monkeypatch.setenv("LLMNB_VLLM_BASE_URL", server.url)
    llmnb.set_key("vllm", server.key)
    return server


def test_a_chat_answer_has_usage_and_log_probabilities(asked):
    """
    `vllm/tiny` is asked like any provider, and its answers are kept.
    """
    llm = llmnb.AsyncLLM(model="vllm/tiny", sampling_params={"max_tokens": 4, "temperature": 0})
    requests = [{"prompt": text, "logprobs": True, "top_logprobs": 2} for text in ("one", "two")]

    rows = llm.generate(requests, progress=False)
    again = llm.generate(requests, progress=False)

    for _, reply in rows:
        assert reply["usage"]["completion_tokens"] == 4
        assert len(reply["choices"][0]["logprobs"]["content"]) == 4
    assert rows == again
    assert llm.last_run is not None
    assert llm.last_run.status().counts.num_cached == 2


def test_text_completions_tell_the_log_probabilities_of_the_prompt(asked):
    """
    vLLM's own field goes through and comes back.
    """
    llm = llmnb.AsyncLLM(model="vllm/tiny", gen_type="text")

    ((_, reply),) = llm.generate(
        [{"prompt": "the label", "max_tokens": 2, "prompt_logprobs": 1}], progress=False
    )

    assert reply["choices"][0]["prompt_logprobs"][0] is None
    assert len(reply["choices"][0]["prompt_logprobs"]) == reply["usage"]["prompt_tokens"]


def test_a_frame_gets_columns_by_a_schema(asked):
    """
    The server obeys the schema, and the column holds nothing else.
    """
    frame = pd.DataFrame({"text": ["good", "bad", None]})

    answers_typed = frame.llm.generate(
        "Is {text} good?", model="vllm/tiny", schema=FORM, progress=False
    )

    assert answers_typed["label"].isna().tolist() == [False, False, True]
    assert set(answers_typed["label"].dropna()) <= {"yes", "no"}


def test_its_answers_stream(asked):
    """
    The pieces are the answer together.
    """
    fragments: list[str] = []
    run = start(
        [{"prompt": "Tell", "max_tokens": 12, "temperature": 0, "ignore_eos": True}],
        Asking(model="vllm/tiny"),
        on_delta=lambda row, delta: fragments.append(delta.text),
    )

    (outcome,) = run.result(60)

    assert len(fragments) > 1
    assert "".join(fragments) == outcome.text


def test_a_cell_asks_it(asked):
    """
    `%%llm -m vllm/tiny` is answered by the server.
    """
    with new_shell() as shell:
        shell.run("%load_ext llmnb")
        shell.names["FORM"] = FORM  # else a model of random numbers finds no end
        printed = shell.run("%%llm -m vllm/tiny -o answer --schema FORM\nSay something")

        assert printed.error is None
        assert str(shell.names["answer"])


def test_a_wrong_key_and_a_wrong_model_are_different_errors(server):
    """
    The first stops the run as a matter of the account; the second is the request's fault.
    """
    wrong = start([{"prompt": "x"}], Asking(model="vllm/tiny", url=server.url, api_key="wrong"))
    other = start([{"prompt": "x"}], Asking(model="vllm/big", url=server.url, api_key=server.key))

    assert isinstance(wrong.result(60)[0].error, AuthenticationError)
    error = other.result(60)[0].error
    assert isinstance(error, LLMNBError)
    assert not isinstance(error, AuthenticationError)
    assert error.status == 404
