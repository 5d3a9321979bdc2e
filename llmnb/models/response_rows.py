"""Turn outcomes into rows: ``[request, response]``, and metadata if the request has any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llmnb.errors import ConfigurationError, LLMNBError
from llmnb.records import Outcome

CALLERS_FIELDS = frozenset(("metadata", "api_provider", "url", "api_key"))
"""Fields of a request that are for llmnb alone; addresses and keys stand in no row."""

ResponseRow = list[Any]
"""``[request, response]`` or ``[request, response, metadata]``."""


def requests_in(requests: Iterable[Mapping[str, Any]], where: str) -> list[Mapping[str, Any]]:
    """Return requests as a list.

    Args:
        requests: They, in any iterable.
        where: What was called.

    Raises:
        ConfigurationError: If one request, or a file's content, is given where a list belongs.
    """
    is_frame = hasattr(requests, "columns")
    if is_frame or isinstance(requests, str | bytes | Mapping) or not hasattr(requests, "__iter__"):
        hint = " Of a frame they are frame.to_dict('records')." if is_frame else ""
        raise ConfigurationError(
            f"{where} takes a list of requests, such as "
            f"[{{'messages': [{{'role': 'user', 'content': '…'}}]}}].{hint}"
        )
    return list(requests)


def response_row(request: Any, outcome: Outcome) -> ResponseRow:
    """Return a request with its response, without the address and the key.

    Args:
        request: The request; what is no mapping stands in the row as it is.
        outcome: What became of it.
    """
    if outcome.error is None and outcome.reply is not None:
        response: Any = outcome.reply.body
    else:
        response = error_texts(outcome.error)
    if type(request) is not dict and not isinstance(request, Mapping):
        return [request, response]
    if CALLERS_FIELDS.isdisjoint(request):
        return [dict(request), response]
    row = [without_callers_fields(request), response]
    metadata = request.get("metadata")
    return [*row, metadata] if metadata else row


def without_callers_fields(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a request that holds what is sent only."""
    return {name: value for name, value in request.items() if name not in CALLERS_FIELDS}


def error_texts(error: LLMNBError | None) -> list[str]:
    """Return the errors that replace a failed row's response: a text for each attempt."""
    if error is None:
        return ["no answer"]
    history = list(error.details.history)
    if not history or history[-1] not in error.message:
        return [*history, error.message]
    return [*history[:-1], error.message]
