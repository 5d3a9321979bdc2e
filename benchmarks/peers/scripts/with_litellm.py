"""LiteLLM's SDK, plain: acompletion behind a semaphore, with retries, and its cache where asked."""

from __future__ import annotations

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else each import tries a download

import harness
import litellm


async def ask(task: harness.Task, prompts: list[str], book: harness.Book) -> None:
    litellm.suppress_debug_info = True
    if task.has_cache:
        litellm.cache = litellm.Cache()

    async def one(prompt: str) -> str | None:
        answer = await litellm.acompletion(
            model="openai/gpt-4o-mini",
            api_base=task.url,
            api_key="simulated",
            messages=harness.messages(prompt),
            max_tokens=8,
            num_retries=harness.RETRIES,
            caching=task.has_cache,
        )
        return answer.choices[0].message.content

    await harness.each(prompts, task.in_flight, book, one)


if __name__ == "__main__":
    harness.main(ask)
