"""Many texts over a list of models: an outcome for every one, as fast as the models allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from llmnb import progress
from llmnb.chat.messages import messages_of
from llmnb.chat.results import LLMResult, result_of
from llmnb.engine.run import Run
from llmnb.errors import ConfigurationError
from llmnb.models.llm import LLM, Prompt, request_of
from llmnb.options import (
    OPTIONS,
    PARAMS,
    RETRIES,
    checked,
    params_in,
    refuse_unknown,
    with_params,
)
from llmnb.records import Outcome
from llmnb.running.asking import Asking
from llmnb.running.start import start

_FURTHER = (
    *("max_requests_per_minute", "max_tokens_per_minute", "burst", "budget_usd"),
    *("use_cache", "share"),
)


class GenerationMaster:
    """Asks every text of a list, falling back and hedging over several models.

    `run` gives the texts, `outcomes` the results with their figures, `last_run` the run
    itself. The parts of the engine stand under the names of the design they come from:
    `_todo` is what the run has not finished, `_responses` its texts, `_pbar` its bars.

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
        good_finish: Finish reasons that are good though llmnb does not know them.
        bars: Whether to show bars.
        max_wait: Seconds that a model may refuse without one success; None: `configure`'s, else
            600. A server that asks to wait for more than two minutes is waited for only where
            this covers it.
        **options: `max_requests_per_minute`, `max_tokens_per_minute`, `burst`, `budget_usd`,
            `use_cache`, `share`; ``max_tokens``, ``temperature`` and their like for every text.

    Raises:
        ConfigurationError: If an option has a value that it does not take; nothing was sent.

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
        good_finish: str | Sequence[str] = (),
        bars: progress.Bars = "auto",
        max_wait: float | None = None,
        **options: Any,
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
        self.good_finish = good_finish
        self.max_wait = max_wait
        refuse_unknown(options, (*_FURTHER, *PARAMS), "GenerationMaster()")
        beside, self._options = params_in(options)
        self._params = with_params(None, beside)
        OPTIONS["max_concurrent_requests"].checked("num_workers", num_workers)
        RETRIES.checked("max_retries", max_retries)
        checked({**self._options, "progress": bars, **self._of_run})
        self.last_run: Run | None = None
        self._bars = bars

    async def run(self) -> list[str | None]:
        """Return the texts in the order of the inputs, None where a row failed."""
        self.last_run = self._start(self.input_text_list)
        await progress.aattend(self.last_run, bars=self._bars)
        return self._responses

    @property
    def outcomes(self) -> list[LLMResult | None]:
        """What is known of each text, in the order of the inputs, also while they are asked.

        Each is an answer or an error with its model, cost, tokens and seconds; None where
        there is neither yet.
        """
        pairs = zip(self.input_text_list, self._records, strict=True)
        return [None if one is None else _result(text, one) for text, one in pairs]

    @property
    def _records(self) -> list[Outcome | None]:
        """The engine's own outcomes; while it reads the inputs it knows only the first ones."""
        found = [] if self.last_run is None else list(self.last_run.partial())
        return [*found, *([None] * (len(self.input_text_list) - len(found)))]

    @property
    def _responses(self) -> list[str | None]:
        return [None if one is None else one.text for one in self._records]

    @property
    def _todo(self) -> list[int]:
        """Positions that have no outcome yet."""
        return [row for row, one in enumerate(self._records) if one is None]

    @property
    def _pbar(self) -> progress.TwoBars | None:
        return None if self.last_run is None else progress.TwoBars(self.last_run, self._bars)

    async def _worker(self) -> None:
        """Wait until nothing is left to do; the engine's flights are the workers."""
        if self.last_run is not None:
            await self.last_run

    async def _process_one(self, text: Prompt) -> LLMResult:
        """Ask one text with every retry and fallback."""
        (outcome,) = await self._start([text])
        return _result(text, outcome)

    @property
    def _of_run(self) -> dict[str, Any]:
        return {
            "project_name": self.project_name,
            "time_limit": self.time_limit,
            "hedge_after": self.hedge_after,
            "good_finish": self.good_finish,
            "max_wait": self.max_wait,
        }

    def _start(self, texts: Sequence[Prompt]) -> Run:
        return start(
            [request_of(text) for text in texts],
            Asking(model=tuple(self.llms), params=self._params),
            max_concurrent_requests=self.num_workers,
            max_attempts=self.max_retries + 1,
            **self._of_run,
            **self._options,
        )


def _result(text: Prompt, outcome: Outcome) -> LLMResult:
    return result_of(outcome, prompt=tuple(messages_of(text)))
