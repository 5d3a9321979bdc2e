"""Promises about a machine that has nothing: no network, no home, a disk that takes no byte."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tree import ROOT

SHELL = """
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

config = Config()
config.HistoryManager.enabled = False
shell = InteractiveShell.instance(config=config)  # which needs a disk for itself
"""

BARE = """
import errno, os, sys

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate")

def refuse(event, args):
    if event == "open" and isinstance(args[2], int) and args[2] & WRITING:
        if args[0] not in (os.devnull, b"/dev/null"):
            raise OSError(errno.EROFS, "read-only file system", args[0])
    if event in CHANGES:
        raise OSError(errno.EROFS, "read-only file system")
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise OSError(errno.ENETUNREACH, "network is unreachable")

sys.addaudithook(refuse)
"""

LOADED = """
import llmnb
import pandas
shell.run_line_magic("load_ext", "llmnb")
frame = pandas.DataFrame({"text": ["a"]})
print(frame.llm)
plan = frame.llm.plan("text", model="openai/gpt-4o-mini")
print(plan.rows, "row")
print(frame.llm.generate("text", model="openai/gpt-4o-mini", progress=False).isna().tolist())
"""


def test_the_extension_loads_where_nothing_can_be_written_or_reached(tmp_path):
    """
    Import, accessor and plan work; a row that cannot be sent is missing, and says why.
    """
    ran = bare(LOADED, tmp_path, OPENAI_API_KEY="k")

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "<DataFrameLLM of 1 row, with generate, plan, preview, extract, classify, compare, …>",
        "1 row",
        "[True]",
    ]
    assert "Unsent" in ran.stderr
    assert "Traceback" not in ran.stderr


def bare(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that has no home and may neither write nor connect."""
    return subprocess.run(
        [sys.executable, "-B", "-c", SHELL + BARE + code],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath, "IPYTHONDIR": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )
