"""What a test must not see: of the machine that it runs on, and of the tests before it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

_PRIVATE_ENDINGS = ("_API_KEY", "_API_BASE", "_BASE_URL", "_ENDPOINT", "_API_VERSION", "_TOKEN")
_PRIVATE = {"REDIS_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE"}
# So that the suite can be run under either loop, and with weights kept elsewhere.
_KEPT = {"LLMNB_LOOP", "LLMNB_DATA_DIR", "LLMNB_LOCAL_THREADS"}


def is_private(name: str) -> bool:
    """Whether a variable of the environment holds a key, an address or a setting of its owner."""
    name = name.upper()
    if name in _KEPT:
        return False
    return name.startswith("LLMNB_") or name.endswith(_PRIVATE_ENDINGS) or name in _PRIVATE


def public_environment() -> dict[str, str]:
    """Return the environment without what is private, for a program that outlives a test."""
    return {name: value for name, value in os.environ.items() if not is_private(name)}


# ---------------------------------------------------------------- what a process remembers

CLEARED: Mapping[str, tuple[str, ...]] = {
    "llmnb.adapters.egress": ("_redirects", "_warn_once", "safe_url"),
    "llmnb.adapters.prices": ("_known", "_manual"),
    "llmnb.engine.cost_events": ("listeners",),
    "llmnb.engine.handle": ("_named",),
    "llmnb.frames.failures": ("log_once",),
    "llmnb.frames.overwriting": ("_remembered",),
    "llmnb.notebook.answer": ("_announced",),
    "llmnb.settings": ("_keys",),
}
"""What has been set, and what has been told once, by module; functions that remember, too."""

NONE: Mapping[str, tuple[str, ...]] = {
    "llmnb.engine.handle": ("_last_run",),
    "llmnb.notebook.dashboard": ("_present",),
    "llmnb.progress": ("_display_factory", "_show_background"),
}
"""What was last, and what was hung up, by module."""

STAYS: Mapping[str, str] = {
    "llmnb.adapters.litellm._module": "an import",
    "llmnb.adapters.llamacpp._has_started": "whether its end is registered",
    "llmnb.adapters.llamacpp._is_forked": "set in a child only",
    "llmnb.adapters.llamacpp._lock": "a lock",
    "llmnb.adapters.llamacpp._running": "models that are loaded, by their file",
    "llmnb.adapters.http.trial.is_passed": "what the library is like",
    "llmnb.adapters.egress._is_real_forbidden": "set by the fixture itself",
    "llmnb.adapters.tokens._encodings": "tables, by name",
    "llmnb.adapters.weights._bar": "set for a block",
    "llmnb.bridge._last_calls": "what is done when the process ends",
    "llmnb.bridge._lock": "a lock",
    "llmnb.bridge._threads": "threads; what lives on their loops is made anew",
    "llmnb.notebook.surface._codes": "widgets, made anew where somebody has closed them",
    "llmnb.engine.gc_thresholds._before": "set while runs are under way",
    "llmnb.engine.gc_thresholds._users": "counts the runs under way",
    "llmnb.frames.dask_cluster._listening": "by client: heard twice, all would count twice",
    "llmnb.frames.dask_watching._runs": "by the question's own id",
    "llmnb.generation.parallel._levels": "set while runs are under way",
    "llmnb.frames.dask_watching._displays": "by the question's own id",
    "llmnb.frames.dask_worker._runs": "by the question's own id",
    "llmnb.frames.overwriting._frames": "by object, weakly",
    "llmnb.targets.custom._serials": "by object, weakly",
    "llmnb.targets.endpoint._owners": "by object, weakly",
    "llmnb.notebook.cache_manager._open": "by object, weakly",
    "llmnb.notebook.dashboard._begun_in": "by run, weakly",
    "llmnb.notebook.dashboard._shown": "set while runs are under way",
    "llmnb.notebook.labeller._shown": "by object, weakly",
    "llmnb.notebook.extension._loaded": "by shell, weakly",
    "llmnb.settings._current": "set by the fixture itself",
    "llmnb.settings._dotenv_cache": "by path and time",
    "llmnb.store.claims._known": "by path, weakly",
    "llmnb.store.claims._known_lock": "a lock",
    "llmnb.store.usage._pending": "by path",
    "llmnb.store.projects._known": "by path",
    "llmnb.store.usage._spent_here": "by path",
    "llmnb.store.writer._lock": "a lock",
    "llmnb.store.writer._writer": "a thread",
    "llmnb.testing.simulated._shared": "a server; its answers depend on what is asked alone",
}
"""What outlives a test, with the reason why no other can notice."""


LEVELS: Mapping[str, int] = {"llmnb": logging.NOTSET, "llmnb.requests": logging.CRITICAL + 1}
"""Of the loggers: the level is one for the process, whoever of its objects set it."""


def forget() -> None:
    """Give the process's state back as it is before a first test.

    What is not imported yet is left alone.
    """
    for module, names in CLEARED.items():
        if (room := vars(sys.modules[module]) if module in sys.modules else None) is not None:
            for name in names:
                kept = room[name]
                (getattr(kept, "cache_clear", None) or kept.clear)()
    for module, names in NONE.items():
        if module in sys.modules:
            for name in names:
                setattr(sys.modules[module], name, None)
    for name, level in LEVELS.items():
        logger = logging.getLogger(name)
        if logger.level != level:
            logger.setLevel(level)
    if (cost := sys.modules.get("llmnb.cost")) is not None:
        cost.GLOBAL_COST_TRACKER.__init__()
    if (bridge := sys.modules.get("llmnb.bridge")) is not None:
        for thread in bridge._threads.values():
            if (engine := thread.kept.get("engine")) is not None:
                runs = thread.kept.get("runs", ())
                asyncio.run_coroutine_threadsafe(_end(engine, runs), thread.loop).result(60)
                _forget_gates(engine)
    if (limiter := sys.modules.get("llmnb.rate_limiter.limiter")) is not None:
        shared = limiter.GLOBAL_LIMITER
        shared.use_in_memory, shared.redis_url = False, None
        if shared.rate_config:
            shared.rate_config.clear()


async def _end(engine: Any, runs: Iterable[Any]) -> None:
    """End what a test left under way, and wait for it."""
    ends = [asyncio.wrap_future(run.done) for run in runs]
    for run in list(runs):
        run.cancel()
    if tasks := list(engine.tasks):
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    if ends:
        await asyncio.wait(ends)


def _forget_gates(engine: Any) -> None:
    """Drop the gates.

    A gate outlives its runs, with its breaker, its limits and its pauses, and ports are used
    again: a later test's server may be at the address of an earlier one.
    """
    engine.gates.clear()
    engine._targets.clear()
    # The first gate has the limiter followed again.
    sys.modules["llmnb.rate_limiter.limiter"].GLOBAL_LIMITER._followers = []
