"""Promises about allow_nested_asyncio, each in a process of its own: the patch is for good."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASK = """
import asyncio, warnings
import llmnb
from llmnb.testing import SimulatedProvider

async def ask(sim, text):
    llm = llmnb.AsyncLLM(model="m", api_key="k", url=sim.base_url)
    rows = await llm.agenerate([{"prompt": text}], progress=False)
    return rows[0][1]["choices"][0]["message"]["content"]
"""

NESTED = """
async def cell(sim):
    return asyncio.run(ask(sim, "nested"))

async def main(sim):
    llmnb.allow_nested_asyncio()
    llmnb.allow_nested_asyncio()
    return await cell(sim)

with SimulatedProvider(reply=lambda prompt: prompt.upper(), latency=0) as sim:
    {before}
    print(asyncio.run(main(sim)))
    {after}
"""

BLOCKING = """
    llm = llmnb.AsyncLLM(model="m", api_key="k", url=sim.base_url)
    rows = llm.generate([{"prompt": f"row {n}"} for n in range(50)], progress=False)
    print(sum(row[1]["choices"][0]["message"]["content"].startswith("ROW") for row in rows))
"""


def run(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a Python of its own."""
    return subprocess.run(
        [sys.executable, *options, "-c", script],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("order", ["before", "after"])
def test_asyncio_run_works_inside_a_running_loop(order):
    """
    As in a cell; the engine goes on working, whether it was started before or after.
    """
    parts = {"before": "", "after": "", order: BLOCKING.strip().replace("\n    ", "\n    ")}
    done = run(ASK + NESTED.replace("{before}", parts["before"]).replace("{after}", parts["after"]))

    assert done.returncode == 0, done.stderr
    assert "NESTED" in done.stdout
    assert "50" in done.stdout


def test_without_it_python_refuses():
    """
    Nothing is patched unless somebody asks for it.
    """
    done = run(
        ASK
        + "async def main():\n"
        + "    asyncio.run(asyncio.sleep(0))\n"
        + "with warnings.catch_warnings():\n"
        + "    warnings.simplefilter('ignore')\n"
        + "    asyncio.run(main())\n"
    )

    assert "cannot be called from a running event loop" in done.stderr


def test_it_may_be_called_before_any_loop_runs():
    """
    At the top of a script, or in a blocking cell.
    """
    done = run(
        ASK
        + "llmnb.allow_nested_asyncio()\n"
        + NESTED.replace("    llmnb.allow_nested_asyncio()\n", "")
        .replace("{before}", "")
        .replace("{after}", "")
    )

    assert done.returncode == 0, done.stderr
    assert "NESTED" in done.stdout


def test_a_foreign_loop_is_refused_in_words():
    """
    uvloop's loop cannot be patched; the error says what to do instead.
    """
    done = run(
        "import llmnb, uvloop\n"
        "async def main():\n"
        "    try:\n"
        "        llmnb.allow_nested_asyncio()\n"
        "    except llmnb.errors.ConfigurationError as error:\n"
        "        print(error)\n"
        "uvloop.run(main())\n"
    )

    assert "Await the coroutine" in done.stdout
