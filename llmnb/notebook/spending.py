"""Tokens and dollars by project and model, as the spend logs have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from llmnb.display import money, numbers
from llmnb.display.texts import counted
from llmnb.notebook.forms import Table
from llmnb.notebook.report import Report
from llmnb.store import layout, usage
from llmnb.store.usage import Spent

_COLUMNS = ("", "project", "model", "requests", "tokens in", "tokens out", "spent")


def report(root: Path) -> Report:
    """Return what was spent under a cache folder, by this process and by all."""
    logs = _logs(root)
    here = _rows("this kernel", logs, usage.spending_here)
    ever = _rows("in all", logs, usage.spending)
    if not ever:
        return Report("Nothing was spent yet.")
    notes = ["Answers from the cache cost nothing. Clearing answers does not lower these sums."]
    if not here:
        notes.insert(0, "This kernel has spent nothing.")
    notes += _tracked()
    return Report("", Table(_COLUMNS, tuple(here + ever)), right=(3, 4, 5, 6), notes=notes)


def _tracked() -> list[str]:
    """Say what the cost tracker has added up, where somebody has switched it on."""
    from llmnb.cost import GLOBAL_COST_TRACKER as tracker

    if not (tracker.enabled or tracker.num_requests):
        return []
    said = f"The cost tracker counts {money.usd(tracker.lifetime_cost_usd)} here"
    if tracker.num_unpriced:
        said += f" and {counted(tracker.num_unpriced, 'request')} of unknown price"
    if tracker.upper_bound_usd:
        said += f"; dropped requests may have cost up to {money.usd(tracker.upper_bound_usd)} more"
    return [said + "."]


def _logs(root: Path) -> list[tuple[str, Path]]:
    """Return names and logs of projects, those that were cleared included."""
    names = {place.spend: place.name for place in layout.stored_projects(root)}
    found = sorted((root / layout.SPEND).glob("*.jsonl"))
    # A cleared project's folder name is all that is left of its name.
    return [(names.get(path, path.stem.rpartition("-")[0] or path.stem), path) for path in found]


def _rows(
    whose: str, logs: list[tuple[str, Path]], read: Callable[[Path], list[Spent]]
) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    every: list[Spent] = []
    for name, path in logs:
        for one in read(path):
            every.append(one)
            rows.append(("", name, f"{one.provider}/{one.model}", *_figures([one])))
    if rows:
        rows.insert(0, (whose, "", "", *_figures(every)))
    return rows


def _figures(spent: list[Spent]) -> tuple[str, str, str, str]:
    unpriced = sum(one.unpriced for one in spent)
    return (
        numbers.count(sum(one.requests for one in spent)),
        numbers.count(sum(one.prompt_tokens for one in spent)),
        numbers.count(sum(one.completion_tokens for one in spent)),
        money.usd(sum(one.usd for one in spent), more_unknown=unpriced > 0),
    )
