"""Proxies and certificates of the environment, read by hand.

The HTTP library's own reading of the environment is never switched on: it
would send the credentials of ``~/.netrc`` along.
"""

from __future__ import annotations

import os
import ssl
import urllib.request
from urllib.parse import unquote, urlsplit, urlunsplit


def proxy_for(url: str) -> tuple[str, tuple[str, str] | None] | None:
    """Return the proxy for an address and its user and password, None for a direct way.

    Honours ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``.

    Args:
        url: Address that will be asked.
    """
    proxies = urllib.request.getproxies_environment()
    is_bypassed = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or is_bypassed(host, proxies):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    found = urlsplit(proxy)
    login = None
    if found.username is not None:
        login = (unquote(found.username), unquote(found.password or ""))
    bare = found.netloc.rpartition("@")[2]
    return urlunsplit((found.scheme, bare, found.path, "", "")), login


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
