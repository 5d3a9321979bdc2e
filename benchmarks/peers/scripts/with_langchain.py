"""LangChain's ChatOpenAI with its InMemoryRateLimiter, told the limit as requests a second."""

from __future__ import annotations

import harness
from langchain_core.caches import InMemoryCache
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_openai import ChatOpenAI


def limiter(per_minute: int | None) -> InMemoryRateLimiter | None:
    """Return a limiter whose bucket holds one second's worth; None where there is no limit."""
    if per_minute is None:
        return None
    each_second = per_minute / 60
    return InMemoryRateLimiter(
        requests_per_second=each_second, check_every_n_seconds=0.1, max_bucket_size=each_second
    )


async def ask(task: harness.Task, prompts: list[str], book: harness.Book) -> None:
    model = ChatOpenAI(
        model="gpt-4o-mini",
        base_url=task.url,
        api_key="simulated",
        max_retries=harness.RETRIES,
        max_tokens=8,
        rate_limiter=limiter(task.per_minute),
        cache=InMemoryCache() if task.has_cache else False,
    )

    async def one(prompt: str) -> str:
        return str((await model.ainvoke(prompt)).content)

    await harness.each(prompts, task.in_flight, book, one)


if __name__ == "__main__":
    harness.main(ask)
