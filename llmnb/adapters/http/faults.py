"""aiohttp's errors as our own: unsent, perhaps billed, or unreadable."""

from __future__ import annotations

import ssl

import aiohttp
from yarl import URL

from llmnb.adapters import egress
from llmnb.adapters.http.pool import is_connecting, is_reset, is_stale
from llmnb.display import durations
from llmnb.errors import (
    BadReply,
    ConfigurationError,
    IncompleteReply,
    LLMNBError,
    MaybeBilled,
    RedirectRefused,
    TimedOut,
    Unsent,
)


class Stale(Exception):
    """A connection that had been used before was closed before any byte of the reply."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host

    def as_lost(self) -> MaybeBilled:
        """Return the error for a request that may not be sent again."""
        return _lost_reply(self.host)


def fault(error: Exception, host: str, seconds: float, *, proxy: str | None) -> LLMNBError | Stale:
    """Return our own error for an error of the present request.

    Args:
        error: What aiohttp, or what lies under it, has raised.
        host: Who was asked.
        seconds: Since when.
        proxy: Address of the proxy between, without a login; None where there is none.
    """
    if isinstance(error, _UNSENT) or (is_connecting() and not isinstance(error, ValueError)):
        return unsent_error(host, _reason(error), proxy)
    if isinstance(error, TimeoutError):
        return TimedOut(
            f"{host} gave no answer, or no further byte of it, in {durations.exact(seconds)}. "
            "It may have been billed."
        )
    if isinstance(error, aiohttp.ClientPayloadError):
        if is_reset():
            return _lost_reply(host, "in the midst of its reply")
        return IncompleteReply(
            f"The reply of {host} ended before its end. It may have been billed."
        )
    if isinstance(error, _NOT_HTTP):
        return BadReply(f"What {host} sent is not HTTP. It may have been billed.")
    if isinstance(error, ValueError):  # an address that cannot be read is one, too
        return ConfigurationError(f"The request to {host} cannot be made: {_reason(error)}.")
    if isinstance(error, (aiohttp.ClientConnectionError, OSError)):
        return Stale(host) if is_stale() else _lost_reply(host)
    return MaybeBilled(
        f"The request to {host} failed ({type(error).__name__}). It may have been billed."
    )


def unsent_error(host: str, reason: str, proxy: str | None) -> Unsent:
    """Return the error for a request of which nothing was sent."""
    cause = reason if proxy is None else f"{reason} (through the proxy {proxy})"
    return Unsent(f"{host} could not be reached: {cause}. Nothing was sent.", cause=cause)


PROXY_REFUSED = "the proxy refused (HTTP {})"
_CLOSED = "the connection was closed"

_UNSENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientProxyConnectionError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientSSLError,
    ssl.SSLError,
)


_NOT_HTTP = (aiohttp.ClientResponseError, aiohttp.http_exceptions.HttpProcessingError)


def _lost_reply(host: str, when: str = "before its reply") -> MaybeBilled:
    return MaybeBilled(f"{host} closed the connection {when}. It may have been billed.")


def _reason(error: Exception) -> str:
    """Return the cause in a few words, without what the library's error says of the request."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return PROXY_REFUSED.format(error.status)
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError)):
        return "its certificate is not valid for it, or not trusted here"
    if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)):
        return "no encrypted connection could be agreed on"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "no such host is known here"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        if isinstance(error.os_error, ConnectionRefusedError):
            return "connection refused"  # the library's text names each address it tried
        return (error.os_error.strerror or _CLOSED).lower()
    if isinstance(error, _NOT_HTTP):
        return "what the proxy sent is not HTTP"
    if isinstance(error, (aiohttp.ClientConnectionError, OSError)):
        return _CLOSED
    return type(error).__name__


def redirect(address: str, status: int, location: str) -> RedirectRefused:
    """Return the error for a reply that sends the request elsewhere."""
    here = egress.origin_of(address)
    try:
        there = egress.origin_of(str(URL(address).join(URL(location))))
    except (ValueError, LLMNBError):
        there = "an address that cannot be read"
    return RedirectRefused(
        f"{here} answered with a redirect (HTTP {status}) to {there}. It was not followed, so the "
        "key went nowhere else. Name the right address: llmnb.LLM(model=…, url=…) as the model.",
        status=status,
    )
