"""A model that only LiteLLM reaches, as the engine's target: the engine keeps what it keeps."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

from llmnb import bridge
from llmnb.adapters import litellm, prices
from llmnb.engine.target import Call, OnDelta
from llmnb.errors import ConfigurationError, LLMNBError
from llmnb.records import RawReply, Usage
from llmnb.targets.target import HTTPTarget
from llmnb.wire.catalog import provider
from llmnb.wire.dialect import dialect, samples_in
from llmnb.wire.keys import masked

_DECIDES = ("api_base", "base_url", "api_version")
"""Parts of a connection that may change what answers; keys and regions are not among them."""


class LiteLLMTarget(HTTPTarget):
    """A model behind LiteLLM, whose own retries are off.

    Limits, retries, coalescing, store and cost are the engine's, as for every model.

    Args:
        model: Model, as LiteLLM spells it, such as ``"bedrock/anthropic.claude-3"``.
        gen_type: ``"chat"`` or ``"embedding"``; what else LiteLLM does is not reached this way.
        connection: ``api_key``, ``api_base`` and whatever else LiteLLM needs to reach it.
    """

    __slots__ = ("_connection", "_embeds")

    def __init__(self, model: str, gen_type: str, connection: Mapping[str, Any]) -> None:
        row = provider("litellm")
        if gen_type not in ("chat", "embedding"):
            raise ConfigurationError(
                f"LiteLLM is asked for chats and embeddings, not for gen_type={gen_type!r}. "
                "Nothing was sent."
            )
        self._embeds = gen_type == "embedding"
        self._connection = dict(connection)
        where = [f"{name}={connection[name]}" for name in _DECIDES if connection.get(name)]
        super().__init__(
            row,
            model,
            " ".join(["litellm:", *where]),
            _text(connection.get("api_key")),
            dialect(row.dialects[gen_type]),
        )
        # Accounts that LiteLLM reaches otherwise than by a key have limits of their own.
        account = hashlib.sha256(repr(sorted(connection.items(), key=str)).encode()).hexdigest()
        self.pool = f"litellm|{account[:12]}|{model}"

    def get_ready(self) -> None:
        """Import LiteLLM, which takes seconds."""
        litellm.load()

    async def send(self, call: Call, *, on_delta: OnDelta | None) -> RawReply:
        """Send one request."""
        await asyncio.get_running_loop().run_in_executor(None, litellm.load)
        try:
            return await self._sent(call, on_delta)
        except LLMNBError as error:
            raise masked(error, self._key) from None

    async def _sent(self, call: Call, on_delta: OnDelta | None) -> RawReply:
        # LiteLLM calls what people have registered with it, which may block.
        if self._embeds:
            return await bridge.aside(litellm.embed(call.body, self._connection))
        if on_delta is None:
            return await bridge.aside(litellm.complete(call.body, self._connection))
        tell, loop = on_delta, asyncio.get_running_loop()
        assembler = self._dialect.assembler(samples=samples_in(call.body))

        def feed(event: bytes) -> bool:
            deltas = assembler.feed(event)
            for delta in deltas:
                loop.call_soon_threadsafe(tell, delta)
            return bool(deltas)

        body = self._dialect.stream_body(call.body)
        body.pop("stream", None)
        raw = await bridge.aside(litellm.complete(body, self._connection, feed))
        return dataclasses.replace(raw, body=assembler.finish()) if 200 <= raw.status < 300 else raw

    async def list_models(self) -> list[str]:
        """Return the one model: LiteLLM keeps no list of what an account may ask."""
        return [self.model]

    def price(self, usage: Usage | None, model: str | None) -> float | None:
        """Return dollars by our table, else by LiteLLM's; None when unknown."""
        if usage is not None and usage.usd:
            return usage.usd
        if usage is None or usage.unknown:
            return None
        head, _, rest = self.model.partition("/")
        found = prices.price(self.row.name, self.model, usage)
        if found is None and rest and head not in prices.LOCAL:
            found = prices.price(head, rest, usage)
        if found is not None or not prices.is_usual(usage.tier):
            return found
        return litellm.dollars(self.model, usage)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
