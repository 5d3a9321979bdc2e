"""Where a request may go, and through which proxy and certificates.

Addresses that would leak a key or reach no model are refused. Proxies and certificates of the
environment are read here: the HTTP library's own reading is never switched on, because it would
send the credentials of ``~/.netrc`` along.

Tests set two switches here, through `llmnb.testing`: origins that are sent to
a server on this machine instead, and a ban on every request that would leave it.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import ssl
import urllib.request
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit, urlunsplit

from llmnb.errors import ConfigurationError, RealRequestForbidden, UnsafeURL
from llmnb.records import Secret, secret_url, shown_url
from llmnb.user_code import warn
from llmnb.wire.api_keys import name_of

_METADATA_HOSTS = frozenset(("metadata.google.internal", "metadata", "instance-data"))
_METADATA_ADDRESSES = frozenset(("fd00:ec2::254", "100.100.100.200"))

_redirects: dict[str, str] = {}
_is_real_forbidden = False


def set_redirects(origins: Mapping[str, str]) -> None:
    """Send requests for these origins to other servers; for tests only.

    Args:
        origins: From ``https://api.openai.com`` to ``http://127.0.0.1:8000``; a path in the
            target is ignored.
    """
    _redirects.clear()
    for origin, server in origins.items():
        _redirects[origin_of(origin)] = origin_of(server)
    safe_url.cache_clear()


def redirects() -> Mapping[str, str]:
    """Return the redirects in force."""
    return dict(_redirects)


def forbid_real_requests(is_forbidden: bool) -> None:
    """Forbid, or allow again, every request that would leave this machine."""
    global _is_real_forbidden
    _is_real_forbidden = is_forbidden
    safe_url.cache_clear()


def is_real_forbidden() -> bool:
    """Whether requests that would leave this machine are forbidden."""
    return _is_real_forbidden


def origin_of(url: str) -> str:
    """Return scheme, host and port of an address.

    Example:
        >>> origin_of("https://API.OpenAI.com/v1/models")
        'https://api.openai.com'
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise UnsafeURL(f"The address {_quoted(url)} has no valid port.") from None
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{host}" + ("" if port in (None, default) else f":{port}")


def destination(url: str) -> str:
    """Return an address after the redirects that tests have set."""
    server = _redirects.get(origin_of(url))
    if server is None:
        return url
    parts, target = urlsplit(url), urlsplit(server)
    return urlunsplit((target.scheme, target.netloc, parts.path, parts.query, ""))


@functools.lru_cache(maxsize=1024)
def safe_url(url: str, has_key: bool) -> str:
    """Return the address to really ask, redirects of tests applied.

    Args:
        url: Address as configured.
        has_key: Whether a key would travel that may not go over plain http.

    Raises:
        UnsafeURL: If it must not be asked; nothing was sent.
        RealRequestForbidden: If tests forbid to leave this machine.
    """
    check_characters(url)
    if origin_of(url) in _redirects:
        return destination(url)
    check_url(url, has_key=has_key)
    if _is_real_forbidden and not is_loopback(urlsplit(url).hostname or ""):
        raise RealRequestForbidden(
            f"A request to {origin_of(url)} was about to leave this machine, and real requests "
            "are forbidden. Nothing was sent: redirect that origin to a simulated provider."
        )
    return url


def check_characters(url: str) -> None:
    """Refuse an address with a line end or another invisible character in it.

    They are cut out in silence where an address is read, so that another one would be asked.

    Raises:
        UnsafeURL: Naming the character and its place; nothing was sent.

    Example:
        >>> check_characters("https://host/v1 ")
        Traceback (most recent call last):
        llmnb.errors.UnsafeURL: The address 'https://host/v1 ' has a space at position 16 of 16...
    """
    for position, character in enumerate(url, start=1):
        if "!" <= character <= "~" or (character.isprintable() and not character.isspace()):
            continue
        raise UnsafeURL(
            f"The address {_quoted(url)} has {name_of(character)} at position {position} of "
            f"{len(url)}. Nothing was sent: copy the address again, without spaces and line ends."
        )


