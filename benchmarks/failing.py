"""What rows that always fail cost the others, and how often a server is asked that names no wait.

The simulated provider keeps the ledger.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection

from benchmarks.figure import Figure
from llmnb.models.llm import LLM
from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.testing import SimulatedProvider, SimulatedRequest, faults
from llmnb.testing.faults import outage

POISONED = 12
PLACES = 16


def poisoned_rows(rows: int) -> list[Figure]:
    """Ask with and without twelve rows that always get HTTP 500, spread and all first.

    Args:
        rows: How many rows there are, the failing ones among them.
    """
    without, _ = _good_per_second(rows, ())
    figures = []
    for how, bad in (
        ("spread", range(rows // POISONED // 2, rows, rows // POISONED)),
        ("all first", range(POISONED)),
    ):
        rate, lost = _good_per_second(rows, bad)
        detail = f"{rate:.1f} good rows/s against {without:.1f}, {lost} good rows lost of {rows:,}"
        figures.append(
            Figure(
                f"good rows/s without / with poisoned rows, {how}", without / rate, 1 / 0.9, detail
            )
        )
        figures.append(Figure(f"good rows lost to poisoned rows, {how}", lost, 0, detail))
    return figures


def _good_per_second(rows: int, bad: Collection[int]) -> tuple[float, int]:
    """Return the good rows a second until the last good answer, and how many got none."""
    prompts = {f"question {row}" for row in bad}

    def fault(request: SimulatedRequest) -> int | None:
        return 500 if request.messages[-1]["content"] in prompts else None

    with (
        tempfile.TemporaryDirectory() as folder,
        SimulatedProvider(latency=0.5, faults=fault) as sim,
    ):
        run = start(
            ({"prompt": f"question {row}"} for row in range(rows)),
            Asking(model=LLM(url=sim.base_url, api_key="k", model="m")),
            cache_dir=folder,
            max_concurrent_requests=PLACES,
        )
        outcomes = run.result()
        ledger = sim.ledger.rows
    good = [outcome for outcome in outcomes if outcome.row not in bad]
    began = min(row.received for row in ledger)
    ended = max(row.finished or 0.0 for row in ledger if row.end == "finished")
    return len(good) / (ended - began), sum(one.error is not None for one in good)


def refused_without_a_wait(seconds: float = 10.0, rows: int = 20) -> list[Figure]:
    """Refuse everything for a while with a wait of nothing, as 429, 503 and 529.

    Args:
        seconds: For how long.
        rows: How many rows are asked.
    """
    figures = []
    for status in (429, 503, 529):
        refusal = faults.status(status, retry_after=0)
        with (
            tempfile.TemporaryDirectory() as folder,
            SimulatedProvider(latency=0.02, faults=[outage(0.0, seconds, refusal)]) as sim,
        ):
            run = start(
                ({"prompt": f"question {row}"} for row in range(rows)),
                Asking(model=LLM(url=sim.base_url, api_key="k", model="m")),
                cache_dir=folder,
            )
            failed = sum(outcome.error is not None for outcome in run.result())
            most = max(sim.ledger.count(f"question {row}") for row in range(rows))
            requests = sim.ledger.totals().received
        detail = f"{requests} requests for {rows} rows, {failed} of them failed"
        name = f"most requests for a row, {seconds:g} s of {status} with a wait of nothing"
        figures.append(Figure(name, most, 15, detail))
    return figures


def measure(scale: int) -> list[Figure]:
    """Run all of them."""
    return poisoned_rows(1000 // min(scale, 2)) + refused_without_a_wait(10.0 / min(scale, 4))
