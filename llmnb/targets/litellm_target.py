"""The target of a model behind LiteLLM; limits, retries and store are llmnb's."""

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
from llmnb.wire.api_keys import mask_error
from llmnb.wire.catalog import provider
from llmnb.wire.dialect import dialect, samples_in

_DECISIVE = ("api_base", "base_url", "api_version")
"""Fields of a connection on which answers depend, and so their keys."""


@dataclasses.dataclass(frozen=True)
class LiteLLMConnection:
    """Makes the target of a model that only LiteLLM reaches.

    Args:
        model: Model, as LiteLLM spells it, such as ``"bedrock/anthropic.claude-3"``.
        fields: ``api_key``, ``api_base`` and whatever else LiteLLM needs to reach it.
    """

    model: str
    fields: Mapping[str, Any] = dataclasses.field(repr=False)

    def target(self, gen_type: str = "chat") -> LiteLLMTarget:
        """Return the target that answers.

        Args:
            gen_type: ``"chat"`` or ``"embedding"``; LiteLLM is asked for nothing else.

        Raises:
            MissingExtra: If LiteLLM is not installed.
            ConfigurationError: If another kind is asked for.
        """
        litellm.check_installed()
        return LiteLLMTarget(self.model, gen_type, self.fields)


class LiteLLMTarget(HTTPTarget):
    """A model behind LiteLLM, whose own retries are off."""

    lists_models = False  # LiteLLM does not know what an account may ask

    def __init__(self, model: str, gen_type: str, connection: Mapping[str, Any]) -> None:
        row = provider("litellm")
        if gen_type not in ("chat", "embedding"):
            raise ConfigurationError(
                f"LiteLLM is asked for chats and embeddings, not for gen_type={gen_type!r}. "
                "Nothing was sent."
            )
        self._embeds = gen_type == "embedding"
        self._connection = dict(connection)
        where = [f"{name}={connection[name]}" for name in _DECISIVE if connection.get(name)]
        key = connection.get("api_key")
        # Accounts that LiteLLM reaches otherwise than by a key have limits of their own.
        account = hashlib.sha256(repr(sorted(connection.items(), key=str)).encode()).hexdigest()
        super().__init__(
            row,
            model,
            " ".join(["litellm:", *where]),
            key if isinstance(key, str) and key else None,
            dialect(row.dialects[gen_type]),
            account=account[:12],
        )

    def get_ready(self) -> None:
        """Import LiteLLM, which takes seconds."""
        litellm.load()

    async def send(self, call: Call, *, on_delta: OnDelta | None) -> RawReply:
        """Send one request."""
        await asyncio.get_running_loop().run_in_executor(None, litellm.load)
        try:
            # LiteLLM calls what people have registered with it, which may block.
            if on_delta is not None and not self._embeds:
                return self.without_key(await self._streamed(call, on_delta))
            raw = await bridge.on_side_loop(
                litellm.ask(call.body, self._connection, embeds=self._embeds)
            )
            return self.without_key(raw)
        except LLMNBError as error:
            raise mask_error(error, self._key) from None

    async def _streamed(self, call: Call, on_delta: OnDelta) -> RawReply:
        loop = asyncio.get_running_loop()
        assembler = self.dialect.assembler(samples=samples_in(call.body))

        def feed(event: bytes) -> bool:
            deltas = assembler.feed(event)
            for delta in deltas:
                loop.call_soon_threadsafe(on_delta, delta)
            return bool(deltas)

        body = self.dialect.stream_body(call.body)
        body.pop("stream", None)
        raw = await bridge.on_side_loop(litellm.ask(body, self._connection, feed=feed))
        return dataclasses.replace(raw, body=assembler.finish()) if 200 <= raw.status < 300 else raw

    def price(self, usage: Usage | None, model: str | None) -> float | None:
        """Return dollars by our table, else by LiteLLM's; None when unknown."""
        usd = super().price(usage, model)
        if usd is not None or usage is None or usage.unknown:
            return usd
        head, _, rest = self.model.partition("/")
        if rest and head not in prices.LOCAL:
            usd = prices.price(head, rest, usage)
        if usd is None and prices.is_usual(usage.tier):
            usd = litellm.dollars(self.model, usage)
        return usd
