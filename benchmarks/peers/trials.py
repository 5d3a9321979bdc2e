"""The four pieces of work that every peer does, and what the provider's ledger says of each."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from laboratory import Laboratory
from laboratory.spawned import SpawnedProvider

from benchmarks.peers import served
from benchmarks.peers.catalog import Peer
from benchmarks.peers.scripts.harness import Task
from benchmarks.peers.venvs import ROOT, Venvs, environment
from llmnb.testing import Ledger


class PeerFailed(Exception):
    """A peer's process ended without its line of JSON; the message has its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much work there is."""

    speed_rows: int = 2_000
    rounds: int = 3
    in_flight: int = 100
    per_minute: int = 600
    limit_seconds: float = 30.0
    fault_rows: int = 1_000
    repeated_rows: int = 1_000
    distinct: int = 100


QUICK = Sizes(
    speed_rows=300, rounds=1, limit_seconds=6.0, fault_rows=200, repeated_rows=200, distinct=20
)


@dataclass(frozen=True, slots=True)
class Done:
    """What a peer says of its rows, and the ledger of the provider that it asked."""

    told: Mapping[str, Any]
    ledger: Ledger

    @property
    def right(self) -> int:
        """Rows with the answer to their own prompt."""
        return int(self.told["right"])

    def demand_all(self) -> None:
        """Raise `PeerFailed` where a row lacks its answer."""
        told = self.told
        if self.right != told["rows"]:
            why = told["first_error"] or f"{told['wrong']} were wrong, cut off: {told['is_cut']}"
            raise PeerFailed(f"{self.right} of {told['rows']} rows were answered ({why})")


def do(
    peer: Peer, venvs: Venvs, task: Task, *, cut_after: float | None = None, **provider: Any
) -> Done:
    """Have a peer do a task against a simulated provider in a process of its own.

    Args:
        peer: Who asks.
        venvs: Where it is installed.
        task: What it asks.
        cut_after: Seconds from the first request that came, after which it is stopped.
        **provider: The provider's settings.

    Raises:
        PeerFailed: If it dies, or is not done long after its time.
    """
    with (
        Laboratory.spawn(reply=served.reply, **provider) as sim,
        tempfile.TemporaryDirectory() as folder,
    ):
        given = replace(task, url=sim.base_url, folder=folder, variant=peer.variant)
        said, complained = Path(folder) / "said", Path(folder) / "complained"
        with said.open("wb") as out, complained.open("wb") as errors:
            process = subprocess.Popen(
                [venvs.python(peer), str(peer.path), json.dumps(asdict(given))],
                env=_environment(venvs),
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=errors,
            )
            try:
                _watch(process, sim, cut_after, patience=task.seconds + 120)
            finally:
                process.kill()
                process.communicate()
        lines = said.read_text(encoding="utf-8").strip().splitlines()
        if process.returncode or not lines:
            last = (complained.read_text(encoding="utf-8").strip().splitlines() or ["nothing"])[-1]
            raise PeerFailed(f"{peer.name} ended with {process.returncode} and said: {last}")
        return Done(json.loads(lines[-1]), sim.ledger)


def _environment(venvs: Venvs) -> dict[str, str]:
    found = environment(venvs.vocabulary())
    if venvs.folder is None:
        found["PYTHONPATH"] = str(ROOT)
    return found


def _watch(
    process: subprocess.Popen[bytes],
    sim: SpawnedProvider,
    cut_after: float | None,
    patience: float,
) -> None:
    """Wait for a peer's end; or from its first request on only so long, then have it stop."""
    try:
        if cut_after is None:
            process.wait(patience)
            return
        while process.poll() is None and not sim.totals().received:
            time.sleep(0.05)
        process.wait(cut_after)
    except subprocess.TimeoutExpired:
        process.communicate(timeout=30)  # closes its standard input, which ends it


def speed(peer: Peer, venvs: Venvs, sizes: Sizes) -> Done:
    """No limit, no fault, no wait: what a request costs."""
    task = Task(
        url="",
        rows=sizes.speed_rows,
        distinct=sizes.speed_rows,
        in_flight=sizes.in_flight,
        warms_up=True,
    )
    done = do(peer, venvs, task)
    done.demand_all()
    return done


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How a peer fared at a limit."""

    used: float
    """Requests that passed, as a part of what the provider would have let pass."""

    refused: int
    lost: int


def limit(peer: Peer, venvs: Venvs, sizes: Sizes, burst: float) -> LimitUse:
    """Ask twice what a limit allows for so many seconds.

    Args:
        peer: Who asks.
        venvs: Where it is installed.
        sizes: How long, and which limit.
        burst: Seconds' worth that the provider lets pass at once.
    """
    per_second = sizes.per_minute / 60
    allowed = per_second * (sizes.limit_seconds + burst)
    task = Task(
        url="",
        rows=int(allowed * 2),
        distinct=int(allowed * 2),
        in_flight=sizes.in_flight,
        per_minute=sizes.per_minute,
    )
    done = do(
        peer,
        venvs,
        task,
        cut_after=sizes.limit_seconds + 0.5,
        requests_per_minute=sizes.per_minute,
        burst_seconds=burst,
        latency=0.2,
    )
    rows = done.ledger.received
    end = rows[0].received + sizes.limit_seconds if rows else 0.0
    passed = sum(row.status != 429 and row.received <= end for row in rows)
    refused = sum(row.status == 429 and row.received <= end for row in rows)
    lost = done.told["failed"] + done.told["wrong"]
    return LimitUse(passed / allowed, refused, lost)


@dataclass(frozen=True, slots=True)
class FaultsSurvived:
    """How a peer fared with single failures."""

    lost: int
    extra: int
    """Requests beyond the first of each prompt."""

    needed: int
    """Requests that failed, so that one more was needed."""

    early: int
    """Prompts that came again before the time that their refusal had named."""


def failures(peer: Peer, venvs: Venvs, sizes: Sizes) -> FaultsSurvived:
    """Answer one prompt in fifty with 500 once, another one in fifty with 429 and a wait."""
    task = Task(
        url="",
        rows=sizes.fault_rows,
        distinct=sizes.fault_rows,
        in_flight=sizes.in_flight // 5,
        seconds=120.0,
    )
    done = do(peer, venvs, task, latency=0.05, faults=served.TwoKindsOnce())
    rows = done.ledger.received
    return FaultsSurvived(
        lost=sizes.fault_rows - done.right,
        extra=sum(row.attempt > 0 for row in rows),
        needed=sum(row.fault is not None for row in rows),
        early=_early(done.ledger),
    )


def _early(ledger: Ledger) -> int:
    """Count the prompts whose second request ignored the wait of the first's refusal."""
    refused = {row.prompt_hash: row.received for row in ledger.received if row.status == 429}
    second = {row.prompt_hash: row.received for row in ledger.received if row.attempt == 1}
    least = served.RETRY_AFTER - 0.02  # clocks of two processes
    return sum(
        second[prompt] - first < least for prompt, first in refused.items() if prompt in second
    )


def repeats(peer: Peer, venvs: Venvs, sizes: Sizes) -> int:
    """Ask few prompts many times, each peer's own cache on; returns the requests sent."""
    task = Task(
        url="",
        rows=sizes.repeated_rows,
        distinct=sizes.distinct,
        in_flight=sizes.in_flight // 2,
        has_cache=True,
    )
    done = do(peer, venvs, task, latency=0.05)
    done.demand_all()
    return len(done.ledger.received)
