"""`%load_ext llmnb`: magics, dashboard and accessors, silently; `%unload_ext llmnb` undoes it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from IPython.core import inputtransformer2
from IPython.core.magic import Magics

from llmnb import settings
from llmnb.notebook import dashboard
from llmnb.notebook.choices import WORDS
from llmnb.notebook.magics_ask import LLMMagics
from llmnb.notebook.magics_looking import LookingMagics
from llmnb.notebook.magics_settings import SettingsMagics
from llmnb.notebook.options import SWITCHES, VALUED
from llmnb.options import FORMATS

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
        _loaded[ipython] = register(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Take out what was put in.

    What `import llmnb` gives stays: ``df.llm``, and settings made with `llmnb.configure`.
    """
    registered = _loaded.pop(ipython, None)
    if registered is not None:
        registered.take_out()
        dashboard.uninstall(ipython)
        ipython.display_formatter.ipython_display_formatter.pop(_PLAN, None)


def _show_plan(plan: Any) -> None:
    from llmnb.notebook import plan_card

    plan_card.show(plan)


# ------------------------------------------------------------------------------ magics


@dataclass(slots=True)
class Registered:
    """What was put into one shell, and what stood there before."""

    shell: Any
    magics: tuple[Magics, ...]
    before: dict[tuple[str, str], Any] = field(default_factory=dict)
    """Magics of the same names that somebody else had registered."""

    def take_out(self) -> None:
        """Leave the shell as it was."""
        manager = self.shell.magics_manager
        for magics in self.magics:
            for kind, named in magics.magics.items():
                for name, function in named.items():
                    # What somebody has registered since then stays.
                    if manager.magics[kind].get(name) == function:
                        del manager.magics[kind][name]
                        if (kind, name) in self.before:
                            manager.magics[kind][name] = self.before[kind, name]
            if manager.registry.get(type(magics).__name__) is magics:
                del manager.registry[type(magics).__name__]
            if magics in self.shell.configurables:
                self.shell.configurables.remove(magics)
        completions = self.shell.strdispatchers.get("complete_command")
        if completions is not None:
            for name in COMPLETIONS:
                completions.strs.pop(name, None)
        rules = self.shell.input_transformer_manager.token_transformers
        rules[:] = [rule for rule in rules if rule not in RULES]


def register(shell: Any) -> Registered:
    """Put the magics into a shell, with what the Tab key offers behind them."""
    asking = LLMMagics(shell)
    registered = Registered(shell, (asking, SettingsMagics(shell, asking), LookingMagics(shell)))
    manager = shell.magics_manager
    for magics in registered.magics:
        for kind, named in magics.magics.items():
            for name in named:
                if (before := manager.magics[kind].get(name)) is not None:
                    registered.before[kind, name] = before
        shell.register_magics(magics)
    for name, complete in COMPLETIONS.items():
        shell.set_hook("complete_command", complete, str_key=name)
    # Before IPython's own rules.
    shell.input_transformer_manager.token_transformers[:0] = RULES
    return registered


# ------------------------------------------------------------------------- completions

_OPTIONS = [name for name in (*VALUED, *SWITCHES) if name.startswith("--")]
_OPTIONS += ["--schema", "--df", "--into"]  # of a cell


def _asking(shell: Any, event: Any) -> list[str]:
    typed = event.text_until_cursor.split()
    before = typed[-1 if event.text_until_cursor.endswith(" ") else -2 :][0]
    if before in ("-f", "--format"):
        return list(FORMATS)
    if before in ("-m", "--model"):
        return [f"{provider}/" for provider in _providers(shell, event)]
    if before in ("--schema", "--df", "-o", "--output"):
        return [name for name in shell.user_ns if not name.startswith("_")]
    return _OPTIONS if event.symbol.startswith("-") else []


def _settings(_shell: Any, _event: Any) -> list[str]:
    return [f"{name}=" for name in WORDS]


def _providers(_shell: Any, _event: Any) -> list[str]:
    from llmnb.wire.catalog import load_catalog

    return list(load_catalog())


def _cache(_shell: Any, event: Any) -> list[str]:
    if "clear" not in event.text_until_cursor.split():
        return ["list", "clear", "undo"]
    from llmnb.store import layout

    names = [project.name for project in layout.stored_projects(settings.cache_dir())]
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


# ------------------------------------------------- lines that end in a question mark
#
# IPython takes ``%llm Why is the sky blue?`` for a look at the documentation of ``blue``. These
# two rules come before its own; ``%llm?`` still explains the magic.

_ipython: Any = inputtransformer2  # it carries no types


def _find_prompt(rule: Any, tokens_by_line: list[list[Any]]) -> tuple[int, int] | None:
    """Return line and column of the first ``%llm`` with a prompt among what a rule finds."""
    for tokens in tokens_by_line:
        match = rule.find([tokens])
        if match is None:
            continue
        start = (match.start_line + 1, match.start_col)
        index = next(index for index, token in enumerate(tokens) if token.start == start)
        if len(tokens) < index + 3:
            continue
        sign, name, following = tokens[index : index + 3]
        is_magic = sign.string == "%" and name.string == "llm" and name.start == sign.end
        if is_magic and following.start > name.end:  # %llm? asks what the magic is
            return start
    return None


class PromptLine(inputtransformer2.EscapedCommand):
    """``%llm Why?``."""

    priority = 4  # before IPython's rule for question marks, which has 5

    @classmethod
    def find(cls, tokens_by_line: list[list[Any]]) -> Self | None:
        """Return the first such line of a cell."""
        start = _find_prompt(_ipython.EscapedCommand, tokens_by_line)
        return None if start is None else cls(start)


class PromptAssign(inputtransformer2.MagicAssign):
    """``answer = %llm Why?``."""

    @classmethod
    def find(cls, tokens_by_line: list[list[Any]]) -> Self | None:
        """Return the first such line of a cell."""
        start = _find_prompt(_ipython.MagicAssign, tokens_by_line)
        return None if start is None else cls(start)

    def __init__(self, start: tuple[int, int]) -> None:
        super().__init__(start)  # type: ignore[no-untyped-call]
        self._column = self.start_col
        # Rules are tried in the order of columns; that for question marks has the line's first.
        self.start_col = -1

    def transform(self, lines: list[str]) -> list[str]:
        """Return the lines with a call in the place of the magic."""
        self.start_col = self._column
        return super().transform(lines)  # type: ignore[no-any-return, unused-ignore]


RULES = (PromptLine, PromptAssign)
