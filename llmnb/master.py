"""`GenerationMaster`: answer many texts with a list of models, as fast as they allow."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Literal, Unpack

from llmnb import progress
from llmnb.chat.messages import Conversation, messages_of
from llmnb.chat.results import LLMResult, result_of
from llmnb.engine.run import Run
from llmnb.errors import ConfigurationError, InputError
from llmnb.keywords import MasterOptions
from llmnb.models.llm import LLM, request_of
from llmnb.options import OPTIONS, RETRIES, checked, read_keywords, with_params
from llmnb.records import Outcome
from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.signatures import full_signature
from llmnb.store.run_index import RunHeader


@full_signature
class GenerationMaster:
    """Asks every text of a list, falling back and hedging over several models.

    `run` gives the texts, `outcomes` the results with their figures, `last_run` the run
    itself. The parts of the engine stand under the names of the design they come from:
    `_todo` is what the run has not finished, `_responses` its texts, `_pbar` its bars.

    Args:
        llms: Models in the order of fallback, or one; see `redundant_llms`.
        input_text_list: Texts, or lists of messages.
        num_workers: Requests in flight at once for each model; None: found by trying.
        session: Ignored but kept: the engine has a session of its own.
        max_retries: Retries of a request that was unsent or surely unbilled.
        time_limit: Seconds for one text from its first dispatch; at half of it, without
            a first token, every further model is asked once.
        hedge_after: Seconds without a first token, or ``"p95"``, after which the next
            model is asked as well.
        bars: Whether to show bars.
        **options: For every text; ``max_tokens``, ``temperature`` and their like among them.

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
        llms: Sequence[LLM | str] | LLM | str,
        input_text_list: Sequence[Conversation],
        num_workers: int | None = None,
        session: Any = None,
        max_retries: int = 3,
        time_limit: float | None = None,
        hedge_after: float | Literal["p95"] | None = None,
        *,
        bars: progress.Bars = "auto",
        **options: Unpack[MasterOptions],
    ) -> None:
        if not llms:
            raise ConfigurationError("GenerationMaster needs at least one model in llms.")
        known = inspect.signature(GenerationMaster).parameters
        own, params = read_keywords(options, known, "GenerationMaster()")
        if isinstance(input_text_list, str):
            raise ConfigurationError(
                "GenerationMaster takes a list of texts, such as ['…']. Nothing was sent."
            )
        self.llms = [llms] if isinstance(llms, LLM | str) else list(llms)
        self.input_text_list = list(input_text_list)
        self.num_workers = num_workers
        self.session = session
        self.max_retries = max_retries
        self.time_limit = time_limit
        self.hedge_after = hedge_after
        self._params = with_params(None, params)
        self._options = own | checked({"time_limit": time_limit, "hedge_after": hedge_after})
        OPTIONS["max_concurrent_requests"].checked("num_workers", num_workers)
        RETRIES.checked("max_retries", max_retries)
        checked({"progress": bars})
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
        pairs = zip(self.input_text_list, self._outcomes, strict=True)
        return [None if outcome is None else _result(text, outcome) for text, outcome in pairs]

    @property
    def _outcomes(self) -> list[Outcome | None]:
        """The engine's own outcomes; while it reads the inputs it knows only the first ones."""
        known = [] if self.last_run is None else list(self.last_run.partial())
        return [*known, *([None] * (len(self.input_text_list) - len(known)))]

    @property
    def _responses(self) -> list[str | None]:
        return [None if outcome is None else outcome.text for outcome in self._outcomes]

    @property
    def _todo(self) -> list[int]:
        """Positions that have no outcome yet."""
        return [row for row, outcome in enumerate(self._outcomes) if outcome is None]

    @property
    def _pbar(self) -> progress.TwoBars | None:
        return None if self.last_run is None else progress.TwoBars(self.last_run, self._bars)

    async def _worker(self) -> None:
        """Wait until nothing is left to do; the engine's own tasks are the workers."""
        if self.last_run is not None:
            await self.last_run

    async def _process_one(self, text: Conversation) -> LLMResult:
        """Ask one text with every retry and fallback."""
        (outcome,) = await self._start([text])
        return _result(text, outcome)

    def _start(self, texts: Sequence[Conversation]) -> Run:
        return start(
            list(map(_request, texts)),
            Asking(model=tuple(self.llms), params=self._params),
            max_concurrent_requests=self.num_workers,
            max_attempts=self.max_retries + 1,
            header=RunHeader(verb="GenerationMaster", rows=len(texts)) if len(texts) > 1 else None,
            **self._options,
        )


def _request(text: Conversation) -> Any:
    """Return the request of a text; of what is none, the error of its row."""
    try:
        return request_of(text)
    except ConfigurationError as error:
        return InputError(error.message)


def _result(text: Conversation, outcome: Outcome) -> LLMResult:
    is_asked = not isinstance(outcome.error, InputError)
    return result_of(outcome, prompt=tuple(messages_of(text)) if is_asked else ())
