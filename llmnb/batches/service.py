"""A provider's batch API over HTTP: submit, look, fetch, withdraw; one class a protocol."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from llmnb import bridge
from llmnb.adapters.http import HttpClient
from llmnb.batches.records import Part
from llmnb.errors import ConfigurationError
from llmnb.records import RawReply
from llmnb.targets.target import HTTPTarget
from llmnb.wire import batches_anthropic, batches_openai
from llmnb.wire.batches import Capacity, Result, Standing
from llmnb.wire.catalog import models_url

LARGEST_RESULTS = 2 * 2**30
"""Bytes of one file of results; far above what a full batch gives."""

_TRANSFER_SECONDS = 3600.0
_OPENAI_DIALECTS = ("openai.chat", "openai.responses", "openai.text")
_HOUSES = ("openai", "anthropic")
"""Providers of the catalog whose batch APIs are known."""

_CLOCK_SLACK = 120.0
"""Seconds that a provider's clock may be behind ours."""


class Service(Protocol):
    """One batch API at one address under one account."""

    @property
    def capacity(self) -> Capacity:
        """What one batch may hold."""

    def line(self, name: str, body: bytes) -> bytes:
        """Return the line of one request."""

    async def create(self, part: Part) -> Standing:
        """Submit a part. Raises `LLMNBError`."""

    async def find(self, part: Part, taken: set[str]) -> Standing | None:
        """Look whether the provider has a part whose submission was not answered.

        Args:
            part: The part.
            taken: Names of batches that are known to be others'.
        """

    async def look(self, batch: str) -> Standing:
        """Ask how far a batch is."""

    def results(self, standing: Standing) -> AsyncIterator[tuple[RawReply, Iterator[Result]]]:
        """Fetch the results of a batch, file by file."""

    async def withdraw(self, batch: str) -> None:
        """Ask the provider to stop a batch; what is finished is still given."""


def service(target: HTTPTarget) -> Service:
    """Return the batch API beside a model's endpoint.

    Raises:
        ConfigurationError: If there is none that llmnb knows.
    """
    if isinstance(target, HTTPTarget) and type(target).send is HTTPTarget.send:
        if target.dialect_name == "anthropic.messages" and target.row.name == "anthropic":
            return AnthropicBatches(target)
        if target.dialect_name in _OPENAI_DIALECTS and target.row.name == "openai":
            return OpenAIBatches(target)
    raise ConfigurationError(
        f"{target.provider}/{target.model} has no batch API that llmnb knows: mode='batch' is for "
        f"{' and '.join(_HOUSES)}. Nothing was sent; mode='live' asks now."
    )


def _client() -> HttpClient:
    """Return the loop's client for batches: its files are large and slow."""
    return bridge.per_loop(
        "batches.http",
        lambda: HttpClient(total_timeout=_TRANSFER_SECONDS, max_body=LARGEST_RESULTS),
        HttpClient.close,
    )


class _Web:
    """Requests to one provider's batch API."""

    def __init__(self, target: HTTPTarget) -> None:
        self._target = target
        self._base, _, query = models_url(target.row, target.url).partition("/models")
        self._query = query

    @property
    def _headers(self) -> dict[str, str]:
        return dict(self._target.sent_headers)

    async def _get(self, path: str, query: str = "") -> RawReply:
        return self._good(
            await _client().get_json(
                f"{self._base}{path}{_joined(self._query, query)}",
                headers=self._headers,
                origin_has_key=self._target.guards_key,
                total_timeout=_TRANSFER_SECONDS,
            )
        )

    async def _post(self, path: str, body: bytes, kind: str = "application/json") -> RawReply:
        return self._good(
            await _client().post(
                f"{self._base}{path}{self._query}",
                headers={**self._headers, "content-type": kind},
                body=body,
                origin_has_key=self._target.guards_key,
                # A batch that was perhaps made is looked for, not sent again.
                is_repeatable=False,
            )
        )

    def _good(self, raw: RawReply) -> RawReply:
        if 200 <= raw.status < 300:
            return raw
        error = self._target.judge(raw)
        assert error is not None
        raise error


