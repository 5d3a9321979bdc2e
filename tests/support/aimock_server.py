"""aimock as a process: an independent mock of the providers' protocols on a free port."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import urllib.request
from pathlib import Path
from typing import IO, Any, Self

_LISTENING = re.compile(r"listening on (http://127\.0\.0\.1:\d+)")


class Aimock:
    """A running aimock.

    Args:
        program: Path of ``llmock``.
        fixtures: Folder of its fixture files.
    """

    def __init__(self, program: Path, fixtures: Path) -> None:
        self._process = subprocess.Popen(
            [str(program), "--port", "0", "--fixtures", str(fixtures), "--log-level", "info"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A node beside the program comes first: the system's may be too old for it.
            env={**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"},
        )
        assert self._process.stdout is not None
        self.origin = self._wait(self._process.stdout)
        """Where it listens, such as ``http://127.0.0.1:41234``."""
        # An unread pipe would fill up and stop it.
        self._drain = threading.Thread(target=self._process.stdout.read, daemon=True)
        self._drain.start()

    @property
    def base_url(self) -> str:
        """The base of OpenAI's protocol."""
        return f"{self.origin}/v1"

    def _wait(self, output: IO[str]) -> str:
        lines = []
        for line in output:
            lines.append(line)
            if found := _LISTENING.search(line):
                return found[1]
        self.close()
        raise RuntimeError("aimock did not start:\n" + "".join(lines))

    def journal(self) -> list[dict[str, Any]]:
        """Return every request it has received since `forget`, as it came."""
        with urllib.request.urlopen(f"{self.origin}/__aimock/journal", timeout=10) as reply:
            entries: list[dict[str, Any]] = json.load(reply)
        return entries

    def forget(self) -> None:
        """Begin an empty journal."""
        address = f"{self.origin}/__aimock/reset/journal"
        with urllib.request.urlopen(urllib.request.Request(address, method="POST"), timeout=10):
            pass

    def close(self) -> None:
        """Stop it."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if hasattr(self, "_drain"):
            self._drain.join(10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
