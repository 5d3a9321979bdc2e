"""The door to Redis, where processes share limits: two scripts, one connection, short patience.

The client's own defaults would take a minute to notice a frozen server, and
ask again on their own. Here a call has less than a second, and whatever goes
wrong is one `LimiterError` without the address, which may hold a password.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from llmnb.errors import ConfigurationError, LimiterError, MissingExtra

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")

PATIENCE_SECONDS = 0.9
"""A call that takes longer has failed: a frozen server is noticed within two seconds."""

_SCHEMES = ("redis", "rediss", "unix")


LIMITS = "redis_limits.lua"
"""Draws from limits, and says what was used."""

RULES = "redis_rules.lua"
"""States which limits there are, and hears what others state."""


def script(name: str = LIMITS) -> str:
    """Return a script that calls run."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def address(text: str) -> str:
    """Return a full address for what a person wrote.

    Args:
        text: ``host:port``, a host, or a URL of the schemes redis, rediss or unix.

    Raises:
        ConfigurationError: If it is none of them.

    Example:
        >>> address("localhost:6379"), address("rediss://cache.example/1")
        ('redis://localhost:6379', 'rediss://cache.example/1')
    """
    full = text.strip() if "://" in text else f"redis://{text.strip()}"
    try:
        parts = urlsplit(full)
        port, host = parts.port, parts.hostname
    except ValueError:
        port, host, parts = None, None, urlsplit("")
    if parts.scheme not in _SCHEMES or (parts.scheme != "unix" and not host) or port == 0:
        raise ConfigurationError(
            "REDIS_URL is no address of a Redis: write host:port, such as localhost:6379, or a "
            "URL that begins with redis://, rediss:// or unix://."
        )
    return full


def check(url: str) -> None:
    """See that an address is one and that the client is installed.

    The first import takes most of a second: call it where that holds nothing up.

    Raises:
        ConfigurationError: If it is none.
        MissingExtra: If the extra ``redis`` is not installed.
    """
    address(url)
    try:
        import redis.asyncio  # noqa: F401  only to see that it can be
    except ImportError:
        raise _missing_extra() from None


def _missing_extra() -> MissingExtra:
    return MissingExtra(
        "Limits shared through REDIS_URL need the extra `redis`: pip install 'llmnb[redis]'. "
        "Nothing was sent. Without REDIS_URL each process keeps its limits for itself."
    )


class SharedStore:
    """One Redis, asked by the limiter's scripts only.

    Args:
        url: Where it is, as `address` returns it.

    Raises:
        MissingExtra: If the extra ``redis`` is not installed.
        ConfigurationError: If the client cannot read the address.
    """

    def __init__(self, url: str) -> None:
        try:
            import redis
            from redis.asyncio import Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ImportError:
            raise _missing_extra() from None
        self._failures: tuple[type[Exception], ...] = (redis.RedisError, OSError, TimeoutError)
        parts = urlsplit(url)
        self.address = f"{parts.hostname}:{parts.port or 6379}" if parts.hostname else parts.path
        """Where it is, for messages; holds no password."""

        try:
            self._client: Redis = Redis.from_url(
                url,
                socket_timeout=PATIENCE_SECONDS,
                socket_connect_timeout=PATIENCE_SECONDS,
                retry=Retry(NoBackoff(), 0),
                health_check_interval=0,
            )
        except ValueError as error:
            # Its text may quote the address.
            raise ConfigurationError(
                f"REDIS_URL cannot be used ({type(error).__name__}): see its port and its options."
            ) from None
        self._scripts: dict[str, Any] = {
            name: self._client.register_script(script(name)) for name in (LIMITS, RULES)
        }

    async def run(
        self,
        name: str,
        keys: Sequence[str],
        arguments: Sequence[str],
        read: Callable[[Any], T],
        *,
        least: int = 0,
    ) -> list[T]:
        """Run a script and return its answer.

        Args:
            name: `LIMITS`, which draws from limits, or `RULES`, which states them.
            keys: What it changes; three for each limit, or where statements are kept.
            arguments: As the script's head says.
            read: Reads one item of the answer: `int`, or `text_of`.
            least: Items that a whole answer has.

        Raises:
            LimiterError: If Redis is gone, frozen, read-only, or answers with an error.
        """
        failure = ""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                reply = await self._scripts[name](keys=keys, args=arguments)
            answer = [read(item) for item in reply]
            if len(answer) >= least:
                return answer
            failure = "its answer is not the script's"
        except self._failures as error:
            failure = _cause_of(error)
        # The client, too, trusts what a server says of itself in its greeting.
        except (ValueError, TypeError, AttributeError, LookupError):
            failure = "its answer is not the script's"
        raise LimiterError(
            f"The Redis at {self.address} that shares the limits does not answer: {failure}."
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def text_of(value: Any) -> str:
    """Return an item of an answer as text. Raises `TypeError` where it is none."""
    if not isinstance(value, bytes):
        raise TypeError("no text")
    return value.decode()


def _cause_of(error: Exception) -> str:
    """Return what went wrong in a few words; texts of connection errors name the address."""
    kind = type(error).__name__
    if isinstance(error, (OSError, TimeoutError)) or "Connection" in kind or "Timeout" in kind:
        return "no answer in time" if "Timeout" in kind else "no connection"
    return f"{kind}: {str(error).partition(' script: ')[0][:80]}"
