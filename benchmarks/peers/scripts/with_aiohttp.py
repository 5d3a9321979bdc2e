"""Bare aiohttp: gather behind a semaphore, JSON in and out, nothing else."""

from __future__ import annotations

import aiohttp
import harness


async def ask(task: harness.Task, prompts: list[str], book: harness.Book) -> None:
    headers = {"Authorization": "Bearer simulated"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def one(prompt: str) -> str:
            body = {"model": "gpt-4o-mini", "messages": harness.messages(prompt), "max_tokens": 8}
            async with session.post(f"{task.url}/chat/completions", json=body) as response:
                response.raise_for_status()
                answer = await response.json()
            return answer["choices"][0]["message"]["content"]

        await harness.each(prompts, task.in_flight, book, one)


if __name__ == "__main__":
    harness.main(ask)
