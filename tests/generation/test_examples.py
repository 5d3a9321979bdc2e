"""Promises about the examples: they run, offline, and show what they say."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tree import ROOT


def run(name, *words, folder):
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *words],
        cwd=folder,
        env={**os.environ, "LLMNB_CACHE_DIR": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize(
    "model",
    [
        "sim/m",
        pytest.param("local/smollm2", marks=[pytest.mark.local_model, pytest.mark.slow]),
    ],
)
def test_a_classification_job_over_a_file(model, tmp_path):
    """
    Twenty rows; run again, nothing is asked.
    """
    first = run("classify_file.py", model, str(tmp_path), folder=tmp_path)
    second = run("classify_file.py", model, str(tmp_path), folder=tmp_path)

    assert "20 rows in" in first
    assert "20 requests sent, 0 answered before" in first
    assert "0 requests sent, 20 answered before" in second
    assert first.splitlines()[0] == second.splitlines()[0]


def test_a_story_in_parallel(tmp_path):
    """
    Five scenes and a title.
    """
    out = run("parallel_story.py", folder=tmp_path)

    assert len(out.strip().split("\n\n")) == 6
    assert "missing" not in out


@pytest.mark.parametrize(
    "model",
    [
        "sim/m",
        pytest.param("local/smollm2", marks=[pytest.mark.local_model, pytest.mark.slow]),
    ],
)
def test_reviews_of_a_table(model, tmp_path):
    """
    Twenty of them, and how many agree with the label.
    """
    out = run("classify_reviews.py", model, folder=tmp_path)

    assert f"of 20 answers agree with the label ({model})" in out
    assert "failed" not in out


def test_two_workers_share_a_table(tmp_path):
    """
    Every row is answered, and a second compute finds the same.
    """
    out = run("on_a_cluster.py", folder=tmp_path)

    assert "40 of 40 rows answered by sim/m." in out
    assert "The second time the same: True" in out
