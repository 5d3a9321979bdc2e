"""Promises of the notebooks and examples: they run offline, and are stored with what they show."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

HERE = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((HERE / "notebooks").glob("*.ipynb"))
EXAMPLES = sorted((HERE / "examples").glob("*.py"))
APPLICATIONS = sorted((HERE / "examples").glob("*.ipynb"))  # tests/voila uses them
ROWS = 24
"""Of the table of reviews, in tests; the stored notebooks read all 240."""

FEWER_ROWS = {"better_prompts": 8}
"""Where each is asked several times."""


def cells(path):
    """Return the cells of a notebook that hold code."""
    every = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in every if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", APPLICATIONS, ids=lambda path: path.stem)
def test_an_application_is_stored_without_outputs(path):
    """
    What it shows is made when it runs.
    """
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells(path))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_with_what_it_shows(path):
    """
    Run from top to bottom without an error or a complaint; a result stands in its first two cells.
    """
    code = cells(path)
    outputs = [output for cell in code for output in cell["outputs"]]

    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert {output["output_type"] for output in outputs} <= {
        "display_data",
        "execute_result",
        "stream",
    }
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert any(cell["outputs"] for cell in code[:2])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_stored_notebook_is_what_a_code_host_shows(path):
    """
    Below 300 kB; no widgets, whose scripts no host runs, and no place, port or time of a machine.
    """
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    times = [r"\b\d\d:\d\d:\d\d\b", r"\b\d{4}-\d\d-\d\dT"]
    places = [r"/tmp\b", r"/home/", r"/root\b", r"/Users/", r"ipykernel_", r"127\.0\.0\.1:\d"]

    assert path.stat().st_size < 300_000
    assert notebook["metadata"].keys() == {"kernelspec", "language_info"}
    assert not any("execution" in cell["metadata"] for cell in notebook["cells"])
    assert "jupyter.widget-view" not in text
    assert [pattern for pattern in times + places if re.search(pattern, text)] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_has_its_picture(path):
    """
    Of one of its cells, below 150 kB, in the folder of pictures.
    """
    picture = HERE / "docs" / "pictures" / f"notebook-{path.stem}.png"

    assert sum("picture" in cell["metadata"].get("tags", []) for cell in cells(path)) == 1
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 150_000


@pytest.fixture
def place(path, tmp_path):
    """Return a folder for a notebook like the checkout's, its table cut short."""
    shutil.copytree(HERE / "examples" / "data", tmp_path / "examples" / "data")
    table = tmp_path / "examples" / "data" / "reviews.csv"
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = lines[: 1 + FEWER_ROWS.get(path.stem, ROWS)]
    table.write_text("".join(kept), encoding="utf-8")
    (tmp_path / "notebooks").mkdir()
    return tmp_path / "notebooks"


@pytest.mark.local_model
@pytest.mark.timeout(300)  # on a busy machine; seconds on an idle one
@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, place, tmp_path, monkeypatch):
    """
    In a fresh kernel, with an empty cache, no key and no network, on the first rows of its table.
    """
    monkeypatch.setenv("LLMNB_CACHE_DIR", str(tmp_path / "cache"))
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(place)}}

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
