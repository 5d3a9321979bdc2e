"""Ask an LLM something about every row of a table, and get a trustworthy answer for each.

In a notebook::

    %load_ext llmnb
    import pandas as pd

    df = pd.read_csv("reviews.csv")
    df.llm.generate("Is this review kind or unkind? {text}", into="mood")

``df.llm.generate``, ``.plan``, ``.preview``, ``.start``, ``.extract``, ``.classify``, …
    Questions about the rows of a table of pandas, Polars or Dask; ``df.llm`` lists them.
``%llm``, ``%%llm``
    A question from a cell; ``%llm_config``, ``%llm_key``, ``%llm_status``, ``%llm_cost``,
    ``%llm_cache`` and ``%llm_models`` stand beside them once ``%load_ext llmnb`` was run.
`configure`, `set_key`
    The model, limits, budget and more for all that follows; a provider's key, kept in memory.
`explore`
    What a project keeps, to be read and searched; runs and ``df.llm`` have an ``explore``, too.
`last_run`, `runs`, `attach`
    The run that was started last; the runs that are written down, also those of other kernels and
    other days, and one of them, for nothing.
`AsyncLLM`, `GenerationMaster`, `LLM`, `LocalModel`, `LiteLLMModel`
    Lists of requests, and models as objects, without a table.
"""

# The front door is light: a name below is imported when it is first used, so that ``import llmnb``
# loads nothing but this file. Frames get their ``.llm`` when pandas is there: at once, or as soon
# as somebody imports it.

from __future__ import annotations

import sys

TYPE_CHECKING = False  # what type checkers look for, without the cost of importing typing
if TYPE_CHECKING:
    import importlib.machinery as machinery
    import types
    import typing

__version__ = "0.1.0"

MODULES = ("errors", "generation", "rate_limiter", "testing", "widgets")
"""Lazy names that are modules of this package."""

_NAMES = {
    "adapters.prices": ("set_price",),
    "batches.listing": ("runs",),
    "chat.llm_model": ("LLMModel",),
    "chat.messages": ("Message",),
    "chat.results": ("LLMResult",),
    "client": ("APIRequest", "AsyncLLM", "task_id_generator"),
    "cost": ("GLOBAL_COST_TRACKER", "cost_tracking_ctx", "enable_cost_tracking"),
    "embeddings.factory": ("embedding_model_factory",),
    "embeddings.litellm_model": ("LiteLLMEmbeddingModel",),
    "embeddings.model": (
        *("EmbeddingModel", "EmbeddingModes", "HybridEmbeddingModel", "SparseEmbeddingModel"),
    ),
    "embeddings.sentence_transformer": ("SentenceTransformerEmbeddingModel",),
    "engine.handle": ("last_run",),
    "engine.status": ("StatusTracker",),
    "frames.attaching": ("attach",),
    "frames.explorers": ("explore",),
    "frames.registration": ("register_accessor",),
    "master": ("GenerationMaster",),
    "models.in_process": ("LocalModel", "VLLMModel"),
    "models.litellm_model": ("LiteLLMModel",),
    "models.llm": ("LLM", "LLMParams", "redundant_llms"),
    "notebook.extension": ("load_ipython_extension", "unload_ipython_extension"),
    "notebook.marimo_extension": ("load_marimo_extension",),
    "notebook.nested": ("allow_nested_asyncio",),
    "settings": ("configure",),
    "targets.keys": ("set_key",),
}
"""The other lazy names by the module where they live; type checkers read `__init__.pyi`."""

HOMES = {name: f"llmnb.{home}" for home, names in _NAMES.items() for name in names}
__all__ = sorted(["__version__", *MODULES, *HOMES])


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in HOMES:
        import difflib

        near = difflib.get_close_matches(name, __all__, n=1)
        hint = f". Did you mean {near[0]}?" if near else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")
    value = getattr(import_module(HOMES[name]), name)
    globals()[name] = value  # so that the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return list(__all__)


# ----------------------------------------------------------------- the frames' accessors

_ROOMS = {
    "pandas": "llmnb.frames.registration",
    "polars": "llmnb.frames.polars",
    "dask.dataframe": "llmnb.frames.dask",
}
"""Libraries whose frames get an ``.llm``, and who registers it."""


class _Finder:
    """Finds a library where it is found anyway, to be told when it has been imported."""

    def __init__(self, library: str) -> None:
        self.llmnb_awaits = library
        """By this a finder of an earlier import of this file is known."""

    def find_spec(
        self, name: str, path: typing.Any = None, target: typing.Any = None
    ) -> machinery.ModuleSpec | None:
        """Return what the other finders say, with a loader that tells when it is done."""
        if name != self.llmnb_awaits:
            return None
        for finder in list(sys.meta_path):
            if _awaits(finder, name) or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is None:
                continue
            if hasattr(spec.loader, "exec_module"):
                spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
            return spec
        return None


def _awaits(finder: object, library: str) -> bool:
    return getattr(finder, "llmnb_awaits", None) == library


class _Loader:
    """Loads a library by its own loader, and then registers the accessors.

    Where the library cannot be imported the finder stays, for the next attempt.
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
        """Run the library, which sees nothing but its own loader."""
        module.__loader__ = self._own
        if module.__spec__ is not None:
            module.__spec__.loader = self._own
        self._own.exec_module(module)
        for finder in list(sys.meta_path):
            if _awaits(finder, module.__name__):
                sys.meta_path.remove(finder)
        _attach(module.__name__)


def _attach(library: str = "pandas") -> None:
    """Give frames and series their `llm`; whatever is wrong with that, they are imported."""
    from importlib import import_module

    room = _ROOMS[library]
    for name, module in list(sys.modules.items()):
        if name.startswith(room) and getattr(module.__spec__, "_initializing", False):
            return  # the very room imports the library, and attaches at its own end
    try:
        import_module(room).attach()
    except Exception:
        import logging

        logging.getLogger("llmnb").warning("%s' frames have no .llm:", library, exc_info=True)


for _library in _ROOMS:
    if sys.modules.get(_library) is not None:
        _attach(_library)
    elif not any(_awaits(finder, _library) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(_library))
