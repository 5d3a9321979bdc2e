"""Lines of %llm that end in a question mark are prompts, not questions to IPython.

IPython takes ``%llm Why is the sky blue?`` for a look at the documentation of
``blue``. These two rules come before its own; ``%llm?`` still explains the magic.
"""

from __future__ import annotations

from typing import Any, Self

from IPython.core import inputtransformer2

_MAGIC = "llm"


def _is_prompt(tokens: list[Any], place: int) -> bool:
    """Whether ``%llm`` and a prompt stand at a place among the tokens of a line."""
    if len(tokens) < place + 3:
        return False
    sign, name, following = tokens[place : place + 3]
    is_magic = sign.string == "%" and name.string == _MAGIC and name.start == sign.end
    return bool(is_magic and following.start > name.end)  # %llm? asks what the magic is


_ipython: Any = inputtransformer2  # it carries no types


class PromptLine(inputtransformer2.EscapedCommand):
    """``%llm Why?``."""

    priority = 4  # before IPython's rule for question marks, which has 5

    @classmethod
    def find(cls, tokens_by_line: list[list[Any]]) -> Self | None:
        """Return the first such line of a cell."""
        for tokens in tokens_by_line:
            found = _ipython.EscapedCommand.find([tokens])
            if found is not None and _is_prompt(tokens, _place(tokens, found)):
                return cls((found.start_line + 1, found.start_col))
        return None


class PromptAssign(inputtransformer2.MagicAssign):
    """``answer = %llm Why?``."""

    @classmethod
    def find(cls, tokens_by_line: list[list[Any]]) -> Self | None:
        """Return the first such line of a cell."""
        for tokens in tokens_by_line:
            found = _ipython.MagicAssign.find([tokens])
            if found is not None and _is_prompt(tokens, _place(tokens, found)):
                return cls((found.start_line + 1, found.start_col))
        return None

    def __init__(self, start: tuple[int, int]) -> None:
        super().__init__(start)  # type: ignore[no-untyped-call]
        self._column = self.start_col
        # Rules are tried in the order of columns; that for question marks has the line's first.
        self.start_col = -1

    def transform(self, lines: list[str]) -> list[str]:
        """Return the lines with a call in the place of the magic."""
        self.start_col = self._column
        return super().transform(lines)  # type: ignore[no-any-return, unused-ignore]


def _place(tokens: list[Any], found: Any) -> int:
    start = (found.start_line + 1, found.start_col)
    return next(place for place, token in enumerate(tokens) if token.start == start)


RULES = (PromptLine, PromptAssign)


def install(shell: Any) -> None:
    """Put the rules before IPython's own."""
    shell.input_transformer_manager.token_transformers[:0] = RULES


def uninstall(shell: Any) -> None:
    """Take the rules out."""
    rules = shell.input_transformer_manager.token_transformers
    rules[:] = [one for one in rules if one not in RULES]
