"""`llmnb simulate`: the simulated provider as a server in the foreground."""

from __future__ import annotations

import argparse
import contextlib
import signal
import threading
from collections.abc import Sequence

from llmnb.errors import ConfigurationError
from llmnb.testing.faults import NAMED, Rule, first_that_speaks, share
from llmnb.testing.latency import Fixed, LatencyModel, Lognormal, Stragglers
from llmnb.testing.simulated import SimulatedProvider


def add_simulate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `llmnb simulate` to a parser."""
    add = parser.add_argument
    add("--port", type=int, default=8000, help="port to listen at; 0 takes a free one (8000)")
    add("--rpm", type=float, metavar="N", help="requests a minute that are let through")
    add("--tpm", type=float, metavar="N", help="tokens a minute that are let through")
    add("--burst", type=float, default=10.0, metavar="SECONDS",
        help="how many seconds' worth of a limit may come at once (10)")  # fmt: skip
    add("--concurrency", type=int, metavar="N", help="requests served at once")
    add("--no-limit-headers", action="store_true", help="tell of no limit in any header")
    add("--latency", type=float, default=0.2, metavar="SECONDS",
        help="seconds to the first token (0.2)")  # fmt: skip
    add("--spread", type=float, default=0.0, metavar="SIGMA",
        help="spread of the latency around that median, lognormal; 0.4 is lifelike")  # fmt: skip
    add("--stragglers", type=float, default=0.0, metavar="SHARE",
        help="part of the requests that takes ten times as long, such as 0.02")  # fmt: skip
    add("--tokens-per-second", type=float, metavar="N", help="pace of the tokens after the first")
    add("--fault", action="append", default=[], metavar="FAULT=SHARE",
        help="let a part of the requests fail, such as 500=0.01 or reset=0.005; may be repeated; "
        f"FAULT is a status or one of: {', '.join(sorted(NAMED))}")  # fmt: skip
    add("--reply", metavar="TEXT", help="answer this to everything (a short sentence of its own)")
    add("--require-key", action="store_true", help="refuse requests without an API key")
    add("--seed", type=int, default=0, help="decides texts, waits and faults (0)")
    add("--totals-only", action="store_true", help="keep sums only, for very many requests")
    add("--fast", action="store_true", help="has no effect: there is one server")


def simulate(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C (or SIGTERM), then report what came; return the exit status."""
    stopped = threading.Event()
    previous = signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    try:
        with _provider(options) as sim:
            print(_greeting(sim), flush=True)
            with contextlib.suppress(KeyboardInterrupt):  # the way to end it
                stopped.wait()
            print(f"\nStopped. {sim.ledger.totals().summary()}", flush=True)
    finally:
        signal.signal(signal.SIGTERM, previous)
    return 0


def _provider(options: argparse.Namespace) -> SimulatedProvider:
    return SimulatedProvider(
        port=options.port,
        seed=options.seed,
        latency=_latency(options),
        tokens_per_second=options.tokens_per_second,
        requests_per_minute=options.rpm,
        tokens_per_minute=options.tpm,
        burst_seconds=options.burst,
        concurrency=options.concurrency,
        limit_headers=not options.no_limit_headers,
        faults=_faults(options.fault),
        api_key=True if options.require_key else None,
        reply=options.reply,
        ledger="totals" if options.totals_only else "rows",
    )


def _latency(options: argparse.Namespace) -> LatencyModel:
    base: LatencyModel = Fixed(options.latency)
    if options.spread:
        base = Lognormal(options.latency, options.spread)
    return Stragglers(base, options.stragglers) if options.stragglers else base


def _faults(shares: Sequence[str]) -> Rule | None:
    """Return the rule that ``--fault`` options describe; None without any."""
    rules: list[Rule] = []
    for text in shares:
        name, _, rate = text.partition("=")
        try:
            rules.append(share(float(rate), int(name) if name.isdigit() else name))
        except ValueError as error:  # float's own, or ours, which is one, too
            raise ConfigurationError(
                f"--fault {text} is not FAULT=SHARE, such as 500=0.01: {error}"
            ) from None
    return first_that_speaks(rules) if rules else None


def _greeting(sim: SimulatedProvider) -> str:
    return f"""\
The simulated provider listens at {sim.base_url} (this machine only; nothing costs anything).

  llmnb, and OpenAI's SDK, by environment:
    export OPENAI_BASE_URL={sim.base_url} OPENAI_API_KEY=simulated
  in Python:
    AsyncLLM("openai", "gpt-4o-mini", url="{sim.base_url}", api_key="simulated")
    OpenAI(base_url="{sim.base_url}", api_key="simulated")
  also as Anthropic ({sim.base_url}/messages) and as Gemini ({sim.gemini_url})
  what has come so far:
    curl {sim.origin}/__ledger__

Ctrl-C stops it."""
