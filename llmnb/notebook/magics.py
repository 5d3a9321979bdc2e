"""Putting the magics into IPython and taking them out again, so that nothing of them is left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from IPython.core.magic import Magics

from llmnb.notebook import prompt_lines
from llmnb.notebook.completions import COMPLETIONS
from llmnb.notebook.magics_ask import LLMMagics
from llmnb.notebook.magics_looking import LookingMagics
from llmnb.notebook.magics_settings import SettingsMagics


@dataclass(slots=True)
class Registered:
    """What was put into one shell, and what stood in its place before."""

    shell: Any
    magics: tuple[Magics, ...]
    before: dict[tuple[str, str], Any] = field(default_factory=dict)
    """Magics of the same names that somebody else had registered."""

    def take_out(self) -> None:
        """Leave the shell as it was."""
        manager = self.shell.magics_manager
        for one in self.magics:
            for kind, named in one.magics.items():
                for name, function in named.items():
                    # What somebody has registered since then stays.
                    if manager.magics[kind].get(name) == function:
                        del manager.magics[kind][name]
                        if (kind, name) in self.before:
                            manager.magics[kind][name] = self.before[kind, name]
            if manager.registry.get(type(one).__name__) is one:
                del manager.registry[type(one).__name__]
            if one in self.shell.configurables:
                self.shell.configurables.remove(one)
        _take_completions_out(self.shell)
        prompt_lines.uninstall(self.shell)


def register(shell: Any) -> Registered:
    """Put the magics into a shell."""
    asking = LLMMagics(shell)
    put = Registered(shell, (asking, SettingsMagics(shell, asking), LookingMagics(shell)))
    manager = shell.magics_manager
    for one in put.magics:
        for kind, named in one.magics.items():
            for name in named:
                if (there := manager.magics[kind].get(name)) is not None:
                    put.before[kind, name] = there
        shell.register_magics(one)
    for name, complete in COMPLETIONS.items():
        shell.set_hook("complete_command", complete, str_key=name)
    prompt_lines.install(shell)
    return put


def _take_completions_out(shell: Any) -> None:
    dispatch = shell.strdispatchers.get("complete_command")
    for name in COMPLETIONS:
        if dispatch is not None:
            dispatch.strs.pop(name, None)
