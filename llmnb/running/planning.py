"""What a run over requests would take and cost, reckoned while nothing is sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from llmnb import settings
from llmnb.adapters import prices, tokens
from llmnb.display import durations, money, numbers
from llmnb.display.aligned import leader
from llmnb.display.escape import visible
from llmnb.display.html_pieces import box, cell, headline, line, table
from llmnb.errors import ConfigurationError
from llmnb.options import checked
from llmnb.rates import Rate
from llmnb.records import Limits, Usage
from llmnb.running.asking import Asking, Duplicates
from llmnb.running.preparer import Preparer
from llmnb.store.entry import Entry
from llmnb.store.project import ProjectStore, open_project

UNLIMITED_ANSWER = 256
"""Tokens that an answer is reckoned with where nothing limits it."""

_LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_CHUNK_ROWS = 500


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The figures of a run that has not begun."""

    model: str
    """Who would be asked, such as ``"openai/gpt-5-mini, then 2 more"``."""

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
    """Tokens of the answers at most, or as reckoned where nothing limits them."""

    answer_limit: int | None
    """Tokens of one answer at most; None where nothing says so."""

    usd_low: float | None
    """Dollars if every answer were one token long; None when the price is unknown."""

    usd_high: float | None
    """Dollars if every answer were as long as it may be."""

    saved_usd: float
    """What the answers that are kept already have cost."""

    minutes: float | None
    """Shortest time under the limits that were given; None where none were."""

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
        return max(waits, key=lambda name: waits[name]) if waits else ""

    @property
    def least_minutes(self) -> float | None:
        """Shortest time under the limits, reckoned from these figures; None without limits."""
        return max(self._waits().values(), default=None)

    def _waits(self) -> dict[str, float]:
        waits = {}
        if limit := self.max_requests_per_minute:
            waits[f"{numbers.limit(limit)} requests/min"] = self.to_ask / limit
        if limit := self.max_tokens_per_minute:
            both = self.prompt_tokens + self.answer_tokens_bound
            waits[f"{numbers.limit(limit)} tokens/min"] = both / limit
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
        lines = [f"{visible(self.model)} would be asked {self.to_ask:,} questions", ""]
        always = ("rows", "  to ask")
        lines += [
            f"  {leader(name, value, note)}"
            for name, value, note in self._lines(length_option)
            if value != "0" or name in always
        ]
        return "\n".join([*lines, "", "Nothing was sent."])

    def _lines(self, length_option: str) -> list[tuple[str, str, str]]:
        lines = [
            ("rows", f"{self.rows:,}", f"{self.samples} answers each" if self.samples > 1 else ""),
            ("  nothing to ask", f"{self.empty:,}", "every field of the prompt is empty"),
            ("  cannot be asked", f"{self.wrong:,}", ""),
            ("  merged", f"{self.merged:,}", "identical to another row"),
            ("  already kept", f"{self.kept:,}", "cost nothing"),
            ("  to ask", f"{self.to_ask:,}", ""),
            ("tokens in", f"≈{numbers.short(self.prompt_tokens)}", ""),
            (
                "tokens out",
                f"≤{numbers.short(self.answer_tokens_bound)}",
                self._length(length_option),
            ),
            ("cost", self.cost_text, f"prices of {visible(self.prices_date)}"),
        ]
        if self.budget_usd is not None:
            lines.append(("budget", money.usd(self.budget_usd), self._budget_words()))
        if self.minutes is not None:
            lines.append(("time", f"≥{durations.rough(60 * self.minutes)}", "under these limits"))
        return lines

    def _length(self, option: str) -> str:
        if self.answer_limit is not None:
            return f"{self.answer_limit} an answer at most"
        return f"reckoned with {UNLIMITED_ANSWER} an answer; set {option} to be sure"

    def _budget_words(self) -> str:
        if self.usd_high is None:
            return "cannot be kept: no price is known"
        return "may end the run before its last row" if self.is_over_budget else "fits"

    @property
    def cost_text(self) -> str:
        """The range of the cost as a person reads it."""
        return money.usd_range(self.usd_low, self.usd_high)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        rows = [
            (cell(name.strip(), head="row"), cell(value, align="right"), cell(note))
            for name, value, note in self._lines("max_tokens")
        ]
        who = f"to {visible(self.model)}, project {visible(self.project)}"
        return box(
            headline(f"{self.to_ask:,} to send", who), table(rows), line("Nothing was sent.")
        )


