"""`EmbeddingRun`: an embedding that can be looked at, steered and awaited from any thread."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from llmnb import bridge
from llmnb.embeddings.job import EmbeddingJob
from llmnb.embeddings.order import Order
from llmnb.embeddings.results import OnText
from llmnb.engine.handle import Mode, RunWrapper
from llmnb.engine.status import State, StatusSnapshot
from llmnb.errors import ConfigurationError, LLMNBError
from llmnb.records import Outcome

_OF_REQUESTS = (
    *("num_rate_limit_errors", "num_api_errors", "num_other_errors", "num_requests"),
    *("num_retried", "num_hedged", "num_unsaved", "prompt_tokens", "completion_tokens"),
    *("usd", "simulated_usd", "num_unpriced", "hedge_usd", "time_of_last_rate_limit_error"),
)
"""Counters of requests, taken over from the run of batches."""

_OF_THE_RUN = (
    *("in_flight", "waiting_on", "pools", "shares", "samples", "latencies", "p50", "p95"),
    *("requests_per_minute", "tokens_per_minute", "budget_usd", "waited_seconds"),
)
"""Fields of the status that are taken over from the run of batches."""


class EmbeddingRun(RunWrapper[list[bytes | None]]):
    """A run that embeds texts; its counts are of texts.

    Args:
        texts: The texts; None is one that is not there and gets nothing.
        order: Who makes the vectors, and how.
        on_text: Told on the loop thread of each text's vector or error.

    Raises:
        ConfigurationError: If the order cannot be carried out; nothing was sent.
    """

    unit = "texts"

    def __init__(
        self, texts: Sequence[str | None], order: Order, on_text: OnText | None = None
    ) -> None:
        super().__init__()
        self._job = EmbeddingJob(texts, order, on_text)
        self._inner = self._job.begin()
        self._inner.owner = self
        self.project = self._inner.project
        self._done = bridge.submit(self._job.finish(self._inner))
        self._set_last_run()

    # -------------------------------------------------------------------- looking

    def status(self) -> StatusSnapshot:
        """Return a frozen picture of the embedding as it is now; rows are texts."""
        job, counters = self._job, self._job.results.counters
        of_batches, counts = self._inner.status(), counters.tracker_copy()
        for name in _OF_REQUESTS:
            setattr(counts, name, getattr(of_batches.counts, name))
        batch = min(job.order.batch_size, len(job.results.texts))
        texts_sent = min(of_batches.in_flight * batch, counts.num_rows - counts.num_rows_done)
        counts.num_tasks_in_progress = texts_sent
        shared = {name: getattr(of_batches, name) for name in _OF_THE_RUN}
        # There is one model, and what it counts here is requests.
        shared["shares"] = tuple(
            dataclasses.replace(share, rows=counts.num_tasks_succeeded)
            for share in of_batches.shares
        )
        return counters.snapshot(
            counts,
            state=self._state(of_batches.state),
            project=self.project,
            total=counts.num_rows,
            launched=counts.num_rows_done + texts_sent,
            **shared,
        )

    def _state(self, of_batches: State) -> State:
        counters, job = self._job.results.counters, self._job
        if counters.ended is not None:
            return counters.end_state
        if job.is_stopping:
            return "stopping"
        return "paused" if of_batches == "paused" else "running"

    @property
    def errors(self) -> dict[int, LLMNBError]:
        """The errors of texts that failed, by position."""
        return dict(sorted(self._job.results.errors.items()))

    @property
    def truncated(self) -> dict[int, int]:
        """Texts of which only the beginning was sent, by position, and the tokens they had."""
        return dict(sorted(self._job.results.truncated.items()))

    @property
    def ndim(self) -> int | None:
        """Numbers in a vector; None while nobody knows."""
        known = (vector for vector in self._job.results.vectors if vector is not None)
        first = next(known, None)
        return self._job.order.ndim if first is None else len(first) // 4

    @property
    def asked(self) -> str:
        """Who makes the vectors, as ``provider/model``."""
        return f"{self._job.target.provider}/{self._job.target.model}"

    def failures(self) -> list[Outcome]:
        """Return what failed; an outcome's `row` is the text's position."""
        return [
            Outcome(row=position, error=error, tag=self._job.results.texts[position])
            for position, error in self.errors.items()
        ]

    def partial(self) -> list[bytes | None]:
        """Return the vectors so far, in the texts' order: little-endian numbers of 32 bits."""
        return list(self._job.results.vectors)

    _finished = partial

    # -------------------------------------------------------------------- steering

    def pause(self) -> None:
        """Send nothing new; what is in flight is finished and stored."""
        super().pause()
        self._job.results.counters.restart_pace()

    def resume(self) -> None:
        """Go on after `pause`."""
        super().resume()
        self._job.results.counters.restart_pace()

    def _change_limits(self, limits: dict[str, Any]) -> None:
        super()._change_limits(limits)
        self._job.results.counters.restart_pace()

    def stop(self) -> None:
        """Send nothing new and hand over what there is; the next embedding asks for the rest."""
        self._job.is_stopping = True
        super().stop()

    def cancel(self) -> None:
        """Stop, and drop what is in flight at once; it may be billed and lost."""
        self._job.is_stopping = True
        super().cancel()
        bridge.loop_thread().loop.call_soon_threadsafe(self._job.claims.drop)

    def _ask_again(self, failed: list[Outcome], mode: Mode | None) -> EmbeddingRun:
        if mode == "batch":
            raise ConfigurationError("Texts are embedded live: leave mode='batch' out.")
        results = self._job.results
        positions = [outcome.row for outcome in failed]
        return EmbeddingRun(
            [results.texts[position] for position in positions],
            self._job.order,
            lambda index, result: results.mend(positions[index], result, self._job.target),
        )
