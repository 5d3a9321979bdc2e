"""What type checkers see of the public interface; mypy reads this file, nothing runs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_type

import llmnb
from llmnb import APIRequest, AsyncLLM, StatusTracker, errors
from llmnb.engine.run import Run

assert_type(llmnb.__version__, str)

llm = AsyncLLM(model="local/smollm2", sampling_params={"max_tokens": 4}, max_rps=True)
assert_type(llm.generate([{"prompt": "a"}]), list[list[Any]])
assert_type(llm.check_model_exists(), bool)
assert_type(llm.start([{"prompt": "a"}]), Run)


async def awaited() -> None:
    """Await what blocks elsewhere."""
    assert_type(await llm.agenerate([{"prompt": "a"}], use_cache=False), list[list[Any]])


llm.generate("not a list of requests")  # type: ignore[arg-type]
AsyncLLM(gen_type="chat", logging_level="INFO", project_name=None)

tracker = StatusTracker()
assert_type(tracker.num_tasks_succeeded, int)

request = APIRequest(0, 0, 0, {"prompt": "a"}, 1, 3, None)
assert_type(request.result, list[Any])

assert_type(llmnb.task_id_generator(), Iterator[int])
assert_type(llmnb.last_run(), Run | None)
llmnb.configure(model="openai/gpt-4o-mini")
llmnb.set_key("openai", None)

try:
    llm.generate([])
except errors.RateLimited as error:
    assert_type(error.details.retry_after, float | None)
except llmnb.errors.LLMNBError:
    raise
