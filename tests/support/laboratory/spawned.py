"""A simulated provider in a process of its own, so that it takes no time from the client.

The parent sends the settings through a pipe and reads the port back; the
child ends when that pipe closes, however the parent ends. The ledger is read
over the provider's own port.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from llmnb.errors import ConfigurationError
from llmnb.testing import Ledger, LedgerRow, LedgerTotals, SimulatedProvider

_START = "from laboratory.spawned import _main; _main()"
_PICKLE_HINT = (
    "The settings of a spawned provider travel to another process: give functions that stand "
    "in a module by their name, not lambdas or functions defined in a notebook."
)


class SpawnedProvider:
    """A simulated provider in another process.

    Made by `Laboratory.spawn`; it runs until `stop`, or until this process ends.

    Args:
        provider: Class of the provider.
        port: Port to listen at; 0 takes a free one.
        **options: The keywords of the class.

    Raises:
        ConfigurationError: If a keyword is unknown, the settings cannot travel,
            or the port is taken.
    """

    def __init__(
        self,
        provider: type[SimulatedProvider],
        *,
        port: int = 0,
        **options: Any,
    ) -> None:
        provider.behaviour_class.of(
            options
        )  # so that a misspelt keyword is reported here, not there
        try:
            settings = pickle.dumps((provider, port, options))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ConfigurationError(f"{_PICKLE_HINT} ({error})") from error
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
        )
        self.origin = self._introduce(settings)
        """Scheme, host and port."""

    def _introduce(self, settings: bytes) -> str:
        pipe, answers = self._process.stdin, self._process.stdout
        assert pipe is not None
        assert answers is not None
        path = json.dumps(sys.path).encode()
        pipe.write(b"%d %d\n" % (len(path), len(settings)) + path + settings)
        pipe.flush()
        line = answers.readline().decode().strip()
        if not line.startswith("http://"):
            self.stop()
            raise ConfigurationError(line or "The spawned provider ended before it listened.")
        return line

    @property
    def base_url(self) -> str:
        """What takes the place of ``https://api.openai.com/v1``."""
        return f"{self.origin}/v1"

    @property
    def pid(self) -> int:
        """Number of its process."""
        return self._process.pid

    @property
    def ledger(self) -> Ledger:
        """A copy of the ledger as it stands now, with all rows where they are kept."""
        return loaded(self._page("?rows"))

    def totals(self) -> LedgerTotals:
        """Return the ledger's sums; cheap, whatever their size."""
        return LedgerTotals(**self._page()["totals"])

    def cpu_seconds(self) -> float:
        """Return the CPU time that its process has taken since it began."""
        return float(self._page()["cpu_seconds"]["process"])

    def reset(self) -> None:
        """Begin the ledger anew, so that the next phase of a benchmark counts from 0."""
        self._page(method="DELETE")

    def _page(self, query: str = "", method: str = "GET") -> dict[str, Any]:
        request = urllib.request.Request(f"{self.origin}/__ledger__{query}", method=method)
        # No proxy that the environment names has a way to this machine's own ports.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            page: dict[str, Any] = json.load(answer)
        return page

    def stop(self) -> None:
        """End the process; a second time does nothing."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<SpawnedProvider at {self.base_url}, process {self.pid}>"


def loaded(book: Mapping[str, Any]) -> Ledger:
    """Return a ledger that holds what `dump` gave, to ask it the same questions."""
    ledger = Ledger(keep_rows="rows" in book)
    vars(ledger._sums).update(book["totals"])
    ledger._rows.extend(LedgerRow(*values) for values in book.get("rows", ()))
    return ledger


def _environment() -> dict[str, str]:
    """Return this environment, with both packages importable whatever the child's folder."""
    support = Path(__file__).parents[1]
    paths = [str(support.parents[1]), str(support), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def _main() -> None:
    """Serve in this process until standard input closes."""
    pipe = sys.stdin.buffer
    path_size, settings_size = map(int, pipe.readline().split())
    sys.path[:] = json.loads(pipe.read(path_size))
    try:
        # From our own parent, through a pipe that nobody else holds.
        provider_class, port, options = pickle.loads(pipe.read(settings_size))
        provider = provider_class(port=port, **options).start()
    except (AttributeError, ImportError, ConfigurationError) as error:
        first_line = (str(error).splitlines() or [""])[0]
        hint = "" if isinstance(error, ConfigurationError) else f" {_PICKLE_HINT}"
        print(f"{type(error).__name__}: {first_line}{hint}", flush=True)
        return
    # A server that is measured should not stop to look for garbage in its ledger.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    print(provider.origin, flush=True)
    try:
        pipe.read()
    except KeyboardInterrupt:  # Ctrl-C reaches the whole group; the parent ends us in its time
        pipe.read()
    finally:
        provider.stop()
