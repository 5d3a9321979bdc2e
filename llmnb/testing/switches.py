"""Send requests for named origins to a server on this machine, or forbid all that leave it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol
from urllib.parse import urlsplit

from llmnb.adapters import egress
from llmnb.errors import ConfigurationError


class _HasOrigin(Protocol):
    @property
    def origin(self) -> str: ...


@contextmanager
def redirect(servers: Mapping[str, str | _HasOrigin]) -> Iterator[None]:
    """Send requests for named origins to servers on this machine while the block runs.

    The path stays as it is, so that ``https://api.openai.com/v1/models``
    becomes ``http://127.0.0.1:8000/v1/models``.

    Args:
        servers: Origin, or any URL at it → a `SimulatedProvider`, or the URL
            of a server on this machine.

    Raises:
        ConfigurationError: If a server is not on this machine.

    Example:
        >>> with redirect({"https://api.openai.com": "http://127.0.0.1:8000"}):
        ...     egress.redirects()
        {'https://api.openai.com': 'http://127.0.0.1:8000'}
    """
    wanted = {_origin(source): _server_origin(server) for source, server in servers.items()}
    before = dict(egress.redirects())
    egress.set_redirects({**before, **wanted})
    try:
        yield
    finally:
        egress.set_redirects(before)


class forbid_real_requests:
    """Forbid every request that would leave this machine; it raises `RealRequestForbidden`.

    It acts at once, for the whole process, until it is called with False; as
    a context it goes back to what was before at the end of the block.

    Args:
        forbidden: False allows them again.

    Example:
        >>> with forbid_real_requests():
        ...     egress.is_real_forbidden()
        True
    """

    def __init__(self, forbidden: bool = True) -> None:
        self._before = egress.is_real_forbidden()
        egress.forbid_real_requests(forbidden)

    def __enter__(self) -> None:
        """Do nothing: it acts since it was made."""

    def __exit__(self, *_: object) -> None:
        """Go back to what was before."""
        egress.forbid_real_requests(self._before)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{url!r} is no origin: one looks like https://api.openai.com")
    return egress.origin_of(url)


def _server_origin(server: str | _HasOrigin) -> str:
    origin = _origin(server if isinstance(server, str) else server.origin)
    if not egress.is_loopback(urlsplit(origin).hostname or ""):
        raise ConfigurationError(
            f"Requests are redirected to this machine only (127.0.0.1), not to {origin}."
        )
    return origin
