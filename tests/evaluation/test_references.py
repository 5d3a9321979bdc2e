"""The statistics against statsmodels and scikit-learn, on tables drawn at random."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from environments import made_environment
from tree import ROOT

FIGURES = {
    *("wilson low", "wilson high", "p of mcnemar", "p of holm", "accuracy", "kappa", "macro F1"),
    *("precision", "recall", "F1", "rows", "mae", "mae low", "mae high", "rmse", "spearman"),
}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_figures_are_those_of_statsmodels_and_scikit_learn(tmp_path):
    """
    On 400 tables of each kind no figure differs by more than 1e-9 of the reference.
    """
    python = made_environment(tmp_path / "venv", "statsmodels>=0.14", "scikit-learn>=1.5")
    session = Path(__file__).with_name("session_statistics.py")
    done = subprocess.run(
        [str(python), str(session)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    differences = json.loads(done.stdout.splitlines()[-1])
    assert differences.keys() == FIGURES
    assert max(differences.values()) <= 1e-9, differences
