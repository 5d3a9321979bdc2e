"""Virtual environments of their own, for packages that only the slow lane needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tree import project_file


def made_environment(folder: Path, *packages: str) -> Path:
    """Return the Python of a new environment with packages and what llmnb itself needs.

    Args:
        folder: Where it is made.
        *packages: Words for ``uv pip install``.
    """
    python = folder / "bin" / "python"
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    own = project_file()["project"]["dependencies"]
    for command in (
        ["venv", "--quiet", "--python", sys.executable, str(folder)],
        ["pip", "install", "--quiet", "--python", str(python), *packages, *own],
    ):
        done = subprocess.run([uv, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    return python
