"""A process that asks as fast as a shared limit lets it; started by tests and benchmarks.

Its arguments are one JSON object: ``url``, ``model``, ``rows``, ``seconds``, ``rates`` (a list of
kind and rate), ``cache_dir``, ``concurrency``, and ``max_tokens``. It prints *ready*, begins
when a line comes, and prints one JSON object at its end: after ``seconds``, else at another line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from llmnb import bridge
from llmnb.engine.run import Run
from llmnb.models.llm import LLM
from llmnb.rate_limiter import GLOBAL_LIMITER
from llmnb.running.asking import Asking
from llmnb.running.start import start


class LimitedProcess:
    """Such a process, as its parent sees it."""

    def __init__(self, redis_url: str | None, **wish: Any) -> None:
        environment = dict(os.environ)
        environment.pop("REDIS_URL", None)
        paths = [str(Path(__file__).parents[2]), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        if redis_url:
            environment["REDIS_URL"] = redis_url
        self.process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(wish)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def ready(self) -> None:
        """Wait until it has imported everything."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == "ready"

    def go(self) -> None:
        """Let it begin; a second time, let it end."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """Return what it says at its end."""
        output, _ = self.process.communicate(timeout=100)
        figures: dict[str, Any] = json.loads(output.splitlines()[-1])
        return figures

    def kill(self) -> None:
        """Kill it at once."""
        self.process.kill()
        self.process.communicate()


def _calls() -> int:
    async def count() -> int:
        link = GLOBAL_LIMITER._state().links.get(GLOBAL_LIMITER.url)
        return 0 if link is None else link.calls

    return bridge.call(count())


def ask(wish: dict[str, Any], model: str, rows: int) -> Run:
    """Start a run."""
    return start(
        ({"prompt": f"{os.getpid()} {row} " + "x" * 20} for row in range(rows)),
        Asking(
            model=LLM(url=wish["url"], api_key="k", model=model),
            params={"max_tokens": wish.get("max_tokens", 5)},
        ),
        cache_dir=wish["cache_dir"],
        max_concurrent_requests=wish.get("concurrency", 100),
    )


def main(wish: dict[str, Any]) -> None:
    """Ask until the rows or the seconds are over."""
    # What is read once, such as certificates, is read before the measured time.
    ask(wish, "warm", 1).wait()
    for kind, rate in wish["rates"]:
        GLOBAL_LIMITER.rate_config[kind, wish["model"]] = rate
    GLOBAL_LIMITER.check()
    print("ready", flush=True)
    sys.stdin.readline()
    run = ask(wish, wish["model"], wish["rows"])
    began = time.process_time()
    if wish.get("seconds"):
        run.wait(wish["seconds"])
    else:
        sys.stdin.readline()
    run.cancel()
    run.wait()
    counts = run.status().counts
    used = time.process_time() - began
    print(
        json.dumps(
            {
                "succeeded": counts.num_tasks_succeeded,
                "failed": counts.num_tasks_failed,
                "calls": _calls(),
                "cpu": used,
            }
        )
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
