"""Register accessors called `llm` on the classes of other libraries, where the name is free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llmnb.errors import ConfigurationError
from llmnb.user_code import warn

NAME = "llm"

Kind = tuple[Any, Callable[[str], Callable[[Any], Any]], type]
"""A class, the library's own way of giving it an accessor, and the accessor."""


@dataclass(slots=True)
class AccessorRegistration:
    """Gives the classes of one library their accessors.

    Args:
        library: As a sentence names it, such as ``"pandas"``.
        kinds: Its classes, and what each is given.
    """

    library: str
    kinds: tuple[Kind, ...]
    _has_warned: bool = field(default=False, init=False)

    def attach(self) -> None:
        """Register the accessors; where somebody else has the name, say so once."""
        owner = self._other_owner(NAME)
        if owner is None:
            self.enter(NAME)
        elif not self._has_warned:
            self._has_warned = True
            warn(
                f".{NAME} of {self.library} frames belongs to {owner}, and llmnb leaves it alone. "
                'Use another name: llmnb.register_accessor("other"), then df.other.generate(…).'
            )

    def require_free(self, name: str) -> None:
        """Refuse a name that somebody else has.

        Raises:
            ConfigurationError: If one of the classes has something else of it.
        """
        if owner := self._other_owner(name):
            raise ConfigurationError(
                f".{name} of {self.library} frames belongs to {owner}: choose another name."
            )

    def enter(self, name: str) -> None:
        """Register the accessors under a name that is free."""
        for kind, enter, accessor in self.kinds:
            if name in vars(kind):  # our own, of an earlier import; libraries would warn of it
                delattr(kind, name)
            enter(name)(accessor)

    def _other_owner(self, name: str) -> str | None:
        """Return which other package has the name; None if none has."""
        for kind, _, accessor in self.kinds:
            if (present := getattr(kind, name, None)) is not None:
                home = getattr(present, "__module__", None) or type(present).__module__
                if home != accessor.__module__:
                    return f"{home}.{getattr(present, '__qualname__', type(present).__qualname__)}"
        return None
