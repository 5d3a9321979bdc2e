"""How well several processes share one limit through Redis: ``python -m benchmarks.limiter``.

The processes are those of the tests; the simulated provider's ledger is the judge. It needs a
redis-server and is not part of ``python -m benchmarks``.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from laboratory import Laboratory
from laboratory.windows import worst_window

from benchmarks.figure import Figure

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))


def shared_limit(per_minute: int, processes: int, seconds: float) -> list[Figure]:
    """Ask as fast as one shared limit lets several processes."""
    from limited_process import LimitedProcess
    from redis_server import RedisServer

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        redis = stack.enter_context(RedisServer())
        redis.settle()
        sim = stack.enter_context(Laboratory.spawn(latency=0.02, limit_headers=False))
        asking = [
            LimitedProcess(
                redis.url,
                url=sim.base_url,
                model="m",
                rows=10_000_000,
                seconds=seconds,
                rates=[["client|request", per_minute], ["client", per_minute * 1000]],
                cache_dir=f"{folder}/{number}",
            )
            for number in range(processes)
        ]
        for one in asking:
            one.ready()
        for one in asking:
            one.go()
        results = [one.result() for one in asking]
        times = sorted(row.received for row in sim.ledger.rows if row.model == "m")
    lasted = times[-1] - times[0]
    rate = per_minute / 60
    worst = worst_window(times, rate=rate, burst=1.0, slack=1.01)
    assert worst is not None
    name = f"{processes} processes at {per_minute:,}/min"
    round_trips = sum(result["calls"] for result in results) / len(times)
    detail = (
        f"{len(times):,} requests in {lasted:.1f} s, {round_trips:.3f} round trips a request; the "
        f"window of {worst.seconds:.1f} s holds {worst.amount:.0f} of {worst.allowed:.0f}"
    )
    figures = [
        Figure(f"unused part, {name}", 1 - len(times) / (rate * lasted), 0.05, detail),
        Figure(f"fullest window / allowed, {name}", worst.amount / worst.allowed, 1.0, detail),
    ]
    if rate >= 1000:
        figures.append(Figure(f"round trips a request, {name}", round_trips, 0.1, detail))
    return figures


def main() -> int:
    """Measure and print; 1 where a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--processes", type=int, default=4)
    chosen = parser.parse_args()
    figures = []
    for per_minute in (1_200, 6_000, 60_000):
        figures += shared_limit(per_minute, chosen.processes, chosen.seconds)
    for figure in figures:
        mark = "ok  " if figure.is_reached else "MISS"
        print(
            f"{mark} {figure.what}: {figure.value:.3f} (at most {figure.bound:g}); {figure.detail}"
        )
    return 0 if all(figure.is_reached for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
