"""The target of a vLLM engine in this process, asked and read like a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from llmnb.adapters.vllm_engine import Engine
from llmnb.display.texts import single_line
from llmnb.engine.target import Call, OnDelta
from llmnb.errors import (
    ConfigurationError,
    ContextOverflow,
    InputError,
    LLMNBError,
    ProviderError,
    RequestRejected,
)
from llmnb.records import Delta, Limits, RawReply
from llmnb.targets.target import HTTPTarget
from llmnb.wire import conversation
from llmnb.wire.catalog import provider
from llmnb.wire.dialect import dialect
from llmnb.wire.openai_chat import text_of

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

    def call(self, request: Mapping[str, Any], params: Mapping[str, Any], **key: Any) -> Call:
        """Return the call for a request; refuse fields that vLLM's engine does not take."""
        call = super().call(request, {**self._params, **params}, **key)
        sampling_fields(call.body)
        if self._is_chat:
            turns(call.body["messages"])
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
        body = reply_body(
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
        """Return a body's prompt as tokens, and its sampling parameters."""
        prompt = self._tokens(body)
        fields = sampling_fields(body)
        room = self._engine.max_len - len(prompt)
        if room < 1 or room < fields.get("max_tokens", 1):
            raise ContextOverflow(
                f"{self.model} reads and writes at most {self._engine.max_len} tokens together, "
                f"and this prompt has {len(prompt)}; nothing was generated for it. "
                "Shorten it, ask for fewer tokens, or load the model with a larger max_model_len.",
            )
        fields.setdefault("max_tokens", room)
        return prompt, self._engine.sampling(**fields)

    def _as_ours(self, error: Exception) -> LLMNBError:
        """Return an exception of vLLM's as an error of llmnb."""
        message = single_line(str(error)) or type(error).__name__
        if self._engine.is_refusal(error):
            return RequestRejected(
                f"vLLM refuses this request: {message} Nothing was generated for it.",
            )
        return ProviderError(
            f"The vLLM engine broke while it wrote: {type(error).__name__}: {message} "
            "Load the model again.",
        )

    def _tokens(self, body: Mapping[str, Any]) -> list[int]:
        if self._is_chat:
            return self._engine.chat_tokens(
                turns(body["messages"]), body.get("chat_template_kwargs") or {}
            )
        prompt = body["prompt"]
        if isinstance(prompt, str):
            return self._engine.encode([prompt])[0]
        if all(type(token) is int for token in prompt):
            return list(prompt)
        raise RequestRejected(
            "A vLLM engine in this process takes one text or one list of tokens as a prompt; "
            "nothing was generated for it.",
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
        text = self.answers[0].text if 0 in self.answers else ""
        if self._on_delta is not None and len(text) > self._shown:
            if self.first_token_seconds is None:
                self.first_token_seconds = time.monotonic() - self._began
            fragment, self._shown = text[self._shown :], len(text)
            self._on_delta(Delta(text=fragment))
        if output.finished:
            self.end.set_result(None)


# -------------------------------------------- OpenAI's bodies as the engine takes them

_AS_THEY_ARE = (
    *("n", "temperature", "top_p", "top_k", "min_p", "seed", "stop", "stop_token_ids"),
    *("presence_penalty", "frequency_penalty", "repetition_penalty", "min_tokens"),
    *("ignore_eos", "include_stop_str_in_output", "skip_special_tokens", "prompt_logprobs"),
    *("structured_outputs", "logit_bias"),
)
"""Fields that vLLM's own server takes, and its engine by the same name."""

_READ_APART = (
    *("max_completion_tokens", "max_tokens", "model", "messages", "prompt", "logprobs"),
    *("top_logprobs", "response_format", "user", "chat_template_kwargs"),
)
_UNDERSTOOD = {*_AS_THEY_ARE, *_READ_APART}


def sampling_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of sampling that a request's body asks for.

    ``max_tokens`` is among them only where the body names it.

    Raises:
        InputError: If the engine cannot do what the body asks for.

    Example:
        >>> sampling_fields({"messages": [], "max_tokens": 5, "logprobs": True, "stop": ["."]})
        {'stop': ['.'], 'max_tokens': 5, 'logprobs': 0}
    """
    unknown = sorted(set(body) - _UNDERSTOOD)
    if unknown:
        raise InputError(
            f"A vLLM engine in this process does not take {', '.join(unknown[:5])}; nothing was "
            "sent for it. Leave it out, or ask a vLLM server: LLM(model='vllm/NAME', url=…)"
        )
    fields = {name: body[name] for name in _AS_THEY_ARE if name in body}
    if isinstance(bias := fields.get("logit_bias"), Mapping):
        fields["logit_bias"] = {int(token): float(value) for token, value in bias.items()}
    if (length := conversation.length_in(dict(body))) is not None:
        fields["max_tokens"] = length
    if (alternatives := _alternatives(body)) is not None:
        fields["logprobs"] = alternatives
    if (schema := conversation.wanted_schema(dict(body))) is not None:
        fields["structured_outputs"] = {"json": dict(schema)} if schema else {"json_object": True}
    return fields


def _alternatives(body: Mapping[str, Any]) -> int | None:
    """Return for how many alternatives a log-probability is wanted; None for none at all."""
    asked = body.get("logprobs")
    if isinstance(asked, bool):  # as a chat's body has it
        return int(body.get("top_logprobs") or 0) if asked else None
    return asked if isinstance(asked, int) else None


def turns(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return a conversation as a chat template takes it: roles and texts.

    Raises:
        InputError: If a message holds more than text.

    Example:
        >>> turns([{"role": "user", "content": [{"type": "text", "text": "Hi"}]}])
        [{'role': 'user', 'content': 'Hi'}]
    """
    return [
        {"role": str(message["role"]), "content": _only_text(message.get("content"), index)}
        for index, message in enumerate(messages)
    ]


def _only_text(content: Any, index: int) -> str:
    parts = content if isinstance(content, list) else ()
    for part in parts:
        if not isinstance(part, Mapping) or part.get("type") not in ("text", "input_text"):
            raise InputError(
                f"messages[{index}] holds more than text, and a vLLM engine in this process "
                "takes text only; nothing was sent for it. A vLLM server takes pictures."
            )
    return text_of(content)


# ----------------------------------------- the engine's outputs as OpenAI's bodies


def reply_body(
    outputs: Mapping[int, Any],
    first: Any,
    *,
    model: str,
    name: str,
    is_chat: bool,
    alternatives: int = 0,
) -> bytes:
    """Return the body that a server would have answered with.

    Args:
        outputs: vLLM's finished answers by their index.
        first: An output of the request, which knows the prompt.
        model: Name to answer under.
        name: The request's name.
        is_chat: Whether a conversation was asked, or a text.
        alternatives: How many of the likeliest tokens are listed beside each that was written.
    """
    prompt = len(first.prompt_token_ids or ())
    written = sum(len(output.token_ids) for output in outputs.values())
    body: dict[str, Any] = {
        "id": f"{'chatcmpl' if is_chat else 'cmpl'}-{name}",
        "object": "chat.completion" if is_chat else "text_completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            _choice(index, outputs[index], alternatives, is_chat=is_chat)
            for index in sorted(outputs)
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
            "prompt_tokens_details": {"cached_tokens": int(first.num_cached_tokens or 0)},
        },
    }
    if first.prompt_logprobs is not None:
        body["prompt_logprobs"] = [_candidates(position) for position in first.prompt_logprobs]
    return orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)


