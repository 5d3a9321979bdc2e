"""Promises about prompts beside transformers: the same tokens, by name and by template."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tree import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SCRIPT = Path(__file__).with_name("chat_templates.py")


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """A Python of its own with transformers, without torch: it only writes and counts here."""
    environment = tmp_path_factory.mktemp("transformers") / "venv"
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    python_path = environment / "bin" / "python"
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(environment)],
        [
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            str(python_path),
            "transformers>=5",
            "jinja2>=3.1",
        ],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    return python_path


def test_tokens_are_those_of_transformers(python):
    """
    Every family, with and without a system's text, awkward white space included.
    """
    done = subprocess.run(
        [str(python), str(SCRIPT)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["differences"] == []
    assert result["compared"] == 12 * 3 * 5 * 2
