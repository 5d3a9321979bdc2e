"""One kernel of each version to be tried for all tests, and a provider that it asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kernels import CellMessages, Kernel, new_kernel, pythons
from laboratory import Laboratory

from llmnb.testing.ledger import prompt_hash

FRAME = "import pandas as pd\ndf = pd.DataFrame({'text': [f'%s {n}' for n in range(%d)]})"


class Bench:
    """A kernel with the extension, and the provider that its models are.

    Args:
        kernel: The kernel.
        sim: The provider.
    """

    def __init__(self, kernel: Kernel, sim: Laboratory) -> None:
        self.kernel = kernel
        self.sim = sim
        self.run = kernel.run

    def frame(self, name: str, rows: int) -> None:
        """Make a frame whose prompts begin with a name, and let its project be of that name."""
        ran = self.run(f"{FRAME % (name, rows)}\n%llm_config project={name}")
        assert ran.status == "ok", ran.text

    def asked(self, name: str) -> int:
        """Return the requests that came for the rows of a frame, or for a prompt."""
        prompts = {prompt_hash(name)} | {prompt_hash(f"{name} {row}") for row in range(500)}
        return sum(row.prompt_hash in prompts for row in self.sim.ledger.rows)

    def wait_for_more(self, requests: int) -> None:
        """Block until so many requests have come for the cell that was begun just now."""
        self.sim.wait_received(self._before + requests, timeout=60)

    def run_all(self, *cells: str) -> list[CellMessages]:
        """Run cells as Run All does: the first ends only when the others are in the kernel's queue.

        An older kernel does not tell what is in its queue; it waits ten seconds for cells to drop.
        """
        gate, first, *others = "run_all_gate", *cells
        wait = "get_ipython().kernel.stop_on_error_timeout"
        ran = self.run(f"import threading\n{gate} = threading.Event()\n{wait} = 10.0")
        assert ran.status == "ok", ran.reply
        with self.kernel.subshell() as beside:
            blocked = f"{gate}.wait(60)\n{first}" if beside else first
            begun = [self.begin(blocked), *map(self.kernel.begin, others)]
            if beside:
                self.kernel.begin_beside(beside, f"{gate}.set()")
            ended = [self.kernel.end(cell) for cell in begun]
        while self.run(f"{wait} = 0.0").status == "aborted":
            pass
        return ended

    def begin(self, code: str) -> str:
        """Start a cell."""
        self._before = self.sim.ledger.totals().received
        return self.kernel.begin(code)


@pytest.fixture(scope="session", params=[pytest.param(each, id=each[1]) for each in pythons()])
def bench(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    """Start a kernel with the extension; the tests of this folder take turns at it."""
    folder = tmp_path_factory.mktemp("kernel")
    python, _version = request.param
    sim = Laboratory(latency=0, reply=lambda prompt: f"**{prompt}**")
    with sim, new_kernel(python, folder, LLMNB_MODEL="openai/m", **sim.environment) as kernel:
        cells = Bench(kernel, sim)
        ran = cells.run("%load_ext llmnb")
        assert (ran.status, ran.text, ran.shown) == ("ok", "", [])
        yield cells


SETTLED = """
import time
from llmnb.notebook import dashboard
until = time.monotonic() + 60
while dashboard._shown and time.monotonic() < until:
    time.sleep(0.01)
print(len(dashboard._shown))
"""


@pytest.fixture(autouse=True)
def cards_at_rest(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let every card of a test become its receipt, before the next test's cells hear of it."""
    yield
    if "bench" in request.fixturenames:
        bench: Bench = request.getfixturevalue("bench")
        bench.sim.release()
        assert bench.run(SETTLED).text == "0\n"
