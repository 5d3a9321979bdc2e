"""What some tests need beside Python: whether it is here, and what is not run for want of it.

A test says what it needs by a marker. Where that is missing the test is left
out and counted at the end as *not run*, never as skipped among the passes.
Under ``CI=true`` nothing may be missing: there the test fails.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

_not_run: Counter[str] = Counter()


def find_aimock() -> Path | None:
    """Return aimock's program: where tools/bootstrap puts it, else on the path."""
    installed = ROOT / ".tools" / "node_modules" / ".bin" / "llmock"
    if installed.exists():
        return installed
    program = shutil.which("llmock")
    return Path(program) if program else None


def find_chromium() -> Path | None:
    """Return the browser that drives notebook tests."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    return Path(program) if program else None


def find_redis_server() -> Path | None:
    """Return the program of the shared limiter's store."""
    program = shutil.which("redis-server")
    return Path(program) if program else None


def find_weights() -> Path | None:
    """Return the weights of smollm2 where they, and those that make vectors, have been pulled."""
    if importlib.util.find_spec("llmnb.adapters.weights") is None:
        return None
    from llmnb.adapters import weights

    return weights.find("smollm2") if weights.find("all-minilm") else None


def _lacks_local_model() -> str | None:
    if importlib.util.find_spec("xllamacpp") is None:
        return "no xllamacpp"
    return None if find_weights() else "no weights of smollm2 or all-minilm"


_LACKS: dict[str, Callable[[], str | None]] = {
    "aimock": lambda: None if find_aimock() else "no aimock",
    "browser": lambda: None if find_chromium() else "no chromium",
    "local_model": _lacks_local_model,
    "redis": lambda: None if find_redis_server() else "no redis-server",
}


@cache
def lacks(marker: str) -> str | None:
    """Return what is missing for tests of a marker, in two words, or None."""
    check = _LACKS.get(marker)
    return check() if check else None


def lacks_of(item: pytest.Item) -> str | None:
    """Return what is missing for one test, or None."""
    return next((reason for mark in item.iter_markers() if (reason := lacks(mark.name))), None)


def is_strict() -> bool:
    """Whether something missing is a failure: on a machine that must have everything."""
    return os.environ.get("CI", "").lower() in ("1", "true")


# ---------------------------------------------------------------- hooks of pytest, for conftest


def pytest_report_header() -> list[str]:
    """Say at the top what is missing."""
    missing = [reason for marker in _LACKS if (reason := lacks(marker))]
    return [f"missing: {', '.join(missing)}"] if missing else []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot run here, and count it."""
    if is_strict():
        return
    kept, left_out = [], []
    for item in items:
        reason = lacks_of(item)
        if reason is None:
            kept.append(item)
        else:
            left_out.append(item)
            _not_run[reason] += 1
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Under CI, fail a test that lacks something."""
    if is_strict() and (reason := lacks_of(item)):
        pytest.fail(f"{reason}: under CI every test must run; see tools/bootstrap", pytrace=False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """On a worker of xdist, send the count to the process that prints."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["not_run"] = dict(_not_run)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Take a worker's count; every worker has collected the same tests."""
    counted = getattr(node, "workeroutput", {}).get("not_run", {})
    for reason, number in counted.items():
        _not_run[reason] = max(_not_run[reason], number)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests did not run, and why."""
    for reason, number in sorted(_not_run.items()):
        tests = "test" if number == 1 else "tests"
        terminalreporter.write_line(f"not run: {number} {tests} ({reason})", yellow=True)
