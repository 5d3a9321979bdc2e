"""openaivec: one call for the whole column, one prompt a request, identical prompts once."""

from __future__ import annotations

import harness
import openai
from openaivec import AsyncBatchResponses


async def ask(task: harness.Task, prompts: list[str], book: harness.Book) -> None:
    async with openai.AsyncOpenAI(
        base_url=task.url, api_key="simulated", max_retries=harness.RETRIES
    ) as client:
        column = AsyncBatchResponses.of(
            client=client,
            model_name="gpt-4o-mini",
            system_message="Answer.",
            batch_size=1,  # several rows in one prompt are another question than the peers ask
            max_concurrency=task.in_flight,
        )
        for row, text in enumerate(await column.parse(prompts)):
            book.answered(row, text)


if __name__ == "__main__":
    harness.main(ask)
