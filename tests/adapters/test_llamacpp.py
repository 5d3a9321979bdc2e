"""Promises of the door to llama.cpp, kept with the real engine and the real weights."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmnb.adapters import llamacpp
from llmnb.adapters.llamacpp import LoadSettings, LocalServer
from llmnb.errors import ConfigurationError, MissingExtra

SMALL = LoadSettings(n_parallel=2, n_ctx=256)

ANSWER = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4, "temperature": 0}
LONG = {**ANSWER, "max_tokens": 200}


def post(server: LocalServer, body: Any, *, key: str | None = None) -> tuple[int, Any]:
    """Ask the server over HTTP; return the status and the parsed reply."""
    request = urllib.request.Request(
        f"{server.base_url}/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {key or server.api_key}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, which must not hang."""
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def server(weights: Path) -> Iterator[LocalServer]:
    running = llamacpp.serve(weights, name="smollm2", load=SMALL)
    yield running
    llamacpp.close(running)


# ------------------------------------------------------------------ answering


@pytest.mark.local_model
def test_it_answers_openais_protocol(server):
    """
    A chat completion comes with text, usage and the name it was started under.
    """
    status, reply = post(server, ANSWER)

    assert status == 200
    assert reply["choices"][0]["message"]["content"]
    assert reply["usage"]["completion_tokens"] == 4
    assert reply["model"] == "smollm2"


@pytest.mark.local_model
def test_the_same_question_gets_the_same_answer(server):
    """
    At temperature 0 an answer repeats.
    """
    first, again = (post(server, ANSWER)[1]["choices"][0]["message"] for _ in range(2))

    assert first == again


@pytest.mark.local_model
def test_only_its_own_key_opens_it(server):
    """
    Another program on this machine that finds the port gets no answer.
    """
    status, _ = post(server, ANSWER, key="guessed")

    assert status == 401
    assert server.base_url.startswith("http://127.0.0.1:")
    assert server.api_key not in repr(server)


@pytest.mark.local_model
def test_a_prompt_beyond_the_context_is_refused(server):
    """
    What does not fit a slot is an error that says so, never a prompt cut in silence.
    """
    long = {**ANSWER, "messages": [{"role": "user", "content": "word " * 400}]}

    status, reply = post(server, long)

    assert status == 400
    assert reply["error"]["type"] == "exceed_context_size_error"
    assert reply["error"]["n_ctx"] == SMALL.n_ctx


@pytest.mark.local_model
def test_a_second_request_reads_a_common_prefix_from_the_cache(server):
    """
    The examples of a few-shot prompt are read once, not once a row.
    """
    shots = [{"role": "system", "content": "Answer with one word: positive or negative."}]
    rows = [[*shots, {"role": "user", "content": text}] for text in ("Good.", "Bad.")]

    post(server, {**ANSWER, "messages": rows[0]})
    _, reply = post(server, {**ANSWER, "messages": rows[1]})

    assert reply["usage"]["prompt_tokens_details"]["cached_tokens"] > 10


@pytest.mark.local_model
def test_a_file_is_loaded_once(server, weights):
    """
    Asking again for the same file and settings gives the server that runs.
    """
    assert llamacpp.serve(weights, name="smollm2", load=SMALL) is server


STOP_AT_ONCE = """
import sys
from llmnb.adapters import llamacpp
for tokens in range(128, 138):
    load = llamacpp.LoadSettings(n_parallel=1, n_ctx=tokens)
    llamacpp.close(llamacpp.serve(sys.argv[1], load=load))
"""


@pytest.mark.local_model
def test_a_server_can_be_stopped_the_moment_it_has_started(weights):
    """
    The native loop that has yet to begin does not miss the word to stop.
    """
    assert run(STOP_AT_ONCE, weights).returncode == 0


@pytest.mark.local_model
def test_a_closed_server_is_gone_and_can_be_started_again(weights):
    """
    Closing ends the port; serving again gives another one with another key.
    """
    load = LoadSettings(n_parallel=1, n_ctx=128)
    first = llamacpp.serve(weights, load=load)
    llamacpp.close(first)
    with pytest.raises(urllib.error.URLError):
        post(first, ANSWER)

    second = llamacpp.serve(weights, load=load)

    assert second.api_key != first.api_key
    assert post(second, ANSWER)[0] == 200
    llamacpp.close(second)


