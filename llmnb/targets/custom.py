"""Models of the caller's own class, asked by the engine like any other."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import time
import uuid
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from llmnb import bridge
from llmnb.chat.llm_model import LLMModel
from llmnb.chat.messages import Message, messages_of
from llmnb.chat.results import LLMResult, checked_results
from llmnb.display.texts import mended_value, single_line
from llmnb.engine.target import Call, OnDelta
from llmnb.errors import BadReply, ConfigurationError, LLMNBError, MaybeBilled, RequestRejected
from llmnb.records import SIMULATED, Delta, RawReply, Reply
from llmnb.targets.endpoint import Endpoint
from llmnb.targets.target import HTTPTarget
from llmnb.wire.catalog import provider
from llmnb.wire.dialect import dialect

PROVIDER = "own"
"""The name that custom models have in place of a provider's."""

_NOT_FIELDS = ("model", "messages", "stream", "stream_options")
_USD = "llmnb_usd"


@dataclasses.dataclass(frozen=True)
class CustomModel:
    """Makes the target of a model of the caller's own class.

    Args:
        model: The model; its `acompletion` is called on a thread that is not the engine's.
    """

    model: LLMModel

    def target(self, gen_type: str = "chat") -> CustomTarget:
        """Return the target that answers.

        Raises:
            ConfigurationError: If it is not asked for a chat.
        """
        if gen_type != "chat":
            raise ConfigurationError(
                f"{type(self.model).__name__} is an LLMModel, which answers chats, and is asked "
                f"for gen_type={gen_type!r}. Nothing was sent."
            )
        return CustomTarget(self.model)


def custom_endpoint(model: LLMModel) -> Endpoint:
    """Return a custom model as an endpoint; its parameters stay in the object."""
    return Endpoint(model=f"{PROVIDER}/{_name(model)}", owner=CustomModel(model))


class CustomTarget(HTTPTarget):
    """Asks a custom model; its results are stored as replies of OpenAI's protocol."""

    lists_models = False

    def __init__(self, model: LLMModel) -> None:
        row = dataclasses.replace(
            provider("litellm"),
            name=PROVIDER,
            is_local=False,
            charge="actual",
            has_schemas=True,
            tells_price=True,
        )
        super().__init__(
            row,
            _name(model),
            "",
            None,
            dialect("openai.chat"),
            endpoint=f"llmnb://{PROVIDER}/{identity(model)}",
            account=_serial(model),
        )
        self._model = model

    async def send(self, call: Call, *, on_delta: OnDelta | None) -> RawReply:
        """Have the model answer one request."""
        began = time.monotonic()
        loop = asyncio.get_running_loop()
        results = await bridge.on_side_loop(self._results(call.body, on_delta, loop))
        first = results[0]
        return RawReply(
            status=200,
            headers={SIMULATED: "1"} if first.simulated else {},
            body=_body(results, self.model),
            first_token_seconds=first.seconds_to_first_token,
            seconds=time.monotonic() - began,
        )

    async def _results(
        self,
        body: Mapping[str, Any],
        on_delta: OnDelta | None,
        loop: asyncio.AbstractEventLoop,
    ) -> Sequence[LLMResult]:
        """Return the model's results; raise its exceptions as errors of llmnb."""
        turns = messages_of(body["messages"])
        fields = {name: value for name, value in body.items() if name not in _NOT_FIELDS}
        kind = type(self._model).__name__
        try:
            if on_delta is None:
                results = await self._model.acompletion(turns, **fields)
            else:

                def report(text: str, on_delta: OnDelta = on_delta) -> None:
                    loop.call_soon_threadsafe(on_delta, Delta(text=text))

                results = [await self._model.streamed(turns, (report,), fields)]
        except LLMNBError:
            raise
        except asyncio.CancelledError as fault:
            if bridge.is_cancelled():
                raise
            raise MaybeBilled(
                f"{kind} raised CancelledError of its own. It may have been billed."
            ) from fault
        except Exception as fault:
            message = single_line(str(fault)).rstrip(".")
            what = f"{kind} raised {type(fault).__name__}{message and ': '}{message}."
            if isinstance(fault, OSError):  # lost connections and time-outs are among them
                raise MaybeBilled(f"{what} It may have been billed.") from fault
            raise RequestRejected(f"{what} Nothing was kept for this row.") from fault
        answers = checked_results(results, kind)
        if answers and answers[0].error is not None:
            raise answers[0].error
        if not answers or (_text_of(answers[0]) is None and not answers[0].tool_calls):
            raise BadReply(f"{kind}.acompletion returned no answer.")
        return answers

    def read(self, raw: bytes) -> Reply:
        """Read an answer, with the price that its model reported."""
        reply = super().read(raw)
        usd = orjson.loads(reply.raw).get(_USD)
        if reply.usage is None or not isinstance(usd, float | int):
            return reply
        priced = dataclasses.replace(reply.usage, usd=float(usd))
        return dataclasses.replace(reply, usage=priced)


