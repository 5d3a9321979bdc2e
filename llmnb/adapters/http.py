"""HTTP on aiohttp, with the settings that keep money and keys safe.

Redirects are not followed, the environment's credentials are not read,
certificates are always verified, replies are bounded, and every failure
becomes one of our own errors: was it sent, may it be billed, can it be read.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import io
import os
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from llmnb.adapters import egress, network
from llmnb.adapters.bounded_body import CAP_BYTES, ENCODINGS, Unpacker
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
from llmnb.records import RawReply

Feed = Callable[[bytes], bool | None]
"""Takes a piece of a streamed body; returns True when it holds the first token."""

HasEnded = Callable[[], bool]
"""Whether what was fed holds the whole answer."""

_is_reused: contextvars.ContextVar[bool] = contextvars.ContextVar("is_reused", default=False)
"""Whether the connection of the present request has carried one before."""

_LARGE_BODY_BYTES = 2**20
"""From here on aiohttp warns of a body in one piece, which holds the loop up."""

_SMALL_BODY_BYTES = 2**20
"""Replies that say to be no larger are read in one go."""

_KEEP_ALIVE_SECONDS = 20.0
"""Idle connections are closed before most servers do it."""

_END_SECONDS = 1.0
"""How long a stream whose answer has ended is read on, so that its connection can be kept."""

_WAY_SECONDS = 5.0
"""How long the environment's word about proxies is believed."""


class _Connector(aiohttp.TCPConnector):
    """Notes whether a request got a connection that was used before."""

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        connection = await super().connect(req, traces, timeout)
        protocol: Any = connection.protocol
        _is_reused.set(getattr(protocol, "llmnb_is_used", False))
        if protocol is not None:
            protocol.llmnb_is_used = True
        return connection