# ------------------------------------------------------------------- identity


@pytest.mark.local_model
def test_its_identity_is_engine_weights_and_context(weights):
    """
    What stands in an answer's key names no port and no folder, and needs no loading.
    """
    identity = llamacpp.identity(weights, SMALL)
    assert llamacpp.weights_sha256(weights) in identity
    assert "n_ctx=256" in identity
    assert str(weights.parent) not in identity


def test_a_changed_file_is_hashed_again(tmp_path):
    """
    The hash is remembered for a file as it is, not for its name.
    """
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF one")
    before = llamacpp.weights_sha256(file)

    file.write_bytes(b"GGUF another")

    assert llamacpp.weights_sha256(file) != before


# ------------------------------------------------- quiet, forking, coming to an end


QUIET = """
import sys, urllib.request
from llmnb.adapters import llamacpp
server = llamacpp.serve(sys.argv[1], load=llamacpp.LoadSettings(n_parallel=1, n_ctx=128))
print("ours", file=sys.stderr)
"""


@pytest.mark.local_model
def test_llamacpp_is_quiet_and_we_are_not(weights):
    """
    Nothing of its log reaches standard error, and what we write there still does.
    """
    done = run(QUIET, weights)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "ours\n")


@pytest.mark.local_model
def test_its_log_can_be_let_through(weights, monkeypatch):
    """
    For finding out why a file fails, a variable gives llama.cpp its voice back.
    """
    monkeypatch.setenv(llamacpp.VERBOSITY_VARIABLE, "3")

    assert "loading model" in run(QUIET, weights).stderr


SPINS = """
import os, sys
from llmnb.adapters import environment, llamacpp
before = dict(os.environ)
with environment.variables(llamacpp._short_spins()):
    print(os.environ.get("GOMP_SPINCOUNT"))
llamacpp.serve(sys.argv[1], load=llamacpp.LoadSettings(n_parallel=1, n_ctx=128))
assert dict(os.environ) == before
"""


@pytest.mark.local_model
@pytest.mark.parametrize(
    ("variable", "value", "seen"),
    [("OTHER", "1", "200"), ("GOMP_SPINCOUNT", "7", "7"), ("OMP_WAIT_POLICY", "active", "None")],
)
def test_its_threads_wait_politely_unless_the_person_said_how(
    weights, monkeypatch, variable, value, seen
):
    """
    The setting is made for the one library, overrides nobody's and is not left behind.
    """
    monkeypatch.setenv(variable, value)

    done = run(SPINS, weights)

    assert (done.returncode, done.stdout.strip()) == (0, seen)


IN_FLIGHT = """
import http.client, json, sys, threading, urllib.request
from llmnb.adapters import llamacpp
server = llamacpp.serve(sys.argv[1], load=llamacpp.LoadSettings(n_parallel=2, n_ctx=2048))
begun = threading.Semaphore(0)

def ask():
    body = {"messages": [{"role": "user", "content": "Tell a long story."}],
            "max_tokens": 2000, "ignore_eos": True, "stream": True}
    request = urllib.request.Request(
        server.base_url + "/chat/completions", json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": "Bearer " + server.api_key})
    try:
        with urllib.request.urlopen(request) as reply:
            reply.readline()
            begun.release()
            reply.read()
    except (OSError, http.client.HTTPException):
        pass  # what this is about: its connection is cut

for _ in range(2):
    threading.Thread(target=ask, daemon=True).start()
for _ in range(2):
    begun.acquire()
"""


@pytest.mark.local_model
@pytest.mark.parametrize("ending", ["", "llamacpp.close(server)", "sys.exit(0)"])
def test_the_process_ends_at_once_with_answers_in_flight(weights, ending):
    """
    Neither a hang nor a crash when the interpreter ends while the model writes.
    """
    done = run(IN_FLIGHT + ending, weights)

    assert (done.returncode, done.stderr) == (0, "")


