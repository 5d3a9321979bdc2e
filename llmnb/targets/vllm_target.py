"""A vLLM engine of this process as the engine's target: asked and read like any server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from llmnb.adapters.vllm_engine import Engine
from llmnb.engine.target import Call, OnDelta
from llmnb.errors import (
    ConfigurationError,
    ContextOverflow,
    LLMNBError,
    ProviderError,
    RequestRejected,
)
from llmnb.records import Delta, Limits, RawReply
from llmnb.targets import vllm_wire
from llmnb.targets.target import HTTPTarget
from llmnb.wire.catalog import provider
from llmnb.wire.dialect import dialect

_KINDS = ("chat", "text")


class VLLMTarget(HTTPTarget):
    """One model in an engine of this process.

    Args:
        engine: The engine.
        name: Name it is shown and kept under.
        gen_type: ``"chat"`` or ``"text"``.
        params: Fields of the body, also where it is asked by name; a request's own win.

    Raises:
        ConfigurationError: If an engine does not do that.
    """

    __slots__ = ("_engine", "_is_chat", "_params")

    lists_models = False

    def __init__(
        self, engine: Engine, name: str, gen_type: str, params: Mapping[str, Any] | None = None
    ) -> None:
        if gen_type not in _KINDS:
            raise ConfigurationError(
                f"A vLLM engine in this process does not do gen_type={gen_type!r}; it does: "
                f"{', '.join(_KINDS)}. A vLLM server does more: LLM(model='vllm/NAME', url=…)"
            )
        row = provider("vllm")
        self._engine = engine
        self._params = params or {}
        self._is_chat = gen_type == "chat"
        super().__init__(
            row,
            name,
            row.paths[gen_type],
            None,
            dialect(row.dialects[gen_type]),
            endpoint=engine.identity,
            account=f"{id(engine):x}",
            # A few more than it writes at once: the next ones wait inside, not on their way there.
            limits=Limits(concurrency=engine.max_requests + engine.max_requests // 4 + 1),
        )

    def call(
        self,
        request: Mapping[str, Any],
        params: Mapping[str, Any],
        *,
        sample: int = 0,
        extra: bytes = b"",
    ) -> Call:
        """Return what to ask for a request; what the engine cannot do is refused here."""
        own = {**self._params, **params}
        call = super().call(request, own, sample=sample, extra=extra)
        vllm_wire.sampling_fields(call.body)
        if self._is_chat:
            vllm_wire.turns(call.body["messages"])
        return call

    async def send(self, call: Call, *, on_delta: OnDelta | None) -> RawReply:
        """Have one request answered by the engine."""
        began = time.monotonic()
        loop = asyncio.get_running_loop()
        prompt, sampling = await loop.run_in_executor(None, self._read, call.body)
        answering = _Answering(loop, on_delta, began)
        stepper = self._engine.stepper
        name = stepper.submit(prompt, sampling, answering.receive)
        try:
            await answering.end
        except asyncio.CancelledError:
            stepper.drop(name)
            raise
        except Exception as error:
            raise self._as_ours(error) from error
        body = vllm_wire.reply_body(
            answering.answers,
            answering.first,
            model=self.model,
            name=name,
            is_chat=self._is_chat,
            alternatives=sampling.logprobs or 0,
        )
        return RawReply(
            status=200,
            headers={},
            body=body,
            first_token_seconds=answering.first_token_seconds if on_delta else None,
            seconds=time.monotonic() - began,
        )

    def _read(self, body: Mapping[str, Any]) -> tuple[list[int], Any]:
        """Return a body's prompt as tokens, and how to go on from there."""
        prompt = self._tokens(body)
        fields = vllm_wire.sampling_fields(body)
        room = self._engine.max_len - len(prompt)
        if room < 1 or room < fields.get("max_tokens", 1):
            raise ContextOverflow(
                f"{self.model} reads and writes at most {self._engine.max_len} tokens together, "
                f"and this prompt has {len(prompt)}; nothing was generated for it. "
                "Shorten it, ask for fewer tokens, or load the model with a larger max_model_len.",
                provider=self.provider,
                model=self.model,
            )
        fields.setdefault("max_tokens", room)
        return prompt, self._engine.sampling(**fields)

    def _as_ours(self, error: Exception) -> LLMNBError:
        """Return what vLLM raised as an error of ours."""
        message = next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]
        if self._engine.is_refusal(error):
            return RequestRejected(
                f"vLLM refuses this request: {message} Nothing was generated for it.",
                provider=self.provider,
                model=self.model,
            )
        return ProviderError(
            f"The vLLM engine broke while it wrote: {type(error).__name__}: {message} "
            "Load the model again.",
            provider=self.provider,
            model=self.model,
        )

    def _tokens(self, body: Mapping[str, Any]) -> list[int]:
        if self._is_chat:
            return self._engine.chat_tokens(
                vllm_wire.turns(body["messages"]), body.get("chat_template_kwargs") or {}
            )
        prompt = body["prompt"]
        if isinstance(prompt, str):
            return self._engine.encode([prompt])[0]
        if all(type(token) is int for token in prompt):
            return list(prompt)
        raise RequestRejected(
            "A vLLM engine in this process takes one text or one list of tokens as a prompt; "
            "nothing was generated for it.",
            provider=self.provider,
            model=self.model,
        )


class _Answering:
    """One request in flight: receives on the stepping thread, reports on the loop's."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_delta: OnDelta | None, began: float
    ) -> None:
        self._loop = loop
        self._on_delta = on_delta
        self._began = began
        self._shown = 0
        self.end: asyncio.Future[None] = loop.create_future()
        self.answers: dict[int, Any] = {}
        self.first: Any = None
        self.first_token_seconds: float | None = None

    def receive(self, output: Any) -> None:
        """Take an output, or the exception that came instead."""
        try:
            self._loop.call_soon_threadsafe(self._take, output)
        except RuntimeError:
            return  # the loop is gone, and the caller with it

    def _take(self, output: Any) -> None:
        if self.end.done():
            return
        if isinstance(output, Exception):
            self.end.set_exception(output)
            return
        self.first = self.first or output
        for answer in output.outputs:
            self.answers[answer.index] = answer
        if self._on_delta is not None:
            self._show(self._on_delta)
        if output.finished:
            self.end.set_result(None)

    def _show(self, on_delta: OnDelta) -> None:
        """Hand on what the first answer has grown by."""
        if (answer := self.answers.get(0)) is None or len(answer.text) <= self._shown:
            return
        if self.first_token_seconds is None:
            self.first_token_seconds = time.monotonic() - self._began
        piece, self._shown = answer.text[self._shown :], len(answer.text)
        on_delta(Delta(text=piece))
