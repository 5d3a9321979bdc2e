"""Proxies and certificates of the environment, read by hand.

The HTTP library's own reading of the environment is never switched on: it
would send the credentials of ``~/.netrc`` along.
"""

from __future__ import annotations

import os
import ssl
import urllib.request
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from llmnb.adapters import egress
from llmnb.errors import ConfigurationError

_SPOKEN = ("http", "https")
"""Schemes of proxies that the HTTP library can ask."""


def proxy_for(url: str) -> tuple[str, tuple[str, str] | None] | None:
    """Return the proxy for an address and its user and password, None for a direct way.

    Honours ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``. This machine is
    reached directly.

    Args:
        url: Address that will be asked.

    Raises:
        ConfigurationError: If the proxy is of a kind that cannot be asked, such as SOCKS, or its
            address cannot be read; nothing was sent.
    """
    if egress.is_loopback(urlsplit(url).hostname or ""):
        return None
    proxies = urllib.request.getproxies_environment()
    is_bypassed = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    parts = urlsplit(url)
    host = parts.hostname or ""
    kind = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = proxies.get(kind)
    if not proxy or is_bypassed(host, proxies):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    found = _read(proxy, f"{kind.upper()}_PROXY")
    login = None
    if found.username is not None:
        login = (unquote(found.username), unquote(found.password or ""))
    bare = found.netloc.rpartition("@")[2]
    return urlunsplit((found.scheme, bare, found.path, "", "")), login


def _read(proxy: str, variable: str) -> SplitResult:
    """Return a proxy's address in its parts, if it can be asked."""
    way_out = (
        "Nothing was sent: name an http:// proxy there, or in NO_PROXY the hosts that are "
        "reached directly."
    )
    try:
        parts = urlsplit(proxy)
        has_address = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_address = False
    if not has_address:
        raise ConfigurationError(
            f"{variable} names a proxy whose host and port cannot be read. {way_out}"
        )
    if parts.scheme not in _SPOKEN:
        kind = "socks" if parts.scheme.startswith("socks") else parts.scheme
        raise ConfigurationError(
            f"{variable} names a proxy of the kind {parts.scheme}://, and llmnb does not speak "
            f"{kind}. {way_out}"
        )
    return parts


def tls_context() -> ssl.SSLContext:
    """Return a context that verifies, with the environment's certificates.

    Honours ``SSL_CERT_FILE``, ``SSL_CERT_DIR`` and ``REQUESTS_CA_BUNDLE``.
    """
    context = ssl.create_default_context()
    bundle = os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE")
    folder = os.environ.get("SSL_CERT_DIR")
    if bundle and os.path.isfile(bundle):
        context.load_verify_locations(cafile=bundle)
    elif bundle and os.path.isdir(bundle):
        context.load_verify_locations(capath=bundle)
    if folder and os.path.isdir(folder):
        context.load_verify_locations(capath=folder)
    return context
