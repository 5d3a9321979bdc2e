"""Models that somebody else wrote, asked by the engine: its limits, retries, order and store."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import time
import uuid
import weakref
from collections.abc import Mapping
from typing import Any

import orjson

from llmnb import bridge
from llmnb.chat.llm_model import LLMModel
from llmnb.chat.messages import Message, messages_of
from llmnb.chat.results import LLMResult
from llmnb.engine.target import Call, OnDelta
from llmnb.errors import BadReply, ConfigurationError, LLMNBError, MaybeBilled, RequestRejected
from llmnb.records import Delta, RawReply, Reply
from llmnb.targets.target import HTTPTarget
from llmnb.wire.catalog import Provider, provider
from llmnb.wire.dialect import dialect

PROVIDER = "own"
"""What stands in place of a provider's name."""

_NOT_FIELDS = ("model", "messages", "stream", "stream_options")
_USD = "llmnb_usd"


class Guest:
    """A model of somebody's own as an `Endpoint`.

    Args:
        model: The model; its `acompletion` is called on a thread that is not the engine's.
    """

    url = ""
    api_key: str | None = None
    api_provider: str | None = None

    def __init__(self, model: LLMModel) -> None:
        self._model = model

    @property
    def model(self) -> str:
        """Name it is shown under."""
        return f"{PROVIDER}/{_name(self._model)}"

    @property
    def params(self) -> Mapping[str, Any]:
        """Nothing: what belongs to it stays in it."""
        return {}

    def target(self, gen_type: str = "chat") -> GuestTarget:
        """Return who answers.

        Raises:
            ConfigurationError: If it is not asked for a chat.
        """
        if gen_type != "chat":
            raise ConfigurationError(
                f"{type(self._model).__name__} is an LLMModel, which answers chats, and is asked "
                f"for gen_type={gen_type!r}. Nothing was sent."
            )
        return GuestTarget(self._model)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.model}>"


class GuestTarget(HTTPTarget):
    """Asks a model of somebody's own; its results are kept as replies of OpenAI's protocol."""

    __slots__ = ("_endpoint", "_model")

    def __init__(self, model: LLMModel) -> None:
        row = _row()
        super().__init__(row, _name(model), "", None, dialect("openai.chat"))
        self._model = model
        self._endpoint = f"llmnb://{PROVIDER}/{identity(model)}"
        self.pool = f"{PROVIDER}|{_serial(model)}|{self.model}"

    @property
    def endpoint(self) -> str:
        """What answers: the object and what it is set to."""
        return self._endpoint

    async def send(self, call: Call, *, on_delta: OnDelta | None) -> RawReply:
        """Have the model answer one request."""
        began = time.monotonic()
        results = await bridge.aside(self._asked(call.body, on_delta, asyncio.get_running_loop()))
        first = results[0]
        return RawReply(
            status=200,
            headers={"x-llmnb-simulated": "1"} if first.simulated else {},
            body=_body(results, self.model),
            first_token_seconds=first.seconds_to_first_token,
            seconds=time.monotonic() - began,
        )

    async def _asked(
        self,
        body: Mapping[str, Any],
        on_delta: OnDelta | None,
        loop: asyncio.AbstractEventLoop,
    ) -> list[LLMResult]:
        turns = messages_of(body["messages"])
        fields = {name: value for name, value in body.items() if name not in _NOT_FIELDS}
        try:
            found = await self._results(turns, fields, on_delta, loop)
        except LLMNBError:
            raise
        except OSError as fault:  # lost connections and time-outs are among them
            raise MaybeBilled(self._told(fault, "It may have been billed.")) from fault
        except Exception as fault:
            raise RequestRejected(self._told(fault, "Nothing was kept for this row.")) from fault
        if not isinstance(found, list) or not all(isinstance(one, LLMResult) for one in found):
            raise BadReply(
                f"{self._class}.acompletion returned {type(found).__name__}, and not a list of "
                "LLMResult. Nothing was kept for this row."
            )
        if found and found[0].error is not None:
            raise found[0].error
        if not found or _is_empty(found[0]):
            raise BadReply(f"{self._class}.acompletion returned no answer.")
        return found

    async def _results(
        self,
        turns: list[Message],
        fields: Mapping[str, Any],
        on_delta: OnDelta | None,
        loop: asyncio.AbstractEventLoop,
    ) -> list[LLMResult]:
        if on_delta is None:
            return await self._model.acompletion(turns, **fields)
        tell = on_delta

        def hear(text: str) -> None:
            loop.call_soon_threadsafe(tell, Delta(text=text))

        return [await self._model.streamed(turns, (hear,), fields)]

    @property
    def _class(self) -> str:
        return type(self._model).__name__

    def _told(self, fault: Exception, kept: str) -> str:
        said = next(iter(str(fault).strip().splitlines()), "")[:300]
        return f"{self._class} raised {type(fault).__name__}: {said} {kept}"

    async def list_models(self) -> list[str]:
        """Return the one model there is."""
        return [self.model]

    def read(self, raw: bytes) -> Reply:
        """Read an answer, with the price that its model told."""
        reply = super().read(raw)
        usd = orjson.loads(reply.raw).get(_USD)
        if reply.usage is None or not isinstance(usd, float | int):
            return reply
        priced = dataclasses.replace(reply.usage, usd=float(usd))
        return dataclasses.replace(reply, usage=priced)