FORK = """
import os, sys, json, urllib.request
from llmnb.adapters import llamacpp
load = llamacpp.LoadSettings(n_parallel=1, n_ctx=128)

def ask(server):
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
    request = urllib.request.Request(
        server.base_url + "/chat/completions", json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": "Bearer " + server.api_key})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return reply.status

parents = llamacpp.serve(sys.argv[1], load=load)
assert ask(parents) == 200
child = os.fork()
if not child:
    childs = llamacpp.serve(sys.argv[1], load=load)
    assert childs.base_url != parents.base_url
    assert ask(childs) == 200
    sys.exit(7)  # an orderly end, with the interpreter's clearing up
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert ask(parents) == 200
"""


@pytest.mark.local_model
@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system has no fork")
def test_a_forked_child_starts_its_own_and_leaves_the_parents_alone(weights):
    """
    After a fork both processes answer, and the child ends without waiting for lost threads.
    """
    done = run(FORK, weights)

    assert (done.returncode, done.stdout) == (0, "")
    assert "Error" not in done.stderr


# ---------------------------------------------------------------------- errors


def test_without_the_extra_there_are_three_ways_out(tmp_path, monkeypatch):
    """
    One error names the extra, a key and Ollama; nothing has been sent.
    """
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    # The import system itself says that the package is not there.
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, llamacpp.PACKAGE, raising=False)
    monkeypatch.setattr(sys, "path_importer_cache", {})

    with pytest.raises(MissingExtra) as caught:
        llamacpp.serve(file)
    with pytest.raises(MissingExtra):
        llamacpp.identity(file)

    for hint in ('pip install "llmnb[local]"', "OPENAI_API_KEY", "ollama/"):
        assert hint in caught.value.message


def test_a_missing_file_says_how_files_are_named(tmp_path):
    """
    A path that is not there is an error before anything is loaded.
    """
    with pytest.raises(ConfigurationError, match=r"local/path/to/model\.gguf"):
        llamacpp.serve(tmp_path / "none.gguf")


def test_a_folder_is_no_model(tmp_path):
    """
    What cannot be read as a file is an error too.
    """
    with pytest.raises(ConfigurationError, match="cannot be read"):
        llamacpp.serve(tmp_path)


def test_another_kind_of_file_is_refused_before_the_engine_sees_it(tmp_path):
    """
    Only GGUF files reach native code.
    """
    file = tmp_path / "model.gguf"
    file.write_bytes(b"PK\x03\x04 a zip file")

    with pytest.raises(ConfigurationError, match="not a GGUF file"):
        llamacpp.serve(file)


@pytest.mark.local_model
def test_a_file_cut_short_is_an_error_with_a_next_step(weights, tmp_path):
    """
    A broken download does not end the process, and the message says how to learn more.
    """
    cut = tmp_path / "cut.gguf"
    with weights.open("rb") as source:
        cut.write_bytes(source.read(1_000_000))

    with pytest.raises(ConfigurationError, match=llamacpp.VERBOSITY_VARIABLE) as caught:
        llamacpp.serve(cut)

    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    "load",
    [
        LoadSettings(n_parallel=0),
        LoadSettings(n_ctx=2_000_000_000),
        LoadSettings(n_ctx=0),
        LoadSettings(n_threads=0),
    ],
)
def test_settings_that_would_take_the_machine_down_are_refused(load, tmp_path):
    """
    A slip in the settings is an error, not a process killed for its memory.
    """
    with pytest.raises(ConfigurationError, match="a whole number"):
        llamacpp.serve(tmp_path / "any.gguf", load=load)


def test_a_containers_quota_counts_as_cores(tmp_path):
    """
    Two cores' worth of time on a machine of many is two threads.
    """
    file = tmp_path / "cpu.max"

    file.write_text("200000 100000\n")
    assert llamacpp._quota(str(file)) == 2
    file.write_text("max 100000\n")
    assert llamacpp._quota(str(file)) is None
    assert llamacpp.usable_cores() >= 1
