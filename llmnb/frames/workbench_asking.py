"""How a workbench asks its table: which requests of which rows, at what price, of how much."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from llmnb.display import money
from llmnb.engine.budget import Budget, SharedBudget
from llmnb.engine.run import Run
from llmnb.errors import BudgetExceeded
from llmnb.frames.job import Job, job
from llmnb.frames.table_source import TableSource
from llmnb.frames.workbench_version import Question
from llmnb.options import OPTIONS
from llmnb.records import Outcome
from llmnb.running.planning import Plan
from llmnb.running.start import start

COUNTED_ROWS = 100_000
"""A larger table is planned from `SAMPLED_ROWS` rows at random."""

SAMPLED_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Estimates:
    """What asking would take; nothing is sent for it."""

    question: Question
    sample: Plan
    """Of the sample rows."""

    labelled: Plan | None
    """Of the labelled rows that are no examples; None where there are none."""

    whole: Plan
    """Of the whole table, or of the rows that it is estimated from."""

    counted: int | None
    """Rows that `whole` is estimated from; None: all of them."""


@dataclass(frozen=True, slots=True)
class AskedTable:
    """The table of a workbench, as questions are asked of it.

    Attributes:
        source: The table.
        into: The column of answers.
        project_name: Project that keeps the answers.
    """

    source: TableSource
    into: Hashable
    project_name: str | None

    def job(
        self, question: Question, rows: Sequence[int] | None = None
    ) -> tuple[Job, Callable[[int], int]]:
        """Return a question about some rows, or all, and which row of the table a request is of."""
        # Only the whole table is written somewhere.
        into = self.into if question.has_fields and rows is None else None
        options = question.options(project_name=self.project_name, into=into)
        source = self.source
        kept: Sequence[int] = range(source.rows)
        if rows is not None:
            kept = sorted({*rows, *question.examples})
            source = source.rows_at(kept)
        examples = question.examples
        labelled = {place: examples[row] for place, row in enumerate(kept) if row in examples}
        asked = job(source, question.prompt, options, labelled=labelled)
        if rows is not None:
            wanted = set(rows)
            asking = [place for place in asked.questions.positions if kept[place] in wanted]
            asked = asked.about(asking)
        questions = asked.questions
        return asked, lambda request: kept[questions.row_of(request)]

    def estimates(
        self, question: Question, sample: Sequence[int], labelled: Sequence[int], seed: int
    ) -> Estimates:
        """Return what asking the sample, the labelled rows and the whole table would take."""
        some = None
        if self.source.rows > COUNTED_ROWS:
            some = random.Random(seed).sample(range(self.source.rows), SAMPLED_ROWS)
        return Estimates(
            question=question,
            sample=self.job(question, sample)[0].plan(),
            labelled=self.job(question, labelled)[0].plan() if labelled else None,
            whole=self.job(question, some)[0].plan(),
            counted=None if some is None else len(some),
        )


class Spending:
    """One budget for all runs that ask a few rows, and what was spent of it.

    Args:
        limit: Dollars.

    Raises:
        ConfigurationError: If that is no number of dollars.
    """

    def __init__(self, limit: float) -> None:
        self._shared = SharedBudget()
        self._budget = self._shared.budget = Budget(_checked(limit))
        self._runs: list[Run] = []
        self._past_usd = 0.0
        self._is_refused = False
        self._lock = threading.Lock()
        self.has_unpriced = False
        """Whether answers were bought whose price is unknown."""

    @property
    def limit(self) -> float:
        """Dollars that may be spent; may be set."""
        return self._budget.limit

    @limit.setter
    def limit(self, usd: float) -> None:
        self._budget.limit = _checked(usd)
        self._is_refused = False

    @property
    def usd(self) -> float:
        """Dollars spent, as far as prices are known."""
        with self._lock:
            running = 0.0
            for run in list(self._runs):
                counts = run.counts
                self.has_unpriced |= counts.num_unpriced > 0
                if run.is_done:
                    self._past_usd += counts.shown().usd
                    self._runs.remove(run)
                else:
                    running += counts.shown().usd
            return self._past_usd + running

    @property
    def is_over(self) -> bool:
        """Whether the budget is at its end: it is spent, or does not pay for another row."""
        return self._is_refused or self.usd >= self.limit

    @property
    def runs(self) -> list[Run]:
        """The runs that are under way."""
        return [run for run in list(self._runs) if not run.is_done]

    def start(self, asked: Job, on_outcome: Callable[[Outcome], None]) -> None:
        """Start a run within the budget, where its price is known."""
        options = asked.options.for_door("start")
        if asked.plan().usd_high is not None:
            options["budget_usd"] = self.limit

        def take(outcome: Outcome) -> None:
            self._is_refused |= isinstance(outcome.error, BudgetExceeded)
            on_outcome(outcome)

        with self._shared.used():
            run = start(asked.questions, asked.asking, on_outcome=take, **options)
        with self._lock:
            self._runs.append(run)

    def text(self) -> str:
        """Return what was spent, in words."""
        return f"{money.usd(self.usd, more_unknown=self.has_unpriced)} spent"

    def end_text(self) -> str:
        """Return in a sentence how the budget is at its end."""
        limit, spent = self.limit, self.usd
        if spent >= 0.9 * limit:
            return f"The {money.usd(limit)} of this workbench are spent."
        return (
            f"What is left of the {money.usd(limit)} of this workbench, "
            f"{money.usd(limit - spent)}, does not pay for another row."
        )


def _checked(usd: float) -> float:
    dollars: float = OPTIONS["budget_usd"].checked("budget_usd", usd)
    return dollars
