"""What every test stands on: no key, no home, a cache of its own, nothing left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import spreading
from aimock_server import Aimock
from isolation import forget, is_private
from needs import (  # noqa: F401  pytest finds its hooks here
    ROOT,
    find_aimock,
    find_weights,
    pytest_collection_modifyitems,
    pytest_report_header,
    pytest_runtest_setup,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)

if TYPE_CHECKING:
    from browsers import Chromium
    from laboratory import Laboratory
    from playwright.sync_api import Browser
    from redis_server import RedisServer

# Processes that a test starts see the tree under test, from whatever folder they run.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])
)

# A suite started in the background may have inherited that interrupts are ignored; the
# processes that tests start and interrupt must not inherit it in turn.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Several tests run at once: a model with a thread for every core would spin against them.
os.environ.setdefault("LLMNB_LOCAL_THREADS", "1")

ENVIRONMENT = frozenset(os.environ)
"""The names that were set when the suite began; module fixtures may read them."""


def pytest_configure(config: pytest.Config) -> None:
    """Let xdist spread the tests our way."""
    config.pluginmanager.register(spreading)


@pytest.fixture(autouse=True)
def isolated(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """
    Take away the machine's keys, addresses, home and settings, and what earlier tests left; give
    the new home.

    A request that would leave this machine is an error, whatever a test gets wrong.

    The weights of the local model stay where they were pulled: their folder is kept.
    """
    from llmnb import settings
    from llmnb.adapters import egress
    from llmnb.rate_limiter import GLOBAL_LIMITER

    forget()

    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if is_private(name):
            if name in ENVIRONMENT:
                monkeypatch.delenv(name)
            else:  # an earlier test left it
                del os.environ[name]
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", data)
    monkeypatch.setenv("LLMNB_CACHE_DIR", str(home / "cache"))
    monkeypatch.setattr(settings, "_current", settings.Settings())
    monkeypatch.setattr(settings, "_keys", {})
    # What an earlier test used of a minute's allowance is not this test's to pay.
    monkeypatch.setattr(GLOBAL_LIMITER, "_name", f"the limiter of {home}")
    # Nor is a .env found upwards of where the suite was started.
    monkeypatch.chdir(home)
    egress.forbid_real_requests(True)
    yield home
    egress.forbid_real_requests(False)


@pytest.fixture
def cache_dir(isolated: Path) -> Path:
    """Return the folder of all projects, this test's own."""
    return isolated / "cache"


@pytest.fixture
def provider() -> Iterator[Laboratory]:
    """Run a simulated provider that answers at once, with its ledger."""
    from laboratory import Laboratory

    with Laboratory(latency=0) as simulated:
        yield simulated


@pytest.fixture(scope="session")
def aimock_process() -> Iterator[Aimock]:
    """Run the one aimock of this worker, on the fixtures in ``tests/support/aimock_fixtures``."""
    program = find_aimock()
    assert program is not None, "mark the test with pytest.mark.aimock"
    with Aimock(program, ROOT / "tests" / "support" / "aimock_fixtures") as server:
        yield server


@pytest.fixture
def aimock(aimock_process: Aimock) -> Aimock:
    """Lend aimock, with an empty journal; mark the test with pytest.mark.aimock."""
    aimock_process.forget()
    return aimock_process


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """Run the one browser of this worker."""
    import browsers

    with browsers.chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Chromium) -> Iterator[Browser]:
    """Lend the browser, with no page open; mark the test with pytest.mark.browser."""
    with chromium.lent() as browser:
        yield browser


@pytest.fixture(scope="session")
def redis_process() -> Iterator[RedisServer]:
    """Run a Redis that every test of this worker may use; it is not to be killed."""
    from redis_server import RedisServer

    with RedisServer() as server:
        server.settle()
        yield server


@pytest.fixture
def redis(redis_process: RedisServer) -> RedisServer:
    """Return a Redis that holds nothing; mark the test with pytest.mark.redis."""
    redis_process.call("FLUSHALL")
    return redis_process


@pytest.fixture(scope="session")
def weights() -> Path:
    """Return the file with the weights of smollm2."""
    weights = find_weights()
    assert weights is not None, "mark the test with pytest.mark.local_model"
    return weights