def plan(
    requests: Iterable[Any],
    asking: Asking,
    *,
    project_name: str | None = None,
    cache_dir: str | Path | None = None,
    share: bool | str | list[str] = True,
    use_cache: bool = True,
    max_requests_per_minute: Rate | None = None,
    max_tokens_per_minute: Rate | None = None,
    max_concurrent_requests: int | None = None,
    budget_usd: float | None = None,
) -> Plan:
    """Return what a run would take and cost; nothing is sent and no key is needed.

    Args:
        requests: Request dictionaries as for `start`; None stands for a row that asks nothing.
        asking: Who would be asked.
        project_name: Project that keeps the answers.
        cache_dir: Folder of all projects.
        share: Whether other projects' answers are used.
        use_cache: False reckons as if nothing were kept.
        max_requests_per_minute: Requests a minute, in any of the forms of `start`.
        max_tokens_per_minute: Tokens a minute.
        max_concurrent_requests: Requests in flight at once.
        budget_usd: Dollars that the run may cost.

    Raises:
        ConfigurationError: If the model, provider or address is wrong.

    Example:
        >>> found = plan([{"prompt": "Hi"}, {"prompt": "Hi"}, None], Asking(model="sim/any"))
        >>> found.rows, found.empty, found.merged, found.to_ask
        (3, 1, 1, 1)
    """
    given = checked(locals())  # the arguments: there is nothing else yet
    preparer = Preparer(asking, needs_keys=False)
    first = preparer.default
    store = open_project(
        settings.project_name(project_name), settings.cache_dir(cache_dir), share=given["share"]
    )
    sums = _Sums()
    sums.take(requests, preparer, store if use_cache else None)
    limit = next((asking.params[name] for name in _LENGTHS if asking.params.get(name)), None)
    bound = sums.to_ask * (limit or UNLIMITED_ANSWER)
    low, high = _usd(preparer, sums.prompt_tokens, sums.to_ask, bound)
    options = settings.current()
    own = preparer.limits.get(first.pool, Limits())
    limits = own.within(
        Limits(
            requests_per_minute=given["max_requests_per_minute"] or options.max_requests_per_minute,
            tokens_per_minute=given["max_tokens_per_minute"] or options.max_tokens_per_minute,
            concurrency=given["max_concurrent_requests"] or options.max_concurrent_requests,
        )
    )
    found = Plan(
        model=_names(preparer),
        project=store.name,
        rows=sums.rows,
        empty=sums.empty,
        wrong=sums.wrong,
        merged=sums.merged,
        cached=sums.cached,
        reused=sums.reused,
        to_ask=sums.to_ask,
        prompt_tokens=sums.prompt_tokens,
        answer_tokens_bound=bound,
        answer_limit=limit,
        usd_low=low,
        usd_high=high,
        saved_usd=sums.saved_usd,
        minutes=None,
        max_requests_per_minute=limits.requests_per_minute,
        max_tokens_per_minute=limits.tokens_per_minute,
        max_concurrent_requests=limits.concurrency or first.limits.concurrency,
        budget_usd=budget_usd if budget_usd is not None else options.budget_usd,
        prices_date=prices.prices_date(),
        duplicates=asking.duplicates,
    )
    return dataclasses.replace(found, minutes=found.least_minutes)


@dataclasses.dataclass(slots=True)
class _Sums:
    rows: int = 0
    empty: int = 0
    wrong: int = 0
    merged: int = 0
    cached: int = 0
    reused: int = 0
    to_ask: int = 0
    prompt_tokens: int = 0
    saved_usd: float = 0.0
    seen: set[str] = dataclasses.field(default_factory=set)

    def take(self, requests: Iterable[Any], preparer: Preparer, store: ProjectStore | None) -> None:
        """Add up requests, looking many up at a time."""
        left = iter(requests)
        while chunk := list(islice(left, _CHUNK_ROWS)):
            new = [call for request in chunk if (call := self._new(request, preparer)) is not None]
            keys = [one.key for calls in new for one in calls]
            found = store.peek(keys) if store is not None and keys else {}
            for calls in new:
                entry = next((found[one.key] for one in calls if one.key in found), None)
                if entry is None:
                    self.to_ask += 1
                    self.prompt_tokens += tokens.fast_estimate(calls[0].body)
                else:
                    self._keep(entry)

    def _new(self, request: Any, preparer: Preparer) -> tuple[Any, ...] | None:
        """Return the calls of a request that is not like an earlier one."""
        self.rows += 1
        if request is None:
            self.empty += 1
            return None
        row = preparer(request, self.rows - 1)
        if row.call is None:
            self.wrong += 1
        elif row.call.key in self.seen:
            self.merged += 1
        else:
            self.seen.add(row.call.key)
            return (row.call, *row.further)
        return None

    def _keep(self, entry: Entry) -> None:
        if entry.reused_from:
            self.reused += 1
        else:
            self.cached += 1
        self.saved_usd += entry.usd or 0.0


def _usd(
    preparer: Preparer, prompt: int, shortest: int, longest: int
) -> tuple[float | None, float | None]:
    """Return the least and the most that a run may cost over the models it may ask."""
    lows, highs = [], []
    for target in preparer.defaults:
        lows.append(target.price(Usage(prompt=prompt, completion=shortest), target.model))
        highs.append(target.price(Usage(prompt=prompt, completion=longest), target.model))
    # The first model answers nearly always; a fallback may be dearer.
    known = [high for high in highs if high is not None]
    return lows[0], max(known) if len(known) == len(highs) else None


def _names(preparer: Preparer) -> str:
    names = [f"{one.provider}/{one.model}" for one in preparer.defaults]
    return names[0] + (f", then {len(names) - 1} more" if len(names) > 1 else "")
