"""A program that serves on a port of this machine, and ends with what started it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

START_SECONDS = 240.0
"""How long a busy machine may take to bring a program up."""

END_SECONDS = 20.0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Program:
    """A program that runs, in a process group of its own; its words go to a log.

    Args:
        command: What is run.
        log: Where its words go.
        environment: All variables that it sees.
        folder: Where it runs.
    """

    def __init__(
        self, command: list[str], log: Path, environment: dict[str, str], folder: Path
    ) -> None:
        self._log = log
        with log.open("w") as output:
            self._process = subprocess.Popen(
                command,
                env=environment,
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until(self, is_met: Callable[[], bool]) -> None:
        """Wait for something that it does, as long as it lives."""
        end = time.monotonic() + START_SECONDS
        while not is_met():
            assert self._process.poll() is None, f"it ended:\n{self._log.read_text()}"
            assert time.monotonic() < end, f"it does not come up:\n{self._log.read_text()}"
            time.sleep(0.05)

    def come_up(self, is_up: Callable[[], bool]) -> None:
        """Wait until it is up; end it where it does not come up."""
        try:
            self.wait_until(is_up)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End it, gently first, and whatever it left behind in its group."""
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
