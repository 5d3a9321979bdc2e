"""Ask an LLM something about every row of a table, and get a trustworthy answer for each.

The front door is light: a name below is imported when it is first used, so
that ``import llmnb`` loads nothing but this file. Frames get their ``.llm`` when
pandas is there: at once, or as soon as somebody imports it.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # what type checkers look for, without the cost of importing typing
if TYPE_CHECKING:
    import importlib.machinery as machinery
    import types
    import typing

    from llmnb import errors, testing
    from llmnb.adapters.prices import set_price
    from llmnb.api_request import APIRequest
    from llmnb.client import AsyncLLM, task_id_generator
    from llmnb.engine.run import last_run
    from llmnb.engine.status import StatusTracker
    from llmnb.frames.registration import register_accessor
    from llmnb.master import GenerationMaster
    from llmnb.models.llm import LLM, LLMParams, redundant_llms
    from llmnb.notebook.extension import load_ipython_extension, unload_ipython_extension
    from llmnb.notebook.nested import allow_nested_asyncio
    from llmnb.settings import configure, set_key

__version__ = "0.1.0"

__all__ = [  # noqa: RUF022 - sorted as a person sorts
    "APIRequest",
    "AsyncLLM",
    "GenerationMaster",
    "LLM",
    "LLMParams",
    "StatusTracker",
    "__version__",
    "allow_nested_asyncio",
    "configure",
    "errors",
    "last_run",
    "load_ipython_extension",
    "redundant_llms",
    "register_accessor",
    "set_key",
    "set_price",
    "task_id_generator",
    "testing",
    "unload_ipython_extension",
]

_HOMES = {
    "APIRequest": "llmnb.api_request",
    "AsyncLLM": "llmnb.client",
    "GenerationMaster": "llmnb.master",
    "LLM": "llmnb.models.llm",
    "LLMParams": "llmnb.models.llm",
    "StatusTracker": "llmnb.engine.status",
    "allow_nested_asyncio": "llmnb.notebook.nested",
    "configure": "llmnb.settings",
    "errors": None,
    "last_run": "llmnb.engine.run",
    "load_ipython_extension": "llmnb.notebook.extension",
    "redundant_llms": "llmnb.models.llm",
    "register_accessor": "llmnb.frames.registration",
    "set_key": "llmnb.settings",
    "set_price": "llmnb.adapters.prices",
    "task_id_generator": "llmnb.client",
    "testing": None,
    "unload_ipython_extension": "llmnb.notebook.extension",
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


# ------------------------------------------------------------------- pandas' accessors


class _PandasFinder:
    """Finds pandas where it is found anyway, to be told when it has been imported."""

    is_llmnbs = True
    """By this a finder of an earlier import of this file is known."""

    def find_spec(
        self, name: str, path: typing.Any = None, target: typing.Any = None
    ) -> machinery.ModuleSpec | None:
        """Return what the other finders say, with a loader that tells when it is done."""
        if name != "pandas":
            return None
        for finder in list(sys.meta_path):
            if getattr(finder, "is_llmnbs", False) or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is None:
                continue
            if hasattr(spec.loader, "exec_module"):
                spec.loader = _PandasLoader(spec.loader)  # type: ignore[assignment]
            return spec
        return None


class _PandasLoader:
    """Loads pandas by its own loader, and then registers the accessors.

    Where pandas cannot be imported the finder stays, for the next attempt.
    """

    def __init__(self, own: typing.Any) -> None:
        self._own = own

    def __getattr__(self, name: str) -> typing.Any:
        if name == "_own":  # a copy that was never made whole
            raise AttributeError(name)
        return getattr(self._own, name)

    def create_module(self, spec: machinery.ModuleSpec) -> types.ModuleType | None:
        """Create the module as its own loader does."""
        module: types.ModuleType | None = self._own.create_module(spec)
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Run pandas, which sees nothing but its own loader."""
        module.__loader__ = self._own
        if module.__spec__ is not None:
            module.__spec__.loader = self._own
        self._own.exec_module(module)
        for finder in list(sys.meta_path):
            if getattr(finder, "is_llmnbs", False):
                sys.meta_path.remove(finder)
        _attach()


def _attach() -> None:
    """Give frames and series their `llm`; whatever is wrong with that, pandas is imported."""
    from importlib import import_module

    for name, module in list(sys.modules.items()):
        if name.startswith("llmnb.frames.") and getattr(module.__spec__, "_initializing", False):
            return  # it is our own room that imports pandas: who asked for it attaches them
    try:
        import_module("llmnb.frames.registration").attach()
    except Exception:
        import logging

        logging.getLogger("llmnb").warning("pandas' frames have no .llm:", exc_info=True)


if sys.modules.get("pandas") is not None:
    _attach()
elif not any(getattr(finder, "is_llmnbs", False) for finder in sys.meta_path):
    sys.meta_path.insert(0, _PandasFinder())
