"""Where answers bought through dataformer belong: under the key that llmnb would give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llmnb.errors import LLMNBError
from llmnb.store.entry import Entry
from llmnb.targets.resolve import choose, endpoint_url
from llmnb.targets.target import HTTPTarget
from llmnb.wire.catalog import provider
from llmnb.wire.dialect import dialect


def key_parts(model: str | None) -> Callable[[dict[str, Any]], Entry | None]:
    """Return what says under which key a request's answer is kept.

    Args:
        model: ``provider/model`` for requests that name none of their own.
    """

    def resolve(request: Mapping[str, Any]) -> Entry | None:
        try:
            return _entry(request, model)
        except LLMNBError:
            return None

    return resolve


def _entry(request: Mapping[str, Any], model: str | None) -> Entry:
    named = request.get("model")
    gen_type = "chat" if "messages" in request else "text"
    choice = choose(named or model, api_provider=request.get("api_provider"), gen_type=gen_type)
    row = provider(choice.provider)
    target = HTTPTarget(
        row,
        choice.model,
        endpoint_url(row, request.get("url"), gen_type, choice.model),
        None,
        dialect(row.dialects[gen_type]),
    )
    question = {
        name: value
        for name, value in request.items()
        if name not in ("model", "api_provider", "url", "api_key", "metadata")
    }
    call = target.call(question, {})
    return Entry(
        key=call.key,
        request=call.canonical,
        raw=b"",
        dialect=target.dialect_name,
        provider=target.provider,
        model=target.model,
        quality="good",
    )
