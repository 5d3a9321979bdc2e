"""Tools in the words of OpenAI's protocol, and the loop in which a model calls them, within bounds.

What a model writes is data. A call is made only where its name is on the allow-list and its
arguments fit the function's signature; everything else is answered to the model as an
error, for it to do better. What a tool returns is cut to a bound before the model reads it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from llmnb import bridge, user_code
from llmnb.chat.messages import Conversation, Message, messages_of
from llmnb.chat.results import LLMResult
from llmnb.display import durations
from llmnb.display.escape import visible
from llmnb.display.texts import mended
from llmnb.engine.budget import SharedBudget
from llmnb.errors import ConfigurationError, SchemaMismatch
from llmnb.options import checked
from llmnb.records import ToolCall
from llmnb.schemas.functions import arguments, function_schema

MAX_RESULT_CHARACTERS = 20_000
"""Longer results are cut: some 5,000 tokens, bought again in every further round."""

MAX_CALLS_A_ROUND = 16
"""Calls of one round that are made; further ones are answered with an error."""

_MAX_SHOWN = 300


Tool: TypeAlias = Callable[..., Any] | Mapping[str, Any]
"""A Python function, plain or async, or a tool as JSON."""

Tools: TypeAlias = Iterable[Tool]

ToolChoice: TypeAlias = str | Mapping[str, Any] | Callable[..., Any] | None
"""``"none"``, ``"auto"``, ``"required"``, or the one tool that must be called."""

_CHOICES = ("none", "auto", "required")


def tool_body(tool: Tool) -> dict[str, Any]:
    """Return a tool as a request carries it.

    Raises:
        ConfigurationError: If it is neither a function that a model can call nor a tool as JSON.

    Example:
        >>> def add(a: int, b: int) -> int:
        ...     '''Add two numbers.'''
        >>> tool_body(add)["function"]["name"]
        'add'
    """
    if isinstance(tool, Mapping):
        if "type" in tool or "function" in tool:
            return {"type": "function", **tool}
        if isinstance(tool.get("name"), str):  # the inner part alone
            return {"type": "function", "function": dict(tool)}
        raise ConfigurationError(
            "A tool as JSON looks like {'type': 'function', 'function': {'name': …, "
            f"'parameters': …}}}}; this one has only {', '.join(map(str, tool))[:200]}. "
            "Nothing was sent."
        )
    if not callable(tool):
        raise ConfigurationError(
            f"A tool is a Python function or a dictionary, not {type(tool).__name__}. "
            "Nothing was sent."
        )
    return function_schema(tool)


def listed(tools: Tools) -> list[Tool]:
    """Return tools as a list. Raises `ConfigurationError` where there is none."""
    if isinstance(tools, (str, bytes, Mapping)) or not isinstance(tools, Iterable):
        raise ConfigurationError("tools is a list of functions or dictionaries. Nothing was sent.")
    return list(tools)


def tool_bodies(tools: Tools) -> list[dict[str, Any]]:
    """Return tools as a request carries them.

    Raises:
        ConfigurationError: As `tool_body`, or if two have one name.
    """
    made = [tool_body(tool) for tool in listed(tools)]
    names = [name for body in made if (name := name_of(body)) is not None]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"Two tools are called {twice[0]!r}. Nothing was sent.")
    return made


def name_of(tool: Mapping[str, Any]) -> str | None:
    """Return the name of a tool as JSON; None for a provider's own tool without one."""
    inner = tool.get("function") or tool.get("custom")
    name = inner.get("name") if isinstance(inner, Mapping) else tool.get("name")
    return name if isinstance(name, str) else None


def choice_body(choice: ToolChoice, tools: list[dict[str, Any]]) -> Any:
    """Return which tools may or must be called, as a request states it.

    Args:
        choice: A word, a tool's name, a function, OpenAI's own dictionary, or None for the
            provider's own default.
        tools: As `tool_bodies` returns them.

    Raises:
        ConfigurationError: If it names a tool that is not there.

    Example:
        >>> choice_body("add", [{"type": "function", "function": {"name": "add"}}])
        {'type': 'function', 'function': {'name': 'add'}}
    """
    if choice is None or choice in _CHOICES:
        return choice
    if isinstance(choice, Mapping):
        inner = choice.get("function")
        if choice.get("type", "function") != "function" or not isinstance(inner, Mapping):
            return dict(choice)
        name: Any = inner.get("name")
    elif callable(choice):
        name = function_schema(choice)["function"]["name"]
    else:
        name = choice
    there = [one for tool in tools if (one := name_of(tool)) is not None]
    if name not in there:
        raise ConfigurationError(
            f"tool_choice is {str(name)[:80]!r}; it is one of none, auto, required, or a tool: "
            f"{', '.join(there) or 'there is none'}. Nothing was sent."
        )
    return {"type": "function", "function": {"name": name}}


