"""Errors of the magics as a person wants to see them: one message, not a page of our own code."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from llmnb.display.escape import visible_lines
from llmnb.errors import LLMNBError

P = ParamSpec("P")
T = TypeVar("T")


def plain_errors(magic: Callable[P, T]) -> Callable[P, T]:
    """Let a magic's expected errors show their message only; they are raised all the same.

    The cell fails, so that running all cells stops here. The exception is the one
    that every other door raises, and a program may catch it as such.
    """

    @functools.wraps(magic)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return magic(*args, **kwargs)
        except (LLMNBError, KeyboardInterrupt) as error:
            raise plainly(error) from None

    return wrapper


def plainly(error: BaseException) -> BaseException:
    """Make IPython show an exception by its message; returns the exception."""
    # IPython asks an exception for its own traceback before it makes one.
    error._render_traceback_ = lambda: [message(error)]  # type: ignore[attr-defined]
    return error


def message(error: BaseException) -> str:
    r"""Return an exception's class and text, with nothing in it that acts on a terminal.

    Example:
        >>> message(LLMNBError("red \x1b[31m"))
        'LLMNBError: red \\x1b[31m'
    """
    text = visible_lines(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
