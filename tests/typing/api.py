"""What type checkers see of the public interface; mypy reads this file, nothing runs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_type

import pandas as pd

import llmnb
from llmnb import APIRequest, AsyncLLM, StatusTracker, errors
from llmnb.engine.handle import RunHandle
from llmnb.frames.accessors import DataFrameLLM, SeriesLLM
from llmnb.frames.comparing import Comparison
from llmnb.records import Outcome
from llmnb.running.planning import Plan

assert_type(llmnb.__version__, str)

llm = AsyncLLM(model="local/smollm2", sampling_params={"max_tokens": 4}, max_rps=True)
assert_type(llm.generate([{"prompt": "a"}]), list[list[Any]])
assert_type(llm.check_model_exists(), bool)
assert_type(llm.start([{"prompt": "a"}]), RunHandle[list[Outcome]])


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
assert_type(llmnb.last_run(), RunHandle[Any] | None)
llmnb.configure(model="openai/gpt-4o-mini")
llmnb.set_key("openai", None)

try:
    llm.generate([])
except errors.RateLimited as error:
    assert_type(error.details.retry_after, float | None)
except llmnb.errors.LLMNBError:
    raise

frames = DataFrameLLM(pd.DataFrame({"text": ["a"]}))
frames.generate("text", model=["openai/a", "groq/b"], n=2, max_requests_per_minute="5 per second")
frames.generate("text", on_error="ignore")  # type: ignore[arg-type]
assert_type(frames.plan("text", budget_usd=1.0), Plan)
assert_type(frames.preview("text", n=5, schema=int), pd.DataFrame)
assert_type(frames.compare("text", ["openai/a", "groq/b"]), Comparison)
assert_type(frames.start("text").status().completed, int)
frames.start("text", max_rpm=5)  # type: ignore[call-arg]
frames.classify("text", {"good": "happy", "bad": "sad"}, into="mood")


async def awaited_frames() -> None:
    """Await what tables give."""
    assert_type(await frames.apreview("text", n=5), pd.DataFrame)
    assert_type(await frames.acompare("text", ["openai/a", "groq/b"]), Comparison)
    await frames.aclassify("text", ["good", "bad"], into="mood", max_rpm=5)  # type: ignore[call-arg]
    await SeriesLLM(pd.Series(["a"])).aextract(dict, use_cache=False)


SeriesLLM(pd.Series(["a"])).extract(dict, use_cache=False)
llmnb.register_accessor("other")
