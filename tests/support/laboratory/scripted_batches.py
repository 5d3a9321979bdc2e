"""The simulated provider's batches with a script of what goes wrong with them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llmnb.testing.batches import Batches, Fate, SimulatedBatch, failure, result_line
from llmnb.testing.faults import Break
from llmnb.testing.plan import Headers, ReplyPlan

Chosen = Callable[[str], bool]
"""Whether something befalls a request, by its prompt."""


@dataclass(slots=True, kw_only=True)
class BatchScript:
    """What is to go wrong with batches; by default nothing."""

    polls: int = 1
    """Questions answered with *in progress* before a batch is over."""

    shuffled: bool = False
    expires: Chosen | None = None
    """Requests that are not come to in time."""

    leaves_out: Chosen | None = None
    """Requests of which the results say nothing."""

    duplicates: bool = False
    """Whether every result stands there twice."""

    strangers: int = 0
    """Results with ids that nobody gave."""

    refuses: str | None = None
    """Why a batch is refused after it was accepted."""

    create_errors: list[int] = field(default_factory=list)
    """Statuses for the next submissions, in place of making a batch."""

    lost_replies: int = 0
    """Submissions that make a batch and whose reply never comes."""

    poll_errors: list[int] = field(default_factory=list)
    """Statuses for the next questions how far a batch is."""

    retry_after: int | None = None
    """Seconds told with errors."""


class ScriptedBatches(Batches):
    """Batches that follow a script, `script`, which may be changed at any time."""

    def __init__(self, *handler: Any) -> None:
        super().__init__(*handler)
        self.script = BatchScript()
        self.polls: list[str] = []
        """Names of the batches that were asked after, in order."""

    def create(self, is_openai: bool, raw: bytes, headers: Headers) -> ReplyPlan:
        """Make a batch, or answer with the next error; the reply may be lost."""
        if self.script.create_errors:
            return self._failure(self.script.create_errors.pop(0))
        before = len(self.batches)
        plan = super().create(is_openai, raw, headers)
        if self.script.lost_replies and len(self.batches) > before:
            self.script.lost_replies -= 1
            plan.fault = Break(name="lost reply", at="before")
        return plan

    def look_at(self, batch: SimulatedBatch) -> ReplyPlan:
        """Say how far a batch is, or answer with the next error."""
        self.polls.append(batch.name)
        if self.script.poll_errors:
            return self._failure(self.script.poll_errors.pop(0))
        if batch.status == "in_progress" and self.script.refuses is not None and batch.is_openai:
            batch.status, batch.problem = "failed", self.script.refuses
        return super().look_at(batch)

    def is_due(self, batch: SimulatedBatch) -> bool:
        """Whether it was asked after often enough."""
        return batch.polls >= self.script.polls

    def fate_of(self, prompt: str, is_cancelled: bool) -> Fate:
        """Return what the script says of a request."""
        if self.script.leaves_out is not None and self.script.leaves_out(prompt):
            return "missing"
        if self.script.expires is not None and self.script.expires(prompt):
            return "cancelled" if is_cancelled else "expired"
        return super().fate_of(prompt, is_cancelled)

    def arrange(self, batch: SimulatedBatch) -> None:
        """Add strangers and duplicates, shuffle, and say that the batch expired."""
        script = self.script
        strangers = [
            result_line(batch.is_openai, f"stranger-{number}", 200, b'{"id":"no one\'s"}')
            for number in range(script.strangers)
        ]
        batch.lines += strangers
        if script.duplicates:
            batch.lines, batch.errors = batch.lines * 2, batch.errors * 2
        if script.expires is not None and batch.errors and batch.status == "completed":
            batch.status = "expired"
        if script.shuffled:
            random.Random(len(batch.lines)).shuffle(batch.lines)

    def _failure(self, status: int) -> ReplyPlan:
        plan = failure(status)
        if self.script.retry_after is not None:
            plan.headers["retry-after"] = str(self.script.retry_after)
        return plan
