"""Plans: what a run over requests would take and cost, estimated without sending anything."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Unpack

from llmnb import settings
from llmnb.adapters import prices, tokens
from llmnb.display import durations, money, numbers
from llmnb.display.aligned import leader
from llmnb.display.escape import summary, visible
from llmnb.display.html_fragments import box, cell, headline, line, table
from llmnb.display.texts import counted, cut
from llmnb.engine.target import Call
from llmnb.errors import ConfigurationError
from llmnb.keywords import PlanOptions
from llmnb.options import OPTIONS, names
from llmnb.records import Limits, Usage
from llmnb.running.asking import Asking, Duplicates
from llmnb.running.preparer import Preparer
from llmnb.running.start import limits_in, names_of
from llmnb.store.project import ProjectStore, open_project
from llmnb.targets.target import chosen_tokens

UNLIMITED_ANSWER = 256
"""Tokens that are assumed for an answer where nothing limits it."""

_CHUNK_ROWS = 500


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan:
    """The figures of a run that has not begun."""

    model: str
    """The models that would be asked, such as ``"openai/gpt-5-mini, then 2 more"``."""

    project: str
    """Project that keeps the answers."""

    rows: int
    empty: int
    """Rows without anything to ask: every field of the prompt is missing."""

    wrong: int
    """Requests that cannot be asked."""

    merged: int
    """Requests identical to another one."""

    cached: int
    """Requests that the own project has answered."""

    reused: int
    """Requests that another project has answered."""

    to_ask: int
    """Requests that would be sent."""

    prompt_tokens: int
    """Estimated tokens of what would be sent."""

    answer_tokens_bound: int
    """Tokens of the answers at most, or as assumed where nothing limits them."""

    answer_limit: int | None
    """Tokens of one answer at most; None: no limit is set."""

    usd_low: float | None
    """Dollars if every answer were one token long; None when the price is unknown."""

    usd_high: float | None
    """Dollars if every answer were as long as it may be."""

    saved_usd: float
    """Dollars that the stored answers have cost."""

    max_requests_per_minute: float | None = None
    max_tokens_per_minute: float | None = None
    max_concurrent_requests: int | None = None
    budget_usd: float | None = None
    prices_date: str = ""
    """Day of the prices, as ``2026-10-14``."""

    samples: int = 1
    """Answers to every row."""

    duplicates: Duplicates = "merge"
    begin: Callable[[int | None], Any] | None = dataclasses.field(
        default=None, repr=False, compare=False
    )
    """Starts what was planned: over every row, or over the first so many."""

    @property
    def kept(self) -> int:
        """Requests that cost nothing because their answers are kept."""
        return self.cached + self.reused

    @property
    def is_over_budget(self) -> bool:
        """Whether the run might end where the money ends."""
        return (
            self.budget_usd is not None
            and self.usd_high is not None
            and self.usd_high > self.budget_usd
        )

    @property
    def bound_by(self) -> str:
        """The limit that decides the time, in words; empty where none was given."""
        waits = self._waits()
        return max(waits, key=waits.__getitem__, default="")

    @property
    def minutes(self) -> float | None:
        """Shortest time under the limits that were given; None where none were."""
        return max(self._waits().values(), default=None)

    def _waits(self) -> dict[str, float]:
        """Return the minutes that each limit takes at least, by its text."""
        waits = {}
        if limit := self.max_requests_per_minute:
            waits[f"{numbers.limit(limit)} requests/min"] = self.to_ask / limit
        if limit := self.max_tokens_per_minute:
            tokens_both_ways = self.prompt_tokens + self.answer_tokens_bound
            waits[f"{numbers.limit(limit)} tokens/min"] = tokens_both_ways / limit
        return waits

    def start(self, rows: int | None = None) -> Any:
        """Start what was planned, in the background, and return its run at once.

        Args:
            rows: Only the first so many rows that would be asked; None: all of them.

        Raises:
            ConfigurationError: If the plan does not know what it was made for.
        """
        if self.begin is None:
            raise ConfigurationError("This plan holds figures only: start the run itself.")
        return self.begin(rows)

    def text(self, *, length_option: str = "max_tokens") -> str:
        """Return the plan as aligned lines.

        Args:
            length_option: How the caller limits the length of an answer.
        """
        lines = [f"{visible(self.model)} would be asked {counted(self.to_ask, 'question')}", ""]
        always = ("rows", "  to ask")
        lines += [
            f"  {leader(name, value, note)}"
            for name, value, note in self._lines(length_option)
            if value != "0" or name in always
        ]
        return "\n".join([*lines, "", "Nothing was sent."])

    def _lines(self, length_option: str) -> list[tuple[str, str, str]]:
        """Return the name, the value and a note of every figure."""
        length = f"{self.answer_limit} an answer at most"
        if self.answer_limit is None:
            length = f"reckoned with {UNLIMITED_ANSWER} an answer; set {length_option} to be sure"
        lines = [
            ("rows", f"{self.rows:,}", f"{self.samples} answers each" if self.samples > 1 else ""),
            ("  nothing to ask", f"{self.empty:,}", "every field of the prompt is empty"),
            ("  cannot be asked", f"{self.wrong:,}", ""),
            ("  merged", f"{self.merged:,}", "identical to another row"),
            ("  already kept", f"{self.kept:,}", "cost nothing"),
            ("  to ask", f"{self.to_ask:,}", ""),
            ("tokens in", f"≈{numbers.short(self.prompt_tokens)}", ""),
            ("tokens out", f"≤{numbers.short(self.answer_tokens_bound)}", length),
            ("cost", self.cost_text, f"prices of {visible(self.prices_date)}"),
        ]
        if self.budget_usd is not None:
            note = "may end the run before its last row" if self.is_over_budget else "fits"
            if self.usd_high is None:
                note = "cannot be kept: no price is known"
            lines.append(("budget", money.usd(self.budget_usd), note))
        if self.minutes is not None:
            lines.append(("time", f"≥{durations.rough(60 * self.minutes)}", "under these limits"))
        return lines

    @property
    def cost_text(self) -> str:
        """The range of the cost as a person reads it."""
        return money.usd_range(self.usd_low, self.usd_high)

    def __repr__(self) -> str:
        tokens_in = numbers.short(self.prompt_tokens)
        figures = f"{self.rows:,} rows, {self.to_ask:,} to send, ≈{tokens_in} tokens in"
        where = f"{cut(self.model, 60)}, project {cut(self.project, 40)!r}"
        return summary("Plan", f"{figures}, {self.cost_text}, {where}")

    def __str__(self) -> str:
        return self.text()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        rows = [
            (cell(name.strip(), head="row"), cell(value, align="right"), cell(cut(note, 120)))
            for name, value, note in self._lines("max_tokens")
        ]
        who = f"to {cut(visible(self.model), 120)}, project {cut(visible(self.project), 120)}"
        return box(
            headline(f"{self.to_ask:,} to send", who), table(rows), line("Nothing was sent.")
        )


_DEFAULTS = {name: OPTIONS[name].default for name in names("plan")}


def plan(
    requests: Iterable[Any],
    asking: Asking,
    **keywords: Unpack[PlanOptions],
) -> Plan:
    """Estimate what a run would take and cost; nothing is sent and no key is needed.

    Args:
        requests: Request dictionaries as for `start`; None stands for a row that asks nothing.
        asking: Who would be asked.
        **keywords: See `llmnb.options`; they have been checked.

    Raises:
        ConfigurationError: If the model, provider or address is wrong.

    Example:
        >>> figures = plan([{"prompt": "Hi"}, {"prompt": "Hi"}, None], Asking(model="sim/any"))
        >>> figures.rows, figures.empty, figures.merged, figures.to_ask
        (3, 1, 1, 1)
    """
    options = {**_DEFAULTS, **keywords}
    preparer = Preparer(asking, needs_keys=False)
    targets = preparer.defaults
    store = open_project(options["project_name"], options["cache_dir"], share=options["share"])
    figures = _count(requests, preparer, store if options["use_cache"] else None)
    to_ask, prompt_tokens = figures["to_ask"], figures["prompt_tokens"]
    longest = chosen_tokens(asking.params)
    bound = to_ask * (longest or UNLIMITED_ANSWER)
    least = Usage(prompt=prompt_tokens, completion=to_ask)
    most = Usage(prompt=prompt_tokens, completion=bound)
    # The first model answers nearly always; a fallback may be dearer.
    highs = [target.price(most, target.model) for target in targets]
    known = [high for high in highs if high is not None]
    limits, account = limits_in(options)
    limits = limits.intersect(account).intersect(preparer.limits.get(targets[0].pool, Limits()))
    return Plan(
        model=names_of(targets),
        project=store.name,
        **figures,
        answer_tokens_bound=bound,
        answer_limit=longest,
        usd_low=targets[0].price(least, targets[0].model),
        usd_high=max(known) if len(known) == len(highs) else None,
        max_requests_per_minute=limits.requests_per_minute,
        max_tokens_per_minute=limits.tokens_per_minute,
        max_concurrent_requests=limits.concurrency or targets[0].limits.concurrency,
        budget_usd=settings.budget_usd(options["budget_usd"]),
        prices_date=prices.prices_date(),
        duplicates=asking.duplicates,
    )


def _count(
    requests: Iterable[Any], preparer: Preparer, store: ProjectStore | None
) -> dict[str, Any]:
    """Return the figures of a `Plan` that requests add up to, looking many up at a time."""
    names = ("rows", "empty", "wrong", "merged", "cached", "reused", "to_ask", "prompt_tokens")
    sums, saved_usd = dict.fromkeys(names, 0), 0.0
    seen: set[str] = set()
    remaining = iter(requests)
    while chunk := list(islice(remaining, _CHUNK_ROWS)):
        new: list[tuple[Call, ...]] = []
        for request in chunk:
            row = None if request is None else preparer(request, sums["rows"])
            sums["rows"] += 1
            if row is None:
                sums["empty"] += 1
            elif row.call is None:
                sums["wrong"] += 1
            elif row.call.key in seen:
                sums["merged"] += 1
            else:
                seen.add(row.call.key)
                new.append((row.call, *row.further))
        keys = [call.key for calls in new for call in calls]
        entries = store.peek(keys) if store is not None and keys else {}
        for calls in new:
            entry = next((entries[call.key] for call in calls if call.key in entries), None)
            if entry is None:
                sums["to_ask"] += 1
                sums["prompt_tokens"] += tokens.fast_estimate(calls[0].body)
            else:
                sums["reused" if entry.reused_from else "cached"] += 1
                saved_usd += 0.0 if entry.simulated else entry.usd or 0.0
    return {**sums, "saved_usd": saved_usd}
