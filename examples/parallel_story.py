"""A story in parallel: an outline, then all its chapters at once, then one title for the whole.

Run it: ``python examples/parallel_story.py [MODEL]``. Without a model the simulated one answers,
which needs no key and writes nonsense; ``openai/gpt-4o-mini`` writes a story.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from llmnb.generation import openai_parallel_generate

SCENES = (
    "a lighthouse keeper finds a letter in a bottle",
    "she rows out at night to answer it",
    "on the island somebody has been waiting for years",
    "the light goes out while she is away",
    "both of them light it again before the ship comes",
)


def request(model: str, text: str, max_tokens: int = 120) -> dict[str, Any]:
    """Return a chat request of one turn."""
    return {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": max_tokens,
    }


def text_of(row: list[Any]) -> str:
    """Return a row's answer, or why there is none."""
    response = row[1]
    if isinstance(response, list):
        return f"(missing: {response[-1]})"
    return str(response["choices"][0]["message"]["content"]).strip()


async def main(model: str) -> None:
    """Ask for all chapters at once, then for what depends on them."""
    outline = "; ".join(SCENES)
    chapters = await openai_parallel_generate(
        [
            request(model, f"A story in five scenes: {outline}. Write scene {number}: {scene}.")
            for number, scene in enumerate(SCENES, 1)
        ],
        project_name="example story",
    )
    story = "\n\n".join(text_of(row) for row in chapters)
    (title,) = await openai_parallel_generate(
        [request(model, f"Give this story a title of at most five words.\n\n{story}", 16)],
        project_name="example story",
        progress=False,
    )
    print(f"{text_of(title)}\n\n{story}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "sim/storyteller"))
