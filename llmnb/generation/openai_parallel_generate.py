"""The function of the same name; with ``python -m``, a check of everything that it uses.

The check asks the simulated provider on this machine, so it needs no key, sends
nothing anywhere and costs nothing; ``--model openai/gpt-4o-mini`` asks a real one.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import sys
import types
from typing import Any

from llmnb.adapters import files
from llmnb.generation.parallel import openai_parallel_generate, openai_parallel_generate_sync

__all__ = ["openai_parallel_generate", "openai_parallel_generate_sync"]


class _CallableModule(types.ModuleType):
    """The class of this module, which replaces the function in the package when it is imported."""

    __signature__ = inspect.signature(openai_parallel_generate)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the function of the same name."""
        return openai_parallel_generate(*arguments, **options)


def main(typed: list[str] | None = None) -> int:
    """Ask four questions twice, and print whether the answers are as they should be."""
    parser = argparse.ArgumentParser(
        prog="python -m llmnb.generation.openai_parallel_generate", description=__doc__
    )
    parser.add_argument("--model", default="sim/check", help="whom to ask (default: %(default)s)")
    options = parser.parse_args(typed)
    topics = ("Tell me a story", "Explain quantum physics", "Name a colour", "Name a planet")
    messages = ([{"role": "user", "content": topic}] for topic in topics)
    requests: list[dict[str, Any]] = [
        {"model": options.model, "messages": each, "metadata": {"number": number}}
        for number, each in enumerate(messages)
    ]
    with files.scratch_folder() as folder:
        first = asyncio.run(openai_parallel_generate(requests, cache_dir=folder))
        again = asyncio.run(openai_parallel_generate(requests, cache_dir=folder, progress=False))
    for topic, (_, response, *_) in zip(topics, first, strict=True):
        print(f"{topic}: {_text(response)[:60]!r}")
    numbers = [metadata["number"] for _, _, metadata in first]
    checks = {
        "every request has its answer": all(isinstance(row[1], dict) for row in first),
        "rows are in the order of the requests": numbers == [0, 1, 2, 3],
        "asked again, the answers are the same": first == again,
    }
    for what, is_so in checks.items():
        print(f"{'ok  ' if is_so else 'FAIL'} {what}")
    return 0 if all(checks.values()) else 1


def _text(response: Any) -> str:
    if isinstance(response, list):
        return str(response[-1])
    return str(response["choices"][0]["message"]["content"])


if __name__ == "__main__":
    raise SystemExit(main())

sys.modules[__name__].__class__ = _CallableModule
