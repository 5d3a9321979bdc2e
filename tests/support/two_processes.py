"""Programs that another process runs beside a test, and how one is started."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AbstractContextManager
from typing import Any

from children import started

WITH_ITS_PARENT = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(3)), daemon=True).start()
"""
"""A program that ends as soon as nobody holds the other end of its input."""

OWNER = (
    WITH_ITS_PARENT
    + """
import pathlib
from llmnb.store import claims, layout
own = claims.of(layout.ProjectPaths(pathlib.Path(sys.argv[1]), "both"))
own.enter()
assert all(own.take(key) for key in sys.argv[2:])
print("taken", flush=True)
threading.Event().wait()
"""
)
"""A program that claims the keys it is given, and holds them until it ends."""


def program(text: str, *arguments: object) -> AbstractContextManager[subprocess.Popen[Any]]:
    """Start another process, which ends with the test and with the process that runs it."""
    command = [sys.executable, "-c", text, *map(str, arguments)]
    return started(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
