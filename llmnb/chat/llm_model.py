"""`LLMModel`: all methods of a chat model, based on the two that ask it.

`LLMModel` knows no provider. A subclass brings `acompletion`, which returns whole answers,
and `acompletion_iter` where it can yield an answer in pieces; calls, callbacks, forms of
answers, tools and blocking twins are made of these.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import inspect
import time
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
)
from typing import Any, ParamSpec, TypeAlias, TypeVar

from llmnb import bridge
from llmnb.chat.messages import Conversation, Message, messages_of
from llmnb.chat.results import LLMResult, checked_results
from llmnb.chat.run_tools import ToolChoice, ToolRun, Tools, choice_body, run_tools, tool_bodies
from llmnb.errors import ConfigurationError, LLMNBError, SchemaMismatch
from llmnb.options import OPTIONS
from llmnb.schemas import Output, output_of, response_format

P = ParamSpec("P")
T = TypeVar("T")

Callback: TypeAlias = Callable[[str], Any]
"""Gets each piece of an answer's text as it comes; it may be a coroutine function."""


def blocking(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Return the blocking twin of a method, with its signature, for scripts and for cells."""

    @functools.wraps(method)
    def twin(*arguments: P.args, **options: P.kwargs) -> T:
        model, *further = arguments
        own = getattr(model, method.__name__)  # a subclass may have one of its own
        answer: T = bridge.block(lambda: own(*further, **options))
        return answer

    _, _, described = (inspect.getdoc(method) or "").partition("\n\n")
    twin.__name__ = f"{method.__name__}_sync"
    twin.__qualname__ = f"{method.__qualname__}_sync"
    twin.__doc__ = f"Block for what `{method.__name__}` awaits.\n\n{described}"
    return twin


class LLMModel(abc.ABC):
    """A model that can be asked; subclasses define how.

    Example:
        >>> class Echo(LLMModel):
        ...     async def acompletion(self, messages, **kw):
        ...         return [LLMResult(text=messages[-1].text)]
        ...     async def acompletion_iter(self, messages, **kw):
        ...         for word in messages[-1].text.split():
        ...             yield LLMResult(text=word)
        >>> pieces = []
        >>> Echo().call_single_sync("Hello there", callbacks=[pieces.append]).text, pieces
        ('Hellothere', ['Hello', 'there'])
    """

    is_asked_by_engine = False
    """Whether llmnb's engine asks its endpoints; else the engine calls `acompletion`."""

    identity: str | None = None
    """A text that identifies it where the engine asks it, such as ``"echo, 2nd version"``: with
    it they are kept for good. None: as long as the object lives and its attributes stay."""

    takes_output_type = False
    """Whether `acompletion` itself reads answers into an ``output_type``; else it is given
    ``response_format``, and what it returns is checked here."""

    @abc.abstractmethod
    async def acompletion(self, messages: list[Message], **kw: Any) -> list[LLMResult]:
        """Return the answers to a conversation.

        Args:
            messages: The turns.
            **kw: Fields of the request in OpenAI's words, such as ``temperature``, ``n``,
                ``tools``, ``tool_choice``, ``response_format``.
        """

    def acompletion_iter(
        self, messages: list[Message], **kw: Any
    ) -> AsyncIterable[LLMResult] | Awaitable[AsyncIterable[LLMResult]]:
        """Yield one answer in pieces, as they come; in one where a subclass does not define how.

        The texts of the results, joined, are the answer. The last result carries the
        figures (tokens, cost, why it ended) and in its `messages` the whole answer.
        """
        return _whole_answer(self.acompletion(messages, **kw))

    # -------------------------------------------------------------------- awaiting

    async def call(
        self,
        messages: Conversation,
        callbacks: Callback | Iterable[Callback] | None = None,
        name: str | None = None,
        output_type: Any = None,
        tools: Tools | None = None,
        tool_choice: ToolChoice = "auto",
        **kw: Any,
    ) -> list[LLMResult]:
        """Await the answers to a conversation.

        Args:
            messages: A text or turns.
            callbacks: Functions, plain or coroutine functions, or one, that get each piece of the
                text as it comes. An answer that comes whole, such as a stored one, is one piece.
                After a broken stream the answer may begin anew.
            name: A mark that the results bear.
            output_type: The form answers must have: a JSON schema, a pydantic model, or any
                type that pydantic knows. `LLMResult.value` holds what they mean.
            tools: Python functions, or tools as JSON; the model may ask to have them called.
            tool_choice: ``"none"``, ``"auto"``, ``"required"``, or the one that must be called:
                its name, the function itself, or OpenAI's own dictionary.
            **kw: Further fields of the request, such as ``temperature`` or ``n``.

        Returns:
            As many results as were asked for (``n``, else 1); one that failed has its `error`.

        Raises:
            LLMNBError: If there is no good answer among them.
        """
        turns = messages_of(messages)
        output = None if output_type is None else output_of(output_type)
        asked = dict(kw)
        if tools:
            asked["tools"] = tool_bodies(tools)
            asked["tool_choice"] = choice_body(tool_choice, asked["tools"])
        elif tool_choice not in ("auto", "none", None):
            raise ConfigurationError("tool_choice demands a tool, and there are no tools.")
        if output is not None and self.takes_output_type:
            asked["output_type"] = output
        elif output is not None:
            asked["response_format"] = response_format(output)
        if listeners := _listeners(callbacks):
            if not wants_single_answer(asked):
                raise ConfigurationError(
                    "Callbacks follow one answer; leave n out, or the callbacks. Nothing was sent."
                )
            answers = [await self.streamed(turns, listeners, asked)]
        else:
            answers = await self.acompletion(turns, **asked)
        results = [
            self._finished(answer, output, turns, name)
            for answer in checked_results(answers, type(self).__name__)
        ]
        if results and all(result.error is not None for result in results):
            raise results[0].error or LLMNBError("No answer; please report this.")
        return results

    async def call_single(
        self,
        messages: Conversation,
        callbacks: Callback | Iterable[Callback] | None = None,
        name: str | None = None,
        output_type: Any = None,
        tools: Tools | None = None,
        tool_choice: ToolChoice = "auto",
        **kw: Any,
    ) -> LLMResult:
        """Await the one answer to a conversation.

        Args:
            messages: As for `call`.
            callbacks: As for `call`.
            name: As for `call`.
            output_type: As for `call`.
            tools: As for `call`.
            tool_choice: As for `call`.
            **kw: As for `call`, but for ``n``.

        Raises:
            LLMNBError: If there is no good answer.
        """
        if not wants_single_answer(kw):
            raise ConfigurationError(
                "call_single gives one answer; call gives n. Nothing was sent."
            )
        kw["n"] = 1
        results = await self.call(messages, callbacks, name, output_type, tools, tool_choice, **kw)
        if not results:
            raise LLMNBError(f"{type(self).__name__}.acompletion returned no result.")
        return results[0]

    async def run_tools(
        self, messages: Conversation, tools: Tools, *, max_rounds: int = 8, **options: Any
    ) -> ToolRun:
        """Await an answer, calling the tools that the model asks for on the way.

        Args:
            messages: A text or turns.
            tools: Python functions; only these are ever called.
            max_rounds: Requests to the model at most; in the last one it must answer.
            **options: See `llmnb.chat.run_tools.run_tools`.
        """
        return await run_tools(self, messages, tools, max_rounds=max_rounds, **options)

    # -------------------------------------------------------------------- blocking

    call_sync = blocking(call)
    call_single_sync = blocking(call_single)
    run_tools_sync = blocking(run_tools)

    def acompletion_sync(self, messages: Conversation, **kw: Any) -> list[LLMResult]:
        """Block for what `acompletion` returns."""
        return bridge.block(lambda: self.acompletion(messages_of(messages), **kw))

    # -------------------------------------------------------------------- the parts

    async def streamed(
        self, turns: list[Message], callbacks: tuple[Callback, ...], asked: Mapping[str, Any]
    ) -> LLMResult:
        """Return the whole answer of `acompletion_iter`, each piece handed to the callbacks.

        Args:
            turns: The conversation.
            callbacks: As for `call`.
            asked: Fields of the request.
        """
        began = time.monotonic()
        first: float | None = None
        texts: list[str] = []
        last = LLMResult()
        source = self.acompletion_iter(turns, **asked)
        if inspect.isawaitable(source):  # a coroutine that returns the async generator
            source = await source
        assert not inspect.isawaitable(source)
        async for last in source:
            if last.restarted:
                texts.clear()
            if not last.text:
                continue
            if first is None:
                first = time.monotonic() - began
            texts.append(last.text)
            for callback in callbacks:
                done = callback(last.text)
                if inspect.isawaitable(done):
                    await done
        fields: dict[str, Any] = {"text": "".join(texts)} if texts else {}
        if last.messages:
            fields["text"] = last.messages[-1].text
        if not last.cached and last.seconds_to_first_token is None:
            fields["seconds_to_first_token"] = first
        if not last.cached and last.seconds_to_last_token is None:
            fields["seconds_to_last_token"] = time.monotonic() - began
        return dataclasses.replace(last, restarted=False, **fields)

    def _finished(
        self, result: LLMResult, output: Output | None, turns: list[Message], name: str | None
    ) -> LLMResult:
        """Return a result with the fields that a subclass may have left empty."""
        value, error = result.value, result.error
        if not (output is None or self.takes_output_type or error or result.tool_calls):
            try:
                value = output.validate(result.text or "")
            except SchemaMismatch as mismatch:
                error = mismatch
        messages = result.messages
        if not messages and (result.text is not None or result.tool_calls):
            answer = Message(content=result.text, role="assistant", tool_calls=result.tool_calls)
            messages = (answer,)
        return dataclasses.replace(
            result,
            value=value,
            error=error,
            prompt=result.prompt or tuple(turns),
            messages=messages,
            name=name or result.name,
        )


def _listeners(callbacks: Any) -> tuple[Callback, ...]:
    """Return callbacks as a tuple, once each is found to be a function."""
    if callable(callbacks):
        return (callbacks,)
    listeners = tuple(callbacks or ()) if isinstance(callbacks, Iterable | None) else (callbacks,)
    for listener in listeners:
        if not callable(listener):
            raise ConfigurationError(
                f"callbacks are functions, or one, not {listener!r}. Nothing was sent."
            )
    return listeners


def wants_single_answer(fields: Mapping[str, Any]) -> bool:
    """Return whether a single answer is asked for.

    Raises:
        ConfigurationError: If ``n`` is no number of answers.
    """
    n = fields.get("n")
    return n is None or OPTIONS["n"].checked("n", n) == 1


async def _whole_answer(asked: Awaitable[list[LLMResult]]) -> AsyncIterator[LLMResult]:
    for result in (await asked)[:1]:
        yield result
