"""What a run says of its requests, at the level that the caller wants: 10, 20, 30 or 40."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

from llmnb import progress
from llmnb.engine.request_log import SILENT, level_of, requests_log

_lock = threading.Lock()
_wanted: list[int] = []
"""Levels of the runs under way; the most talkative one holds for all."""


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
            progress.print_line(f"{record.levelname}: {record.getMessage()}")
        except Exception:
            self.handleError(record)
