"""Which lines are the person's: where warnings point to, and what is shown of a traceback."""

from __future__ import annotations

import functools
import linecache
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import takewhile
from traceback import walk_tb
from types import FrameType
from typing import Any

from llmnb.display.escape import visible, visible_lines

_LIBRARIES = ("site-packages", "dist-packages")
_TYPED = ("<ipython-input", "<stdin", "<python-input", "<console", "<doctest", "<string")
"""Names of files that are none: code that was typed, not made by a library."""

_LONGEST_LINE = 200
"""Characters of a line of code that are shown."""


def shell() -> Any:
    """Return IPython's shell where there is one; never the one to import it."""
    ipython = sys.modules.get("IPython")
    get = getattr(ipython, "get_ipython", None)
    return get() if get is not None else None


def has_magic(name: str) -> bool:
    """Whether a magic of that name can be typed here."""
    return shell() is not None and shell().find_line_magic(name) is not None


def key_offer(provider: str) -> str:
    """Return what a person types here to give a provider's key; it is kept in memory only."""
    return f"%llm_key {provider}" if has_magic("llm_key") else f"llmnb.set_key({provider!r}, …)"


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "llmnb"


@functools.lru_cache(maxsize=256)
def _is_persons_file(file: str) -> bool:
    """Whether a person wrote a file: it is neither Python's own nor an installed library's."""
    if file.startswith("<"):
        return file.startswith(_TYPED)
    if not {*_LIBRARIES}.isdisjoint(file.replace("\\", "/").split("/")):
        return False
    import sysconfig  # not before there is something to point at

    return not file.startswith(tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib")))


def _is_persons(frame: FrameType) -> bool:
    return not _is_ours(frame) and _is_persons_file(frame.f_code.co_filename)


# ---------------------------------------------------------------------------- warnings


def warn(message: str) -> None:
    """Warn with the line of the person's code that is running, from whichever thread.

    On a thread of llmnb's own that is the line `on_behalf` was entered from, else the one in which
    the main thread waits.

    Args:
        message: What the person should know.
    """
    here = sys._getframe(1)
    waiting = sys._current_frames().get(threading.main_thread().ident or 0)
    caller = _persons_frame(here) or _caller.get() or _persons_frame(waiting) or here
    warnings.warn_explicit(
        message,
        UserWarning,
        caller.f_code.co_filename,
        caller.f_lineno,
        module=caller.f_globals.get("__name__"),
        registry=caller.f_globals.setdefault("__warningregistry__", {}),
    )


_caller: ContextVar[FrameType | None] = ContextVar("caller", default=None)


@contextmanager
def on_behalf() -> Iterator[None]:
    """Have threads that are begun inside the block warn with the line that it was entered from."""
    token = _caller.set(_persons_frame(sys._getframe(2)))
    try:
        yield
    finally:
        _caller.reset(token)


def _persons_frame(frame: FrameType | None) -> FrameType | None:
    while frame is not None and not _is_persons(frame):
        frame = frame.f_back
    return frame


# -------------------------------------------------------------------------- tracebacks


def short_traceback(error: BaseException) -> list[str]:
    r"""Return lines that say where in the person's code an error came from, and its message.

    Of the frames before the first of llmnb's own the first and the last of the person's are
    shown. A magic's line is not: it stands in the cell above.

    Example:
        >>> short_traceback(ValueError("red \x1b[31m"))
        ['ValueError: red \\x1b[31m']
    """
    before_ours = takewhile(lambda place: not _is_ours(place[0]), walk_tb(error.__traceback__))
    frames = [
        (frame, line)
        for frame, line in before_ours
        if _is_persons(frame) and "get_ipython().run_" not in _code(frame, line)
    ]
    shown = frames if len(frames) < 2 else [frames[0], frames[-1]]
    return [*(_written(frame, line) for frame, line in shown), message(error)]


def has_other_cause(error: BaseException) -> bool:
    """Whether an error was raised because of another one that the person's own code raised."""
    cause = error.__cause__
    while cause is not None:
        if any(_is_persons(frame) for frame, _ in walk_tb(cause.__traceback__)):
            return True
        cause = cause.__cause__
    return False


def message(error: BaseException) -> str:
    r"""Return an exception's class and text, with nothing in it that acts on a terminal.

    Example:
        >>> message(ValueError("red \x1b[31m"))
        'ValueError: red \\x1b[31m'
    """
    text = "\n".join([str(error), *getattr(error, "__notes__", ())])
    text = visible_lines(text.strip("\n"))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _code(frame: FrameType, line: int) -> str:
    return linecache.getline(frame.f_code.co_filename, line, frame.f_globals).strip()


def _written(frame: FrameType, line: int) -> str:
    """Return where a line stands and the line, as IPython writes it."""
    file, name = frame.f_code.co_filename, frame.f_code.co_name
    label = getattr(getattr(shell(), "compile", None), "format_code_name", lambda _: None)(file)
    where = " ".join(label) if label else f"File {visible(file)}"
    inside = "" if name.startswith("<") else f", in {visible(name)}"
    code = visible(_code(frame, line), longest=_LONGEST_LINE)
    return f"{where}, line {line}{inside}\n    {code}" if code else f"{where}, line {line}{inside}"
