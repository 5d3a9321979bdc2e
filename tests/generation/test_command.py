"""Promises about the commands: the cookbook's words, what they print, how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from children import started

from llmnb.generation.__main__ import main
from llmnb.testing import SimulatedProvider, faults


def write(path, contents):
    with path.open("w") as file:
        for content in contents:
            messages = [{"role": "user", "content": content}]
            file.write(json.dumps({"model": "gpt-4-0613", "messages": messages}) + "\n")
    return path


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_cookbooks_options_are_understood(provider, tmp_path, capsys):
    """
    Every one of them, by its name; 0 means that every line has its answer.
    """
    source = write(tmp_path / "asked.jsonl", ["a", "b", "a"])

    code = main(
        [
            *("--requests_filepath", str(source), "--save_filepath", str(tmp_path / "out.jsonl")),
            *("--request_url", f"{provider.base_url}/chat/completions", "--api_key", "k"),
            *("--max_requests_per_minute", "1500", "--max_tokens_per_minute", "6250000"),
            *("--token_encoding_name", "cl100k_base", "--max_attempts", "5"),
            *("--logging_level", "20"),
        ]
    )

    assert code == 0
    assert len(rows(tmp_path / "out.jsonl")) == 3
    said = capsys.readouterr().out
    assert "3 rows in" in said
    assert "1 the same as another" in said


def test_failed_lines_are_counted_and_the_code_is_1(tmp_path, capsys):
    """
    What failed is asked when the same command is typed again.
    """
    source = write(tmp_path / "asked.jsonl", ["good", "bad"])
    with SimulatedProvider(faults=lambda seen: 400 if seen.prompt == "bad" else None) as sim:
        arguments = ["--requests_filepath", str(source), "--request_url", sim.base_url]
        code = main([*arguments, "--api_key", "k", "--logging_level", "50"])

    assert code == 1
    assert "1 of 2 requests failed" in capsys.readouterr().err


def test_a_refused_key_is_reported_in_a_sentence(tmp_path, capsys):
    """
    Once, after the rows are written.
    """
    source = write(tmp_path / "asked.jsonl", ["a", "b"])
    with SimulatedProvider(faults=lambda seen: faults.status(401)) as sim:
        arguments = ["--requests_filepath", str(source), "--request_url", sim.base_url]
        assert main([*arguments, "--api_key", "k", "--logging_level", "50"]) == 1

    assert capsys.readouterr().err.count("HTTP 401") == 1


def test_what_cannot_begin_ends_with_two(tmp_path, capsys):
    """
    A missing file, a missing key: a sentence, no trace.
    """
    assert main(["--requests_filepath", str(tmp_path / "nowhere.jsonl")]) == 2
    assert "No such file" in capsys.readouterr().err
    assert main(["--requests_filepath", str(write(tmp_path / "a.jsonl", ["a"]))]) == 2
    assert "OPENAI_API_KEY" in capsys.readouterr().err


def test_an_interrupt_ends_with_130_and_the_next_run_goes_on(tmp_path):
    """
    What there is stands under ``….part``, and nothing is asked twice but what was in flight.
    """
    source = write(tmp_path / "asked.jsonl", [f"q {n}" for n in range(200)])
    with SimulatedProvider(latency=0.02) as sim:
        arguments = [
            *(sys.executable, "-m", "llmnb.generation", "--requests_filepath", str(source)),
            *("--request_url", sim.base_url, "--api_key", "k", "--max_concurrent_requests", "4"),
            *("--max_requests_per_minute", "1e7", "--max_tokens_per_minute", "1e9"),
        ]
        environment = {**os.environ, "LLMNB_CACHE_DIR": str(tmp_path / "cache")}
        with started(arguments, env=environment, stderr=subprocess.PIPE, text=True) as child:
            sim.ledger.wait_until(lambda totals: totals.finished >= 20, timeout=60)
            child.send_signal(signal.SIGINT)
            said = child.communicate(timeout=60)[1]

        assert child.returncode == 130, said
        assert "Type the same command again" in said
        assert "Traceback" not in said
        assert len(rows(tmp_path / "asked_results.jsonl.part")) >= 16

        subprocess.run(arguments, env=environment, check=True, capture_output=True)
        assert len(rows(tmp_path / "asked_results.jsonl")) == 200
        assert len(sim.ledger.finished) == 200


@pytest.mark.parametrize("is_loaded", [False, True])
async def test_the_function_is_there_whether_or_not_its_module_is_loaded(is_loaded):
    """
    `from llmnb.generation import …` and `from llmnb.generation.… import …` mean the same.
    """
    import llmnb.generation

    if is_loaded:
        from llmnb.generation.openai_parallel_generate import openai_parallel_generate

        assert llmnb.generation.openai_parallel_generate.__name__.endswith(
            openai_parallel_generate.__name__
        )
    request = {"model": "sim/m", "messages": [{"role": "user", "content": "Hi"}]}

    rows = await llmnb.generation.openai_parallel_generate([request])

    assert rows[0][0] == request