# -------------------------------------------------------------------------- who it is

_serials: dict[int, tuple[weakref.ref[LLMModel], str]] = {}


def _serial(model: LLMModel) -> str:
    """Return a name that only this object has, as long as it lives."""
    known = _serials.get(id(model))
    if known is not None and known[0]() is model:
        return known[1]
    for number in [number for number, (gone, _) in _serials.items() if gone() is None]:
        del _serials[number]
    serial = uuid.uuid4().hex
    _serials[id(model)] = weakref.ref(model), serial
    return serial


def identity(model: LLMModel) -> str:
    """Return what decides a model's answers, as far as can be told.

    With an `LLMModel.identity` that its author gave, that and its class; else this one object
    and its plain attributes: after a change its earlier answers are not taken for new ones.
    """
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    if model.identity:
        return f"{kind}/{model.identity}"
    told = "\n".join(f"{name}={_told(value)}" for name, value in sorted(vars(model).items()))
    state = hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"{kind}/{_serial(model)}/{state}"


def _told(value: Any) -> str:
    """Return a value as text where it is plain, else only what kind it is."""
    try:
        return json.dumps(value, default=_kind_of)
    except (TypeError, ValueError, RecursionError):  # keys of odd kinds, circles
        return _kind_of(value)


def _kind_of(value: Any) -> str:
    return type(value).__qualname__


def _name(model: LLMModel) -> str:
    name = getattr(model, "name", None)
    return name if isinstance(name, str) and name else type(model).__name__


def _row() -> Provider:
    return dataclasses.replace(
        provider("litellm"),
        name=PROVIDER,
        is_local=False,
        charge="actual",
        has_schemas=True,
        tells_price=True,
    )


# ---------------------------------------------------------------------- what it says


def _body(results: list[LLMResult], name: str) -> bytes:
    """Return results as one reply of OpenAI's protocol."""
    first = results[0]
    body: dict[str, Any] = {
        "id": first.response_id or first.id,
        "object": "chat.completion",
        "model": first.model or name,
        "choices": [_choice(place, one) for place, one in enumerate(results)],
    }
    costs = [one.cost for one in results if one.cost is not None]
    if costs or first.prompt_count is not None or first.completion_count is not None:
        body["usage"] = _usage(results)
    if costs:
        body[_USD] = sum(costs)
    return orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS, default=str)


def _choice(place: int, result: LLMResult) -> dict[str, Any]:
    said = result.text if result.text is not None else _last_text(result)
    message = Message(content=said, role="assistant", tool_calls=result.tool_calls).body()
    if result.reasoning_content:
        message["reasoning_content"] = result.reasoning_content
    if result.messages:
        message |= result.messages[-1].handed_back
    reason = result.finish_reason or ("tool_calls" if result.tool_calls else "stop")
    return {"index": place, "message": message, "finish_reason": reason}


def _is_empty(result: LLMResult) -> bool:
    return result.text is None and not result.tool_calls and _last_text(result) is None


def _last_text(result: LLMResult) -> str | None:
    return result.messages[-1].text if result.messages else None


def _usage(results: list[LLMResult]) -> dict[str, Any]:
    prompt = results[0].prompt_count or 0
    completion = sum(one.completion_count or 0 for one in results)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": results[0].cache_read_tokens or 0},
    }
