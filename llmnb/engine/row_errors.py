"""The errors with which the engine itself ends rows, and what it adds to those of a provider."""

from __future__ import annotations

import math
from urllib.parse import urlsplit

from llmnb.decide.retry import RetryPolicy
from llmnb.display import durations, moments
from llmnb.engine.gate import Gate
from llmnb.engine.shared import DRAIN_SECONDS
from llmnb.engine.status import Clock
from llmnb.engine.target import Call, Target
from llmnb.errors import (
    ConfigurationError,
    ErrorDetails,
    FlowControl,
    LLMNBError,
    MaybeBilled,
    ProviderError,
    Stopped,
    TimedOut,
    Unsent,
)
from llmnb.wire.catalog import load_catalog
from llmnb.wire.dialect import tier_in

UNREACHED_SECONDS = 15.0
"""How long an address is tried that has never answered in this process."""


def copy_of(error: LLMNBError, text: str | None = None) -> LLMNBError:
    """Return a copy of an error, so that rows do not share one object's details.

    Args:
        error: The error.
        text: Its message; None keeps it.
    """
    kind, arguments = error.__reduce__()[:2]
    copy: LLMNBError = kind(*arguments)
    if text is not None:
        copy.args = (text,)
    return copy


def for_unsent_rows(error: LLMNBError) -> LLMNBError:
    """Return the error of rows that were not sent because of another row's error."""
    copy = copy_of(error)
    if isinstance(error, (FlowControl, MaybeBilled, ProviderError)):
        copy = Unsent(f"Not sent. The last word from there was: {error.message}")
    details = error.details
    copy.details = ErrorDetails(
        provider=details.provider,
        model=details.model,
        retry_after=details.retry_after,
        cause=details.cause,
    )
    return copy


# ------------------------------------------------------------------ stopped, out of time


def not_asked() -> Stopped:
    """Return the error of a row whose request was never sent."""
    return Stopped("Not asked: the run was stopped. Run again to ask what is missing.")


def not_sent_again(error: LLMNBError) -> Stopped:
    """Return the error of a row that would have been retried, had the run not been stopped."""
    return Stopped(
        f"Stopped before it was sent again. Before that: {error.message}\n"
        "Run again to ask what is missing.",
        maybe_billed=error.details.maybe_billed,
    )


def dropped_by_stop() -> Stopped:
    """Return the error of a row whose request was dropped."""
    return Stopped(
        "Stopped while its request was on its way. It may have been billed. "
        "Run again to ask it anew.",
        maybe_billed=True,
    )


def still_underway() -> Stopped:
    """Return the error of a row whose answer will be stored once it comes."""
    return Stopped(
        "In flight when the run was stopped. Its answer goes to the store if it comes within "
        f"{DRAIN_SECONDS:.0f} s: run again to have it.",
        maybe_billed=True,
    )


def out_of_time(limit: float, attempts: int) -> TimedOut:
    """Return the error of a row that has reached its `time_limit`."""
    return TimedOut(
        f"No answer within the time limit of {durations.exact(limit)} "
        f"({attempts} requests sent). It may have been billed. Run again to ask it anew, "
        "or allow more time with time_limit."
    )


def unexpected(cause: Exception) -> LLMNBError:
    """Return the error of a row on which llmnb itself failed."""
    error = LLMNBError(
        f"llmnb itself failed on this row ({type(cause).__name__}); the log has the details. "
        "Please report it. The other rows go on.",
        maybe_billed=True,
    )
    error.__cause__ = cause
    return error


def unpriced(call: Call) -> ConfigurationError:
    """Return the error of a request that a budget cannot bind."""
    tier = tier_in(call.body)
    return ConfigurationError(
        f"budget_usd cannot be kept: the price of {call.target.provider}/{call.target.model}"
        + (f" in the service tier {tier[:40]!r}" if tier else "")
        + " is not known. Say it with llmnb.set_price(model, input_per_million, "
        "output_per_million), or leave the budget out. Nothing was sent for this row."
    )


# ----------------------------------------------------------------------- no further try


def final_error(
    error: LLMNBError,
    gate: Gate,
    target: Target,
    policy: RetryPolicy,
    *,
    failures: int,
    is_parked: bool,
) -> LLMNBError:
    """Return a row's last error with the reason why nothing more is tried, where there is one.

    Args:
        error: The error.
        gate: The gate of its target.
        target: The target that was asked.
        policy: The run's patience.
        failures: Failed attempts of the row.
        is_parked: Whether the target has failed for longer than the run waits.
    """
    hint, text = error.details.retry_after, error.message
    if hint is not None and hint > policy.longest_hint:
        text += f"\n{_come_back(hint)}"
    elif isinstance(error, FlowControl) or is_parked:
        did = "failed" if is_parked else "refused"
        since = durations.span(round(gate.health.seconds_without_success(gate.clock())))
        text += (
            f"\nIt has {did} for {since} without one answer. Finished rows are kept: run again "
            "later, or allow longer waits with "
            f"max_wait={policy.max_wait * 2:.0f}."
        )
    elif failures >= policy.max_attempts > 1:
        text += f"\nGiven up after {failures} attempts; run again to ask only what is missing."
    if isinstance(error, Unsent) and not gate.health.has_answered:
        reason = text.removeprefix(error.message)
        text = f"{_unreachable(target, error.details.cause or '')}\nNothing was sent.{reason}"
    return error if text == error.message else copy_of(error, text)


def asked_for_a_long_wait(target: Target, seconds: float) -> Unsent:
    """Return the error of rows whose target has asked for a longer wait than the run allows."""
    return Unsent(
        f"{target.provider} has asked for a long wait. {_come_back(seconds)}",
        provider=target.provider,
        model=target.model,
        retry_after=seconds,
    )


def _come_back(seconds: float) -> str:
    when = moments.coming(seconds, Clock.wall())
    return (
        f"It asks to come back in {durations.span(math.ceil(seconds))}, at {when}. Nothing more is "
        "sent there in this run: run again then, or wait for it with "
        f"max_wait={math.ceil(seconds * 1.1)}."
    )


# --------------------------------------------------- an address from which nothing ever came


def unreached(target: Target, cause: str) -> Unsent:
    """Return the error of all rows whose target has never answered in this process.

    Args:
        target: Who was to be asked.
        cause: In a few words why it could not be.
    """
    where = _unreachable(target, cause, f" for {UNREACHED_SECONDS:.0f} s")
    return Unsent(
        f"{where}\nNothing was sent, and it is not tried again in this run.",
        provider=target.provider,
        model=target.model,
        cause=cause or None,
    )


def _unreachable(target: Target, cause: str, duration: str = "") -> str:
    """Return the address, the cause and what to do in one line, since often no more is shown."""
    address = target.endpoint.split("?", 1)[0]
    return (
        f"{target.provider} at {address} could not be reached{duration}: "
        f"{cause or 'no answer'}. {how_to_start(target)}"
    )


def how_to_start(target: Target) -> str:
    """Return what to do: the command that starts a local server, or a look at the address."""
    catalog = load_catalog()
    provider = catalog.get(target.provider)
    if provider is None or not provider.start_command:
        address = urlsplit(target.endpoint).netloc.replace("localhost", "127.0.0.1")
        local = (entry for entry in catalog.values() if entry.start_command and entry.base_url)
        provider = next((it for it in local if urlsplit(it.base_url).netloc == address), None)
    if provider is None:
        return "Check the address and the network, then run again."
    return f"Is it running? `{provider.start_command}` starts {provider.name}."