def _choice(index: int, output: Any, alternatives: int, *, is_chat: bool) -> dict[str, Any]:
    logprobs: dict[str, Any] | None = None
    if output.logprobs is not None:
        tokens = _tokens(output, alternatives)
        logprobs = {"content": tokens}
        if not is_chat:
            logprobs = {
                "tokens": [token["token"] for token in tokens],
                "token_logprobs": [token["logprob"] for token in tokens],
                "top_logprobs": [
                    {top["token"]: top["logprob"] for top in token["top_logprobs"]}
                    for token in tokens
                ],
            }
    text = output.text
    answer = {"message": {"role": "assistant", "content": text}} if is_chat else {"text": text}
    return {
        "index": index,
        **answer,
        "logprobs": logprobs,
        "finish_reason": output.finish_reason,
        "stop_reason": output.stop_reason,
    }


def _tokens(output: Any, alternatives: int) -> list[dict[str, Any]]:
    """Return each token's log-probability and its alternatives', likeliest first."""
    tokens = []
    for token, candidates in zip(output.token_ids, output.logprobs, strict=True):
        # The chosen one is always there; among the alternatives only if it is one of them.
        likely = [other for other in candidates.values() if 0 < (other.rank or 0) <= alternatives]
        likely.sort(key=lambda other: int(other.rank))
        tops = [_token(other) for other in likely]
        tokens.append({**_token(candidates[token]), "top_logprobs": tops})
    return tokens


def _token(candidate: Any) -> dict[str, Any]:
    text = candidate.decoded_token or ""
    return {"token": text, "logprob": candidate.logprob, "bytes": list(text.encode())}


def _candidates(position: Mapping[int, Any] | None) -> dict[str, Any] | None:
    if position is None:
        return None
    return {
        str(token): {
            "logprob": candidate.logprob,
            "rank": candidate.rank,
            "decoded_token": candidate.decoded_token,
        }
        for token, candidate in position.items()
    }
