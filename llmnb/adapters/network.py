"""Proxies and certificates of the environment, read by hand.

The HTTP library's own reading of the environment is never switched on: it
would send the credentials of ``~/.netrc`` along.
"""

from __future__ import annotations

import os
import ssl
import urllib.request
from urllib.parse import unquote, urlsplit, urlunsplit

from llmnb.adapters import egress
from llmnb.errors import ConfigurationError
from llmnb.records import Secret, secret_url

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
    proxies = {
        kind: secret_url(proxy) for kind, proxy in urllib.request.getproxies_environment().items()
    }
    is_bypassed = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    parts = urlsplit(url)
    host = parts.hostname or ""
    kind = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = proxies.get(kind)
    if not proxy or is_bypassed(host, proxies):
        return None
    if "://" not in proxy:
        proxy = secret_url(f"http://{proxy}")
    if (fault := _fault(proxy)) is not None:
        raise ConfigurationError(
            f"{kind.upper()}_PROXY names a proxy {fault}. Nothing was sent: name an http:// proxy "
            "there, or in NO_PROXY the hosts that are reached directly."
        )
    found, login = urlsplit(proxy), None
    if found.username is not None:
        login = (Secret(unquote(found.username)), Secret(unquote(found.password or "")))
    bare = found.netloc.rpartition("@")[2]
    return urlunsplit((found.scheme, bare, found.path, "", "")), login


def _fault(proxy: str) -> str | None:
    """Return why a proxy cannot be asked, None where it can; no traceback holds its parts."""
    try:
        parts = urlsplit(proxy)
        has_address = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_address = False
    if not has_address:
        return "whose host and port cannot be read"
    if parts.scheme in _SPOKEN:
        return None
    kind = "socks" if parts.scheme.startswith("socks") else parts.scheme
    return f"of the kind {parts.scheme}://, and llmnb does not speak {kind}"


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
