"""Interrupts of the magics as a person wants to see them: a word, not a page of our own code."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from llmnb.user_code import message

P = ParamSpec("P")
T = TypeVar("T")


def plain_interrupts(magic: Callable[P, T]) -> Callable[P, T]:
    """Let a magic that is interrupted show a message only; the interrupt is raised all the same.

    The cell fails, so that running all cells stops here. Errors of llmnb show little by themselves.
    """

    @functools.wraps(magic)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return magic(*args, **kwargs)
        except KeyboardInterrupt as error:
            text = message(error)
            # IPython asks an exception for its own traceback before it makes one.
            error._render_traceback_ = lambda: [text]  # type: ignore[attr-defined]
            raise

    return wrapper
