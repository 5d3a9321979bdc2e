"""Ask an LLM something about every row of a table, and get a trustworthy answer for each.

The front door is light: a name below is imported when it is first used, so
that ``import llmnb`` loads nothing but this file.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers look for, without the cost of importing typing
if TYPE_CHECKING:
    from llmnb import errors, testing
    from llmnb.api_request import APIRequest
    from llmnb.client import AsyncLLM, task_id_generator
    from llmnb.engine.run import last_run
    from llmnb.engine.status import StatusTracker
    from llmnb.settings import configure, set_key

__version__ = "0.1.0"

__all__ = [
    "APIRequest",
    "AsyncLLM",
    "StatusTracker",
    "__version__",
    "configure",
    "errors",
    "last_run",
    "set_key",
    "task_id_generator",
    "testing",
]

_HOMES = {
    "APIRequest": "llmnb.api_request",
    "AsyncLLM": "llmnb.client",
    "StatusTracker": "llmnb.engine.status",
    "configure": "llmnb.settings",
    "errors": None,
    "last_run": "llmnb.engine.run",
    "set_key": "llmnb.settings",
    "task_id_generator": "llmnb.client",
    "testing": None,
}
"""Where each lazy name lives; None: it is itself a module of this package."""


def __getattr__(name: str) -> object:
    from importlib import import_module

    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    if home is None:
        return import_module(f"{__name__}.{name}")
    value = getattr(import_module(home), name)
    globals()[name] = value  # so that the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
