"""OpenAI's own SDK: AsyncOpenAI behind a semaphore, its retries on."""

from __future__ import annotations

import harness
import openai


async def ask(task: harness.Task, prompts: list[str], book: harness.Book) -> None:
    async with openai.AsyncOpenAI(
        base_url=task.url, api_key="simulated", max_retries=harness.RETRIES
    ) as client:

        async def one(prompt: str) -> str | None:
            answer = await client.chat.completions.create(
                model="gpt-4o-mini", messages=harness.messages(prompt), max_tokens=8
            )
            return answer.choices[0].message.content

        await harness.each(prompts, task.in_flight, book, one)


if __name__ == "__main__":
    harness.main(ask)
