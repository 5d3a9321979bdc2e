"""Promises about tests whose servers or weights are not on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tree import ROOT

SUITE = """
import pytest

def test_that_needs_nothing():
    pass

@pytest.mark.redis
def test_that_needs_redis():
    pass
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Two tests, one of which needs a server; the hooks are those of this suite."""
    support = ROOT / "tests" / "support"
    (tmp_path / "conftest.py").write_text("from needs import *\n")
    (tmp_path / "test_two.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text(
        f"[pytest]\npythonpath = {support}\nmarkers =\n  redis: needs redis-server\n"
    )
    return tmp_path


def run(folder: Path, *arguments: str, ci: str = "") -> subprocess.CompletedProcess[str]:
    """Run pytest where no program can be found."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PATH": str(folder),
            "CI": ci,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # a second saved for each
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "2")], ids=["alone", "xdist"])
def test_what_cannot_run_is_counted_as_not_run(suite, workers):
    """
    The test is left out, said at the top and counted at the end; nothing is skipped.
    """
    done = run(suite, *workers)

    assert done.returncode == 0, done.stdout
    assert "missing: " in done.stdout
    assert "not run: 1 test (no redis-server)" in done.stdout
    assert "1 passed" in done.stdout
    assert "skipped" not in done.stdout


def test_under_ci_nothing_may_be_missing(suite):
    """
    There the same test fails and says why.
    """
    done = run(suite, ci="true")

    assert done.returncode == 1
    assert "no redis-server: under CI every test must run" in done.stdout
    assert "1 passed, 1 error" in done.stdout
