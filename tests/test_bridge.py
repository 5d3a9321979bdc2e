"""Promises of the loop thread and its doors."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import pytest

from llmnb import bridge
from llmnb.errors import ConfigurationError


async def answer(value=42):
    await asyncio.sleep(0)
    return value


def test_a_script_blocks_for_the_answer():
    """
    The blocking door works where no loop runs.
    """
    assert bridge.call(answer()) == 42


async def test_a_running_loop_may_block_or_await():
    """
    Both doors work inside a running loop, as in a notebook.
    """
    assert bridge.call(answer()) == 42
    assert await bridge.acall(answer()) == 42


def test_eight_threads_share_a_loop():
    """
    Everybody's coroutines run on the same thread.
    """
    seen = []

    async def where():
        return threading.current_thread().name

    threads = [threading.Thread(target=lambda: seen.append(bridge.call(where()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == ["llmnb-loop"] * 8


def test_blocking_on_the_loop_thread_is_refused_with_a_sentence():
    """
    It would wait for itself; the message names the awaitable form.
    """

    async def inner():
        with pytest.raises(ConfigurationError, match="leading 'a'"):
            bridge.call(answer())

    bridge.call(inner())


def test_a_timeout_of_the_coroutine_itself_is_raised():
    """
    Our own waiting in slices does not swallow a TimeoutError from inside.
    """

    async def fail():
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        bridge.call(fail())


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_it_works_on_either_loop(loop):
    """
    uvloop on our own thread, or not: the same answers.
    """
    code = (
        "from llmnb import bridge\n"
        "async def answer(): return type(__import__('asyncio').get_running_loop()).__module__\n"
        "print(bridge.call(answer()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "LLMNB_LOOP": loop},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("uvloop" in done.stdout) == (loop == "uvloop")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork exists on POSIX only")
def test_a_forked_child_gets_a_loop_of_its_own():
    """
    After a fork the first call starts anew instead of waiting for a thread that is not there.
    """
    code = (
        "import os, warnings; warnings.simplefilter('ignore')\n"
        "from llmnb import bridge\n"
        "async def pid(): return os.getpid()\n"
        "assert bridge.call(pid()) == os.getpid()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if bridge.call(pid()) == os.getpid() else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "0"


def test_code_that_is_not_ours_has_a_loop_and_a_thread_of_its_own():
    """
    There it may block, also for an answer of llmnb's own loop; cancelled here it ends there.
    """
    ended = threading.Event()

    async def blocks():
        assert not bridge.is_loop_thread()
        return bridge.call(answer())

    async def lasts():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def both():
        result = await bridge.on_side_loop(blocks())
        task = asyncio.create_task(bridge.on_side_loop(lasts()))
        await bridge.on_side_loop(answer())
        task.cancel()
        await asyncio.wait([task])
        return result

    assert bridge.call(both()) == 42
    assert ended.wait(30)
