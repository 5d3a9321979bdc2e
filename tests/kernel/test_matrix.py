"""Older kernels keep the promises about kernels, each in a virtual environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tree import ROOT, project_file

HERE = Path(__file__).parent
VERSIONS = ("6.31.0", "7.2.0")
"""The last that sends a page's messages after the cell, and one that sends them meanwhile."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("version", VERSIONS)
def test_an_older_kernel_keeps_every_promise(version, tmp_path):
    """
    Magics, streaming, interrupts and buttons, with that version of ipykernel.
    """
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    folder = tmp_path / "venv"
    project = project_file()["project"]
    needed = project["dependencies"] + project["optional-dependencies"]["dask"]
    for command in (
        ["venv", "--quiet", "--python", sys.executable, str(folder)],
        ["pip", "install", "--quiet", "--python", str(folder), f"ipykernel=={version}", *needed],
    ):
        made = subprocess.run([uv, *command], capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr

    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", str(HERE)],
        env={**os.environ, "LLMNB_TEST_KERNELS": str(python)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=840,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