def check_url(url: str, *, has_key: bool) -> None:
    """Refuse an address that cannot be a model's, or that would leak a key.

    Raises:
        UnsafeURL: Saying what is wrong; nothing was sent.

    Example:
        >>> check_url("https://api.openai.com/v1", has_key=True)
    """
    scheme, host, has_login = _url_parts(url)
    if scheme not in ("http", "https"):
        raise UnsafeURL(f"The address {_quoted(url)} is not http or https. Nothing was sent.")
    if not host:
        raise UnsafeURL(f"The address {_quoted(url)} names no host. Nothing was sent.")
    if has_login:
        raise UnsafeURL(
            f"The address of {host} carries a user name or password. Nothing was sent: "
            "give the key with llmnb.set_key or in the environment."
        )
    if _is_metadata(host):
        raise UnsafeURL(
            f"{host} is an address of machine metadata, not of a model. Nothing was sent."
        )
    if scheme == "http" and not is_loopback(host):
        if has_key:
            raise UnsafeURL(
                f"The key would travel to {host} over plain http, readable on the way. Nothing "
                "was sent: use https, or llmnb.configure(allow_http=True) on a trusted network."
            )
        _warn_once(host)


def _url_parts(url: str) -> tuple[str, str, bool]:
    """Return scheme, host and whether a user or password stands in an address, without them."""
    parts = urlsplit(url)
    has_login = parts.username is not None or parts.password is not None
    return parts.scheme, (parts.hostname or "").lower().rstrip("."), has_login


def is_loopback(host: str) -> bool:
    """Whether a host is this machine.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("10.0.0.1")
        (True, True, False)
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_metadata(host: str) -> bool:
    if host in _METADATA_HOSTS or host in _METADATA_ADDRESSES:
        return True
    address = _address(host)
    if address is None:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_link_local


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that a host name spells, also as a single number; else None."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(int(host, 0))
    except ValueError:
        return None


@functools.cache
def _warn_once(host: str) -> None:
    warn(f"Requests to {host} travel over plain http: prompts and answers can be read on the way.")


def _quoted(url: str) -> str:
    """Return an address without what may be secret in it."""
    return repr(shown_url(url)[:100])


# ------------------------------------------------------------- proxies and certificates


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
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host):
        return None
    proxies = {
        kind: secret_url(proxy) for kind, proxy in urllib.request.getproxies_environment().items()
    }
    is_bypassed = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    kind = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = proxies.get(kind)
    if not proxy or is_bypassed(host, proxies):
        return None
    if "://" not in proxy:
        proxy = secret_url(f"http://{proxy}")
    if (fault := _proxy_fault(proxy)) is not None:
        raise ConfigurationError(
            f"{kind.upper()}_PROXY names a proxy {fault}. Nothing was sent: name an http:// proxy "
            "there, or in NO_PROXY the hosts that are reached directly."
        )
    found, login = urlsplit(proxy), None
    if found.username is not None:
        login = (Secret(unquote(found.username)), Secret(unquote(found.password or "")))
    bare = found.netloc.rpartition("@")[2]
    return urlunsplit((found.scheme, bare, found.path, "", "")), login


def _proxy_fault(proxy: str) -> str | None:
    """Return why a proxy cannot be asked, None where it can; no traceback holds its parts."""
    try:
        parts = urlsplit(proxy)
        has_address = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_address = False
    if not has_address:
        return "whose host and port cannot be read"
    if parts.scheme in ("http", "https"):  # which the HTTP library can ask
        return None
    kind = "socks" if parts.scheme.startswith("socks") else parts.scheme
    return f"of the kind {parts.scheme}://, and llmnb does not speak {kind}"


@functools.lru_cache(maxsize=4)
def tls_context(bundle: str | None, folder: str | None) -> ssl.SSLContext:
    """Return a TLS context that verifies certificates; those of a file and of a folder count, too.

    Args:
        bundle: File, or folder, of further certificates.
        folder: Folder of further certificates.
    """
    context = ssl.create_default_context()
    for path in filter(None, (bundle, folder)):
        if os.path.isfile(path):
            context.load_verify_locations(cafile=path)
        elif os.path.isdir(path):
            context.load_verify_locations(capath=path)
    return context
