"""`llmnb plan`: what a run would take and cost. Nothing is sent."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from itertools import islice

from llmnb import settings
from llmnb.adapters import prices, tokens
from llmnb.cli import asking as options_of
from llmnb.cli import text
from llmnb.engine.status import usd_text
from llmnb.models.asking import Preparer
from llmnb.progress import short
from llmnb.store.project import open_project

_UNLIMITED_ANSWER = 256
"""Tokens that an answer is reckoned with where nothing limits it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    options_of.add_arguments(parser)


@dataclass(slots=True)
class _Sums:
    rows: int = 0
    empty: int = 0
    wrong: int = 0
    merged: int = 0
    cached: int = 0
    asked: int = 0
    prompt_tokens: int = 0


def act(options: argparse.Namespace) -> int:
    """Run the command."""
    questions = options_of.Questions(options)
    options_of.announce(options.model, options.url)
    # A plan sends nothing, so it needs no key.
    preparer = Preparer(dataclasses.replace(options_of.asking(options), api_key="none"))
    store = open_project(settings.project_name(options.project), settings.cache_dir())
    sums, seen = _Sums(), set[str]()
    rows = questions.rows()
    while chunk := list(islice(rows, 500)):
        new = {}
        for row in chunk:
            sums.rows += 1
            request = questions.request(row)
            if request is None:
                sums.empty += 1
                continue
            prepared = preparer(request, sums.rows - 1)
            if prepared.call is None:
                sums.wrong += 1
            elif prepared.call.key in seen:
                sums.merged += 1
            else:
                seen.add(prepared.call.key)
                new[prepared.call.key] = prepared.call
        found = {} if options.no_cache else store.lookup(list(new))
        sums.cached += len(found)
        for key, call in new.items():
            if key not in found:
                sums.asked += 1
                sums.prompt_tokens += tokens.fast_estimate(call.body)
    _show(sums, preparer, options)
    return 0


def _show(sums: _Sums, preparer: Preparer, options: argparse.Namespace) -> None:
    target = preparer.default
    most = sums.asked * (options.max_tokens or _UNLIMITED_ANSWER)
    low = prices.estimate(target.provider, target.model, sums.prompt_tokens, sums.asked)
    high = prices.estimate(target.provider, target.model, sums.prompt_tokens, most)
    print(f"{target.provider}/{target.model} would be asked {sums.asked:,} questions\n")
    lines = [
        ("rows", f"{sums.rows:,}", ""),
        ("  nothing to ask", f"{sums.empty:,}", "every field of the prompt is empty"),
        ("  cannot be asked", f"{sums.wrong:,}", ""),
        ("  merged", f"{sums.merged:,}", "identical to another row"),
        ("  already kept", f"{sums.cached:,}", "cost nothing"),
        ("  to ask", f"{sums.asked:,}", ""),
        ("tokens in", f"≈{short(sums.prompt_tokens)}", ""),
        ("tokens out", f"≤{short(most)}", _answer_words(options)),
        ("cost", _range(low, high), "prices of " + prices.prices_date()),
    ]
    if minutes := _minutes(sums, most, options):
        lines.append(("time", minutes, "under these limits"))
    for line in lines:
        if line[1] != "0" or line[0] in ("rows", "  to ask"):
            print(text.leader(*line))
    print("\nNothing was sent.")


def _answer_words(options: argparse.Namespace) -> str:
    if options.max_tokens:
        return f"{options.max_tokens} an answer at most"
    return f"reckoned with {_UNLIMITED_ANSWER} an answer; set --max-tokens to be sure"


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "unknown"
    if high == low:
        return usd_text(low)
    return f"{usd_text(low)} to {usd_text(high)}"


def _minutes(sums: _Sums, most: int, options: argparse.Namespace) -> str:
    waits = []
    if options.rpm:
        waits.append(sums.asked / options.rpm)
    if options.tpm:
        waits.append((sums.prompt_tokens + most) / options.tpm)
    return f"≥{text.span(60 * max(waits))}" if waits else ""
