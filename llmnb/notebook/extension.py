"""`%load_ext llmnb`: magics, dashboard and accessors, silently; `%unload_ext llmnb` undoes it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from IPython.core import inputtransformer2
from IPython.core.magic import Magics

from llmnb.notebook import completion, dashboard
from llmnb.notebook.magics_ask import LLMMagics
from llmnb.notebook.magics_looking import LookingMagics
from llmnb.notebook.magics_settings import SettingsMagics

_loaded: weakref.WeakKeyDictionary[Any, Registered] = weakref.WeakKeyDictionary()
"""Shells that have the extension; a shell that has it already keeps what it has."""

_PLAN = "llmnb.running.planning.Plan"


def load_ipython_extension(ipython: Any) -> None:
    """Give a shell the magics, the dashboard, and ``df.llm``; once, however often it is called.

    Example:
        >>> from IPython.core.interactiveshell import InteractiveShell
        >>> shell = InteractiveShell()
        >>> load_ipython_extension(shell)  # what %load_ext llmnb does
        >>> "llm" in shell.magics_manager.magics["cell"]
        True
        >>> unload_ipython_extension(shell)
    """
    from llmnb.frames.registration import attach

    attach()
    if ipython not in _loaded:
        dashboard.install(ipython)
        # By its name: what plans are made of is loaded with the first of them.
        formatter = ipython.display_formatter.ipython_display_formatter
        formatter.for_type_by_name(*_PLAN.rsplit(".", 1), _show_plan)
        _loaded[ipython] = register(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Remove the magics and the dashboard from a shell again.

    What `import llmnb` gives stays: ``df.llm``, and settings made with `llmnb.configure`.

    Example:
        >>> from IPython.core.interactiveshell import InteractiveShell
        >>> shell = InteractiveShell()
        >>> load_ipython_extension(shell)
        >>> unload_ipython_extension(shell)  # what %unload_ext llmnb does
        >>> "llm" in shell.magics_manager.magics["cell"]
        False
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

    matcher: Callable[[Any], Any] | None = None
    """What the Tab key asks."""

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
        if self.matcher is not None and self.matcher in self.shell.Completer.custom_matchers:
            self.shell.Completer.custom_matchers.remove(self.matcher)
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
    if shell.Completer is not None:
        registered.matcher = completion.matcher(shell)
        shell.Completer.custom_matchers.append(registered.matcher)
    # Before IPython's own rules.
    shell.input_transformer_manager.token_transformers[:0] = RULES
    return registered


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
