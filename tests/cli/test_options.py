"""Promises about options of the commands: those that messages name are taken, and checked."""

from __future__ import annotations

import json

import pytest
from claims import claimed_bursts

from llmnb.cli import main
from llmnb.generation import __main__ as generation
from llmnb.testing import SimulatedProvider


@pytest.fixture
def bodies():
    return []


@pytest.fixture
def sim(monkeypatch, bodies):
    def note(request):
        bodies.append(dict(request.body))

    with SimulatedProvider(reply="OK", faults=note, latency=0) as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        yield sim


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text\na\n")
    return path


@pytest.fixture
def requests(tmp_path):
    path = tmp_path / "requests.jsonl"
    path.write_text(json.dumps({"model": "openai/m", "prompt": "Hi"}) + "\n")
    return path


def run(table, *arguments):
    return main(
        ["run", str(table), "--prompt", "{text}", "--model", "openai/m", "--quiet", *arguments]
    )


def answer(requests, *arguments):
    return generation.main(["--requests_filepath", str(requests), *arguments])


def test_a_run_takes_patience_ends_and_lengths(sim, bodies, table):
    """
    --max-wait and --good-finish are the run's, --max-tokens is sent.
    """
    arguments = ["--max-wait", "1200", "--good-finish", "done", "--max-tokens", "9"]

    assert run(table, *arguments) == 0
    assert bodies[0]["max_tokens"] == 9
    assert not {"max_wait", "good_finish"} & set(bodies[0])


def test_a_file_of_requests_takes_them_too(sim, bodies, requests):
    """
    The command of `llmnb.generation` takes them as the library spells them, or with dashes.
    """
    arguments = ["--max_wait", "1200", "--good_finish", "done", "--max_tokens", "9"]
    arguments += ["--temperature", "0", "--gen_type", "chat"]

    assert answer(requests, *arguments) == 0
    assert (bodies[0]["max_tokens"], bodies[0]["temperature"]) == (9, 0)
    assert answer(requests, "--max-wait", "1200", "--good-finish", "done", "--max-tokens", "9") == 0
    assert bodies[-1]["max_tokens"] == 9


@pytest.mark.parametrize(
    ("arguments", "burst"), [([], "announced"), (["--burst", "smooth"], "smooth")]
)
def test_commands_spend_what_is_announced_as_their_options_tell(
    sim, table, requests, monkeypatch, arguments, burst
):
    """
    --burst smooth keeps it evenly, for a table as for a file of requests.
    """
    claims = claimed_bursts(monkeypatch)

    assert run(table, *arguments) == 0
    assert answer(requests, *arguments) == 0
    assert claims == [burst, burst]


def test_a_rate_is_written_as_everywhere(sim, bodies, table, requests):
    """
    Also as words, such as 5 per second.
    """
    assert run(table, "--rpm", "5 per second", "--tpm", "100000/minute") == 0
    assert answer(requests, "--max_requests_per_minute", "5 per second") == 0
    assert len(bodies) > 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--max-attempts", "0"], "max_attempts is"),
        (["--concurrency", "0"], "max_concurrent_requests is"),
        (["--max-wait", "-1"], "max_wait is"),
        (["--max-wait", "nan"], "max_wait is"),
        (["--rpm", "0"], "max_requests_per_minute is"),
        (["--rpm", "fast"], "max_requests_per_minute is"),
        (["--limit", "-1"], "--limit is the number of rows"),
        (["--tpm", "inf"], "max_tokens_per_minute is"),
        (["--max-tokens", "0"], "max_tokens is"),
        (["--temperature", "-1"], "temperature is"),
    ],
)
def test_a_wrong_value_is_reported_before_anything_is_sent(
    sim, bodies, table, capsys, arguments, said
):
    """
    Exit code 2 and one sentence, that of every other door.
    """
    assert run(table, *arguments) == 2

    error = capsys.readouterr().err
    assert said in error
    assert "Nothing was sent." in error
    assert bodies == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--max_attempts", "0"], "max_attempts is"),
        (["--max_concurrent_requests", "0"], "max_concurrent_requests is"),
        (["--max_wait", "-1"], "max_wait is"),
        (["--budget_usd", "nan"], "budget_usd is"),
    ],
)
def test_so_does_the_command_for_files(sim, bodies, requests, capsys, arguments, said):
    """
    Exit code 2 and the same sentence.
    """
    assert answer(requests, *arguments) == 2

    error = capsys.readouterr().err
    assert said in error
    assert "Nothing was sent." in error
    assert bodies == []
