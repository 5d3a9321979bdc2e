"""Answers bought through dataformer, under the keys that llmnb would give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmnb.errors import LLMNBError
from llmnb.store.entry import Entry
from llmnb.targets.resolve import choose, resolve

_NOT_BODY = ("model", "api_provider", "url", "api_key", "metadata")


def key_parts(model: str | None) -> Callable[[dict[str, Any]], Entry | None]:
    """Return a function from a request to the entry, without its answer, that it is stored as.

    Args:
        model: ``provider/model`` for requests that name none of their own.
    """

    def entry(request: dict[str, Any]) -> Entry | None:
        gen_type = "chat" if "messages" in request else "text"
        name, provider = request.get("model") or model, request.get("api_provider")
        try:
            if choose(name, api_provider=provider, gen_type=gen_type).provider in ("local", "sim"):
                return None  # dataformer asked servers only
            target = resolve(
                name,
                api_provider=provider,
                url=request.get("url"),
                gen_type=gen_type,
                needs_key=False,
            )
            body = {name: value for name, value in request.items() if name not in _NOT_BODY}
            call = target.call(body, {})
        except LLMNBError:
            return None
        return Entry(
            key=call.key,
            request=call.canonical,
            raw=b"",
            dialect=target.dialect_name,
            provider=target.provider,
            model=target.model,
            quality="good",
        )

    return entry
