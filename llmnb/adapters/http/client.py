"""The client that every request goes through: one session, and one pool, on one event loop."""

from __future__ import annotations

import asyncio
import functools
import io
import os
import ssl
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from llmnb.adapters import egress
from llmnb.adapters.http import exchange, faults, trial
from llmnb.adapters.http.exchange import Received, UnknownInternals
from llmnb.adapters.http.faults import Stale
from llmnb.adapters.http.pool import HEAD_LIMITS, KEPT, Pool, wants_fresh
from llmnb.adapters.http.reading import CAP_BYTES, ENCODINGS, Feed, HasEnded, Reading
from llmnb.errors import LLMNBError
from llmnb.records import REQUEST_SECONDS, RawReply

_LARGE_BODY_BYTES = 2**20
"""Bytes from which on aiohttp warns of a body in one piece."""

_PROXY_SECONDS = 5.0
"""Seconds for which the environment's proxies are remembered."""


class _Request(NamedTuple):
    """What is sent: a POST, or a GET without a body."""

    address: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout: aiohttp.ClientTimeout


class HttpClient:
    """One session on one event loop.

    Args:
        total_timeout: Seconds for a whole request.
        idle_timeout: Seconds without a byte of a stream. A reply that comes in one piece may
            take its time: a model that thinks for minutes says nothing meanwhile.
        connect_timeout: Seconds to reach the server; twice as many in all, where there are
            several addresses or a proxy stands between.
        max_body: Most bytes a decoded reply may have.
    """

    def __init__(
        self,
        *,
        total_timeout: float = REQUEST_SECONDS,
        idle_timeout: float = 120.0,
        connect_timeout: float = 15.0,
        max_body: int = CAP_BYTES,
    ) -> None:
        self._total = total_timeout
        self._idle = idle_timeout
        self._connect = connect_timeout
        self._max_body = max_body
        self._session: aiohttp.ClientSession | None = None
        self._pool: Pool | None = None
        """The session's connections, where aiohttp lets them be used by hand."""
        self._opening = asyncio.Lock()
        self._proxies: dict[str, tuple[float, dict[str, Any]]] = {}
        self._request_heads: dict[
            tuple[str, int], tuple[Mapping[str, str], exchange.RequestHead | None]
        ] = {}

    # ---------------------------------------------------------------------- asking

    async def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
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
            body: Bytes to send; None: nothing is sent, but fetched.
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
        address = egress.safe_url(url, origin_has_key)
        total = self._total if total_timeout is None else total_timeout
        timeout = _timeout(total, self._connect, None if feed is None else self._idle)
        request = _Request(address, headers, body, timeout)
        try:
            return await self._once(request, Reading(address, self._max_body, feed, has_ended))
        except Stale as error:
            if not is_repeatable:
                raise error.as_lost() from None
        # The server closed a kept-alive connection as the request set out; it has read nothing
        # of it, so one further try on a fresh connection buys nothing twice.
        token = wants_fresh.set(True)
        try:
            return await self._once(request, Reading(address, self._max_body, feed, has_ended))
        except Stale as error:
            raise error.as_lost() from None
        finally:
            wants_fresh.reset(token)

    get_json = functools.partialmethod(post, body=None, total_timeout=60.0)
    """Fetch a document, such as a list of models."""

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = self._pool = None
            self._request_heads.clear()

    # ------------------------------------------------------------------ one attempt

    async def _once(self, request: _Request, reading: Reading) -> RawReply:
        address, headers, body, timeout = request
        fault: LLMNBError | Stale
        proxy: dict[str, Any] = {}
        try:
            # aiohttp's errors hold the headers that were sent: ours are raised outside.
            proxy = self._proxy(address)
            if self._session is None:
                await self._open()
            pool = self._pool if trial.is_passed else None
            if pool is not None and body is not None and not proxy:
                try:
                    head = self._request_head(address, headers)
                    if head is not None and len(body) <= exchange.MOST_BYTES:
                        return await exchange.exchange(
                            pool, head, body, timeout=timeout, read=reading.read
                        )
                except UnknownInternals:
                    trial.distrust()  # nothing was sent: the session sends it
            return await self._by_session(request, proxy, reading)
        except LLMNBError as error:
            fault = error
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if isinstance(error, (AttributeError, TypeError)):
                trial.distrust()
            seconds = time.monotonic() - reading.started
            host = _url(address).host or address
            fault = faults.fault(error, host, seconds, proxy=proxy.get("proxy"))
        # Nor is shown what their frames held: the caller's own begin here.
        raise fault.with_traceback(None) from None

    async def _by_session(
        self, request: _Request, proxy: dict[str, Any], reading: Reading
    ) -> RawReply:
        address, headers, body, timeout = request
        sent = CIMultiDict(headers)
        if "proxy_headers" in proxy and address.startswith("http:"):
            sent.extend(proxy["proxy_headers"])
        assert self._session is not None
        async with self._session.request(
            "GET" if body is None else "POST",
            _url(address),
            # aiohttp warns of a large body in one piece, such as a picture.
            data=io.BytesIO(body) if body and len(body) > _LARGE_BODY_BYTES else body,
            headers=sent,
            allow_redirects=False,  # aiohttp would take the key along to the other origin
            timeout=timeout,
            **proxy,
        ) as response:
            if proxy and response.status == 407:  # the proxy's own: it has passed nothing on
                host, reason = _url(address).host or "", faults.PROXY_REFUSED.format(407)
                raise faults.unsent_error(host, reason, proxy["proxy"])
            return await reading.read(Received(response.status, response.headers, response.content))

    # -------------------------------------------------------------------- settings

    async def _open(self) -> None:
        """Open the session once, after the trial of aiohttp's private parts."""
        async with self._opening:
            if self._session is not None:
                return
            import llmnb

            self._pool = Pool(tls()) if await trial.passes() else None
            self._session = aiohttp.ClientSession(
                connector=self._pool or aiohttp.TCPConnector(ssl=tls(), **KEPT),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                **HEAD_LIMITS,
                headers={
                    "user-agent": f"llmnb/{llmnb.__version__}",
                    "accept-encoding": ENCODINGS,
                },
            )

    def _proxy(self, address: str) -> dict[str, Any]:
        """Return the proxy arguments for an address, looked up anew every few seconds.

        They are empty for most.
        """
        now = time.monotonic()
        known = self._proxies.get(address)
        if known is not None and now - known[0] <= _PROXY_SECONDS:
            return known[1]
        if len(self._proxies) > 1000:
            self._proxies.clear()
        arguments: dict[str, Any] = {}
        if (proxy := egress.proxy_for(address)) is not None:
            arguments["proxy"], login = proxy
            if login is not None:
                # Over TLS the proxy gets its header with CONNECT; a plain request carries it.
                header = {"Proxy-Authorization": aiohttp.encode_basic_auth(*login)}
                arguments["proxy_headers"] = header
        self._proxies[address] = (now, arguments)
        return arguments

    def _request_head(
        self, address: str, headers: Mapping[str, str]
    ) -> exchange.RequestHead | None:
        """Return the shared head of such requests, made once per address and mapping."""
        known = self._request_heads.get((address, id(headers)))
        if known is None or known[0] is not headers:
            if len(self._request_heads) > 1000:
                self._request_heads.clear()
            assert self._session is not None
            every = {"Accept": "*/*", **self._session.headers, **headers}
            made = exchange.request_head(_url(address), every, self._session)
            known = self._request_heads[(address, id(headers))] = (headers, made)
        return known[1]


_url = functools.lru_cache(maxsize=1024)(URL)


@functools.lru_cache(maxsize=64)
def _timeout(total: float, connect: float, idle: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=total, connect=min(total, 2 * connect), sock_connect=connect, sock_read=idle
    )


def tls() -> ssl.SSLContext:
    """Return the process's TLS context; reading the certificates takes some time once.

    Honours ``SSL_CERT_FILE``, ``SSL_CERT_DIR`` and ``REQUESTS_CA_BUNDLE``.
    """
    bundle = os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE")
    return egress.tls_context(bundle, os.environ.get("SSL_CERT_DIR"))