class HttpClient:
    """One session on one event loop.

    Args:
        total_timeout: Seconds for a whole request.
        idle_timeout: Seconds without a byte.
        connect_timeout: Seconds to reach the server.
        max_body: Most bytes a decoded reply may have.
    """

    def __init__(
        self,
        *,
        total_timeout: float = 600.0,
        idle_timeout: float = 120.0,
        connect_timeout: float = 15.0,
        max_body: int = CAP_BYTES,
    ) -> None:
        self._total = total_timeout
        self._idle = idle_timeout
        self._connect = connect_timeout
        self._max_body = max_body
        self._session: aiohttp.ClientSession | None = None
        self._timeouts: dict[float | None, aiohttp.ClientTimeout] = {}
        self._ways: dict[str, tuple[float, dict[str, Any]]] = {}
        self._headers: dict[int, tuple[Mapping[str, str], CIMultiDict[str]]] = {}

    # ---------------------------------------------------------------------- asking

    async def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        origin_has_key: bool,
        feed: Feed | None = None,
        has_ended: HasEnded | None = None,
        total_timeout: float | None = None,
        is_repeatable: bool = True,
    ) -> RawReply:
        """Send a request and read its reply whole, whatever its status.

        Args:
            url: Full address.
            headers: Headers to send; the same mapping may be given again and is not copied.
            body: Bytes to send.
            origin_has_key: Whether a key travels that may not go over plain http.
            feed: Gets the pieces of a streamed body; the reply's own body is then empty.
            has_ended: Asked after each piece whether the answer is over: then whatever else
                befalls the connection does not matter any more.
            total_timeout: Seconds for this request.
            is_repeatable: Whether it may be sent again where a kept-alive connection closed under
                it; False leaves it to the caller to look whether it arrived.

        Raises:
            Unsent: If it provably never left this machine.
            MaybeBilled: If it was sent and its reply is lost.
            TimedOut: If no reply, or no further byte, came in time.
            BadReply: If what came is not HTTP, ends early, or passes the cap.
            UnsafeURL: If the address must not be asked.
            RedirectRefused: If the server answers with a redirect.
        """
        is_again = False
        while True:
            try:
                return await self._once(
                    "POST", url, headers, body, origin_has_key, feed, has_ended, total_timeout
                )
            except _Stale as error:
                # The server closed a kept-alive connection as the request set out; it has read
                # nothing of it, so one further try on a fresh connection buys nothing twice.
                if is_again or not is_repeatable:
                    raise error.as_lost() from None
                is_again = True

    async def get_json(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        origin_has_key: bool,
        total_timeout: float = 60.0,
    ) -> RawReply:
        """Fetch a document, such as a list of models."""
        try:
            return await self._once(
                "GET", url, headers, None, origin_has_key, None, None, total_timeout
            )
        except _Stale as error:
            raise error.as_lost() from None

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    # ------------------------------------------------------------------ one attempt

    async def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        origin_has_key: bool,
        feed: Feed | None,
        has_ended: HasEnded | None,
        total_timeout: float | None,
    ) -> RawReply:
        address = egress.checked(url, origin_has_key)
        way = self._way(address)
        sent = self._prepared(headers)
        if "proxy_headers" in way and address.startswith("http:"):
            sent = CIMultiDict((*sent.items(), *way["proxy_headers"].items()))
        started = time.monotonic()
        fault: LLMNBError | _Stale
        try:
            # aiohttp's errors hold the headers that were sent: ours are raised outside.
            async with (self._session or self._open()).request(
                method,
                _url(address),
                data=_payload(body),
                headers=sent,
                allow_redirects=False,
                timeout=self._timeout(total_timeout),
                **way,
            ) as response:
                return await self._read(response, started, feed, has_ended)
        except LLMNBError as error:
            fault = error
        except asyncio.CancelledError:
            raise
        except Exception as error:
            fault = _fault(error, address, time.monotonic() - started)
        raise fault from None

    async def _read(
        self,
        response: aiohttp.ClientResponse,
        started: float,
        feed: Feed | None,
        has_ended: HasEnded | None,
    ) -> RawReply:
        status = response.status
        received = response.headers
        if 300 <= status < 400:
            raise _redirect(response)
        encoding = received.get("content-encoding", "").lower()
        is_stream = (
            feed is not None
            and status == 200
            and received.get("content-type", "").lower().startswith("text/event-stream")
        )
        first_token: float | None = None
        if is_stream and feed is not None:
            first_token = await self._stream(response, encoding, started, feed, has_ended)
            body = b""
        elif not encoding and self._is_small(response):
            body = await response.read()
        else:
            body = await self._bounded(response, encoding)
        return RawReply(
            status=status,
            headers={name.lower(): value for name, value in received.items()},
            body=body,
            first_token_seconds=first_token,
            seconds=time.monotonic() - started,
        )

    def _is_small(self, response: aiohttp.ClientResponse) -> bool:
        """Whether the body cannot pass the cap, so that it may be read in one go."""
        length = response.content_length
        if length is None or "transfer-encoding" in response.headers:
            return False
        return length <= min(self._max_body, _SMALL_BODY_BYTES)

    async def _bounded(self, response: aiohttp.ClientResponse, encoding: str) -> bytes:
        """Read a body of unknown or large size, never past the cap."""
        unpacker = Unpacker(_known(encoding), self._max_body)
        pieces = [unpacker.feed(piece) async for piece in response.content.iter_any()]
        unpacker.finish()
        return b"".join(pieces)

    async def _stream(
        self,
        response: aiohttp.ClientResponse,
        encoding: str,
        started: float,
        feed: Feed,
        has_ended: HasEnded | None,
    ) -> float | None:
        """Hand a streamed body on as it comes; returns when its first token came."""
        unpacker = Unpacker(_known(encoding), self._max_body)
        first_token: float | None = None
        try:
            async with asyncio.timeout(None) as patience:
                async for piece in response.content.iter_any():
                    if feed(unpacker.feed(piece)) and first_token is None:
                        first_token = time.monotonic() - started
                    if has_ended is not None and patience.when() is None and has_ended():
                        patience.reschedule(asyncio.get_running_loop().time() + _END_SECONDS)
                unpacker.finish()
        except (TimeoutError, OSError, aiohttp.ClientError, LLMNBError):
            # Some servers leave the line open, or break it, once they have said all.
            if has_ended is None or not has_ended():
                raise
        return first_token

    # -------------------------------------------------------------------- settings

    def _open(self) -> aiohttp.ClientSession:
        connector = _Connector(
            limit=0,  # the engine's own gate decides how many; a second one would hide from it
            ttl_dns_cache=300,
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
            ssl=tls(),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            headers={"user-agent": _user_agent(), "accept-encoding": ENCODINGS},
        )
        return self._session

    def _way(self, address: str) -> dict[str, Any]:
        """Return the proxy arguments for an address, looked up anew every few seconds."""
        now = time.monotonic()
        known = self._ways.get(address)
        if known is None or now - known[0] > _WAY_SECONDS:
            if len(self._ways) > 1000:
                self._ways.clear()
            known = self._ways[address] = (now, _way(address))
        return known[1]

    def _timeout(self, total: float | None) -> aiohttp.ClientTimeout:
        timeout = self._timeouts.get(total)
        if timeout is None:
            timeout = self._timeouts[total] = aiohttp.ClientTimeout(
                total=self._total if total is None else total,
                sock_connect=self._connect,
                sock_read=self._idle,
            )
        return timeout

    def _prepared(self, headers: Mapping[str, str]) -> CIMultiDict[str]:
        """Return the headers in the form the library wants, made once per mapping."""
        known = self._headers.get(id(headers))
        if known is None or known[0] is not headers:
            if len(self._headers) > 1000:
                self._headers.clear()
            known = self._headers[id(headers)] = (headers, CIMultiDict(headers))
        return known[1]