# ------------------------------------------------------------------------------- the loop


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """One call of a tool: what was asked, and what came of it."""

    call: ToolCall
    """As the model asked for it."""

    result: str = field(repr=False)
    """The text that the model got."""

    error: str | None = None
    """Why nothing came of it; None where the tool returned."""

    round: int = 1
    """In which request's answer it was asked for, from 1."""

    def __str__(self) -> str:
        outcome = f"failed: {_short(self.error)}" if self.error else _short(self.result)
        return f"{_short(self.call.name)}({_short(self.call.arguments)}) → {outcome}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ToolRun:
    """A conversation that tools took part in."""

    result: LLMResult
    """The last answer."""

    messages: tuple[Message, ...] = field(repr=False)
    """Every turn, the last answer included: a conversation to go on with."""

    uses: tuple[ToolUse, ...] = ()
    """The calls that were made or refused, in order."""

    results: tuple[LLMResult, ...] = field(default=(), repr=False)
    """The answer of every round."""

    pending: tuple[ToolCall, ...] = ()
    """Calls of the last answer that were not made: of tools given as JSON, or past the bounds."""

    @property
    def text(self) -> str:
        """The last answer's text."""
        return self.result.text or ""

    @property
    def cost(self) -> float | None:
        """US dollars for all rounds; None when a price is not known."""
        costs = [result.cost for result in self.results]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        rounds, calls = len(self.results), len(self.uses)
        return f"<ToolRun of {rounds} requests and {calls} calls: {self.result!r}>"


class ChatModel(Protocol):
    """The part of `LLMModel` that the loop uses: one answer to a conversation."""

    async def call_single(
        self, messages: Conversation, *, tools: Tools, tool_choice: ToolChoice, **kw: Any
    ) -> LLMResult:
        """Await the one answer to a conversation."""


OnUse = Callable[[ToolUse], Any]
"""Called with every use of a tool once it has ended; it may be a coroutine function."""


