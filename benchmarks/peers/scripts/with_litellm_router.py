"""LiteLLM's Router, told the limit: usage-based routing keeps a deployment within its rpm."""

from __future__ import annotations

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else each import tries a download

import harness
import litellm


def router(task: harness.Task) -> litellm.Router:
    """Return a router with one deployment, limited where there is a limit."""
    params = {"model": "openai/gpt-4o-mini", "api_base": task.url, "api_key": "simulated"}
    limited = {} if task.per_minute is None else {"rpm": task.per_minute}
    strategy = {} if task.per_minute is None else {"routing_strategy": "usage-based-routing-v2"}
    return litellm.Router(
        model_list=[{"model_name": "peer", "litellm_params": {**params, **limited}}],
        num_retries=harness.RETRIES,
        cache_responses=task.has_cache,
        **strategy,
    )


async def ask(task: harness.Task, prompts: list[str], book: harness.Book) -> None:
    litellm.suppress_debug_info = True
    routed = router(task)

    async def one(prompt: str) -> str | None:
        answer = await routed.acompletion(
            model="peer",
            messages=harness.messages(prompt),
            max_tokens=8,
            caching=task.has_cache,
        )
        return answer.choices[0].message.content

    await harness.each(prompts, task.in_flight, book, one)


if __name__ == "__main__":
    harness.main(ask)
