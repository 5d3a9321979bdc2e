"""Processes that a test starts, and that end with it whatever fails."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from llmnb.testing import SimulatedProvider


@contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a process; at the block's end it is killed if it still runs, and its pipes are closed.

    Args:
        command: Program and arguments.
        **options: As `subprocess.Popen` takes them.
    """
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def kill_at(
    sim: SimulatedProvider, finished: int, command: Sequence[str], environment: dict[str, str]
) -> None:
    """Run a command, and kill it with -9 as soon as a provider has finished so many requests."""
    child = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    try:
        # A start takes a second or two, and on a busy machine much longer.
        sim.wait_until(lambda totals: totals.finished >= finished, timeout=90)
    except TimeoutError:
        child.send_signal(signal.SIGABRT)  # it tells where each of its threads is
        pytest.fail(f"the command hangs or has ended: {child.communicate()[1].decode()}")
    child.kill()
    child.communicate()
