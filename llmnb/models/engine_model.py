"""Models whose answers come through the one engine: limits, retries, store, coalescing.

`LLM`, `LiteLLMModel` and the models inside this process are such models. A subclass only
says who is asked and how.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from llmnb.chat.llm_model import LLMModel, asks_for_one
from llmnb.chat.messages import Message, messages_of
from llmnb.chat.results import LLMResult, result_of
from llmnb.chat.tools import choice_body, tool_bodies
from llmnb.engine.run import Run
from llmnb.errors import ConfigurationError
from llmnb.models.pieces import Pieces
from llmnb.options import OPTIONS, checked, names
from llmnb.records import Delta, Outcome
from llmnb.running.asking import Asking, Endpoint
from llmnb.running.preparer import Sampled
from llmnb.running.start import start
from llmnb.schemas import output_of


class EngineModel(LLMModel):
    """A model that llmnb's engine asks."""

    takes_output_type = True
    is_asked_by_engine = True

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """Name of the model."""

    @property
    @abc.abstractmethod
    def config(self) -> Mapping[str, Any]:
        """How it is set."""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Who is asked, in the order of fallback; by default the model itself."""
        assert isinstance(self, Endpoint)
        return (self,)

    def _defaults(self) -> Mapping[str, Any]:
        """Return fields of requests and options of runs where a call does not say otherwise."""
        return {}

    async def acompletion(self, messages: Sequence[Message], **kw: Any) -> list[LLMResult]:
        """Await the answers to a conversation, as many as ``n`` says.

        Each of several answers is a request of its own, on every provider: with its own
        tokens, cost and log-probabilities, and bought only once.

        Args:
            messages: The turns.
            **kw: Fields of the request; ``output_type``; and options of
                `llmnb.running.start.start`, such as ``use_cache``, ``max_attempts``,
                ``time_limit``, ``budget_usd``, ``project_name``.
        """
        turns = messages_of(messages)
        run = self._begin(turns, kw, None)
        outcomes = await _outcomes(run)
        return [self._result(outcome, turns) for outcome in outcomes]

    async def acompletion_iter(
        self, messages: Sequence[Message], **kw: Any
    ) -> AsyncIterator[LLMResult]:
        """Yield one answer in pieces as the provider sends them; arguments as `acompletion`.

        The last result carries the figures; where there is no good answer, its `error`.
        """
        if not asks_for_one(kw):
            raise ConfigurationError("One answer can be followed; leave n out. Nothing was sent.")
        turns = messages_of(messages)
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[Delta | None] = asyncio.Queue()

        def tell(_: int, delta: Delta) -> None:
            try:
                loop.call_soon_threadsafe(arrived.put_nowait, delta)
            except RuntimeError:
                pass  # the listener's loop is closed; the answer is stored all the same

        run = self._begin(turns, {**kw, "n": 1}, tell)
        ended = loop.create_task(_outcomes(run))
        ended.add_done_callback(lambda _: arrived.put_nowait(None))
        pieces = Pieces()
        try:
            while (delta := await arrived.get()) is not None:
                if (piece := pieces.take(delta)) is not None:
                    yield piece
            last = self._result((await ended)[0], turns)
            for piece in pieces.close(last):
                yield piece
        finally:
            ended.cancel()

    def _begin(
        self,
        turns: list[Message],
        given: Mapping[str, Any],
        on_delta: Callable[[int, Delta], None] | None,
    ) -> Run:
        options, fields = options_in({**self._defaults(), **given})
        if fields.get("tools"):
            fields["tools"] = tool_bodies(fields["tools"])
            fields["tool_choice"] = choice_body(fields.get("tool_choice"), fields["tools"])
        output = fields.pop("output_type", None)
        samples = 1 if (n := fields.pop("n", None)) is None else OPTIONS["n"].checked("n", n)
        asking = Asking(
            model=self.endpoints,
            output=None if output is None else output_of(output),
            **checked({name: fields.pop(name) for name in _OF_ASKING if name in fields}),
        )
        # None takes back what the model's own parameters say: the samples are rows here.
        request = {"messages": [one.body() for one in turns], "n": None, **fields}
        rows = [Sampled(request, k) for k in range(samples)]
        return start(rows, asking, on_delta=on_delta, **options)

    def _result(self, outcome: Outcome, turns: list[Message]) -> LLMResult:
        return result_of(outcome, prompt=tuple(turns), config=self.config)


_OF_ASKING = ("cache_vars", "gen_type", "allow_http")


_OF_RUNS = frozenset(names("call")) - {"n", *_OF_ASKING}


def options_in(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide keywords of a call into options of its run and fields of its request.

    What is no option, such as OpenAI's ``store``, is a field.

    Example:
        >>> options_in({"use_cache": False, "store": True})
        ({'use_cache': False}, {'store': True})
    """
    options = {name: value for name, value in given.items() if name in _OF_RUNS}
    return options, {name: value for name, value in given.items() if name not in _OF_RUNS}


async def _outcomes(run: Run) -> list[Outcome]:
    """Await a run's outcomes; nothing new is sent for a caller who has left."""
    try:
        return await run
    except asyncio.CancelledError:
        run.stop()
        raise