@functools.lru_cache(maxsize=1024)
def _url(address: str) -> URL:
    return URL(address)


def _way(address: str) -> dict[str, Any]:
    """Return the proxy arguments for an address; none for most."""
    if egress.is_loopback(_url(address).host or ""):
        return {}
    proxy = network.proxy_for(address)
    if proxy is None:
        return {}
    url, login = proxy
    if login is None:
        return {"proxy": url}
    # Over TLS the proxy hears its header with CONNECT; a plain request carries it itself.
    header = {"Proxy-Authorization": aiohttp.encode_basic_auth(*login)}
    return {"proxy": url, "proxy_headers": header}


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    """Return a body as aiohttp wants it: a large one, such as a picture, in pieces."""
    return io.BytesIO(body) if body is not None and len(body) > _LARGE_BODY_BYTES else body


def tls() -> ssl.SSLContext:
    """Return the process's TLS context; reading the certificates takes some time once."""
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR")
    return _tls_of(tuple(os.environ.get(name) for name in names))


@functools.lru_cache(maxsize=4)
def _tls_of(_environment: tuple[str | None, ...]) -> ssl.SSLContext:
    return network.tls_context()


@functools.cache
def _user_agent() -> str:
    import llmnb

    return f"llmnb/{llmnb.__version__}"


def _known(encoding: str) -> str:
    if encoding in ("", "identity"):
        return ""
    if encoding in ("gzip", "x-gzip", "deflate"):
        return encoding
    raise BadReply(f"The reply is packed in a way llmnb did not ask for ({encoding[:40]!r}).")


# --------------------------------------------------------------------------- faults


class _Stale(Exception):
    """A connection that had been used before was closed before any byte of the reply."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host

    def as_lost(self) -> MaybeBilled:
        return _lost(self.host)


def _fault(error: Exception, address: str, seconds: float) -> LLMNBError | _Stale:
    """Return our own error for one of the library's."""
    host = _url(address).host or address
    if isinstance(error, _UNSENT):
        return Unsent(
            f"{host} could not be reached: {_reason(error)}. Nothing was sent and nothing spent."
        )
    if isinstance(error, TimeoutError):
        return TimedOut(
            f"{host} gave no answer, or no further byte of it, in {seconds:.0f} s. "
            "The request was sent and may have been billed."
        )
    if isinstance(error, aiohttp.ClientPayloadError):
        return IncompleteReply(
            f"The reply of {host} ended before its end. It may have been billed."
        )
    if isinstance(error, _NOT_HTTP):
        return BadReply(f"What {host} sent is not HTTP. The request may have been billed.")
    if isinstance(error, (aiohttp.InvalidURL, ValueError)):
        return ConfigurationError(f"The request to {host} cannot be made: {_reason(error)}.")
    if isinstance(error, (aiohttp.ClientConnectionError, OSError)):
        return _Stale(host) if _is_reused.get() else _lost(host)
    return MaybeBilled(
        f"The request to {host} failed ({type(error).__name__}). It may have been billed."
    )


_UNSENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientProxyConnectionError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientSSLError,
    ssl.SSLError,
)


_NOT_HTTP = (aiohttp.ClientResponseError, aiohttp.http_exceptions.HttpProcessingError)


def _lost(host: str) -> MaybeBilled:
    return MaybeBilled(
        f"{host} closed the connection before its reply. The request was sent and may have "
        "been billed."
    )


def _reason(error: Exception) -> str:
    """Return why, without anything the library remembers of the request."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy refused (HTTP {error.status})"
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError)):
        return "its certificate is not valid for it, or not trusted here"
    if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)):
        return "no encrypted connection could be agreed on"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "no such host is known here"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "it did not answer the knock in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return (error.os_error.strerror or "the connection was refused").lower()
    return type(error).__name__


def _redirect(response: aiohttp.ClientResponse) -> RedirectRefused:
    here = egress.origin_of(str(response.url))
    location = response.headers.get("location", "")
    try:
        there = egress.origin_of(str(response.url.join(URL(location))))
    except (ValueError, LLMNBError):
        there = "an address that cannot be read"
    return RedirectRefused(
        f"{here} answered with a redirect (HTTP {response.status}) to {there}. It was not "
        "followed, so the key went nowhere else: set url=… to the right address.",
        status=response.status,
    )
