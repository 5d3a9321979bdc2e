"""`APIRequest`: one request's life under its seed name, a thin face over the engine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from llmnb.client import AsyncLLM
from llmnb.engine.status import StatusTracker
from llmnb.errors import FlowControl, LLMNBError
from llmnb.models.response_rows import response_row

if TYPE_CHECKING:
    import aiohttp


class RetryQueue(Protocol):
    """Where a request goes that may be tried again, such as an `asyncio.Queue`."""

    def put_nowait(self, item: Any, /) -> None:
        """Take the request."""


@dataclass
class APIRequest:
    """A request's inputs, outputs, and what is known of it.

    Example:
        >>> request = APIRequest(0, 0, 0, {"prompt": "6 times 7?"}, 12, 3, {})
        >>> request.result
        []
    """

    task_id: int
    """The request's id, named in log lines."""

    recent_task_id: int
    difference_task_id: int
    request_json: dict[str, Any]
    """``messages``, ``prompt`` or ``input``, and further fields of the body; never changed."""

    token_consumption: int
    """Tokens it is expected to use; the engine counts for itself."""

    attempts_left: int
    """How often it may still go to the retry queue."""

    metadata: dict[str, Any] | None
    result: list[Any] = field(default_factory=list)
    """The row ``[request, response(, metadata)]`` once there is one; until then the errors."""

    async def call_api(
        self,
        session: aiohttp.ClientSession | None,
        request_url: str,
        request_header: Mapping[str, str],
        retry_queue: RetryQueue,
        cache_filepath: str,
        association_filepath: str,
        project_name: str,
        status_tracker: StatusTracker,
        asyncllm_instance: AsyncLLM,
    ) -> None:
        """Make one attempt through the engine, count it, and keep the row or the error.

        Args:
            session: Ignored: the engine has a session of its own, on its own loop.
            request_url: Base or full endpoint.
            request_header: Its key is used; the engine writes the other headers.
            retry_queue: Gets this request when it failed and attempts are left.
            cache_filepath: Ignored: answers are kept in the project's store.
            association_filepath: Ignored, for the same reason.
            project_name: The project.
            status_tracker: Its counters are moved.
            asyncllm_instance: Whose model, limits and cache folder are used.
        """
        request = {**self.request_json, "url": request_url, "metadata": self.metadata}
        if key := _key_of(request_header):
            request["api_key"] = key
        if asyncllm_instance.api_provider:
            request["api_provider"] = asyncllm_instance.api_provider
        run = asyncllm_instance.start([request], project_name=project_name, max_attempts=1)
        (outcome,) = await run
        if outcome.error is None:
            self.result = response_row(request, outcome)
            status_tracker.num_tasks_in_progress -= 1
            status_tracker.num_tasks_succeeded += 1
            return
        _count(outcome.error, status_tracker)
        self.result.append(outcome.error)
        if self.attempts_left > 0:
            self.attempts_left -= 1
            retry_queue.put_nowait(self)
            return
        status_tracker.num_tasks_in_progress -= 1
        status_tracker.num_tasks_failed += 1


def _key_of(headers: Mapping[str, str]) -> str | None:
    named = {name.lower(): value for name, value in headers.items()}
    for name in ("authorization", "api-key", "x-api-key", "x-goog-api-key"):
        if value := named.get(name):
            return value.removeprefix("Bearer ").strip()
    return None


def _count(error: LLMNBError, tracker: StatusTracker) -> None:
    if isinstance(error, FlowControl):
        tracker.num_rate_limit_errors += 1
        tracker.time_of_last_rate_limit_error = time.time()
    elif error.details.status is not None:
        tracker.num_api_errors += 1
    else:
        tracker.num_other_errors += 1