class OpenAIBatches(_Web):
    """OpenAI's files and batches, and whoever speaks as they do."""

    capacity = batches_openai.CAPACITY

    @functools.cached_property
    def _path(self) -> str:
        """The endpoint as the lines name it, whatever stands before it in the address."""
        row, dialect = self._target.row, self._target.dialect_name
        return "/v1" + next(row.paths[kind] for kind, one in row.dialects.items() if one == dialect)

    def line(self, name: str, body: bytes) -> bytes:
        """Return the line of one request."""
        return batches_openai.line(name, body, self._path)

    async def create(self, part: Part) -> Standing:
        """Upload the lines, then make a batch of them."""
        kind, body = batches_openai.upload(f"{part.standing.tag}.jsonl", part.content())
        file = batches_openai.uploaded((await self._post("/files", body, kind)).body)
        made = batches_openai.creation(file, self._path, part.standing.tag)
        return batches_openai.standing((await self._post("/batches", made)).body)

    async def find(self, part: Part, taken: set[str]) -> Standing | None:
        """Look for our mark in the list, the newest first, back to when it was submitted."""
        after = ""
        while True:
            raw = await self._get("/batches", f"limit=100{after}")
            found, last = batches_openai.listed(raw.body)
            for one in found:
                if one.tag == part.standing.tag:
                    return one
            oldest = min((one.created for one in found if one.created), default=None)
            if last is None or (oldest and oldest < part.standing.since - _CLOCK_SLACK):
                return None
            after = f"&after={last}"

    async def look(self, batch: str) -> Standing:
        """Ask how far a batch is."""
        return batches_openai.standing((await self._get(f"/batches/{batch}")).body)

    async def results(self, standing: Standing) -> AsyncIterator[tuple[RawReply, Iterator[Result]]]:
        """Fetch the file of answers and that of errors."""
        for file in standing.results:
            raw = await self._get(f"/files/{file}/content")
            yield raw, batches_openai.results(raw.body)

    async def withdraw(self, batch: str) -> None:
        """Ask the provider to stop a batch."""
        await self._post(f"/batches/{batch}/cancel", b"{}")


class AnthropicBatches(_Web):
    """Anthropic's message batches."""

    capacity = batches_anthropic.CAPACITY

    def line(self, name: str, body: bytes) -> bytes:
        """Return the line of one request."""
        return batches_anthropic.line(name, body, "")

    async def create(self, part: Part) -> Standing:
        """Submit all requests in one."""
        made = batches_anthropic.creation(part.content())
        return batches_anthropic.standing((await self._post("/messages/batches", made)).body)

    async def find(self, part: Part, taken: set[str]) -> Standing | None:
        """Look for a batch nobody else's, made since, of as many requests; marks it keeps none."""
        after = ""
        while True:
            raw = await self._get("/messages/batches", f"limit=100{after}")
            found, last = batches_anthropic.listed(raw.body)
            for one in found:
                is_since = one.created is None or (
                    one.created >= part.standing.since - _CLOCK_SLACK
                )
                if one.name not in taken and is_since and one.total == part.standing.requests:
                    return one
            oldest = min((one.created for one in found if one.created), default=None)
            if last is None or (oldest and oldest < part.standing.since - _CLOCK_SLACK):
                return None
            after = f"&after_id={last}"

    async def look(self, batch: str) -> Standing:
        """Ask how far a batch is."""
        return batches_anthropic.standing((await self._get(f"/messages/batches/{batch}")).body)

    async def results(self, standing: Standing) -> AsyncIterator[tuple[RawReply, Iterator[Result]]]:
        """Fetch the results from our own address: the key goes to no other."""
        for ending in standing.results:
            raw = await self._get(f"/messages/batches/{standing.name}/{ending}")
            yield raw, batches_anthropic.results(raw.body)

    async def withdraw(self, batch: str) -> None:
        """Ask the provider to stop a batch."""
        await self._post(f"/messages/batches/{batch}/cancel", b"{}")


def _joined(query: str, more: str) -> str:
    """Return two queries as one.

    Example:
        >>> _joined("?a=1", "b=2"), _joined("", "b=2"), _joined("?a=1", "")
        ('?a=1&b=2', '?b=2', '?a=1')
    """
    if not more:
        return query
    return f"{query}&{more}" if query else f"?{more}"
