"""What the Tab key offers behind the magics: options, settings, providers, projects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmnb import settings
from llmnb.notebook.choices import NAMES
from llmnb.notebook.forms import FORMS

_OPTIONS = ["--model", "--output", "--system", "--format", "--schema", "--no-cache"]
_OPTIONS += ["--df", "--into", "--stream", "--no-stream"]
_OPTIONS += ["--max-tokens", "--temperature", "--max-wait", "--good-finish", "--burst"]


def _asking(shell: Any, event: Any) -> list[str]:
    words = event.text_until_cursor.split()
    before = words[-1 if event.text_until_cursor.endswith(" ") else -2 :][0]
    if before in ("-f", "--format"):
        return list(FORMS)
    if before in ("-m", "--model"):
        return [f"{provider}/" for provider in _providers(shell, event)]
    if before in ("--schema", "--df", "-o", "--output"):
        return [name for name in shell.user_ns if not name.startswith("_")]
    return _OPTIONS if event.symbol.startswith("-") else []


def _settings(_shell: Any, _event: Any) -> list[str]:
    return [f"{name}=" for name in NAMES]


def _providers(_shell: Any, _event: Any) -> list[str]:
    from llmnb.wire.catalog import load_catalog

    return list(load_catalog())


def _cache(_shell: Any, event: Any) -> list[str]:
    if "clear" not in event.text_until_cursor.split():
        return ["list", "clear", "undo"]
    from llmnb.store import layout

    names = [place.name for place in layout.stored_projects(settings.cache_dir())]
    return ["--all", *(name if name.isidentifier() else repr(name) for name in names)]


COMPLETIONS: dict[str, Callable[[Any, Any], list[str]]] = {
    "%llm": _asking,
    "%%llm": _asking,
    "%llm_config": _settings,
    "%llm_key": _providers,
    "%llm_models": _providers,
    "%llm_cache": _cache,
}
"""By the word that a line begins with."""