async def run_tools(
    model: ChatModel,
    messages: Conversation,
    tools: Tools,
    *,
    max_rounds: int = 8,
    allow: Iterable[str] | None = None,
    tool_choice: ToolChoice = "auto",
    max_calls: int = MAX_CALLS_A_ROUND,
    max_result_characters: int = MAX_RESULT_CHARACTERS,
    tool_timeout: float | None = None,
    on_use: OnUse | Literal["auto"] | None = "auto",
    **kw: Any,
) -> ToolRun:
    """Await an answer, calling the tools that the model asks for on the way.

    Args:
        model: Who is asked.
        messages: A text or turns.
        tools: Python functions, plain or async. Tools as JSON are shown to the model, too;
            where it calls one of these the loop ends, and the call is in `ToolRun.pending`.
        max_rounds: Requests to the model at most; in the last one it may call nothing.
        allow: Names of the functions that may be called; None: all that were given.
        tool_choice: What the first request demands; the later ones leave it to the model.
        max_calls: Calls of one round that are made, all at once.
        max_result_characters: Longer results are cut, and the model is informed.
        tool_timeout: Seconds that a tool may take; None: as long as it takes.
        on_use: Told of every call, such as ``print``; ``"auto"``: a line for each in a notebook
            and in IPython, nothing elsewhere.
        **kw: As for `LLMModel.call`: ``callbacks``, ``temperature``, ``use_cache``, …;
            ``budget_usd`` binds over all rounds together.

    Raises:
        ConfigurationError: If a bound is below 1, or `allow` names what is not there.
        LLMNBError: What a request failed with; tools that fail are reported to the model instead.

    Example:
        >>> import asyncio
        >>> from llmnb.chat.llm_model import LLMModel
        >>> class Asks(LLMModel):
        ...     async def acompletion(self, messages, **kw):
        ...         if messages[-1].role == "tool":
        ...             return [LLMResult(text="It is " + messages[-1].text)]
        ...         return [LLMResult(tool_calls=(ToolCall(id="1", name="now", arguments="{}"),))]
        ...     async def acompletion_iter(self, messages, **kw):
        ...         yield LLMResult()
        >>> def now() -> str:
        ...     return "noon"
        >>> asyncio.run(run_tools(Asks(), "What time is it?", [now])).text
        'It is noon'
    """
    checked(
        {
            "max_rounds": max_rounds,
            "max_calls": max_calls,
            "max_result_characters": max_result_characters,
            "tool_timeout": tool_timeout,
        }
    )
    if on_use not in ("auto", None) and not callable(on_use):
        raise ConfigurationError(f"on_use is a function, not {on_use!r}. Nothing was sent.")
    tools = listed(tools)
    bodies = tool_bodies(tools)
    functions = {
        name_of(body) or "": tool
        for tool, body in zip(tools, bodies, strict=True)
        if callable(tool)
    }
    not_ours = {name_of(body) for body in bodies} - functions.keys()
    bounds = _Bounds(
        functions=functions if allow is None else _allowed_functions(functions, allow),
        max_calls=max_calls,
        max_characters=max_result_characters,
        timeout=tool_timeout,
        on_use=_shown_here() if on_use == "auto" else on_use,
    )
    turns = messages_of(messages)
    budget = SharedBudget()
    results: list[LLMResult] = []
    uses: list[ToolUse] = []
    for round_ in range(1, max_rounds + 1):
        is_last = round_ == max_rounds
        choice: ToolChoice = "none" if is_last and round_ > 1 else tool_choice
        with budget.used():
            result = await model.call_single(turns, tools=bodies, tool_choice=choice, **kw)
        results.append(result)
        turns = [*turns, *result.messages]
        calls = result.tool_calls
        if not calls or is_last or any(call.name in not_ours for call in calls):
            break
        used = await asyncio.gather(
            *(bounds.use(call, index, round_) for index, call in enumerate(calls))
        )
        uses += used
        for use in used:
            turns.append(Message(content=use.result, role="tool", tool_call_id=use.call.id))
        tool_choice = "auto"  # a model that must call a tool in each round would never answer
    return ToolRun(
        result=results[-1],
        messages=tuple(turns),
        uses=tuple(uses),
        results=tuple(results),
        pending=results[-1].tool_calls,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounds:
    """The functions that may be called, and how often, how long and with how large a result."""

    functions: Mapping[str, Callable[..., Any]]
    max_calls: int
    max_characters: int
    timeout: float | None
    on_use: OnUse | None

    async def use(self, call: ToolCall, index: int, round_: int) -> ToolUse:
        """Make a call, the index-th of its round, and return what came of it."""
        result, error = "", None
        try:
            result = await self._result(call, index)
        except _Refusal as refusal:
            error = str(refusal)
            result = f"Error: {error}"
        result = mended(result)
        if (too_long := len(result) - self.max_characters) > 0:
            result = f"{result[: self.max_characters]}\n[cut: {too_long:,} further characters]"
        use = ToolUse(call=call, result=result, error=error, round=round_)
        if self.on_use is not None and inspect.isawaitable(reported := self.on_use(use)):
            await reported
        return use

    async def _result(self, call: ToolCall, index: int) -> str:
        if index >= self.max_calls:
            raise _Refusal(f"only {self.max_calls} calls at once are made")
        function = self.functions.get(call.name)
        if function is None:
            names = ", ".join(self.functions) or "none"
            raise _Refusal(
                f"there is no tool {call.name[:80]!r} that may be called; there is: {names}"
            )
        try:
            values = arguments(function, call.arguments)
        except SchemaMismatch as misfit:
            raise _Refusal(misfit.message) from None
        try:
            async with asyncio.timeout(self.timeout):
                return _result_text(await _call(function, values))
        except TimeoutError:
            limit = f"longer than {durations.exact(self.timeout)}" if self.timeout else "too long"
            raise _Refusal(f"it took {limit}") from None
        except asyncio.CancelledError:
            if bridge.is_cancelled():
                raise
            raise _Refusal("it was cancelled") from None
        except Exception as fault:  # reported to the model, which may try otherwise
            raise _Refusal(f"{type(fault).__name__}: {fault}"[:2000]) from None


class _Refusal(Exception):
    """Why nothing came of a call, in words for the model."""


async def _call(function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
    ):
        return await function(**values)
    returned = await asyncio.to_thread(function, **values)
    return await returned if inspect.isawaitable(returned) else returned


def _result_text(value: Any) -> str:
    """Return a tool's result as a text for the model."""
    if isinstance(value, str):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    elif hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return str(value)


def _allowed_functions(
    functions: Mapping[str, Callable[..., Any]], allow: Iterable[str]
) -> dict[str, Callable[..., Any]]:
    is_one = isinstance(allow, str) or not isinstance(allow, Iterable)
    names = {allow} if is_one else set(allow)
    if unknown := [name for name in names if name not in functions]:
        raise ConfigurationError(
            f"allow names {unknown[0]!r}, and the functions given are: "
            f"{', '.join(functions) or 'none'}. Nothing was sent."
        )
    return {name: function for name, function in functions.items() if name in names}


def _shown_here() -> OnUse | None:
    """Return `print` in IPython and notebooks, where a person looks on; elsewhere None."""
    return print if user_code.shell() is not None else None


def _short(text: str) -> str:
    return visible(text, longest=_MAX_SHOWN)
