"""`%load_ext llmnb`: magics, dashboard and accessors, silently; `%unload_ext llmnb` undoes it."""

from __future__ import annotations

import weakref
from typing import Any

from llmnb.notebook import dashboard, magics
from llmnb.notebook.magics import Registered

_loaded: weakref.WeakKeyDictionary[Any, Registered] = weakref.WeakKeyDictionary()
"""Shells that have the extension; a shell that has it already keeps what it has."""

_PLAN = "llmnb.running.planning.Plan"


def load_ipython_extension(ipython: Any) -> None:
    """Give a shell the magics, the dashboard, and ``df.llm``; once, however often it is called."""
    from llmnb.frames.registration import attach

    attach()
    if ipython not in _loaded:
        dashboard.install(ipython)
        # By its name: what plans are made of is loaded with the first of them.
        formatter = ipython.display_formatter.ipython_display_formatter
        formatter.for_type_by_name(*_PLAN.rsplit(".", 1), _show_plan)
        _loaded[ipython] = magics.register(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Take out what was put in.

    What `import llmnb` gives stays: ``df.llm``, and settings made with `llmnb.configure`.
    """
    put = _loaded.pop(ipython, None)
    if put is not None:
        put.take_out()
        dashboard.uninstall(ipython)
        ipython.display_formatter.ipython_display_formatter.pop(_PLAN, None)


def _show_plan(plan: Any) -> None:
    from llmnb.notebook import plan_card

    plan_card.show(plan)
