"""Many texts over a list of models: an outcome for every one, as fast as the models allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from llmnb import progress
from llmnb.engine.run import Run
from llmnb.errors import ConfigurationError
from llmnb.models.asking import Asking, start
from llmnb.models.llm import LLM, Prompt, request_of
from llmnb.records import Outcome


class GenerationMaster:
    """Asks every text of a list, falling back and hedging over several models.

    The parts of the engine under the names of the design they come from: `_todo` is
    the run's window, `_responses` its outcomes, `_pbar` its bars.

    Args:
        llms: Models in the order of fallback; see `redundant_llms`.
        input_text_list: Texts, or lists of messages.
        num_workers: Requests in flight at once for each model; None: found by trying.
        session: Ignored but kept: the engine has a session of its own.
        max_retries: Retries of a request that was unsent or surely unbilled.
        time_limit: Seconds for one text from its first dispatch; at half of it, without
            a first token, every further model is asked once.
        hedge_after: Seconds without a first token, or ``"p95"``, after which the next
            model is asked as well.
        project_name: Project that keeps the answers.
        bars: Whether to show bars.

    Example:
        >>> import asyncio
        >>> from llmnb.testing import SimulatedProvider
        >>> with SimulatedProvider(reply=lambda prompt: prompt.upper()) as sim:
        ...     llms = [LLM(url=sim.base_url, api_key="k", model=name) for name in "ab"]
        ...     asyncio.run(GenerationMaster(llms, ["one", "two"], bars=False).run())
        ['ONE', 'TWO']
    """

    def __init__(
        self,
        llms: Sequence[LLM | str],
        input_text_list: Sequence[Prompt],
        num_workers: int | None = None,
        session: Any = None,
        max_retries: int = 3,
        time_limit: float | None = None,
        hedge_after: float | Literal["p95"] | None = None,
        *,
        project_name: str | None = None,
        bars: progress.Bars = "auto",
    ) -> None:
        if not llms:
            raise ConfigurationError("GenerationMaster needs at least one model in llms.")
        self.llms = list(llms)
        self.input_text_list = list(input_text_list)
        self.num_workers = num_workers
        self.session = session
        self.max_retries = max_retries
        self.time_limit = time_limit
        self.hedge_after = hedge_after
        self.project_name = project_name
        self.last_run: Run | None = None
        self._bars = bars
        self._outcomes: list[Outcome | None] = [None] * len(self.input_text_list)

    async def run(self) -> list[str | None]:
        """Return the texts in the order of the inputs, None where a row failed."""
        self.last_run = self._start(self.input_text_list)
        await progress.aattend(self.last_run, bars=self._bars)
        self._outcomes = list(self.last_run.partial())
        return self._responses

    @property
    def outcomes(self) -> list[Outcome | None]:
        """Everything known of each text: answer or error, model, cost, seconds."""
        return list(self.last_run.partial() if self.last_run is not None else self._outcomes)

    @property
    def _responses(self) -> list[str | None]:
        return [None if one is None else one.text for one in self.outcomes]

    @property
    def _todo(self) -> list[int]:
        """Positions that have no outcome yet."""
        return [row for row, one in enumerate(self.outcomes) if one is None]

    @property
    def _pbar(self) -> progress.TwoBars | None:
        return None if self.last_run is None else progress.TwoBars(self.last_run, self._bars)

    async def _worker(self) -> None:
        """Wait until nothing is left to do; the engine's flights are the workers."""
        if self.last_run is not None:
            await self.last_run

    async def _process_one(self, text: Prompt) -> Outcome:
        """Ask one text with every retry and fallback."""
        (outcome,) = await self._start([text])
        return outcome

    def _start(self, texts: Sequence[Prompt]) -> Run:
        return start(
            [request_of(text) for text in texts],
            Asking(model=tuple(self.llms)),
            project_name=self.project_name,
            max_concurrent_requests=self.num_workers,
            max_attempts=self.max_retries + 1,
            time_limit=self.time_limit,
            hedge_after=self.hedge_after,
        )
