"""What the engine says of single requests in the log `llmnb.requests`, silent unless asked.

Its level is the reader's choice: 40 tells of requests that have failed for good, 30 of
every refusal and failure on the way too, 20 of every start and end, 10 of the details.
"""

from __future__ import annotations

import logging

from llmnb.display.texts import single_line
from llmnb.errors import ConfigurationError, LLMNBError, Stopped
from llmnb.records import Outcome

SILENT = logging.CRITICAL + 1

requests_log = logging.getLogger("llmnb.requests")
requests_log.setLevel(SILENT)


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


def log_start(row: int, attempt: int) -> None:
    """Log that a request is about to be sent."""
    if requests_log.isEnabledFor(logging.INFO):
        again = f", attempt {attempt}" if attempt > 1 else ""
        requests_log.info("Starting request #%d%s", row, again)


def log_failure(row: int, attempt: int, error: LLMNBError) -> None:
    """Log that an attempt was refused or has failed; there may be another."""
    if requests_log.isEnabledFor(logging.WARNING):
        kind, message = type(error).__name__, single_line(error.message)
        requests_log.warning("Request #%d, attempt %d: %s: %s", row, attempt, kind, message)


def log_end(outcome: Outcome) -> None:
    """Log what became of a row."""
    error = outcome.error
    if error is None:
        if requests_log.isEnabledFor(logging.INFO):
            where = "" if outcome.source == "sent" else f" ({outcome.source})"
            requests_log.info("Request #%d completed%s", outcome.row, where)
            requests_log.debug("Request #%d: %s", outcome.row, _details(outcome))
    elif requests_log.isEnabledFor(logging.ERROR) and not isinstance(error, Stopped):
        attempts = error.details.attempts or 0
        after = f" after {attempts} attempts" if attempts > 1 else ""
        requests_log.error(
            "Request #%d failed%s: %s", outcome.row, after, single_line(error.message)
        )


def _details(outcome: Outcome) -> str:
    usage = outcome.reply.usage if outcome.reply is not None else None
    tokens = "" if usage is None else f", {usage.prompt} + {usage.completion} tokens"
    seconds = "" if outcome.seconds is None else f", {outcome.seconds:.3f} s"
    who = f"{outcome.provider}/{outcome.model}"
    return f"{who}, {outcome.attempts} requests{tokens}{seconds}, key {outcome.key}"
