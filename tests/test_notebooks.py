"""Promises of the notebooks and examples: they run, offline, and are stored without outputs."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

HERE = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((HERE / "notebooks").glob("*.ipynb"))
EXAMPLES = sorted((HERE / "examples").glob("*.py"))
APPLICATIONS = sorted((HERE / "examples").glob("*.ipynb"))  # tests/voila uses them


@pytest.mark.parametrize("path", [*NOTEBOOKS, *APPLICATIONS], ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path):
    """
    What it shows is made when it runs.
    """
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]

    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


@pytest.mark.local_model
@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    """
    In a fresh kernel, with an empty cache, no key and no network.
    """
    monkeypatch.setenv("LLMNB_CACHE_DIR", str(tmp_path / "cache"))
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(path.parent)}}

    NotebookClient(notebook, kernel_name="python3", timeout=110, resources=folder).execute()

    ran = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    assert ran
    assert all(cell.execution_count for cell in ran)


@pytest.mark.slow  # in the fast lane tests/generation/test_examples.py has them answered by `sim`
@pytest.mark.local_model
@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path, tmp_path):
    """
    As its first lines say, with the local model.
    """
    done = subprocess.run(
        [sys.executable, str(path)],
        env={**os.environ, "LLMNB_CACHE_DIR": str(tmp_path / "cache")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