# -------------------------------------------------------------------------- which model it is

_serials: dict[int, str] = {}


def _serial(model: LLMModel) -> str:
    """Return a name that only this object has, as long as it lives."""
    if (serial := _serials.get(id(model))) is None:
        serial = _serials[id(model)] = uuid.uuid4().hex
        weakref.finalize(model, _serials.pop, id(model))
    return serial


def identity(model: LLMModel) -> str:
    """Return a text that identifies a model in the keys of its answers.

    With an `LLMModel.identity` that its author gave, that and its class; else this one object
    and its plain attributes: after a change its earlier answers are not taken for new ones.
    """
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    if model.identity:
        return f"{kind}/{model.identity}"
    lines = [f"{name}={_plain(value)}" for name, value in sorted(vars(model).items())]
    state = hashlib.sha256("\n".join(lines).encode(errors="surrogatepass")).hexdigest()[:16]
    return f"{kind}/{_serial(model)}/{state}"


def _plain(value: Any) -> str:
    """Return a value as text where it is plain, else only its type's name."""
    try:
        return json.dumps(value, default=lambda inner: type(inner).__qualname__)
    except (TypeError, ValueError, RecursionError):  # keys of odd kinds, circles
        return type(value).__qualname__


def _name(model: LLMModel) -> str:
    name = getattr(model, "name", None)
    return name if isinstance(name, str) and name else type(model).__name__


# ------------------------------------------------------------------------- its results as a reply


def _body(results: Sequence[LLMResult], name: str) -> bytes:
    """Return results as a reply of OpenAI's protocol."""
    first = results[0]
    body: dict[str, Any] = {
        "id": first.response_id or first.id,
        "object": "chat.completion",
        "model": first.model or name,
        "choices": [_choice(index, result) for index, result in enumerate(results)],
    }
    costs = [result.cost for result in results if result.cost is not None]
    if costs or first.prompt_count is not None or first.completion_count is not None:
        prompt = first.prompt_count or 0
        completion = sum(result.completion_count or 0 for result in results)
        body["usage"] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": first.cache_read_tokens or 0},
        }
    if costs:
        body[_USD] = sum(costs)
    try:
        return orjson.dumps(mended_value(body), option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError) as fault:
        raise BadReply(f"The answer of {name} cannot be kept: {fault}.") from fault


def _choice(index: int, result: LLMResult) -> dict[str, Any]:
    turn = Message(content=_text_of(result), role="assistant", tool_calls=result.tool_calls)
    message = turn.body()
    if result.reasoning_content:
        message["reasoning_content"] = result.reasoning_content
    if result.messages:
        message |= result.messages[-1].handed_back
    reason = result.finish_reason or ("tool_calls" if result.tool_calls else "stop")
    return {"index": index, "message": message, "finish_reason": reason}


def _text_of(result: LLMResult) -> str | None:
    if result.text is not None or not result.messages:
        return result.text
    return result.messages[-1].text
