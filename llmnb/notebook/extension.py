"""`%load_ext llmnb`: magics, dashboard and accessors, silently; `%unload_ext llmnb` undoes it."""

from __future__ import annotations

import weakref
from contextlib import ExitStack
from typing import Any, Self

from IPython.core import inputtransformer2
from IPython.core.magic import Magics

from llmnb.notebook import completion, dashboard
from llmnb.notebook.magics_ask import LLMMagics
from llmnb.notebook.magics_looking import LookingMagics
from llmnb.notebook.magics_settings import SettingsMagics

_loaded: weakref.WeakKeyDictionary[Any, ExitStack] = weakref.WeakKeyDictionary()
"""Shells that have the extension, with what takes it out of them again."""

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
        undo = _loaded[ipython] = ExitStack()
        dashboard.install(ipython)
        undo.callback(dashboard.uninstall, ipython)
        # By its name: what plans are made of is loaded with the first of them.
        formatter = ipython.display_formatter.ipython_display_formatter
        formatter.for_type_by_name(*_PLAN.rsplit(".", 1), _show_plan)
        undo.callback(formatter.pop, _PLAN, None)
        _register(ipython, undo)


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
    _loaded.pop(ipython, ExitStack()).close()


def _show_plan(plan: Any) -> None:
    from llmnb.notebook import plan_card

    plan_card.show(plan)


# ------------------------------------------------------------------------------ magics


def _register(shell: Any, undo: ExitStack) -> None:
    """Put the magics into a shell, with what the Tab key offers behind them."""
    before = {kind: dict(named) for kind, named in shell.magics_manager.magics.items()}
    asking = LLMMagics(shell)
    for magics in (asking, SettingsMagics(shell, asking), LookingMagics(shell)):
        shell.register_magics(magics)
        undo.callback(_take_out, shell, magics, before)
    if shell.Completer is not None:
        matchers = shell.Completer.custom_matchers
        matcher = completion.matcher(shell)
        matchers.append(matcher)
        undo.callback(_remove, matchers, matcher)
    rules = shell.input_transformer_manager.token_transformers
    rules[:0] = RULES  # before IPython's own
    for rule in RULES:
        undo.callback(_remove, rules, rule)


def _take_out(shell: Any, magics: Magics, before: dict[str, dict[str, Any]]) -> None:
    """Take magics out of a shell, and put back those of the same names that stood there before."""
    manager = shell.magics_manager
    for kind, named in magics.magics.items():
        for name, function in named.items():
            # What somebody has registered since then stays.
            if manager.magics[kind].get(name) == function:
                del manager.magics[kind][name]
                if name in before[kind]:
                    manager.magics[kind][name] = before[kind][name]
    if manager.registry.get(type(magics).__name__) is magics:
        del manager.registry[type(magics).__name__]
    _remove(shell.configurables, magics)


def _remove(things: list[Any], thing: Any) -> None:
    if thing in things:
        things.remove(thing)


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
