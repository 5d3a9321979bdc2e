"""Promises about the wheel: what an installation needs is in it, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from tree import ROOT

import llmnb


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_data_files(wheel):
    """
    Types, the provider catalog and the table of the demo are installed.
    """
    names = set(zipfile.ZipFile(wheel).namelist())

    assert {"llmnb/py.typed", "llmnb/wire/catalog.toml", "llmnb/data/reviews.csv"} <= names


def test_the_wheel_holds_the_package_only(wheel):
    """
    Tests, benchmarks and tools are not installed.
    """
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}

    assert tops == {"llmnb", f"llmnb-{llmnb.__version__}.dist-info"}


def test_the_version_is_written_once(wheel):
    """
    The wheel's version is that of `llmnb.__version__`, and its licence is named.
    """
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
    metadata = message_from_string(archive.read(name).decode())

    assert metadata["Version"] == llmnb.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
