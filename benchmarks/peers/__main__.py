"""Measure llmnb beside its peers: ``python -m benchmarks.peers [--only NAME …] [--write FILE]``.

Prints one table. The full form takes about half an hour, most of it
waiting at limits, and makes a virtual environment for each peer at first use.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers import page, trials
from benchmarks.peers.catalog import PEERS, chosen
from benchmarks.peers.page import Line
from benchmarks.peers.trials import PeerFailed, Sizes
from benchmarks.peers.venvs import ROOT, NotInstalled, Venvs

TRIALS = ("speed", "limits", "faults", "repeats")


def tell(text: str) -> None:
    """Say on standard error what is under way."""
    print(text, file=sys.stderr, flush=True)


def attempt(line: Line, what: str, measure: Callable[[], None]) -> None:
    """Measure one thing of one peer; where it cannot be, keep the reason."""
    if line.peer.only and line.peer.only != what:
        return
    tell(f"{what}: {line.peer.name}")
    try:
        measure()
    except (NotInstalled, PeerFailed) as error:
        line.failures.append(f"{what}: {error}")


def speed(lines: list[Line], venvs: Venvs, sizes: Sizes) -> None:
    """Measure every peer in each round, and divide by bare aiohttp in the same round."""
    bare = chosen(["aiohttp"])[0]
    for _ in range(sizes.rounds):
        base = trials.speed(bare, venvs, sizes).told

        def one(line: Line, base: dict = base) -> None:
            told = base if line.peer is bare else trials.speed(line.peer, venvs, sizes).told
            line.cpu.append(told["cpu"] / base["cpu"])
            line.wall.append(told["wall"] / base["wall"])

        for line in lines:
            attempt(line, "speed", lambda line=line: one(line))


def rest(line: Line, venvs: Venvs, sizes: Sizes, wanted: list[str]) -> None:
    """Do the trials that need no comparison in the same round."""

    def limits() -> None:
        for burst in (10.0, 1.0):
            line.limits[burst] = trials.limit(line.peer, venvs, sizes, burst)

    def faults() -> None:
        line.faults = trials.failures(line.peer, venvs, sizes)

    def repeats() -> None:
        line.repeats = trials.repeats(line.peer, venvs, sizes)

    for name, measure in (("limits", limits), ("faults", faults), ("repeats", repeats)):
        if name in wanted:
            attempt(line, name, measure)


def arguments(given: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    names = ", ".join(peer.name for peer in PEERS)
    parser = argparse.ArgumentParser(prog="benchmarks.peers", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help=names)
    parser.add_argument("--trial", action="append", choices=TRIALS, help="all four unless given")
    parser.add_argument("--quick", action="store_true", help="small form, one round")
    parser.add_argument("--here", action="store_true", help="run all in this interpreter")
    parser.add_argument("--write", type=Path, help="replace the table in this file")
    parser.add_argument(
        "--venvs", type=Path, default=ROOT / ".tools" / "peers", help="where the environments are"
    )
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    """Measure, print the table, and write it where asked; 1 where something was not measured."""
    options = arguments(given)
    load = os.getloadavg()[0]
    sizes = trials.QUICK if options.quick else Sizes()
    venvs = Venvs(None if options.here else options.venvs.resolve())
    wanted = options.trial or list(TRIALS)
    lines = [Line(peer) for peer in chosen(options.only)]
    if "speed" in wanted:
        speed(lines, venvs, sizes)
    for line in lines:
        rest(line, venvs, sizes, wanted)
    stamp = page.stamp(sizes, is_quick=options.quick, load=load)
    text = f"{stamp}\n{page.table(lines, sizes)}"
    print(text)
    if options.write:
        page.write(options.write, text)
    return 1 if any(line.failures for line in lines) else 0


if __name__ == "__main__":
    raise SystemExit(main())
