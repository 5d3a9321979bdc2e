"""llmnb with everything on: limits, answers written and fully synced, cost counted.

The variant ``untold`` is told neither limit nor concurrency and finds them by itself.
"""

from __future__ import annotations

import harness

from llmnb.models.llm import LLM
from llmnb.running.asking import Asking
from llmnb.running.start import start

NO_LIMIT = 60_000_000
"""So high that it never holds, so that the accounting is on where there is no limit."""


def options(task: harness.Task) -> dict[str, object]:
    """Return what a run is told."""
    if task.variant == "untold":
        return {}
    return {
        "max_requests_per_minute": task.per_minute or NO_LIMIT,
        "max_concurrent_requests": task.in_flight,
    }


async def ask(task: harness.Task, prompts: list[str], book: harness.Book) -> None:
    model = LLM(
        url=task.url, api_key="simulated", model="gpt-4o-mini", llm_params={"max_tokens": 8}
    )
    asked = ({"prompt": prompt} for prompt in prompts)
    run = start(asked, Asking(model=model), cache_dir=task.folder, streams=True, **options(task))
    for outcome in run.outcomes():  # the engine's loop has a thread of its own
        if outcome.error is None:
            book.answered(outcome.row, outcome.text)
        else:
            book.lost(outcome.row, outcome.error)


if __name__ == "__main__":
    harness.main(ask)
