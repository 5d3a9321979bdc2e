"""What a run says of its requests, at the level that the caller wants: 10, 20, 30 or 40."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

from llmnb import progress
from llmnb.engine.telling import SILENT, requests_log
from llmnb.errors import ConfigurationError

_lock = threading.Lock()
_wanted: list[int] = []
"""Levels of the runs under way; the most talkative one holds for all."""


def level_of(level: int | str) -> int:
    """Return a logging level from a number, ``"INFO"`` or ``"logging.INFO"``.

    Raises:
        ConfigurationError: If it is neither.

    Example:
        >>> level_of("logging.WARNING"), level_of("20"), level_of(10)
        (30, 20, 10)
    """
    if isinstance(level, int):
        return level
    name = level.removeprefix("logging.").upper()
    number = int(name) if name.isdecimal() else logging.getLevelName(name)
    if isinstance(number, int):
        return number
    raise ConfigurationError(
        f"logging_level={level!r} is no level: "
        "use 10 (DEBUG), 20 (INFO), 30 (WARNING) or 40 (ERROR)."
    )


@contextlib.contextmanager
def told(level: int | str) -> Iterator[logging.Logger]:
    """Let the engine tell of requests while the block lasts; yields where more may be said.

    Where the program has set up logging, its handlers get the lines; else they are
    printed above the bars.

    Args:
        level: 40: failures after all attempts; 30: refusals and errors on the way, too;
            20: starts and ends; 10: the details.
    """
    number = level_of(level)
    handler = None if requests_log.hasHandlers() else _AboveTheBars()
    if handler is not None:
        requests_log.addHandler(handler)
    with _lock:
        _wanted.append(number)
        requests_log.setLevel(min(_wanted))
    try:
        yield requests_log
    finally:
        with _lock:
            _wanted.remove(number)
            requests_log.setLevel(min(_wanted, default=SILENT))
        if handler is not None:
            requests_log.removeHandler(handler)


class _AboveTheBars(logging.Handler):
    """Prints lines to where the bars are, without breaking them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        try:
            progress.say(f"{record.levelname}: {record.getMessage()}")
        except Exception:
            self.handleError(record)
