"""The door to LiteLLM: it sends single requests, without its own retries, prices and errors.

LiteLLM answers with objects of OpenAI's shape and raises errors of many. Here they are bytes
and statuses again, as if a server had sent them, so that everything above reads them as it
reads any other reply. Importing it takes seconds, and by itself it fetches its table of
prices from the network; here it uses the one it carries.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import orjson

from llmnb.adapters import egress
from llmnb.errors import MaybeBilled, MissingExtra, RealRequestForbidden, TimedOut, Unsent
from llmnb.records import RawReply, Usage

PACKAGE = "litellm"

_NEVER_LEFT = {"ConnectError", "ConnectTimeout", "ClientConnectorError", "PoolTimeout"}
_LOST = {
    *("ReadError", "ReadTimeout", "RemoteProtocolError", "WriteError", "WriteTimeout"),
    *("CloseError", "LocalProtocolError", "ServerDisconnectedError", "ClientPayloadError"),
    *("ClientOSError", "IncompleteRead"),
}
_lock = threading.Lock()
_module: Any = None


def is_installed() -> bool:
    """Return whether the extra ``litellm`` is installed."""
    return importlib.util.find_spec(PACKAGE) is not None


def check_installed() -> None:
    """Raise `MissingExtra` where the extra ``litellm`` is not there."""
    if not is_installed():
        raise MissingExtra(
            "This model is reached through LiteLLM, which is not installed. "
            "Ways out: pip install 'llmnb[litellm]'; name a provider that llmnb knows itself "
            "(`llmnb models` lists them); or ask a proxy of "
            "LiteLLM: llmnb.LLM(model=…, url=…) as the model."
        )


def load() -> Any:
    """Return the module, imported on first use: that takes seconds, so call it on a thread.

    Raises:
        MissingExtra: If it is not installed.
    """
    global _module
    with _lock:
        if _module is None:
            check_installed()
            os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # no request at import
            import litellm

            litellm.suppress_debug_info = True  # it prints advertisements beside errors
            litellm.telemetry = False
            litellm.num_retries = 0
            _module = litellm
    return _module


async def ask(
    body: Mapping[str, Any],
    connection: Mapping[str, Any],
    *,
    feed: Callable[[bytes], bool] | None = None,
    embeds: bool = False,
) -> RawReply:
    """Send one request and return its reply, whatever its status.

    Args:
        body: Request in OpenAI's words; the model as LiteLLM spells it.
        connection: What LiteLLM needs to reach it: ``api_key``, ``api_base`` and its like.
        feed: Gets each event of a stream as OpenAI's servers write it, and returns whether it
            brought anything of the answer; None asks for the answer in one piece.
        embeds: Whether vectors are asked for, and not an answer.

    Raises:
        Unsent: If the request provably never left this machine.
        MaybeBilled: If its reply is lost.
        RealRequestForbidden: If requests that leave this machine are forbidden.
    """
    litellm = load()
    began = time.monotonic()
    asked = {**body, **_safe_connection(connection), "num_retries": 0, "max_retries": 0}
    if "tools" in body and _has_gateway():
        asked["_skip_mcp_handler"] = True
    first: float | None = None
    try:
        if feed is None:
            reply = await (litellm.aembedding if embeds else litellm.acompletion)(**asked)
            raw = orjson.dumps(reply.model_dump(mode="json", exclude_none=True))
        else:
            raw = b""
            chunks = await litellm.acompletion(**asked, stream=True)
            async for event in _events(chunks):
                if feed(event) and first is None:
                    first = time.monotonic() - began
    except Exception as error:
        return _reply_of_error(error, time.monotonic() - began)
    seconds = time.monotonic() - began
    return RawReply(status=200, headers={}, body=raw, first_token_seconds=first, seconds=seconds)


@functools.cache
def _has_gateway() -> bool:
    """Return whether this LiteLLM would look for tools of its MCP gateway.

    It would import a package for that which it does not install, and fail.
    """
    return importlib.util.find_spec("litellm.responses.mcp.chat_completions_handler") is not None


def dollars(model: str, usage: Usage) -> float | None:
    """Return a price from LiteLLM's own table; None where it has none.

    Call it only where LiteLLM is imported already, else it takes seconds.
    """
    litellm = load()
    try:
        into, out = litellm.cost_per_token(
            model=model,
            prompt_tokens=usage.prompt,
            completion_tokens=usage.completion,
            cache_read_input_tokens=usage.cache_read,
            cache_creation_input_tokens=usage.cache_write,
        )
    except Exception:  # it has no type for "not known": each of its providers raises its own
        return None
    usd = float(into) + float(out)
    return usd if usd > 0 else None  # its table says 0 where nobody has filled it in


async def _events(chunks: Any) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield b"data: " + orjson.dumps(chunk.model_dump(mode="json", exclude_none=True)) + b"\n\n"
    yield b"data: [DONE]\n\n"


def _safe_connection(connection: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a connection that may be used, redirects of tests applied."""
    for name in ("api_base", "base_url"):
        base = connection.get(name)
        if isinstance(base, str) and base:
            has_key = bool(connection.get("api_key"))
            return {**connection, name: egress.safe_url(base, has_key)}
    if egress.is_real_forbidden() and "mock_response" not in connection:
        raise RealRequestForbidden(
            "Real requests are forbidden, and LiteLLM alone knows where this one would go. "
            "Nothing was sent. Give api_base=… on this machine."
        )
    return connection


def _reply_of_error(error: Exception, seconds: float) -> RawReply:
    """Return an error of LiteLLM as the reply that it was, or raise what it stands for."""
    kinds = {type(cause).__name__ for cause in _chain(error)}
    lines = str(getattr(error, "message", None) or error).splitlines()
    message = " ".join(lines)[:2000]
    if kinds & _NEVER_LEFT:
        raise Unsent(f"LiteLLM could not reach the provider: {message}") from None
    if kinds & {"Timeout", "APITimeoutError"}:
        raise TimedOut(
            f"No reply came through LiteLLM in time: {message} It may have been billed."
        ) from None
    if kinds & _LOST:
        raise MaybeBilled(
            f"LiteLLM lost the reply on its way: {message} It may have been billed."
        ) from None
    status = getattr(error, "status_code", None)
    if not isinstance(status, int) or not 400 <= status < 600:
        status = 500 if "litellm" in type(error).__module__ else 400
    code = getattr(error, "code", None)
    problem = {"message": message, "type": type(error).__name__, "code": code}
    body = orjson.dumps({"error": problem})
    return RawReply(status=status, headers=_headers(error), body=body, seconds=seconds)


def _headers(error: Exception) -> dict[str, str]:
    for cause in _chain(error):
        headers = getattr(getattr(cause, "response", None), "headers", None)
        if headers := headers or getattr(cause, "litellm_response_headers", None):
            return {str(name).lower(): str(value) for name, value in dict(headers).items()}
    return {}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what lies behind it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
