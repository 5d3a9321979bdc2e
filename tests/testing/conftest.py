from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import pytest
from laboratory import Laboratory


@dataclass
class Came:
    """A reply as a bare client sees it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def text(self) -> str:
        """The answer of a chat or text completion."""
        choice = self.json["choices"][0]
        return choice["text"] if "text" in choice else choice["message"]["content"]

    @property
    def events(self) -> list[Any]:
        """The events of a stream; the finish marker is its text."""
        lines = [line[6:] for line in self.body.split(b"\n") if line.startswith(b"data: ")]
        return [line.decode() if line == b"[DONE]" else orjson.loads(line) for line in lines]

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]


Ask = Callable[..., Awaitable[Came]]


@pytest.fixture(params=["aiohttp", "fast"])
def transport(request: pytest.FixtureRequest) -> str:
    """Both servers keep the same promises."""
    return request.param


@pytest.fixture
def simulated(transport: str) -> Callable[..., Laboratory]:
    """Makes a simulated provider on either server."""
    return lambda **options: Laboratory(transport=transport, **options)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A bare client that hides nothing."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@pytest.fixture
def ask(session: aiohttp.ClientSession) -> Ask:
    """Asks for a completion: a text, or the messages of a chat."""

    async def ask(
        sim: Any,
        prompt: str | list[dict[str, Any]],
        *,
        key: str | None = None,
        raw: bytes | None = None,
        **fields: Any,
    ) -> Came:
        name, path = ("prompt", "/completions")
        if isinstance(prompt, list):
            name, path = ("messages", "/chat/completions")
        body = (
            orjson.dumps({"model": "gpt-4o-mini", name: prompt, **fields}) if raw is None else raw
        )
        headers = {"content-type": "application/json"}
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        async with session.post(
            sim.base_url + path, data=body, headers=headers, allow_redirects=False
        ) as reply:
            headers_in = {name.lower(): value for name, value in reply.headers.items()}
            return Came(reply.status, headers_in, await reply.read())

    return ask


@pytest.fixture
def chat() -> Callable[[str], list[dict[str, str]]]:
    """Makes a conversation of one message."""
    return lambda text: [{"role": "user", "content": text}]
