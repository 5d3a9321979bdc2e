"""The base of models that the engine asks, with its limits, retries and store.

`LLM`, `LiteLLMModel` and the models inside this process are such models. A subclass only
names its endpoints and how they are asked.
"""

from __future__ import annotations

import abc
import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

from llmnb.chat.llm_model import LLMModel, blocking, wants_single_answer
from llmnb.chat.messages import Message, messages_of
from llmnb.chat.results import LLMResult, result_of
from llmnb.chat.run_tools import choice_body, tool_bodies
from llmnb.engine.run import Run
from llmnb.errors import ConfigurationError
from llmnb.options import OPTIONS, checked, names
from llmnb.records import Delta, Outcome
from llmnb.running.asking import Asking
from llmnb.running.preparer import Sampled
from llmnb.running.start import start
from llmnb.schemas import output_of
from llmnb.signatures import with_keywords
from llmnb.targets.endpoint import Endpoint


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
        """The settings of the model, without keys."""

    @property
    @abc.abstractmethod
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints that are asked, in the order of fallback."""

    def _defaults(self) -> Mapping[str, Any]:
        """Return defaults for the fields and options of a call."""
        return {}

    async def acompletion(self, messages: Sequence[Message], **kw: Any) -> list[LLMResult]:
        """Await the answers to a conversation, as many as ``n`` asks for.

        Each of several answers is a request of its own, on every provider: with its own
        tokens, cost and log-probabilities, and bought only once.

        Args:
            messages: The turns.
            **kw: Further fields of the request, such as ``tools``; ``output_type``.
        """
        turns = messages_of(messages)
        outcomes = await _outcomes(self._begin(turns, kw, None))
        return [self._result(outcome, turns) for outcome in outcomes]

    acompletion = with_keywords(acompletion, "CallOptions")

    async def acompletion_iter(
        self, messages: Sequence[Message], **kw: Any
    ) -> AsyncIterator[LLMResult]:
        """Yield one answer in pieces as the provider sends them.

        The last result carries the figures; where there is no good answer, its `error`.

        Args:
            messages: The turns.
            **kw: As for `acompletion`, but for ``n``.
        """
        if not wants_single_answer(kw):
            raise ConfigurationError("One answer can be followed; leave n out. Nothing was sent.")
        turns = messages_of(messages)
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[Delta | None] = asyncio.Queue()

        def report(_: int, delta: Delta) -> None:
            try:
                loop.call_soon_threadsafe(arrived.put_nowait, delta)
            except RuntimeError:
                pass  # the listener's loop is closed; the answer is stored all the same

        run = self._begin(turns, {**kw, "n": 1}, report)
        ended = loop.create_task(_outcomes(run))
        ended.add_done_callback(lambda _: arrived.put_nowait(None))
        fragments = StreamFragments()
        try:
            while (delta := await arrived.get()) is not None:
                if (fragment := fragments.take(delta)) is not None:
                    yield fragment
            last = self._result((await ended)[0], turns)
            for fragment in fragments.close(last):
                yield fragment
        finally:
            ended.cancel()

    call = with_keywords(LLMModel.call, "CallOptions")
    call_single = with_keywords(LLMModel.call_single, "SingleCallOptions")
    call_sync = blocking(call)
    call_single_sync = blocking(call_single)

    def _begin(
        self,
        turns: list[Message],
        keywords: Mapping[str, Any],
        on_delta: Callable[[int, Delta], None] | None,
    ) -> Run:
        options, fields = options_in({**self._defaults(), **keywords})
        if fields.get("tools"):
            fields["tools"] = tool_bodies(fields["tools"])
            fields["tool_choice"] = choice_body(fields.get("tool_choice"), fields["tools"])
        output = fields.pop("output_type", None)
        samples = 1 if (n := fields.pop("n", None)) is None else OPTIONS["n"].checked("n", n)
        asking = Asking(
            model=self,
            output=None if output is None else output_of(output),
            **checked({name: fields.pop(name) for name in _OF_ASKING if name in fields}),
        )
        # n=None replaces the model's own: the samples are rows of the run.
        request = {"messages": [turn.body() for turn in turns], "n": None, **fields}
        rows = [Sampled(request, k) for k in range(samples)]
        return start(rows, asking, on_delta=on_delta, **options)

    def _result(self, outcome: Outcome, turns: list[Message]) -> LLMResult:
        return result_of(outcome, prompt=tuple(turns), config=self.config)


_OF_ASKING = ("cache_vars", "gen_type", "allow_http")
_OF_RUNS = frozenset(names("call")) - {"n", *_OF_ASKING}


def options_in(keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide keywords of a call into options of its run, checked, and fields of its request.

    What is no option, such as OpenAI's ``store``, is a field.

    Raises:
        ConfigurationError: If an option has a value that it does not take; nothing was sent.

    Example:
        >>> options_in({"use_cache": False, "store": True})
        ({'use_cache': False}, {'store': True})
    """
    options = checked({name: keywords[name] for name in keywords if name in _OF_RUNS})
    return options, {name: value for name, value in keywords.items() if name not in _OF_RUNS}


async def _outcomes(run: Run) -> list[Outcome]:
    """Await a run's outcomes; once the caller is cancelled nothing new is sent."""
    try:
        return await run
    except asyncio.CancelledError:
        run.stop()
        raise


class StreamFragments:
    """Turns the deltas of a row into results for its listener, without repetitions.

    When a stream breaks and the request is sent again, the answer begins anew. What the listener
    has seen is held back as long as the new answer repeats it; where it differs, the answer is
    handed over from its beginning and marked as restarted.

    Example:
        >>> fragments = StreamFragments()
        >>> [fragments.take(Delta(text=text)).text for text in ("Fo", "ur")]
        ['Fo', 'ur']
        >>> fragments.take(Delta(text="Four", attempt=2)) is None
        True
        >>> fragments.take(Delta(text=".", attempt=2)).text
        '.'
    """

    def __init__(self) -> None:
        self._blank = LLMResult(text="")
        self._attempt = 1
        self._shown = ""
        self._repeated: str | None = None
        """The text of the new attempt, as long as it only repeats what was shown."""

    def take(self, delta: Delta) -> LLMResult | None:
        """Return the fragment to show; None where there is nothing new in it."""
        if delta.attempt != self._attempt:
            self._attempt = delta.attempt
            self._repeated = "" if self._shown else None
        text, restarted = delta.text, False
        if self._repeated is not None and text:
            self._repeated += text
            if self._shown.startswith(self._repeated):
                text = ""
            else:
                restarted = not self._repeated.startswith(self._shown)
                text = self._repeated if restarted else self._repeated[len(self._shown) :]
                self._shown = "" if restarted else self._shown
                self._repeated = None
        self._shown += text
        if not (text or delta.reasoning or delta.commentary):
            return None
        return dataclasses.replace(
            self._blank,
            text=text,
            reasoning_content=delta.reasoning or None,
            commentary=delta.commentary or None,
            restarted=restarted,
        )

    def close(self, last: LLMResult) -> Iterator[LLMResult]:
        """Yield what is still missing, and the last result, which has no text of its own."""
        whole = last.text or ""
        is_begun = bool(self._shown) and whole.startswith(self._shown)
        missing = whole[len(self._shown) :] if is_begun else whole
        if missing and last.error is None:
            # A stored answer comes whole; so does one that another caller had asked for.
            restarted = bool(self._shown) and not is_begun
            yield dataclasses.replace(self._blank, text=missing, restarted=restarted)
        yield dataclasses.replace(last, id=self._blank.id, text="")
